"""
The part of an account's limits that one of several processes may spend.

The whole limits if the processes share them; if sharing is not possible, an equal part of each
limit. The number in flight is always divided.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from ratedispatch.dispatch.pool import Pool
from ratedispatch.groups import LimitGroups
from ratedispatch.limits import Limits

if TYPE_CHECKING:
    from ratedispatch.dispatch.options import DispatcherOptions


@dataclasses.dataclass(frozen=True, slots=True)
class Part:
    """
    Which of the processes one is.

    Args:
        number: From 0.
        of: How many there are.
        shares: Whether they share all limits, whatever these say.
    """

    number: int
    of: int
    shares: bool = False

    def count(self, most: int) -> int:
        """Return the part of *most* things, at least 1; all parts add up to *most* if they can."""
        return max(1, most // self.of + (self.number < most % self.of))

    def options(self, options: DispatcherOptions) -> DispatcherOptions:
        """Return *options* with the part of the number in flight."""
        most = options.max_in_flight
        if not isinstance(most, int):
            return options
        part = self.count(most)
        connections = min(options.connections, part)
        return dataclasses.replace(options, max_in_flight=part, connections=connections)

    def limits(self, limits: Limits | LimitGroups | None) -> Limits | LimitGroups | None:
        """Return the part of *limits*."""
        if limits is None or isinstance(limits, Limits):
            return limits and self._limits(limits)
        groups = tuple(
            dataclasses.replace(
                group,
                limits=self._limits(group.limits),
                max_in_flight=group.max_in_flight and self.count(group.max_in_flight),
            )
            for group in limits.groups
        )
        return LimitGroups(groups, limits.default and self._limits(limits.default))

    def client(self, client: Any) -> Any:
        """Return *client*; of a pool, each member with the part of what it has."""
        if not isinstance(client, Pool):
            return client
        return Pool(
            dataclasses.replace(
                one,
                limits=self._limits(one.limits),
                max_in_flight=one.max_in_flight and self.count(one.max_in_flight),
            )
            for one in client
        )

    def _limits(self, limits: Limits) -> Limits:
        if self.shares or limits.share is not None:
            return limits
        amounts = {
            field.name: self._amount(getattr(limits, field.name))
            for field in dataclasses.fields(limits)
            if field.name != "burst_seconds"
        }
        return dataclasses.replace(limits, **amounts)

    def _amount(self, value: Any) -> Any:
        if isinstance(value, int | float):
            return value / self.of
        if isinstance(value, dict):
            return {name: amount / self.of for name, amount in value.items()}
        return value
