"""What the counter of calls counts, and what it says of it."""

from __future__ import annotations

import sys

import pytest

from benchmarks.micro import calls
from benchmarks.micro.calls import CallLog, Count
from ratedispatch.limits import Rate


def test_a_count_of_calls() -> None:
    """A change is a call in another module than the call before; the first is none."""
    assert Count.of(["a", "a", "b", "a"]) == Count(4, 2, 2)
    assert Count.of([]) == Count(0, 0, 0)


def test_calls_of_the_package_alone_are_heard() -> None:
    """Neither those of the benchmark nor of the library; and what was there before stays off."""
    before = sys.getprofile()
    with CallLog() as log:
        sorted([2, 1], key=lambda number: number)
        Rate("requests", 60.0, 1.0)
    assert set(log.take()) == {"ratedispatch.limits"}
    assert log.take() == []
    assert sys.getprofile() is before


@pytest.mark.parametrize("name", list(calls.JOURNEYS))
def test_every_journey_is_counted_the_same_each_time(name: str) -> None:
    """As many as asked; each goes through the dispatcher and the budget."""
    first, second = (calls.JOURNEYS[name](3) for _ in range(2))
    assert first == second
    assert len(first) == 3
    for modules in first:
        rooms = {module.split(".")[1] for module in modules}
        assert {"dispatch", "pacing", "providers"} <= rooms


@pytest.mark.parametrize(
    ("submit", "row", "expected"),
    [(160, 240, True), (161, 240, False), (160, 241, False)],
)
def test_one_call_more_than_allowed_is_a_miss(submit: int, row: int, expected: bool) -> None:
    """Of either journey; a refusal has no target."""
    found = {
        "submit": [["ratedispatch.a"] * submit] * 3,
        "row": [["ratedispatch.a"] * row] * 3,
        "refusal": [["ratedispatch.a", "ratedispatch.b"] * 500],
    }
    result = calls.summarise(found)
    assert result["is_on_target"] is expected
    assert result["journeys"]["refusal"]["changes"]["median"] == 999
    assert result["journeys"]["refusal"]["most_visited"] == {"a": 500, "b": 500}


def test_one_change_more_than_allowed_is_a_miss() -> None:
    """Few calls do not make up for it."""
    for changes, expected in ((80, True), (81, False)):
        modules = ["a", "b"] * 41
        found = calls.summarise({"submit": [modules[: changes + 1]]})
        assert found["is_on_target"] is expected
