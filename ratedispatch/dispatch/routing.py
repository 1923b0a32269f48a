"""
Making routes: which limits, queue and concurrency limit the models of a group get.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from ratedispatch.dispatch.permits import LoopAlarm
from ratedispatch.dispatch.recollection import Recollection
from ratedispatch.dispatch.route import Route
from ratedispatch.dispatch.shared_limits import SharedLimits, attach
from ratedispatch.dispatch.timeout import AdaptiveTimeout
from ratedispatch.groups import LimitGroups
from ratedispatch.memory.state_folder import memory_for
from ratedispatch.pacing.admission import Admission
from ratedispatch.pacing.concurrency.adaptive import AdaptiveLimit
from ratedispatch.pacing.concurrency.limit import FixedLimit
from ratedispatch.pacing.concurrency.slots import (
    Slots,
    most_in_flight,
    open_descriptors,
)
from ratedispatch.pacing.lane import Lane
from ratedispatch.pacing.local_budget import LocalBudget

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from ratedispatch.dispatch.breaker import CircuitBreaker
    from ratedispatch.dispatch.options import DispatcherOptions
    from ratedispatch.limits import Limits, Rate
    from ratedispatch.memory.remembered import Remembered
    from ratedispatch.pacing.alarm import Alarm
    from ratedispatch.pacing.budget import Budget
    from ratedispatch.pacing.shared.shared_search import SharedSearch
    from ratedispatch.providers.base import Provider

#: Requests of a ``map`` that may be open (waiting to be retried, or answered and not yet taken)
#: beyond those in flight.
_OPEN_BEYOND_FLIGHT = 256

#: How many may be in flight at first where nothing is known: each doubling from there takes two
#: answers' time, while a server with fewer places lets the excess wait once.
_FIRST_IN_FLIGHT = 8

#: The same where the rate is known: a server that is said to take many will not have four places.
#: As many as one processor can keep going against a server that answers in 20 ms.
_FIRST_WITH_RATE = 64


class Place(NamedTuple):
    """
    Where a route sends.

    Args:
        transport: What sends.
        provider: What interprets the answers.
        limits: What may be spent.
        max_in_flight: As in the options.
    """

    transport: Any
    provider: Provider
    limits: Limits
    max_in_flight: int | Literal["auto"] | None


class RouteFactory:
    """
    Makes the routes of one client.

    Args:
        transport: What sends.
        provider: What interprets the answers.
        limits: What the account may spend, or what groups of models may.
        options: How the dispatcher sends.
        rng: The source of jitter.
        budget: A budget for all routes instead of one of each; it is not closed with them.
        alarm: Makes the clock and timer of each route.
        account: The server, and what stands for the key, where *transport* does not tell them.

    Attributes:
        transport: What sends; of a pool, that of the first member.
        provider: The same for what interprets the answers.
        slots: Places in flight that all routes share; None if there is one route only.
        recollection: What earlier runs have learned, and what this one learns.
        shared: Where routes share their limits with other processes.
    """

    def __init__(
        self,
        transport: Any,
        provider: Provider,
        limits: Limits | LimitGroups,
        options: DispatcherOptions,
        *,
        rng: random.Random,
        budget: Budget | None = None,
        alarm: Callable[[], Alarm] = LoopAlarm,
        account: tuple[str | None, bytes] | None = None,
    ) -> None:
        self.transport = transport
        self.provider = provider
        self._limits = limits
        self._options = options
        self._rng = rng
        self._budget = budget
        self._alarm = alarm
        self.slots: Slots | None = None
        self.recollection = Recollection(memory_for(options.memory), account)
        self.shared = SharedLimits(options.share, account)
        most = options.max_in_flight
        if isinstance(limits, LimitGroups):
            self.slots = Slots(most if isinstance(most, int) else self._possible_in_flight())

    @property
    def transports(self) -> tuple[Any, ...]:
        """Everything that sends."""
        return (self.transport,)

    @property
    def possible(self) -> int:
        """How many routes there can be."""
        limits = self._limits
        if not isinstance(limits, LimitGroups):
            return 1
        return len(limits.groups) + (limits.default is not None)

    def make(
        self,
        name: str,
        breaker: CircuitBreaker,
        on_dry: Callable[[str, Rate, float], None] | None,
    ) -> Route:
        """
        Return the route of the group *name*; of all models if it is empty.

        Args:
            name: The name of the group.
            breaker: The breaker of the route.
            on_dry: Called with the name, the limit and the seconds when a request has to wait for
                a day's limit.
        """
        place = self._place_of(name)
        remembered = self.recollection.recall(name, place.transport)
        limits, most, provider = place.limits, place.max_in_flight, place.provider
        possible = self._possible_in_flight()
        adaptive: AdaptiveLimit | SharedSearch | None = None
        if isinstance(most, int):
            possible = most
        else:
            follows_rate = most is None and remembered.has_rate(limits)
            start = _FIRST_WITH_RATE if follows_rate else _FIRST_IN_FLIGHT
            known = remembered.in_flight or start
            # below what was found: one doubling shows whether it still is worth it
            start = max(start, known if follows_rate else known // 2)
            adaptive = search = AdaptiveLimit(
                start=start,
                most=possible,
                follows_rate=follows_rate,
                latency=remembered.latency or 0.0,
            )
            if not follows_rate:
                group = self._group_of(name)
                adaptive = self.shared.search(search, limits, group, place.transport) or search
        budget = self._budget_of(name, place, remembered)
        lane = Lane(
            budget,
            adaptive or FixedLimit(possible),
            rng=self._rng,
            name=name,
            slots=self.slots,
            watcher=breaker,
            on_dry=None if on_dry is None else lambda rate, wait: on_dry(name, rate, wait),
        )
        route = Route(
            name,
            place.transport,
            provider,
            limits,
            self._admission_of(lane),
            lane,
            AdaptiveTimeout(self._options.timeout),
            breaker,
            possible + _OPEN_BEYOND_FLIGHT,
            adaptive if most is None else None,
        )
        self.recollection.begin(route, remembered)
        attach(route)
        return route

    def _place_of(self, name: str) -> Place:
        """Return where the group *name* is sent, and what may be spent there."""
        limits, most = self._limits, self._options.max_in_flight
        if isinstance(limits, LimitGroups):
            most = limits.most_in_flight(name) or most
            limits = limits.limits_of(name)
        return Place(self.transport, self.provider, limits, most)

    def _budget_of(self, name: str, place: Place, remembered: Remembered) -> Budget:
        """Return what is spent from at *place*, for the group *name*."""
        if self._budget is not None:
            return self._budget
        charge = self._options.policy or place.provider.charge
        memories = remembered.limits
        if self._options.policy is not None:  # the user says how it is charged
            memories = tuple(dataclasses.replace(memory, rule=None) for memory in memories)
        group = self._group_of(name)
        shared = self.shared.budget(place.limits, charge, group, place.transport, memories)
        if shared is not None:
            return shared
        return LocalBudget(
            place.limits,
            refunds=charge.refunds,
            output_up_front=charge.output_up_front,
            group=name,
            memories=memories,
        )

    def _group_of(self, name: str) -> str:
        """Return the group of models that the route *name* is for; empty for all models."""
        return name

    def _admission_of(self, lane: Lane) -> Admission:
        """Return the queue in front of *lane*: one of its own."""
        return Admission([lane], self._alarm(), weights=self._options.weights)

    def _possible_in_flight(self) -> int:
        most = self._options.connections
        if getattr(self.transport, "is_simulated", False):  # it opens no files
            return most
        return min(most, most_in_flight(open_descriptors()))
