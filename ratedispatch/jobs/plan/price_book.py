"""
What tokens cost by model and by place: of all models alike, of a member of a pool, or by the list.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from ratedispatch.dispatch.pool import Pool
from ratedispatch.jobs.plan.prices import Price, price_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ratedispatch.dispatch.pool import Member

#: Models whose price is remembered; for each other one the table is asked again.
_MODELS = 1_000


class PriceBook:
    """
    The prices of a job.

    Args:
        price: What tokens of every model cost, instead of the list; None for the list.
        client: Where the job is sent: the prices of the members of a pool come before *price*.
    """

    def __init__(self, price: Price | None = None, client: Any = None) -> None:
        self._price = price
        self._members = {one.name: one for one in client} if isinstance(client, Pool) else {}
        self._listed = functools.lru_cache(_MODELS)(price_of)

    def of(self, model: str, route: str = "") -> Price | None:
        """Return what tokens of *model* cost at *route*; None if that is not known."""
        member = self._members.get(route)
        if member is not None:
            return self._at(member, model)
        return self._price or self._listed(model)

    def dearest(self, model: str) -> Price | None:
        """Return what tokens of *model* cost at most, wherever; None if that is not known."""
        if not self._members:
            return self.of(model)
        return dearest_of(self._at(member, model) for member in self._members.values())

    def _at(self, member: Member, model: str) -> Price | None:
        price: Any = member.price or self._price
        if price is not None:
            return price  # type: ignore[no-any-return]
        called = (member.models or {}).get(model, model)
        # a deployment has its own name, and costs as much as the requested model
        return self._listed(called) or self._listed(model)


def dearest_of(prices: Iterable[Price | None]) -> Price | None:
    """Return the highest of *prices* for input and for output; None if one is not known."""
    known = list(prices)
    if not known or None in known:
        return None
    found = [price for price in known if price is not None]
    if len(set(found)) == 1:
        return found[0]
    ingoing, outgoing = (max(map(part, found)) for part in (_input, _output))
    return Price("the dearest member", ingoing, outgoing)


def _input(price: Price) -> float:
    return price.input


def _output(price: Price) -> float:
    return price.output
