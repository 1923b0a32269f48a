"""A number in flight that several processes look for together, in exact instants."""

from __future__ import annotations

import contextlib
import math
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.sim.crowd import Crowd, is_met, measure, together
from benchmarks.sim.model_server import ModelServer, play
from benchmarks.sim.search import CASES
from ratedispatch.pacing.concurrency.adaptive import AdaptiveLimit
from ratedispatch.pacing.feedback import SharingChange
from ratedispatch.pacing.shared.found_number import part_of
from ratedispatch.pacing.shared.memory_store import SharedRecord
from ratedispatch.pacing.shared.shared_search import SharedSearch
from ratedispatch.sharing.file_store import FileStore

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def members_of(shared: SharedRecord, count: int) -> list[SharedSearch]:
    """Return so many members, numbered from 1, which know of one another at 0.2 s."""
    members = [
        SharedSearch(AdaptiveLimit(start=8, most=100), shared.join(), number + 1.0)
        for number in range(count)
    ]
    wait(members, 0.0, 0.2)
    return members


def wait(members: Sequence[SharedSearch], since: float, until: float) -> None:
    """Let all *members* wait for room, and look five times a second."""
    for tick in range(round(since * 5), round(until * 5) + 1):
        for member in members:
            member.full(tick / 5)


def owner(shared: SharedRecord) -> float:
    """Return the number of the member that searches."""
    learned = shared.record.limits["in flight"].learned
    assert learned is not None
    return learned[1]


def said(member: SharedSearch) -> list[str]:
    """Return what it says of the store."""
    return [change.text for change in member.changes if isinstance(change, SharingChange)]


@pytest.mark.parametrize("places", [1, 4, 64])
def test_one_that_is_alone_searches_as_it_would_without_a_store(places: int) -> None:
    """Every answer comes at the same instant."""
    server = ModelServer(places, sigma=0.3)
    alone = play(server, AdaptiveLimit(start=8, most=1000), 800, seed=1)
    assert play(server, together(1), 800, seed=1) == alone


@pytest.mark.parametrize(("name", "count"), [("4 places", 8), ("16 places", 4)])
def test_together_they_find_what_one_finds(name: str, count: int) -> None:
    """Nearly its throughput, at about the latency of the best number."""
    case = next(case for case in CASES if case.name == name)
    assert is_met(measure(case, count, range(5)))


def test_a_server_that_refuses_is_not_tried_by_each() -> None:
    """What one is refused lowers the number of all."""
    served = play(ModelServer(16, queue=0), together(4), 1600, seed=0)
    assert served.refused < 160
    assert served.per_second > 0.85 * 16


@given(
    total=st.integers(1, 300),
    doublings=st.integers(0, 5),
    first=st.integers(0, 10_000),
    instant=st.integers(0, 10_000_000),
)
def test_the_parts_make_up_the_number(total: int, doublings: int, first: int, instant: int) -> None:
    """At every instant, for processes that have come one after another."""
    count = 2**doublings
    parts = [part_of(total, count, first + one, instant / 1000, 16.0)[0] for one in range(count)]
    assert abs(sum(parts) - total) <= (doublings > 0)
    assert max(parts) - min(parts) <= 1


def test_each_has_one_more_in_its_turn() -> None:
    """Five for two: each has two half of the time, and three the other half."""
    parts = [part_of(5, 2, place, tick / 10, 16.0)[0] for place in (1, 2) for tick in range(160)]
    assert sum(parts[:160]) == sum(parts[160:]) == 400


def test_parts_follow_who_comes_and_goes() -> None:
    """At once: nobody waits for a latency."""
    shared = SharedRecord()
    first, second = members_of(shared, 2)
    assert (first.limit, second.limit) == (4, 4)
    second.close(1.0)
    first.full(1.0)
    assert first.limit == 8


def test_one_that_is_not_short_of_room_leaves_its_part_to_others() -> None:
    """Two seconds after it was."""
    shared = SharedRecord()
    busy, idle = members_of(shared, 2)
    wait([busy], 0.2, 2.4)
    assert busy.limit == 8
    for tick in range(100):  # it has work, and room for it
        at = 2.4 + tick / 10
        idle.ended(idle.sent(at, 1, False), at + 0.05)
        busy.full(at)
    assert busy.limit == 8


def test_another_takes_over_when_the_one_that_searches_dies() -> None:
    """After three seconds, with the number that stood there."""
    shared = SharedRecord()
    members = members_of(shared, 3)
    assert owner(shared) == 1.0
    wait(members, 0.0, 10.0)
    assert owner(shared) == 1.0
    wait(members[1:], 10.2, 14.0)
    assert owner(shared) in {2.0, 3.0}
    assert [member.limit for member in members[1:]] == [4, 4]
    wait(members, 14.2, 20.0)  # it was only stopped
    assert owner(shared) in {2.0, 3.0}


def test_another_takes_over_at_once_when_the_one_that_searches_leaves() -> None:
    """It says so."""
    shared = SharedRecord()
    first, second, third = members_of(shared, 3)
    first.close(0.3)
    second.full(0.4)
    third.full(0.4)
    assert owner(shared) == 2.0


def test_each_keeps_its_part_while_the_store_is_gone() -> None:
    """Says it once, and goes on with the others when it is back."""
    shared = SharedRecord()
    members = members_of(shared, 2)
    shared.gone = "connection refused"
    crowd = Crowd(members)
    tokens = [crowd.sent(1.0, 1, True) for _ in range(8)]
    for token in tokens:
        crowd.ended(token, 2.0)
    wait(members, 2.0, 60.0)
    assert [member.limit for member in members] == [4, 4]
    (text,) = [text for text in said(members[1]) if "cannot" in text]
    assert text == (
        f"the number in flight in memory cannot be reached ({shared.gone}); continuing with 4, and "
        f"trying again"
    )
    shared.gone = None
    wait(members, 60.2, 62.0)
    assert [member.limit for member in members] == [4, 4]
    assert said(members[1])[-1] == "the number in flight in memory can be reached again"
    assert owner(shared) == 1.0


def test_a_part_of_nothing_is_one_while_the_store_is_gone() -> None:
    """Eight for sixteen: all of them go on."""
    shared = SharedRecord()
    members = members_of(shared, 16)
    assert sum(member.limit for member in members) == 8
    shared.gone = "no server"
    wait(members, 1.0, 3.0)
    assert {member.limit for member in members} == {1}


def test_a_store_that_begins_anew_hears_the_number_again() -> None:
    """From whoever comes first."""
    shared = SharedRecord()
    members = members_of(shared, 2)
    shared.begin_anew()
    wait(members, 1.0, 3.0)
    assert owner(shared) in {1.0, 2.0}
    assert [member.limit for member in members] == [4, 4]


def test_a_rate_that_becomes_known_is_followed_by_each() -> None:
    """The number is its own from there on, and the others share theirs."""
    shared = SharedRecord()
    first, second = members_of(shared, 2)
    first.follow_rate()
    first.full(1.0)
    assert first.limit == 4
    assert first.full(1.3) == pytest.approx(0.25)  # silence doubles it
    assert first.limit == 8
    wait([second], 1.2, 3.0)
    assert (second.limit, owner(shared)) == (8, 2.0)
    first.close(4.0)


def test_it_is_found_by_all() -> None:
    """The number that is kept for the next run is that of all together."""
    crowd = together(4)
    play(ModelServer(16), crowd, 1600, seed=0)
    numbers = {member.found for member in crowd.members}
    assert all(number is not None and 12 <= number <= 24 for number in numbers)


def test_a_file_carries_it(tmp_path: Path) -> None:
    """As the store in memory does."""
    with contextlib.ExitStack() as stack:
        members = []
        for number in range(2):
            search = AdaptiveLimit(start=8, most=100)
            member = SharedSearch(search, FileStore(tmp_path / "number"), number + 1.0)
            stack.callback(member.close, 1000.0)
            members.append(member)
        wait(members, 0.0, 0.2)
        assert [member.limit for member in members] == [4, 4]
        served = play(ModelServer(16, sigma=0.1), Crowd(members), 800, seed=0)
        assert served.per_second > 14
        assert served.peak <= 48


@pytest.mark.parametrize("number", [math.nan, math.inf, -1.0, 1e300])
def test_numbers_that_make_no_sense_are_no_numbers(number: float) -> None:
    """Whoever can write to the store cannot stop those that read it."""
    shared = SharedRecord()
    members = members_of(shared, 2)
    limit = shared.record.limits["in flight"]
    assert limit.learned is not None
    limit.learned, limit.learned_number = (number, 9.0, *limit.learned[2:]), 99.0
    members[1].full(1.0)
    assert members[1].limit == 4
    assert "its content makes no sense" in said(members[1])[-1]
