"""
Several lanes behind one queue, and which of them a request takes.

A request goes where it could start soonest: of the lanes that can pay for it now, the one with
the most seconds of its rate to spare. Everything happens under the lock of the queue.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ratedispatch.errors import CostExceedsLimit
from ratedispatch.pacing import bottleneck
from ratedispatch.pacing.permit import Permit

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from ratedispatch.pacing.lane import Lane
    from ratedispatch.pacing.queue import Grant
    from ratedispatch.pacing.turn_queue import TurnQueue
    from ratedispatch.request import Cost


class Lanes:
    """
    The lanes of one queue, in the order in which they were named.

    Args:
        lanes: At least one.
    """

    def __init__(self, lanes: Sequence[Lane]) -> None:
        self._lanes = list(lanes)
        self._causes: dict[Lane, str] = {}

    def __iter__(self) -> Iterator[Lane]:
        return iter(self._lanes)

    def __len__(self) -> int:
        return len(self._lanes)

    def add(self, lane: Lane) -> None:
        """Send on *lane*, too."""
        if lane not in self._lanes:
            self._lanes.append(lane)

    def remove(self, lane: Lane) -> None:
        """Send on *lane* no more."""
        self._lanes.remove(lane)

    def able(self, cost: Cost, allowed: Collection[Lane] | None) -> Sequence[Lane]:
        """
        Return those of *allowed* (None for all) that are there and whose limits *cost* is within.

        Raises:
            CostExceedsLimit: There are some, and it is within the limits of none of them.
        """
        lanes = self._lanes
        if allowed is not None:
            lanes = [lane for lane in lanes if lane in allowed]
        if len(self._lanes) == 1:  # was checked before
            return lanes
        able = []
        error: CostExceedsLimit | None = None
        for lane in lanes:
            try:
                lane.budget.check(cost, lambda: "a request")
            except CostExceedsLimit as too_large:
                if error is None or too_large.limit > error.limit:
                    error = too_large
            else:
                able.append(lane)
        if not able and error is not None:
            raise error
        return able

    def grant(
        self, cost: Cost, since: float, now: float, lanes: Sequence[Lane], priority: int = 0
    ) -> Permit | float:
        """
        Return a permit of one of *lanes*, or the seconds until *cost* may go.

        They are infinite as in `Lane.grant`. *priority* is the highest that waits for them.
        """
        if len(lanes) > 1:  # stable: of equals the first that was named
            lanes = sorted(lanes, key=lambda lane: -lane.headroom(cost, now))
        soonest = math.inf
        for lane in lanes:
            if lane.on_turn is not None:
                lane.on_turn(priority)
            granted = lane.grant(cost, since, now)
            if isinstance(granted, Permit):
                return granted
            wait, self._causes[lane] = granted
            soonest = min(soonest, wait)
        return soonest

    def pump(self, queue: TurnQueue, now: float) -> tuple[list[Grant], float]:
        """
        Take what may go now out of *queue*.

        A request that waits keeps the lanes that it may take from all that come after it: nobody
        is passed there. It keeps no other lane from anybody.

        Returns:
            Who was granted what, and the seconds until the next may go.
        """
        if len(self._lanes) == 1 and queue.has_one_order:  # nearly always
            return self._pump_one(self._lanes[0], queue, now)
        grants: list[Grant] = []
        wait = 0.0
        while not wait:
            granted, wait = self._take(queue, now)
            grants += granted
        self.tell_bottlenecks([granted for _, granted in grants], now)
        return grants, wait

    def _take(self, queue: TurnQueue, now: float) -> tuple[list[Grant], float]:
        """Take the first that may go; return it and no wait, or none and the seconds."""
        wait = math.inf
        taken: set[Lane] = set()
        self._causes.clear()
        for head in queue.heads(now):
            try:
                able = self.able(head.cost, head.line.lanes)
                lanes = [lane for lane in able if lane not in taken]
                priority = head.line.level.order.priority
                granted = self.grant(head.cost, head.since, now, lanes, priority)
            except Exception as error:  # it fails this request, not the queue
                queue.pop(head, now)
                return [(head.fail, error)], 0.0
            if isinstance(granted, Permit):
                queue.pop(head, now)
                return [(head.grant, granted)], 0.0
            wait = min(wait, granted)
            taken.update(lanes)
        return [], wait

    @staticmethod
    def _pump_one(lane: Lane, queue: TurnQueue, now: float) -> tuple[list[Grant], float]:
        """Do the same for the only *lane*, which all may take."""
        grants: list[Grant] = []
        wait, cause = math.inf, bottleneck.NOTHING
        while (head := queue.first(now)) is not None:
            if lane.on_turn is not None:
                lane.on_turn(head.line.level.order.priority)
            try:
                granted = lane.grant(head.cost, head.since, now)
            except Exception as error:  # it fails this request, not the queue
                grants.append((head.fail, error))
            else:
                if not isinstance(granted, Permit):
                    wait, cause = granted
                    break
                grants.append((head.grant, granted))
            queue.pop(head, now)
        lane.bottleneck.hold(cause, now, has_granted=bool(grants))
        return grants, wait

    def tell_bottlenecks(self, grants: Sequence[Permit | BaseException], now: float) -> None:
        """Note what holds each lane back now, after these *grants*."""
        used = {granted.lane for granted in grants if isinstance(granted, Permit)}
        for lane in self._lanes:
            cause = self._causes.get(lane, bottleneck.NOTHING)
            lane.bottleneck.hold(cause, now, has_granted=lane in used)
        self._causes.clear()
