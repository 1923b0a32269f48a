"""
A line of its own for models that share limits.

Decides, for one group of models, how long a refusal pauses its line and how long an answer may
take; and which line a model's requests stand in. Knows budgets; nothing of HTTP or files.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

from ratedispatch.dispatch.retry import jittered
from ratedispatch.limits import STANDARD
from ratedispatch.pacing.snapshot import Snapshot

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator

    from ratedispatch.dispatch.timeout import Patience
    from ratedispatch.limits import Limits
    from ratedispatch.outcome import Ruling
    from ratedispatch.pacing.budget import Budget, Permit

#: Codes of rulings about a server that has no room, and about one that cannot take the load.
_QUEUE_FULL = "queue_full"
_SLOW_DOWN = "slow_down"

#: Pauses in seconds after refusals in a row that do not say how long to wait: a short one for a
#: refusal that stays alone, less than a second while it may be a short episode, then doubling.
_PAUSES = (0.2, 0.4, 0.6, *[0.8] * 12)
_LONGEST_PAUSE = 30.0


class Lane:
    """
    The line of one group of models, and what was learned of their server.

    Args:
        name: Of the group; empty for models without one.
        limits: What the group may spend.
        budget: Its line.
        patience: How long its answers may take.
        most_open: Requests of one stream that may be open in it (in flight, waiting to be retried,
            or answered and not yet taken).
    """

    def __init__(
        self, name: str, limits: Limits, budget: Budget, patience: Patience, most_open: int
    ) -> None:
        self.name = name
        self.limits = limits
        self.budget = budget
        self.patience = patience
        self.most_open = most_open
        self.is_unbounded = False
        """Whether nothing says how many may be in flight, until a limit is learned."""
        self._strikes = 0
        self._struck_at = -1.0

    def answer(self, permit: Permit, latency: float) -> bool:
        """Take note of an answer after *latency* seconds; return whether patience has changed."""
        if permit.granted_at > self._struck_at:
            self._strikes = 0
        return self.patience.record(latency)

    def refuse(self, permit: Permit, ruling: Ruling, rng: random.Random) -> float | None:
        """
        Pause the line once for all the refusals of one episode.

        A server whose queue is full needs fewer requests at once rather than a pause, unless it
        has answered nothing since it said so last.

        Returns:
            The seconds of the pause, if this refusal began a new episode.
        """
        now = asyncio.get_running_loop().time()
        if ruling.code == _QUEUE_FULL:
            self.budget.crowd(permit)
            if not self._strikes:
                self._strikes, self._struck_at = 1, now
                return None
        elif ruling.code == _SLOW_DOWN:
            self.budget.calm_down()
        beyond = self._strikes - len(_PAUSES) + 1
        own = min(_LONGEST_PAUSE, 2.0**beyond) if beyond > 0 else _PAUSES[self._strikes]
        if ruling.delay is None:
            delay = own
        else:  # "0" again and again is no advice
            delay = max(ruling.delay, own) if self._strikes else ruling.delay
        delay = jittered(delay, rng)
        about: tuple[str, ...] = (ruling.dimension,) if ruling.dimension else STANDARD
        if ruling.code in {_QUEUE_FULL, _SLOW_DOWN}:
            about = ()
        if not self.budget.throttle(permit, delay, about):
            return None
        self._strikes = min(self._strikes + 1, 99)
        self._struck_at = now
        return delay


class Lanes:
    """
    All lanes, made when the first of their models comes.

    Args:
        make: Makes the lane of a name.
        name_of: Tells the lane's name of a model; None if all models share one lane.
    """

    def __init__(
        self, make: Callable[[str], Lane], name_of: Callable[[str], str] | None = None
    ) -> None:
        self._make = make
        self._name_of = name_of
        self._lanes: dict[str, Lane] = {}
        self._closed: Callable[[], BaseException] | None = None
        self._is_held = False

    def __iter__(self) -> Iterator[Lane]:
        return iter(self._lanes.values())

    @property
    def is_one(self) -> bool:
        """Whether all models share one lane."""
        return self._name_of is None

    def of(self, model: str) -> Lane:
        """
        Return the lane of *model*.

        Raises:
            InvalidLimits: The model belongs to no group, and there are no limits for others.
        """
        name = "" if self._name_of is None else self._name_of(model)
        lane = self._lanes.get(name)
        if lane is None:
            lane = self._lanes[name] = self._make(name)
            if self._is_held:
                lane.budget.hold()
            if self._closed is not None:
                lane.budget.close(self._closed)
        return lane

    def named(self, name: str) -> Lane:
        """Return the lane of the group *name*, which has been made."""
        return self._lanes[name]

    def hold(self) -> None:
        """Grant nothing in any lane until :meth:`release`."""
        self._is_held = True
        for lane in self:
            lane.budget.hold()

    def release(self, permits: int | None = None) -> None:
        """Grant again: *permits* in each lane and then hold, or without end."""
        self._is_held = permits is not None
        for lane in self:
            lane.budget.release(permits)

    def close(self, error: Callable[[], BaseException]) -> None:
        """Refuse everybody in all lanes with what *error* returns."""
        self._closed = error
        for lane in self:
            lane.budget.close(error)

    def snapshot(self) -> Snapshot:
        """Return the state of all lanes together; what binds is that of the longest line."""
        states = [lane.budget.snapshot() for lane in self]
        if len(states) == 1:
            return states[0]
        return Snapshot(
            sum(state.in_flight for state in states),
            sum(state.max_in_flight for state in states),
            sum(state.waiting for state in states),
            min((state.paused for state in states), default=0.0),
            tuple(level for state in states for level in state.levels),
            _busiest(states).binding,
            dict(sum((Counter(state.held) for state in states), Counter())),
        )

    def busiest(self) -> Snapshot:
        """Return the state of the lane with the longest line."""
        return _busiest([lane.budget.snapshot() for lane in self])


def _busiest(states: list[Snapshot]) -> Snapshot:
    nothing = Snapshot(0, 0, 0, 0.0, ())
    return max(states, key=lambda state: (state.waiting, state.in_flight), default=nothing)
