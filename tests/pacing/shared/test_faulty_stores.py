"""Stores that fail, and stores in which somebody else has written: nothing hangs or runs away."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest

from ratedispatch import Cost, Limits
from ratedispatch.pacing.budget import NotUntil, Reservation
from ratedispatch.pacing.shared.memory_store import MemoryStore, SharedRecord
from ratedispatch.pacing.shared.shared_budget import SharedBudget
from ratedispatch.pacing.shared.store import Pause

if TYPE_CHECKING:
    from collections.abc import Callable

    from ratedispatch.pacing.shared.store import Note, Sheet, StoreGone

LIMITS = Limits(600, None, burst_seconds=0.1)
ONE = Cost(0)


class Faulty(MemoryStore):
    """One that fails while *error* is set."""

    error: Exception | None = None

    def exchange(self, note: Note, reply: Callable[[Sheet | StoreGone], None]) -> None:
        if self.error is not None:
            raise self.error
        super().exchange(note, reply)


class RemoteAtOnce(MemoryStore):
    """One that says it is far away, and replies at once and in the same thread."""

    is_remote = True


def granted(budget: SharedBudget, since: float, until: float) -> int:
    """Ask a hundred times a second; return how often something was given."""
    ticks = range(round(since * 100), round(until * 100))
    return sum([isinstance(budget.reserve(ONE, tick / 100), Reservation) for tick in ticks])


def test_a_store_that_raises_is_one_that_is_gone_until_it_answers() -> None:
    """It says so without the error's text, where a password may stand."""
    store = Faulty(SharedRecord(), 1)
    budget = SharedBudget(LIMITS, store)
    store.error = RuntimeError("redis://me:secret@host")
    assert 98 <= granted(budget, 0.0, 10.0) <= 102
    texts = [str(change) for change in budget.membership.changes]
    assert len(texts) == 1
    assert "it failed with RuntimeError" in texts[0]
    assert "secret" not in texts[0]
    store.error = None
    assert 98 <= granted(budget, 10.0, 20.0) <= 102
    assert not budget.membership.is_apart


def test_a_remote_store_may_reply_at_once() -> None:
    """Who waits for replies is not called under the locks of who is sending."""
    budget = SharedBudget(LIMITS, RemoteAtOnce(SharedRecord(), 1))
    calls: list[bool] = []
    budget.membership.on_reply = lambda: calls.append(True)
    assert granted(budget, 0.0, 1.0) >= 9
    assert not calls


def test_nothing_is_told_after_the_last_note() -> None:
    """What is in flight when a dispatcher is closed does not make its process a member again."""
    shared = SharedRecord()
    budget = SharedBudget(LIMITS, shared.join())
    reservation = budget.reserve(ONE, 0.0)
    assert isinstance(reservation, Reservation)
    budget.close(0.1)
    assert not shared.record.members
    budget.look(0.5)
    assert isinstance(budget.reserve(ONE, 5.0), Reservation)
    assert not shared.record.members


@pytest.mark.parametrize("priority", [10**30, -(10**30)])
def test_a_priority_of_any_size_can_be_told(priority: int) -> None:
    shared = SharedRecord()
    budget, other = (SharedBudget(LIMITS, shared.join()) for _ in range(2))
    budget.stand_for(priority)
    budget.reserve(ONE, 0.0)
    other.reserve(ONE, 0.01)
    budget.reserve(ONE, 0.02)
    budget.look(0.2)
    assert {abs(one.priority) for one in shared.record.members.values()} == {0, 1 << 53}


HOSTILE = [math.nan, math.inf, -math.inf, 1e300]


def _bad_limit(field: str, number: float) -> Callable[[Any], None]:
    return lambda record: setattr(record.limits["requests"], field, number)


def _bad_sum(record: Any) -> None:
    record.limits["requests"].totals[3] = math.nan


def _few_sums(record: Any) -> None:
    record.limits["requests"].totals = [0.0]


def _endless_pause(record: Any) -> None:
    record.pause = Pause(1.0, 1e300)


def _bad_rule(record: Any) -> None:
    limit = record.limits["requests"]
    limit.learned, limit.learned_number = (math.inf,) * 40, 9.0


def _few_learned(record: Any) -> None:
    limit = record.limits["requests"]
    limit.learned, limit.learned_number = (1.0,), 9.0


def _no_rate(record: Any) -> None:
    limit = record.limits["requests"]
    limit.learned, limit.learned_number = (0.0,) * len(_LEARNED), 9.0


_LEARNED = SharedBudget(LIMITS, SharedRecord().join())._limits[0].learned()

DAMAGE = [
    *[_bad_limit(field, number) for field in ("used", "surplus", "ceiling") for number in HOSTILE],
    _bad_sum,
    _few_sums,
    _endless_pause,
    _bad_rule,
    _few_learned,
    _no_rate,
]


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_stands_in_a_store_can_make_no_process_hang_run_away_or_fail(
    damage: Callable[[Any], None],
) -> None:
    """Anybody may write to a server that is open to all."""
    shared = SharedRecord()
    budget, other = (SharedBudget(LIMITS, shared.join()) for _ in range(2))
    budget.on_pause = lambda began, until: True
    granted(budget, 0.0, 0.5)
    granted(other, 0.5, 0.6)
    damage(shared.record)
    sent = granted(budget, 0.6, 10.6)
    assert 40 <= sent <= 104
    waits = budget.reserve(ONE, 10.6)
    assert isinstance(waits, Reservation | NotUntil)


def test_who_finds_no_place_takes_no_more_than_one_of_all_would() -> None:
    """Those that have a place spend the whole limit already."""
    shared = SharedRecord()
    members = [SharedBudget(LIMITS, shared.join()) for _ in range(65)]
    for member in members:
        member.reserve(ONE, 0.0)
    late = members[-1]
    assert late.membership.is_apart
    assert "continuing with 1/65 of them" in str(late.membership.changes[0])
    assert granted(late, 0.0, 13.0) == 2
