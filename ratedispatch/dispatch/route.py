"""
Routes: where requests of some models are sent, and what paces them there.

`Routes` finds the route of a model and makes it when its first request comes.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from ratedispatch.errors import CostExceedsLimit
from ratedispatch.pacing.snapshot import busiest, together

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ratedispatch.dispatch.breaker import CircuitBreaker
    from ratedispatch.dispatch.timeout import AdaptiveTimeout
    from ratedispatch.dispatch.transports.protocol import Transport
    from ratedispatch.errors import Stopped
    from ratedispatch.limits import Limits, Rate
    from ratedispatch.pacing.admission import Admission
    from ratedispatch.pacing.concurrency.adaptive import AdaptiveLimit
    from ratedispatch.pacing.lane import Lane
    from ratedispatch.pacing.shared.shared_search import SharedSearch
    from ratedispatch.pacing.snapshot import Snapshot
    from ratedispatch.providers.base import Provider
    from ratedispatch.request import Cost


@dataclasses.dataclass(eq=False, slots=True)
class Route:
    """
    Everything that sending to one place needs.

    Args:
        name: The name of its group of models; empty for models without one.
        transport: What sends.
        provider: What interprets the answers.
        limits: What may be spent, as the user has set it.
        admission: The queue, which routes of a pool share.
        lane: What paces it there, with its budget and its concurrency limit.
        timeout: How long an answer may take.
        breaker: Whether there is a point in sending.
        most_open: Requests of one `map` that may be open on it: in flight, waiting to be retried,
            or answered and not yet taken.
        adaptive: The concurrency limit, where no number is given; None otherwise.
        retired: Makes the exception that says why nothing more is sent here; None while it is in
            use.
    """

    name: str
    transport: Transport
    provider: Provider
    limits: Limits
    admission: Admission
    lane: Lane
    timeout: AdaptiveTimeout
    breaker: CircuitBreaker
    most_open: int
    adaptive: AdaptiveLimit | SharedSearch | None = None
    retired: Callable[[], Stopped] | None = None

    def checked(self, cost: Cost, name: Callable[[], str]) -> Cost:
        """
        Return *cost*, lowered to the limits as far as it rests on assumptions.

        Args:
            cost: The cost of a request.
            name: Tells how messages name the request.

        Raises:
            CostExceedsLimit: It can never be paid.
        """
        while True:
            try:
                self.check(cost, name)
            except CostExceedsLimit as error:
                lowered = cost.lowered(error.dimension, error.limit)
                if lowered is None:
                    raise
                cost = lowered
            else:
                return cost

    def check(self, cost: Cost, name: Callable[[], str]) -> None:
        """
        Do nothing if *cost* can ever be paid.

        Raises:
            CostExceedsLimit: It cannot.
        """
        self.lane.budget.check(cost, name)

    def learn(self, rate: Rate) -> None:
        """Let the number in flight follow a limit that is known now."""
        if self.adaptive is not None and not rate.is_auto and not rate.is_daily:
            self.adaptive.follow_rate()

    def retire(self, reason: Callable[[], Stopped]) -> None:
        """Send nothing more here; requests in the queue fail with *reason*."""
        if self.retired is None:
            self.retired = reason
            self.admission.close(reason)


class Routes:
    """
    All routes of a dispatcher.

    Args:
        make: Makes the route of a name.
        name_of: Tells the name of a model's route; None if all models share one.
        possible: How many routes there can be.

    Attributes:
        only: The route of all models; None where models are limited apart.
    """

    def __init__(
        self,
        make: Callable[[str], Route],
        name_of: Callable[[str], str] | None = None,
        possible: int = 1,
    ) -> None:
        self._make = make
        self._name_of = name_of
        self._possible = possible
        self._routes: dict[str, Route] = {}
        self._closed: Callable[[], Stopped] | None = None
        self._is_held = False
        self.only: Route | None = None

    def start(self) -> None:
        """Make the route of all models, where they share one."""
        if self._name_of is None:
            self.only = self.of("")

    def __len__(self) -> int:
        return len(self._routes)

    def __iter__(self) -> Iterator[Route]:
        return iter(self._routes.values())

    @property
    def in_flight(self) -> int:
        """Attempts in flight on all routes."""
        return sum([route.lane.in_flight for route in self._routes.values()])

    def of(self, model: str) -> Route:
        """
        Return the route of *model*.

        Raises:
            InvalidLimits: The model belongs to no group, and there are no limits for others.
        """
        name = "" if self._name_of is None else self._name_of(model)
        route = self._routes.get(name)
        if route is None:
            route = self._routes[name] = self._make(name)
            if self._is_held:
                route.admission.hold()
            if self._closed is not None:
                route.admission.close(self._closed)
        return route

    def retire(self, route: Route, reason: Callable[[], Stopped]) -> bool:
        """
        Send nothing more on *route*.

        Returns:
            Whether another route is left, or may still be made.
        """
        route.retire(reason)
        return sum(one.retired is not None for one in self) < self._possible

    def hold(self) -> None:
        """Grant nothing on any route until :meth:`release`."""
        self._is_held = True
        for route in self:
            route.lane.hold()

    def release(self) -> None:
        """Grant again, except where a breaker is open."""
        self._is_held = False
        for route in self:
            if not route.breaker.is_open:
                route.lane.release()

    def pauses(self, route: Route, seconds: float) -> None:
        """Do nothing: requests that wait for *route* have no other route."""

    def settle(self) -> None:
        """Let failures stand as they are where nothing else is left that could be answered."""
        for route in self:
            route.breaker.settle()

    def close(self, reason: Callable[[], Stopped]) -> None:
        """Fail all that wait on any route, and all that come, with *reason*."""
        self._closed = reason
        for route in self:
            route.admission.close(reason)
            route.breaker.abandon()

    def snapshot(self) -> Snapshot:
        """Return the state of all routes together; the bottleneck is that of the longest queue."""
        states = [route.admission.snapshot() for route in self]
        if len(states) == 1:
            return states[0]
        budgets = set()
        for index, (route, state) in enumerate(zip(self, states, strict=True)):
            if id(route.admission.budget) in budgets:  # a budget that routes share counts once
                states[index] = dataclasses.replace(state, levels=())
            budgets.add(id(route.admission.budget))
        return together(states)

    def snapshots(self) -> dict[str, Snapshot]:
        """Return the state of each route by its name; what waits in a queue, in front of each."""
        return {name: route.lane.snapshot() for name, route in self._routes.items()}

    def busiest(self) -> Snapshot:
        """Return the state of the route with the longest queue."""
        return busiest([route.admission.snapshot() for route in self])
