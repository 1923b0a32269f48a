"""
The routes of a pool: lanes of different accounts behind one queue.

Decides which member gets a request after its first attempt, when a member is no longer used, and
when it is probed again. The queue decides by the buckets which usable member gets the first
attempt.
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
from collections import OrderedDict
from typing import TYPE_CHECKING

from ratedispatch.dispatch.pool_front import Front, PoolGate
from ratedispatch.dispatch.route import Routes
from ratedispatch.dispatch.streak import Kind, kind_of
from ratedispatch.errors import CostExceedsLimit
from ratedispatch.events import RouteResumed, RouteStopped
from ratedispatch.outcome import Decision
from ratedispatch.pacing.snapshot import together

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ratedispatch.dispatch.inflight import InFlight
    from ratedispatch.dispatch.route import Route
    from ratedispatch.errors import Stopped
    from ratedispatch.events import Event
    from ratedispatch.limits import Rate
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
        longest_wait_seconds: That a member may ask of one request; beyond that, another member is
            asked instead. A bucket that refuses a request has room again sooner.
    """

    first_return_seconds: float = 30.0
    last_return_seconds: float = 600.0
    longest_wait_seconds: float = 5.0


DEFAULT_TUNING = PoolTuning()

#: Sessions whose member is remembered: a few megabytes. The one that was used longest ago is
#: forgotten first.
_MOST_SESSIONS = 10_000


class PoolRoutes(Routes):
    """
    All routes of a pool.

    Args:
        make: Makes the route of a member, by its name.
        names: The names of the members.
        tell: Told when a member is left alone, and when it is used again.
        tuning: The constants.

    Attributes:
        only: Where requests wait before a member takes them.
    """

    only: Front

    def __init__(
        self,
        make: Callable[[str], Route],
        names: Iterable[str],
        tell: Callable[[Event], None],
        tuning: PoolTuning = DEFAULT_TUNING,
    ) -> None:
        super().__init__(make)
        self._names = tuple(names)
        self._tell = tell
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
            if route.lane.on_dry is None:  # a day is waited for, but not by what may go elsewhere
                route.lane.on_dry = functools.partial(self._run_dry, route)
            route.breaker.place.admission = PoolGate(route, self)
            route.breaker.place.has_stand_in = functools.partial(self._has_other, route)
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
            stopped, loop = reason(), asyncio.get_running_loop()
            self._tell(RouteStopped(route.name, stopped.code, str(stopped), loop.time()))
            if self._closed is None:
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

    def settle(self) -> None:
        """As `Routes.settle`: what ends anywhere may leave others with nothing to expect."""
        for route in self:
            if route.breaker.is_watching:
                route.breaker.settle()

    def snapshot(self) -> Snapshot:
        """Return the state of the queue, and of the buckets of all members."""
        state = together(list(self.snapshots().values()))
        levels = {(level.group, level.dimension): level for level in state.levels}
        waiting = self.only.admission.waiting
        return dataclasses.replace(state, waiting=waiting, levels=tuple(levels.values()))

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
            if len(self._sessions) > _MOST_SESSIONS:
                self._sessions.popitem(last=False)
        return route

    def tied(self, turn: Turn, cost: Cost) -> Turn:
        """Return *turn* for the member of its session, as long as that one can take *cost*."""
        if turn.session is None:
            return turn
        route = self._sessions.get(turn.session)
        if route is None or not self._takes(route, cost) or self._is_far(route, cost):
            return turn.untied()
        return dataclasses.replace(turn, lanes=frozenset({route.lane}))

    def takes_over(self, call: InFlight, result: Interpretation) -> bool:
        """
        Whether *call*, whose attempt ended with *result*, goes to whichever member is next.

        It does if its own has stopped, or is held and waits for an outage to end; and if another
        one may answer what its own will not take, or not for long.
        """
        route = call.route
        if self.only.retired is not None:
            return False
        if route.retired is not None or route.breaker.parks(result):
            self._ask_another(call)
            return True
        return self._may_be_its_own(call, result) and self._ask_another(call)

    def is_misplaced(self, call: InFlight, result: Interpretation) -> bool:
        """Whether *result* says that the member of *call* has not got what was asked for at all."""
        is_missing = result.decision is Decision.MISSING
        return is_missing and not call.route.breaker.streak.answered

    def untie(self, route: Route) -> None:
        """Let what waits for the member of *route* alone go to others."""
        route.admission.untie(route.lane)

    def pauses(self, route: Route, seconds: float) -> None:
        """The member of *route* pauses: what waits for it alone need not, if that is long."""
        if seconds > self._tuning.longest_wait_seconds:
            self.untie(route)

    def has_answered(self, route: Route) -> None:
        """The member of *route* is well."""
        if self._delays.pop(route, None) is not None:
            self._tell(RouteResumed(route.name, asyncio.get_running_loop().time()))

    # -- inside ------------------------------------------------------------------------------

    def _may_be_its_own(self, call: InFlight, result: Interpretation) -> bool:
        """Whether *result* may be about the member that *call* was sent to, not about *call*."""
        if result.decision in {Decision.MISSING, Decision.DAY_LIMIT}:
            return True
        kind, streak = kind_of(result), call.route.breaker.streak
        if kind is Kind.SERVER:  # the first one is chance nearly always
            return call.attempts > 1 or call.timeouts > 0
        if kind is Kind.REQUEST:  # and it has answered nothing at all, or not since another one
            return not streak.answered or streak.rows(kind) > 1
        return (result.delay or 0.0) > self._tuning.longest_wait_seconds

    def _ask_another(self, call: InFlight) -> bool:
        """Let *call* go only to members that have not been asked; return whether there are any."""
        call.tried |= {call.route.lane}
        lanes = frozenset(
            route.lane
            for route in self
            if route.lane not in call.tried and self._takes(route, call.cost)
        )
        if lanes or call.turn.lanes is not None:
            call.turn = dataclasses.replace(call.turn, lanes=lanes or None)
        return bool(lanes)

    def _takes(self, route: Route, cost: Cost) -> bool:
        """Whether the member of *route* is in use, and *cost* within its limits."""
        if route.retired is not None or route.breaker.is_open:
            return False
        try:
            route.check(cost, str)
        except CostExceedsLimit:
            return False
        return True

    def _is_far(self, route: Route, cost: Cost) -> bool:
        """Whether the member of *route* pauses for long, or has to save for *cost* for long."""
        state, longest = route.lane.snapshot(), self._tuning.longest_wait_seconds
        missing = [
            (cost.amount(level.dimension) - level.available) / level.per_second
            for level in state.levels
        ]
        return max(state.paused, *missing, 0.0) > longest

    def _has_other(self, route: Route) -> bool:
        """Whether there is another member than that of *route*, in use."""
        return any(
            one is not route and one.retired is None and not one.breaker.is_open for one in self
        )

    def _run_dry(self, route: Route, rate: Rate, wait: float) -> None:
        del rate
        self.pauses(route, wait)

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
        route.breaker.reopen()  # while nobody can choose it
        route.retired = None
        route.admission.add(route.lane)
