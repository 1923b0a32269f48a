"""How many may be in flight."""

from __future__ import annotations

import pytest

from ratedispatch.pacing.concurrency.slots import Slots, most_in_flight, open_descriptors


def test_raising_the_soft_limit_gives_the_hard_one() -> None:
    """What is reported is what may really be opened."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, before[1]), before[1]))
        assert open_descriptors() == min(256, before[1])
        raised = open_descriptors(raise_limit=True)
        assert raised == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        assert before[1] in {raised, resource.RLIM_INFINITY}
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize(
    ("descriptors", "most"),
    [(None, 1_000_000), (1024, 960), (128, 64), (64, 32), (11, 6), (1, 1)],
)
def test_64_descriptors_are_left_for_other_files_or_half_of_few(
    descriptors: int | None, most: int
) -> None:
    """At least one connection can always be open, and a hard limit of 64 leaves many."""
    assert most_in_flight(descriptors) == most


def test_a_queue_that_finds_no_place_twice_is_told_once() -> None:
    """It asks each time its head could go."""
    slots, told = Slots(1), []

    def tell() -> None:
        told.append("a")

    slots.take()
    assert not slots.is_free(tell)
    assert not slots.is_free(tell)
    slots.give()
    slots.take()
    slots.give()
    assert told == ["a"]
    assert slots.is_free(tell)


def test_a_place_that_nobody_takes_is_offered_to_the_next() -> None:
    """A queue that was told may be empty by then; the others must not wait for ever."""
    slots = Slots(1)
    slots.take()
    told = []

    def uninterested() -> None:
        told.append("a")

    def interested() -> None:
        told.append("b")
        slots.take()

    def late() -> None:
        told.append("c")

    for tell in (uninterested, interested, late):
        assert not slots.is_free(tell)
    slots.give()
    assert told == ["a", "b"]
    slots.give()
    assert told == ["a", "b", "c"]
