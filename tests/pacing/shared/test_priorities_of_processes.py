"""Priorities hold across processes that share a limit, in exact instants."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ratedispatch import Cost, Limits
from ratedispatch.pacing.budget import NotUntil, Reservation
from ratedispatch.pacing.shared.deference import Deference
from ratedispatch.pacing.shared.memory_store import SharedRecord
from ratedispatch.pacing.shared.shared_budget import SharedBudget

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Ten a second, and one at once.
LIMITS = Limits(600, None, burst_seconds=0.1)
ONE = Cost(0)


def budgets(*priorities: int) -> list[SharedBudget]:
    """Return a member of one store for each of *priorities*."""
    shared = SharedRecord()
    members = [SharedBudget(LIMITS, shared.join()) for _ in priorities]
    for member, priority in zip(members, priorities, strict=True):
        member.stand_for(priority)
    return members


def counts(
    members: Sequence[SharedBudget], since: float, until: float, every: Sequence[int] = ()
) -> list[int]:
    """Let *members* ask a hundred times a second, or each every so many hundredths; count."""
    sent = [0] * len(members)
    for tick in range(round(since * 100) + 1, round(until * 100) + 1):
        for number, member in enumerate(members):
            if every and tick % every[number]:
                continue
            sent[number] += isinstance(member.reserve(ONE, tick / 100), Reservation)
    return sent


def test_the_higher_priority_gets_all_of_the_limit() -> None:
    """Before it has aged, the lower one gets the place that it has taken before, and no other."""
    low, high = budgets(0, 10)
    counts((low,), 0, 1)
    got, most = counts((low, high), 1, 25)
    assert (got, most) == (1, 239)


def test_the_lower_one_gets_a_small_share_once_it_has_aged() -> None:
    low, high = budgets(0, 10)
    counts((low, high), 0, 31)
    got, most = counts((low, high), 31, 91)
    assert (got, most) == (29, 571)  # 0.05 / 1.05 of 600


def test_several_that_have_aged_share_one_share() -> None:
    low, lower, high = budgets(1, 0, 10)
    counts((low, lower, high), 0, 31)
    got, less, most = counts((low, lower, high), 31, 151)
    assert (got, less, most) == (29, 29, 1142)  # both together 0.05 / 1.05 of 1200


def test_what_the_higher_one_leaves_is_used() -> None:
    """It wants two of ten a second; nothing of the rest is lost."""
    low, high = budgets(0, 10)
    shared = 0
    asked_at: float | None = None
    got = 0
    for tick in range(1, 2001):
        now = tick / 100
        if tick % 50 == 0:
            asked_at = now
        if asked_at is not None and isinstance(high.reserve(ONE, now), Reservation):
            assert now - asked_at <= 0.21  # behind the one that stood there, and in its own time
            asked_at, shared = None, shared + 1
        got += isinstance(low.reserve(ONE, now), Reservation)
    assert (shared, got) == (39, 161)  # of the higher one, the last has just asked


def test_the_lower_one_goes_on_when_nobody_else_waits() -> None:
    low, high = budgets(0, 10)
    counts((low, high), 0, 10)
    assert counts((low,), 10, 12) == [19]


def test_equal_priorities_stand_in_one_line() -> None:
    one, two = budgets(5, 5)
    counts((one, two), 0, 1)
    assert counts((one, two), 1, 21) == [100, 100]


def test_a_hold_is_never_none_at_all() -> None:
    """A wait of zero seconds that is answered by another one would never end."""
    low, high = budgets(0, 10)
    counts((low, high), 0, 2)
    for tick in range(1, 200):
        high.reserve(ONE, 2 + tick / 1000)
        asked = low.reserve(ONE, 2 + tick / 1000)
        assert isinstance(asked, Reservation) or asked.wait > 0
    assert isinstance(low.reserve(ONE, 2.2), NotUntil)


def test_the_share_of_age_is_of_what_others_have_taken_since() -> None:
    deference = Deference()
    assert not deference.may_stand([1.0], 0, [500.0], 2, 0.0)
    for second in range(1, 30):
        assert not deference.may_stand([1.0], 0, [900.0], 2, float(second))
    assert not deference.may_stand([1.0], 0, [900.0], 2, 30.0)
    assert not deference.may_stand([1.0], 0, [919.0], 2, 31.0)
    assert deference.may_stand([1.0], 0, [920.0], 2, 32.0)
    assert not deference.may_stand([1.0], 0, [930.0], 2, 32.5)
    deference.end()
    assert not deference.may_stand([1.0], 0, [990.0], 2, 33.0)
