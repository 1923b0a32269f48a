"""
Several places that answer the same requests: deployments, regions, keys or providers.

Values only: what the user says of each. Which of them a request takes is decided where it waits.
"""

from __future__ import annotations

import dataclasses
import inspect
from typing import TYPE_CHECKING, Any, Protocol

from ratedispatch.limits import AUTO, Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping


class Priced(Protocol):
    """What a million tokens cost, in USD: a ``Price``."""

    @property
    def input(self) -> float:
        """Of tokens sent."""

    @property
    def output(self) -> float:
        """Of tokens that come back."""

    def usd(self, input_tokens: int, output_tokens: int) -> float:
        """Return what so many tokens cost, in USD."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Member:
    """
    One place of a pool.

    Args:
        client: An ``openai.AsyncOpenAI`` or any :class:`~ratedispatch.Transport`, with an address
            and a key of its own.
        limits: What may be spent there.
        name: What messages and figures call it; by default its number in the pool, from 1.
        models: What the model of a request is called there, by its name in the request; others
            are called the same.
        account: Members with the same one share the limits of the first of them; empty for one of
            its own.
        max_in_flight: The most requests unanswered at once there; by default what the rate and
            the latency need.
        price: What tokens of every model cost there; by default the list price of each model.

    Raises:
        TypeError: *limits* are none.
        ValueError: *max_in_flight* is below 1.
    """

    client: Any = dataclasses.field(repr=False)
    limits: Limits
    name: str = ""
    models: Mapping[str, str] | None = None
    account: str = ""
    max_in_flight: int | None = None
    price: Priced | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.limits, Limits):
            raise TypeError(
                f"the limits of a member of a pool are Limits, not {type(self.limits).__name__}"
            )
        if self.max_in_flight is not None and self.max_in_flight < 1:
            raise ValueError(f"max_in_flight must be at least 1, not {self.max_in_flight}")


class Pool:
    """
    Places that answer the same requests, in the place of a client.

    A request goes where it could start soonest, by the limits and the pauses of each member. One
    that fails for a reason of the member (a spent quota, a revoked key, an outage) goes to
    another; the member is asked again after a while, and used again once it answers.

    Args:
        members: At least one, with names that differ.

    Raises:
        ValueError: There is none, two have the same name, or members of one account have
            different limits.
    """

    def __init__(self, members: Iterable[Member]) -> None:
        named = [
            one if one.name else dataclasses.replace(one, name=str(number))
            for number, one in enumerate(members, 1)
        ]
        if not named:
            raise ValueError("a pool has at least one member")
        self._members = {one.name: one for one in named}
        if len(self._members) < len(named):
            twice = sorted({one.name for one in named if self._members[one.name] is not one})
            raise ValueError(f"two members of a pool are called {twice[0]!r}; give each a name")
        accounts: dict[str, Member] = {}
        for one in named:
            first = accounts.setdefault(one.account, one) if one.account else one
            if first.limits != one.limits:
                raise ValueError(
                    f"{first.name!r} and {one.name!r} are one account, {one.account!r}, and have "
                    f"different limits; give both what the account may spend"
                )

    def __iter__(self) -> Iterator[Member]:
        return iter(self._members.values())

    def __len__(self) -> int:
        return len(self._members)

    def __getitem__(self, name: str) -> Member:
        return self._members[name]

    def through(self, wrapped: Callable[[Any], Any]) -> Pool:
        """Return the same pool, sending through what *wrapped* makes of each client."""
        return Pool(dataclasses.replace(one, client=wrapped(one.client)) for one in self)

    @property
    def limits(self) -> Limits:
        """What all members together may spend."""
        return limits_together((one.account, one.limits) for one in self)

    async def close(self) -> None:
        """Close the clients of all members, as far as they can be closed."""
        for one in self:
            close = getattr(one.client, "close", None)
            closing = None if close is None else close()
            if inspect.isawaitable(closing):
                await closing

    def __repr__(self) -> str:
        return f"Pool({list(self)!r})"


def limits_together(members: Iterable[tuple[str, Limits]]) -> Limits:
    """
    Return what *members* may spend together: accounts and limits; an account counts once.

    What one of them has no limit for is not limited; what one of them has to learn is not known.
    """
    members = tuple(members)
    apart = [limits for account, limits in members if not account]
    shared = {account: limits for account, limits in members if account}
    amounts: dict[str, Any] = {}
    everything = [*apart, *shared.values()]
    for field in dataclasses.fields(Limits):
        values = [getattr(limits, field.name) for limits in everything]
        if field.name == "burst_seconds":
            amounts[field.name] = min(values)
        elif all(isinstance(value, int | float) for value in values):
            amounts[field.name] = sum(values)
        elif AUTO in values and None not in values:
            amounts[field.name] = AUTO
        else:
            amounts[field.name] = None
    return Limits(**amounts)
