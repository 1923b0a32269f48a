"""
The front of a pool: where requests wait before a member takes them, and what a breaker holds there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from ratedispatch.dispatch.route import Route
from ratedispatch.errors import CostExceedsLimit

if TYPE_CHECKING:
    from collections.abc import Callable

    from ratedispatch.dispatch.pool_routes import PoolRoutes
    from ratedispatch.pacing.snapshot import Snapshot
    from ratedispatch.request import Cost


class Front(Route):
    """Where requests of a pool wait: has the common queue, but no server."""

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


class PoolGate:
    """
    What the breaker of a member holds and releases: its lane.

    Args:
        route: The route of the member.
        routes: The routes of the pool.
    """

    def __init__(self, route: Route, routes: PoolRoutes) -> None:
        self._route = route
        self._routes = routes

    @property
    def in_flight(self) -> int:
        """Attempts in flight there."""
        return self._route.lane.in_flight

    def hold(self) -> None:
        """Send nothing there; what waits for it alone goes to others."""
        self._route.lane.hold()
        self._routes.untie(self._route)

    def release(self, permits: int | None = None) -> None:
        """Send there again: a number of requests, or permanently."""
        if permits is None:
            self._routes.has_answered(self._route)
        self._route.lane.release(permits)

    def snapshot(self) -> Snapshot:
        """Return its state, with all that wait for any member."""
        return self._route.lane.snapshot()
