"""
Making the routes of whatever a dispatcher is given: a client, a transport, or a pool of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ratedispatch.dispatch.pool import Pool
from ratedispatch.dispatch.pool_routes import PoolRoutes
from ratedispatch.dispatch.route import Routes
from ratedispatch.dispatch.routing import Place, RouteFactory
from ratedispatch.dispatch.transports import as_transport
from ratedispatch.dispatch.transports.renaming import RenamingTransport
from ratedispatch.groups import LimitGroups
from ratedispatch.limits import Limits
from ratedispatch.pacing.concurrency.slots import Slots
from ratedispatch.providers.registry import provider_for

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from ratedispatch.dispatch.breaker import CircuitBreaker
    from ratedispatch.dispatch.options import DispatcherOptions
    from ratedispatch.dispatch.route import Route
    from ratedispatch.dispatch.timeout import AdaptiveTimeout
    from ratedispatch.dispatch.transports.protocol import Transport
    from ratedispatch.events import Event
    from ratedispatch.limits import Rate
    from ratedispatch.memory.remembered import Remembered
    from ratedispatch.pacing.admission import Admission
    from ratedispatch.pacing.budget import Budget
    from ratedispatch.pacing.cooldown import Cooldown
    from ratedispatch.pacing.lane import Lane


class PoolFactory(RouteFactory):
    """
    Makes a route for each member of a pool, all behind one queue.

    Args:
        pool: The members.
        options: How the dispatcher sends; its number in flight is that of all of them together.
        rng: The source of jitter.
    """

    def __init__(self, pool: Pool, options: DispatcherOptions, *, rng: random.Random) -> None:
        self._pool = pool
        self._transports = {one.name: _transport_of(one.client, one.models) for one in pool}
        first = next(iter(pool))
        transport = self._transports[first.name]
        super().__init__(transport, _provider_of(transport), first.limits, options, rng=rng)
        most = options.max_in_flight
        self.slots = Slots(most if isinstance(most, int) else self._possible_in_flight())
        self._queue: Admission | None = None
        self._timeout: AdaptiveTimeout | None = None
        self._accounts: dict[str, Budget] = {}
        self._cooldowns: dict[str, Cooldown] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the members, in their order."""
        return tuple(self._transports)

    @property
    def transports(self) -> tuple[Transport, ...]:
        """What sends to each member."""
        return tuple(self._transports.values())

    @property
    def possible(self) -> int:
        """How many routes there can be."""
        return len(self._pool)

    def _place_of(self, name: str) -> Place:
        member, transport = self._pool[name], self._transports[name]
        most = member.max_in_flight
        if most is None and self._options.max_in_flight == "auto":
            return Place(transport, _provider_of(transport), member.limits, "auto")
        return Place(transport, _provider_of(transport), member.limits, most)

    def _budget_of(self, name: str, place: Place, remembered: Remembered) -> Budget:
        account = self._pool[name].account
        if not account:
            return super()._budget_of(name, place, remembered)
        if account not in self._accounts:
            self._accounts[account] = super()._budget_of(account, place, remembered)
        return self._accounts[account]

    def _group_of(self, name: str) -> str:
        """Return nothing: each member is its own account, however it is named here."""
        del name
        return ""

    def make(
        self,
        name: str,
        breaker: CircuitBreaker,
        on_dry: Callable[[str, Rate, float], None] | None,
    ) -> Route:
        """
        Return the route of the member *name*; those of one account pause together.

        What the answers of any member show of how long an answer takes counts for all: one that
        hangs from the start has none.
        """
        route = super().make(name, breaker, on_dry)
        route.timeout = self._timeout = self._timeout or route.timeout
        account = self._pool[name].account
        if account:
            brake = route.lane.brake
            brake.cooldown = self._cooldowns.setdefault(account, brake.cooldown)
        return route

    def _admission_of(self, lane: Lane) -> Admission:
        if self._queue is None:
            self._queue = super()._admission_of(lane)
        else:
            self._queue.add(lane)
        return self._queue


def factory_for(
    client: Any,
    limits: Limits | LimitGroups | None,
    options: DispatcherOptions,
    *,
    rng: random.Random,
    budget: Budget | None = None,
) -> RouteFactory:
    """
    Return what makes the routes of *client*: a client, a transport, or a pool of them.

    Raises:
        TypeError: *client* is none of these; a pool is given limits or a budget beside those of
            its members; nothing else is given limits; or a budget is given where limits are to be
            shared.
    """
    if isinstance(client, Pool):
        if limits is not None or budget is not None:
            raise TypeError(
                "each member of a pool has its own limits; give no limits beside a pool"
            )
        return PoolFactory(client, options, rng=rng)
    if not isinstance(limits, Limits | LimitGroups):
        raise TypeError(
            f"expected Limits or LimitGroups, got {type(limits).__name__}; pass a budget as budget="
        )
    if budget is not None and (options.share is not None or _is_shared(limits)):
        raise TypeError(
            "a budget is not shared with other processes; give either budget= or share="
        )
    transport = as_transport(client)
    return RouteFactory(transport, _provider_of(transport), limits, options, rng=rng, budget=budget)


def routes_of(
    factory: RouteFactory,
    make: Callable[[str], Route],
    name_of: Callable[[str], str] | None,
    tell: Callable[[Event], None],
) -> Routes:
    """
    Return the routes that *factory* makes.

    Args:
        factory: As `factory_for` returned it.
        make: Makes the route of a name, with it.
        name_of: Tells the name of a model's route; None if all models share one.
        tell: Told what happens to the members of a pool.
    """
    if isinstance(factory, PoolFactory):
        return PoolRoutes(make, factory.names, tell)
    return Routes(make, name_of, factory.possible)


def _is_shared(limits: Limits | LimitGroups) -> bool:
    if isinstance(limits, Limits):
        return limits.share is not None
    every = [group.limits for group in limits.groups]
    if limits.default is not None:
        every.append(limits.default)
    return any(one.share is not None for one in every)


def _transport_of(client: Any, models: Any) -> Transport:
    transport = as_transport(client)
    return RenamingTransport(transport, models) if models else transport


def _provider_of(transport: Transport) -> Any:
    return provider_for(getattr(transport, "base_url", None))
