"""What one of several processes tells of a limit that they share: its own part, and the day."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ratedispatch import Cost, Limits
from ratedispatch.observe.foresight import Part, need_of, stock_of
from ratedispatch.pacing.budget import NotUntil, Reservation
from ratedispatch.pacing.feedback import End, Feedback
from ratedispatch.pacing.limit.limit_memory import LimitMemory
from ratedispatch.pacing.shared.memory_store import MemoryStore, SharedRecord
from ratedispatch.pacing.shared.shared_budget import SharedBudget

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ratedispatch.pacing.shared.store import Note, Sheet, StoreGone
from ratedispatch.pacing.time_left import seconds_to_send

ONE = Cost(0)
DAY = Limits(requests_per_day=86_400)


def play(members: Sequence[SharedBudget], since: float, until: float) -> list[int]:
    """Let *members* ask a hundred times a second; return how often each was given something."""
    sent = [0] * len(members)
    for tick in range(round(since * 100) + 1, round(until * 100) + 1):
        for number, member in enumerate(members):
            sent[number] += isinstance(member.reserve(ONE, tick / 100), Reservation)
    return sent


class TestTimeLeft:
    def test_what_the_others_take_is_no_longer_there_for_the_rest(self) -> None:
        """Of 10 a second, four take 2.5 each: 75 rows take 30 s, not 7.5 s."""
        shared = SharedRecord()
        members = [SharedBudget(Limits(600, burst_seconds=0.1), shared.join()) for _ in range(4)]
        (first, *_) = play(members, 0, 20)
        level = members[0].levels(20.0)[0]
        assert level.spent == first + 1  # with what has its place in the line
        assert level.elsewhere == pytest.approx(7.5, rel=0.03)
        need = need_of(level, Part(75 / first, 1.0), 1.0)
        assert seconds_to_send([[need]], [stock_of(level)]) == pytest.approx(30, rel=0.05)

    def test_before_anything_was_seen_each_is_taken_to_want_the_same(self) -> None:
        shared = SharedRecord()
        members = [SharedBudget(Limits(600, burst_seconds=0.1), shared.join()) for _ in range(4)]
        play(members, 0, 0.5)
        assert members[0].levels(0.5)[0].elsewhere == pytest.approx(7.5)

    def test_one_that_is_left_alone_has_everything(self) -> None:
        shared = SharedRecord()
        members = [SharedBudget(Limits(600, burst_seconds=0.1), shared.join()) for _ in range(2)]
        play(members, 0, 10)
        members[1].close(10.0)
        play(members[:1], 10, 11)
        assert members[0].levels(11.0)[0].elsewhere == 0

    def test_what_another_has_not_sent_after_all_is_not_taken_off_the_own(self) -> None:
        shared = SharedRecord()
        one, two = (SharedBudget(Limits(600, burst_seconds=10), shared.join()) for _ in range(2))
        assert isinstance(one.reserve(ONE, 0.0), Reservation)
        theirs = two.reserve(ONE, 0.1)
        assert isinstance(theirs, Reservation)
        two.report(theirs, Feedback(End.UNSENT), 1.0)
        one.look(1.0)
        assert one.levels(1.0)[0].spent == 1
        assert one.granted() == [1]


class TestDay:
    def test_what_is_gone_of_a_day_is_found_as_that_of_all(self) -> None:
        shared = SharedRecord()
        one, two = (SharedBudget(DAY, shared.join()) for _ in range(2))
        play((one, two), 0, 10)
        found = one.found(10.0)[0]
        assert found.is_shared
        assert found.spent == pytest.approx(2000 - 10, abs=2)
        assert found.per_day == 86_400

    def test_a_limit_per_minute_is_found_as_ever(self) -> None:
        one = SharedBudget(Limits("auto"), SharedRecord().join())
        play((one,), 0, 1)
        assert not one.found(1.0)[0].is_shared

    def test_a_remembered_day_is_put_into_a_store_that_is_new_and_only_there(self) -> None:
        """The second one remembers more than what is gone: the store knows better."""
        shared = SharedRecord()
        gone = 80_000.0
        one = SharedBudget(
            DAY, shared.join(), memories=[LimitMemory("requests_per_day", spent=gone)]
        )
        assert isinstance(one.reserve(ONE, 0.0), Reservation)
        one.look(0.0)
        record = shared.record.limits["requests_per_day"]
        assert record.available == pytest.approx(86_400 - gone - 1)
        two = SharedBudget(
            DAY, shared.join(), memories=[LimitMemory("requests_per_day", spent=86_000.0)]
        )
        assert isinstance(two.reserve(ONE, 0.0), Reservation)
        two.look(0.0)
        assert record.available == pytest.approx(86_400 - gone - 2)

    def test_a_day_survives_a_store_that_begins_anew(self) -> None:
        shared = SharedRecord()
        one, two = (
            SharedBudget(
                DAY, shared.join(), memories=[LimitMemory("requests_per_day", spent=80_000.0)]
            )
            for _ in range(2)
        )
        sent = sum(play((one, two), 0, 1))
        shared.begin_anew()
        sent += sum(play((one, two), 1, 2))
        one.look(2.0)
        left = shared.record.limits["requests_per_day"].available
        assert left == pytest.approx(86_400 - 80_000 - sent + 2, abs=1)

    def test_a_day_is_the_same_for_all_after_hours(self) -> None:
        """Two spend it up in minutes, then live on what flows in, each on half of it."""
        shared = SharedRecord()
        limits = Limits(requests_per_day=2_400)
        one, two = (SharedBudget(limits, shared.join()) for _ in range(2))
        counts = [0, 0]
        for second in range(3600):
            for number, member in enumerate((one, two)):
                for _ in range(5):
                    if not isinstance(member.reserve(ONE, float(second)), Reservation):
                        break
                    counts[number] += 1
        assert sum(counts) == pytest.approx(2_400 + 100, abs=3)
        assert counts[0] == pytest.approx(counts[1], rel=0.02)
        for member in (one, two):
            assert member.levels(3600.0)[0].available == pytest.approx(0, abs=3)

    def test_a_day_that_is_used_up_tells_all_of_the_wait(self) -> None:
        """A run that does not wait for days ends by it, and says when it could go on."""
        shared = SharedRecord()
        limits = Limits(requests_per_day=24)
        one, two = (SharedBudget(limits, shared.join()) for _ in range(2))
        for _ in range(24):
            assert isinstance(one.reserve(ONE, 0.0), Reservation)
        one.look(0.0)
        waits = two.reserve(ONE, 0.0)
        assert isinstance(waits, NotUntil)
        assert waits.rate.is_daily
        assert waits.wait == pytest.approx(3600)

    def test_a_store_that_has_not_answered_is_no_day_that_is_used_up(self) -> None:
        """A run that does not wait for days would end at once."""

        class Silent(MemoryStore):
            is_remote = True

            def exchange(self, note: Note, reply: Callable[[Sheet | StoreGone], None]) -> None:
                """Never answer."""

        budget = SharedBudget(DAY, Silent(SharedRecord(), 1))
        waits = budget.reserve(ONE, 0.0)
        assert isinstance(waits, NotUntil)
        assert not waits.rate.is_daily
