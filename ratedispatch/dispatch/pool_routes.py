"""
The routes of a pool: lanes of different accounts behind one queue.

Decides which member a request is sent by after its first attempt, when a member is left alone,
and when it is asked again. Which of those that are there takes a request first, the queue decides,
by their buckets.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, cast

from ratedispatch.dispatch.route import Route, Routes
from ratedispatch.errors import CostExceedsLimit
from ratedispatch.outcome import Decision

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ratedispatch.dispatch.inflight import InFlight
    from ratedispatch.errors import Stopped
    from ratedispatch.outcome import Interpretation
    from ratedispatch.pacing.lane import Lane
    from ratedispatch.pacing.snapshot import Snapshot
    from ratedispatch.pacing.turn import Turn
    from ratedispatch.request import Cost


@dataclasses.dataclass(frozen=True, slots=True)
class PoolTuning:
    """
    The constants of a pool.

    Args:
        first_return_seconds: After which a member that was left alone is asked again: credit is
            bought, or a key is put back, by a person, which takes longer.
        last_return_seconds: The most that this grows to, by doubling: what a night's job may lose
            of a member that came back, and no burden on one that did not.
        most_sessions: Sessions whose member is remembered: a few megabytes. The one that was
            used longest ago is forgotten first.
    """

    first_return_seconds: float = 30.0
    last_return_seconds: float = 600.0
    most_sessions: int = 10_000


DEFAULT_TUNING = PoolTuning()


class PoolRoutes(Routes):
    """
    All routes of a pool.

    Args:
        make: Makes the route of a member, by its name.
        names: Of the members.
        tuning: The constants.

    Attributes:
        only: Where requests wait before a member takes them.
    """

    only: Front

    def __init__(
        self,
        make: Callable[[str], Route],
        names: Iterable[str],
        tuning: PoolTuning = DEFAULT_TUNING,
    ) -> None:
        super().__init__(make)
        self._names = tuple(names)
        self._tuning = tuning
        self._by_lane: dict[Lane, Route] = {}
        self._sessions: OrderedDict[str, Route] = OrderedDict()
        self._returns: dict[Route, asyncio.TimerHandle] = {}
        self._delays: dict[Route, float] = {}

    def start(self) -> None:
        """Make the routes of all members."""
        for name in self._names:
            route = self._routes[name] = self._make(name)
            self._by_lane[route.lane] = route
            route.breaker.place.admission = _Gate(route, self)
        self.only = Front.of(list(self))

    def of(self, model: str) -> Route:
        """Return where requests for *model* wait: those for any model do in one queue."""
        del model
        return self.only

    def retire(self, route: Route, reason: Callable[[], Stopped]) -> bool:
        """
        Leave the member of *route* alone for a while; what waits goes to others.

        Returns:
            Whether there is another one.
        """
        if route.retired is None:
            route.retired = reason
            route.admission.retire(route.lane)
            self._return_later(route)
        if any(one.retired is None for one in self):
            return True
        self.only.retired = reason
        return False

    def close(self, reason: Callable[[], Stopped]) -> None:
        """Fail all that wait, and all that come, with *reason*."""
        for timer in self._returns.values():
            timer.cancel()
        self._returns.clear()
        super().close(reason)

    def snapshot(self) -> Snapshot:
        """Return the state of the queue and of all buckets."""
        state = self.only.admission.snapshot()
        levels = {(level.group, level.dimension): level for level in state.levels}
        return dataclasses.replace(state, levels=tuple(levels.values()))

    def busiest(self) -> Snapshot:
        """Return the state of the queue."""
        return self.snapshot()

    # -- what requests ask -------------------------------------------------------------------

    def behind(self, lane: Lane, turn: Turn) -> Route:
        """Return the route of *lane*, which has granted a request with *turn*."""
        route = self._by_lane[lane]
        if turn.session is not None:
            self._sessions[turn.session] = route
            self._sessions.move_to_end(turn.session)
            if len(self._sessions) > self._tuning.most_sessions:
                self._sessions.popitem(last=False)
        return route

    def tied(self, turn: Turn) -> Turn:
        """Return *turn* for the member of its session, as long as that one is there."""
        if turn.session is None:
            return turn
        route = self._sessions.get(turn.session)
        if route is None or route.retired is not None or route.breaker.is_open:
            return turn.untied()
        return dataclasses.replace(turn, lanes=frozenset({route.lane}))

    def takes_over(self, call: InFlight, result: Interpretation) -> bool:
        """
        Whether *call*, whose attempt ended with *result*, goes to whichever member is next.

        It does if its own has stopped, or is held and waits for an outage to end.
        """
        route = call.route
        if self.only.retired is not None:
            return False
        if route.retired is None and not route.breaker.parks(result):
            return False
        call.turn = self.tied(call.turn)
        return True

    def is_misplaced(self, call: InFlight, result: Interpretation) -> bool:
        """Whether *result* says that the member of *call* has not got what was asked for at all."""
        is_missing = result.decision is Decision.MISSING
        return is_missing and not call.route.breaker.streak.answered

    # -- inside ------------------------------------------------------------------------------

    def _return_later(self, route: Route) -> None:
        """Ask the member of *route* again after a while."""
        tuning = self._tuning
        delay = self._delays.get(route, tuning.first_return_seconds)
        self._delays[route] = min(2 * delay, tuning.last_return_seconds)
        loop = asyncio.get_running_loop()
        self._returns[route] = loop.call_later(delay, self._bring_back, route)

    def _bring_back(self, route: Route) -> None:
        """Let one request decide whether the member of *route* is used again."""
        del self._returns[route]
        route.retired = None
        route.breaker.reopen()
        route.admission.add(route.lane)

    def _has_answered(self, route: Route) -> None:
        self._delays.pop(route, None)

    def _untie(self, route: Route) -> None:
        """Let what waits for the member of *route* alone go to others."""
        if self._sessions and route.retired is None:
            route.admission.retire(route.lane)
            route.admission.add(route.lane)


class Front(Route):
    """Where requests of a pool wait: has the queue of all, and no place of its own."""

    routes: list[Route]

    @classmethod
    def of(cls, routes: list[Route]) -> Front:
        """Return the front of *routes*."""
        first = routes[0]
        nowhere = cast("Any", object())  # the lane of no permit
        front = cls(
            "",
            first.transport,
            first.provider,
            first.limits,
            first.admission,
            nowhere,
            first.timeout,
            first.breaker,
            sum(route.most_open for route in routes),
        )
        front.routes = routes
        return front

    def check(self, cost: Cost, name: Callable[[], str]) -> None:
        """
        Do nothing if *cost* can ever be paid by a member.

        Raises:
            CostExceedsLimit: It cannot; with the largest limit.
        """
        worst: CostExceedsLimit | None = None
        for route in self.routes:
            try:
                route.check(cost, name)
            except CostExceedsLimit as error:
                if worst is None or error.limit > worst.limit:
                    worst = error
            else:
                return
        assert worst is not None
        raise worst


class _Gate:
    """
    What the breaker of a member holds and releases: its lane.

    Args:
        route: Of the member.
        routes: Of the pool.
    """

    def __init__(self, route: Route, routes: PoolRoutes) -> None:
        self._route = route
        self._routes = routes

    @property
    def in_flight(self) -> int:
        return self._route.lane.in_flight

    def hold(self) -> None:
        self._route.lane.hold()
        self._routes._untie(self._route)

    def release(self, permits: int | None = None) -> None:
        if permits is None:
            self._routes._has_answered(self._route)
        self._route.lane.release(permits)

    def snapshot(self) -> Snapshot:
        return self._route.lane.snapshot()
