"""
What a circuit breaker sees of its dispatcher, and what it can do with its route.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from ratedispatch.dispatch.streak import Kind

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Collection

    from ratedispatch.dispatch.inflight import InFlight
    from ratedispatch.dispatch.not_found import NotFoundGuard
    from ratedispatch.dispatch.route import Route
    from ratedispatch.dispatch.stop import StopSignal
    from ratedispatch.pacing.snapshot import Snapshot


class Gate(Protocol):
    """What a breaker holds and releases: see `Lane`."""

    @property
    def in_flight(self) -> int: ...
    def hold(self) -> None: ...
    def release(self, permits: int | None = None) -> None: ...
    def snapshot(self) -> Snapshot: ...


class Feeders:
    """
    Counts the callers that may still bring requests.

    Args:
        on_last: Called when there are none left.
    """

    def __init__(self, on_last: Callable[[], None]) -> None:
        self._on_last = on_last
        self._count = 0

    def __bool__(self) -> bool:
        return self._count > 0

    def __enter__(self) -> None:
        self._count += 1

    def __exit__(self, *_: object) -> None:
        self._count -= 1
        if not self._count:
            self._on_last()


class Site:
    """
    The route of a breaker, and its surroundings.

    Args:
        route: The route of the breaker.
        calls: All requests that were granted a permit and have no outcome.
        feeders: The callers that may bring more.
        not_found: What holds the queue after a first 403 or 404.
        stopping: Whether and why nothing more is sent.
        give_up: Called with the route, a code and a message when the breaker gives it up.

    Attributes:
        admission: What is held and released.
        has_stand_in: Whether others can answer what this route cannot.
    """

    def __init__(
        self,
        route: Route,
        calls: Collection[InFlight],
        feeders: Feeders,
        not_found: NotFoundGuard,
        stopping: StopSignal,
        give_up: Callable[[Route, str, str], None],
    ) -> None:
        self._route = route
        self._calls = calls
        self._feeders = feeders
        self._not_found = not_found
        self._stopping = stopping
        self._give_up = give_up
        self.admission: Gate = route.lane
        self.has_stand_in: Callable[[], bool] = bool  # there is none

    def is_held(self) -> bool:
        """Whether a first 403 or 404 holds the queue."""
        return self._not_found.is_open

    def on_ended(self) -> None:
        """Note that a permit was closed."""
        self._not_found.on_ended()

    def undecided(self, number: int) -> int:
        """Return how many attempts later than *number* are in flight."""
        route = self._route
        return sum(
            call.clock is not None and call.number > number
            for call in self._calls
            if call.route is route
        )

    def open_calls(self) -> int:
        """Return how many requests have had a permit, and no outcome."""
        return sum(call.route is self._route for call in self._calls)

    def bears(self, kind: Kind, call: InFlight, *, is_tolerant: bool) -> bool:
        """Whether a failure of *kind* of *call* says nothing about others, or is not to."""
        if kind not in {Kind.SERVER, Kind.REQUEST}:
            return False
        if not call.is_mapped or (kind is Kind.SERVER and call.is_to_blame):
            return True
        # to tolerate failures is no reason to prefer a member that is down
        return is_tolerant and (kind is Kind.REQUEST or not self.has_stand_in())

    def may_grow(self) -> bool:
        """Whether more requests may be read."""
        return bool(self._feeders)

    async def wait(self, future: asyncio.Future[None]) -> None:
        """
        Wait for *future*.

        Raises:
            Stopped: The route sends nothing more.
        """
        reason = self._stopping.reason or self._route.retired
        if reason is not None:
            raise reason()
        await self._stopping.wait(future, self._route)

    def give_up(self, code: str, message: str) -> None:
        """Send nothing more on the route."""
        self._give_up(self._route, code, message)
