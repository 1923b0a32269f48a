"""What notes do to a shared record."""

from __future__ import annotations

import math
from typing import Any

import pytest

from ratedispatch.pacing.shared.record import Record, RecordTuning
from ratedispatch.pacing.shared.store import (
    MOST_LIMITS,
    MOST_MEMBERS,
    TAKEN,
    TOTALS,
    LimitNote,
    Note,
    Pause,
    Stand,
    StoreGone,
)

FLOW, BURST = 50.0, 50.0


def limit(taken: float = 0.0, *, name: str = "requests", **rest: Any) -> LimitNote:
    """Return the note of a limit of 50 a second that took so much."""
    added = [0.0] * TOTALS
    added[TAKEN] = taken
    values = {
        "flow": FLOW,
        "burst": BURST,
        "ceiling": 0.0,
        "first": BURST,
        "stand": None,
        "learned": None,
        "held": 0.0,
        "asked": 3000.0,
    }
    return LimitNote(name, tuple(added), **{**values, **rest})


def note(*limits: LimitNote, now: float = 0.0, **rest: Any) -> Note:
    """Return a note."""
    return Note(now, limits, **rest)


class TestAmounts:
    def test_takes_of_two_members_add_up_and_go_into_debt(self) -> None:
        record = Record(epoch=1.0)
        record.write(note(limit(40.0)), 1, 0.0)
        sheet = record.write(note(limit(30.0)), 2, 0.0)
        assert sheet.limits[0].available == -20.0
        assert sheet.limits[0].totals[TAKEN] == 70.0

    def test_what_is_used_leaks_with_time_until_it_is_full(self) -> None:
        record = Record(epoch=1.0)
        record.write(note(limit(50.0)), 1, 0.0)
        assert record.write(note(limit()), 1, 0.5).limits[0].available == 25.0
        assert record.write(note(limit()), 1, 100.0).limits[0].available == 50.0

    def test_a_clock_that_was_set_back_adds_nothing_and_goes_on_from_there(self) -> None:
        record = Record(epoch=1.0)
        record.write(note(limit(50.0)), 1, 100.0)
        assert record.write(note(limit()), 1, 40.0).limits[0].available == 0.0
        assert record.write(note(limit()), 1, 40.5).limits[0].available == 25.0

    def test_a_new_limit_begins_with_what_its_first_member_says(self) -> None:
        record = Record(epoch=1.0)
        sheet = record.write(note(limit(3.0, first=5.0)), 1, 0.0)
        assert sheet.limits[0].available == 2.0

    def test_a_proof_holds_less_what_others_took_since(self) -> None:
        record = Record(epoch=1.0)
        record.write(note(limit(10.0)), 1, 0.0)
        record.write(note(limit(10.0)), 2, 0.0)
        proven = limit(stand=Stand(20.0, 0.0, 10.0))  # who knows nothing of the second ten
        assert record.write(note(proven), 1, 0.0).limits[0].available == 10.0

    def test_the_same_proof_twice_counts_once(self) -> None:
        record = Record(epoch=1.0)
        record.write(note(limit(10.0)), 1, 0.0)
        proven = limit(stand=Stand(5.0, 0.0, 10.0))
        record.write(note(proven), 1, 0.0)
        assert record.write(note(proven), 2, 0.0).limits[0].available == 5.0

    def test_surplus_pays_what_the_burst_cannot_and_runs_over_at_the_ceiling(self) -> None:
        record = Record(epoch=1.0)
        piled_up = limit(stand=Stand(80.0, 30.0, 0.0), ceiling=80.0)
        record.write(note(piled_up), 1, 0.0)
        sheet = record.write(note(limit(60.0, ceiling=80.0)), 2, 0.0)
        assert (sheet.limits[0].available, sheet.limits[0].surplus) == (20.0, 20.0)
        assert record.write(note(limit(ceiling=80.0)), 1, 10.0).limits[0].available == 70.0

    def test_a_burst_that_changes_leaves_what_is_left(self) -> None:
        record = Record(epoch=1.0)
        record.write(note(limit(20.0)), 1, 0.0)
        sheet = record.write(note(limit(burst=10.0, flow=10.0)), 1, 0.0)
        assert sheet.limits[0].available == 10.0  # all that it holds now
        record.write(note(limit(10.0, burst=10.0, flow=10.0)), 1, 0.0)
        sheet = record.write(note(limit()), 1, 0.0)
        assert sheet.limits[0].available == 0.0


class TestMembers:
    def test_counts_who_lives_and_who_wants(self) -> None:
        record = Record(epoch=1.0)
        record.write(note(limit()), 1, 0.0)
        assert record.write(note(limit()), 2, 1.0).wanting == 2
        sheet = record.write(note(limit()), 2, 2.5)
        assert (sheet.living, sheet.wanting) == (2, 1)

    def test_a_member_that_comes_back_counts_at_once(self) -> None:
        record = Record(epoch=1.0)
        record.write(note(limit()), 1, 0.0)
        record.write(note(limit()), 2, 2.5)
        assert record.write(note(limit()), 1, 2.6).wanting == 2

    def test_what_a_dead_one_holds_comes_back(self) -> None:
        record = Record(epoch=1.0)
        record.write(note(limit(50.0)), 1, 0.0)
        record.write(note(limit(30.0, held=30.0)), 2, 0.0)
        sheet = record.write(note(limit()), 1, 0.1, dead=frozenset({2}))
        assert sheet.limits[0].available == pytest.approx(5.0)
        assert (sheet.living, sheet.limits[0].totals[TAKEN]) == (1, 50.0)

    def test_what_must_have_been_sent_by_now_does_not(self) -> None:
        record = Record(epoch=1.0)
        record.write(note(limit(30.0, held=30.0)), 2, 0.0)
        sheet = record.write(note(limit()), 1, 0.0, dead=frozenset({2}))
        assert sheet.limits[0].available == 20.0

    def test_a_silent_one_loses_what_it_holds_and_is_told(self) -> None:
        record = Record(epoch=1.0)
        record.write(note(limit(200.0, held=200.0)), 2, 0.0)
        assert record.write(note(limit()), 1, 2.1).limits[0].available == 50.0
        assert record.write(note(limit()), 2, 2.2).was_reaped
        assert not record.write(note(limit()), 2, 2.3).was_reaped

    def test_a_new_one_is_told_that_nothing_is_set_aside_for_it(self) -> None:
        assert Record(epoch=1.0).write(note(limit()), 1, 0.0).was_reaped

    def test_one_that_leaves_is_gone_at_once(self) -> None:
        record = Record(epoch=1.0)
        record.write(note(limit()), 1, 0.0)
        record.write(note(limit(), leaves=True), 2, 0.0)
        assert record.write(note(limit()), 1, 0.0).living == 1

    def test_one_that_cannot_be_seen_is_forgotten_after_a_while(self) -> None:
        record, tuning = Record(epoch=1.0), RecordTuning(forgotten_seconds=60.0)
        record.write(note(limit()), 1, 0.0, tuning=tuning)
        assert record.write(note(limit()), 2, 59.0, tuning=tuning).living == 2
        assert record.write(note(limit()), 2, 61.0, tuning=tuning).living == 1

    def test_the_least_limit_that_anybody_has_set_is_told(self) -> None:
        record = Record(epoch=1.0)
        record.write(note(limit(asked=6000.0)), 1, 0.0)
        record.write(note(limit(asked=3000.0)), 2, 0.0)
        assert record.write(note(limit(asked=6000.0)), 1, 0.0).limits[0].asked == 3000.0
        record.write(note(limit(asked=3000.0), leaves=True), 2, 0.0)
        assert record.write(note(limit(asked=6000.0)), 1, 0.0).limits[0].asked == 6000.0

    def test_the_highest_priority_of_others_is_told_while_it_waits(self) -> None:
        record = Record(epoch=1.0)
        record.write(note(limit(), priority=5), 1, 0.0)
        assert record.write(note(limit()), 2, 0.1).priority == 5
        record.write(note(limit(), wants=False), 1, 0.2)
        assert record.write(note(limit()), 2, 0.3).priority is None

    def test_there_is_room_for_so_many_and_no_more(self) -> None:
        record = Record(epoch=1.0)
        for member in range(MOST_MEMBERS):
            record.write(note(limit()), member, 0.0)
        with pytest.raises(StoreGone, match=f"{MOST_MEMBERS} members"):
            record.write(note(limit()), MOST_MEMBERS, 0.0)
        with pytest.raises(StoreGone, match=f"{MOST_LIMITS} limits"):
            record.write(note(*[limit(name=f"x{n}") for n in range(MOST_LIMITS)]), 1, 0.0)

    def test_the_dead_make_room(self) -> None:
        record = Record(epoch=1.0)
        for member in range(MOST_MEMBERS):
            record.write(note(limit()), member, 0.0)
        told = record.write(note(limit()), MOST_MEMBERS, 0.0, dead=frozenset({0, 1}))
        assert told.living == MOST_MEMBERS - 1


class TestNews:
    def test_a_pause_is_taken_once_and_told_to_all(self) -> None:
        record = Record(epoch=1.0)
        record.write(note(limit()), 2, 0.0)
        record.write(note(limit(), pause=Pause(1.0, 3.0)), 1, 1.0)
        sheet = record.write(note(limit(), pause=Pause(0.5, 9.0)), 2, 1.0)
        assert sheet.pause == Pause(1.0, 3.0)

    def test_what_was_learned_is_told_to_each_once(self) -> None:
        record = Record(epoch=1.0)
        record.write(note(limit()), 2, 0.0)
        record.write(note(limit(learned=(1.0, 2.0))), 1, 0.0)
        assert record.write(note(limit()), 1, 0.0).limits[0].learned is None
        assert record.write(note(limit()), 2, 0.0).limits[0].learned == (1.0, 2.0)
        assert record.write(note(limit()), 2, 0.0).limits[0].learned is None

    @pytest.mark.parametrize(
        ("member", "what"),
        [
            (3, note(limit())),
            (2, note(limit(), pause=Pause(1.0, 2.0))),
            (2, note(limit(learned=(1.0,)))),
            (2, note(limit(asked=math.inf))),
            (2, note(limit(), leaves=True)),
        ],
    )
    def test_everything_important_is_news(self, member: int, what: Note) -> None:
        record = Record(epoch=1.0)
        record.write(note(limit()), 1, 0.0)
        record.write(note(limit()), 2, 0.0)
        before = record.news
        record.write(what, member, 0.0)
        assert record.news > before

    def test_takes_are_none(self) -> None:
        record = Record(epoch=1.0)
        record.write(note(limit()), 1, 0.0)
        before = record.news
        assert record.write(note(limit(10.0, stand=Stand(5.0, 0.0, 10.0))), 1, 0.05).news == before
