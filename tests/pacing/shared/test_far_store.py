"""Members of a store that is a round trip away, in exact instants."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from ratedispatch import Cost, Limits
from ratedispatch.pacing.budget import Reservation
from ratedispatch.pacing.feedback import End, Feedback
from ratedispatch.pacing.shared.memory_store import MemoryStore, SharedRecord
from ratedispatch.pacing.shared.shared_budget import SharedBudget

if TYPE_CHECKING:
    from collections.abc import Callable

    from ratedispatch.pacing.shared.store import Note, Sheet, StoreGone

#: Fifty a second, and fifty at once.
LIMITS = Limits(3_000, None, burst_seconds=1)
PER_SECOND = BURST = 50

ONE = Cost(0)
TICK = 0.005


class FarStore(MemoryStore):
    """
    One member's store, whose notes take half of *trip* seconds to it, as do the replies.

    Time goes on by `deliver`.
    """

    is_remote = True

    def __init__(self, shared: SharedRecord, member: int, trip: float) -> None:
        super().__init__(shared, member)
        self._trip = trip
        self._notes: list[tuple[Note, Callable[[Sheet | StoreGone], None]]] = []
        self._replies: list[tuple[float, Callable[[], None]]] = []
        self.exchanges = 0

    def exchange(self, note: Note, reply: Callable[[Sheet | StoreGone], None]) -> None:
        """Send *note* on its way."""
        self._notes.append((note, reply))
        self.exchanges += 1

    def deliver(self, now: float) -> None:
        """Bring what has arrived by *now*."""
        for note, reply in list(self._notes):
            if note.now + self._trip / 2 <= now:
                self._notes.remove((note, reply))
                sheets: list[Sheet | StoreGone] = []
                super().exchange(note._replace(now=now), sheets.append)
                self._replies.append((now + self._trip / 2, partial(reply, sheets[0])))
        for at, bring in list(self._replies):
            if at <= now:
                self._replies.remove((at, bring))
                bring()


def run(
    idle: list[tuple[float, float]], seconds: float, *, trips: list[float], latency: float = 0.2
) -> tuple[list[float], int]:
    """
    Let members send all they can, but not within their part of *idle*; each has one of *trips*.

    Returns:
        What was left at the provider after each request, and the exchanges of the first member.
    """
    shared = SharedRecord()
    stores = [FarStore(shared, number, trip) for number, trip in enumerate(trips)]
    budgets = [SharedBudget(LIMITS, store) for store in stores]
    open_ones: list[tuple[float, int, Reservation]] = []
    level, at = float(BURST), 0.0
    levels: list[float] = []
    for tick in range(round(seconds / TICK)):
        now = tick * TICK
        for store in stores:
            store.deliver(now)
        for sent in [one for one in open_ones if now >= one[0] + latency]:
            open_ones.remove(sent)
            budgets[sent[1]].report(sent[2], Feedback(End.ANSWERED), now)
        for number, budget in enumerate(budgets):
            since, until = idle[number]
            while not since <= now < until:
                reserved = budget.reserve(ONE, now)
                if not isinstance(reserved, Reservation):
                    break
                open_ones.append((now, number, reserved))
                level = min(BURST, level + (now - at) * PER_SECOND) - 1
                at = now
                levels.append(level)
    return levels, stores[0].exchanges


@pytest.mark.parametrize(("trip", "sent"), [(0.01, 199), (0.05, 197), (0.2, 189)])
def test_one_that_is_alone_loses_nothing_by_the_way_to_the_store(trip: float, sent: int) -> None:
    """Of 200 in three seconds; it was 74 to 139 with what the store had a moment ago."""
    levels, exchanges = run([(0.0, 0.0)], 3.0, trips=[trip])
    assert len(levels) == sent
    assert exchanges < 40


@pytest.mark.parametrize("trip", [0.01, 0.02, 0.05, 0.2])
def test_one_that_was_idle_and_one_that_comes_do_not_spend_a_burst_twice(trip: float) -> None:
    """Seven requests were sent too many before the first had heard of the other."""
    levels, _ = run([(1.0, 4.0), (0.0, 3.95)], 6.0, trips=[trip, trip])
    assert min(levels) >= -1e-9


@pytest.mark.parametrize("trip", [0.05, 0.15, 0.3])
@pytest.mark.parametrize("comes", [0.22, 0.46, 0.54, 0.78])
def test_one_that_is_slow_and_one_that_comes_and_is_fast_do_not_open_twice(
    trip: float, comes: float
) -> None:
    """41 requests of a burst of 50 were sent too many where the processor was busy."""
    levels, _ = run([(0.0, 0.0), (0.0, comes)], 2.0, trips=[trip, 0.01])
    assert min(levels) >= -PER_SECOND * 0.1


def test_what_somebody_takes_who_is_gone_at_the_next_note_is_missed() -> None:
    """The first is alone whenever it hears of the store."""
    shared = SharedRecord()
    store = FarStore(shared, 100, 0.01)
    budget = SharedBudget(LIMITS, store)

    def go_on(now: float) -> float:
        budget.look(now)
        store.deliver(now + 0.005)
        store.deliver(now + 0.01)
        budget.reserve(ONE, now + 0.01)
        return budget.levels(now + 0.01)[0].available

    for tick in range(21):
        go_on(tick / 10)
    assert go_on(2.1) == BURST - 1
    other = SharedBudget(LIMITS, shared.join())
    for _ in range(10):
        assert isinstance(other.reserve(ONE, 2.15), Reservation)
    other.close(2.15)
    assert go_on(2.2) == BURST - 10 - 1
