"""
Pools: several deployments, regions, keys or providers that answer the same requests.

Values only: the settings of each member. The queue decides which member a request is sent to.
"""

from __future__ import annotations

import dataclasses
import inspect
from typing import TYPE_CHECKING, Any, Protocol

from ratedispatch.limits import AUTO, Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping


class Priced(Protocol):
    """The price of a million tokens in USD; a ``Price`` is one."""

    @property
    def input(self) -> float:
        """USD per million input tokens."""

    @property
    def output(self) -> float:
        """USD per million output tokens."""

    def usd(self, input_tokens: int, output_tokens: int) -> float:
        """Return what *input_tokens* and *output_tokens* cost, in USD."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Member:
    """
    One member of a pool.

    Args:
        client: An ``openai.AsyncOpenAI`` or any :class:`~ratedispatch.Transport`, with its own
            base URL and key.
        limits: The limits of this member.
        name: Its name in messages and figures; by default its number in the pool, from 1.
        models: The names of models at this member, by their names in requests; other models keep
            their names.
        account: Members with the same account share the limits of the first of them; empty for a
            separate account.
        max_in_flight: Maximum number of requests in flight at this member; by default as many as
            the rate and the latency need.
        price: The price of every model at this member; by default the list price of each model.

    Raises:
        TypeError: *limits* is not a `Limits`.
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
                f"the limits of a member of a pool must be Limits, not {type(self.limits).__name__}"
            )
        if self.max_in_flight is not None and self.max_in_flight < 1:
            raise ValueError(f"max_in_flight must be at least 1, not {self.max_in_flight}")


class Pool:
    """
    Several members that answer the same requests; used in place of a client.

    A request goes to the member that could send it soonest, given its limits and pauses. If it
    fails because of the member (exhausted quota, revoked key, outage), it goes to another member;
    the failed one is probed after a while, and used again once it answers.

    Args:
        members: At least one; their names must differ.

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
            raise ValueError("a pool needs at least one member")
        self._members = {one.name: one for one in named}
        if len(self._members) < len(named):
            twice = sorted({one.name for one in named if self._members[one.name] is not one})
            raise ValueError(f"two members of a pool are called {twice[0]!r}; give each a name")
        accounts: dict[str, Member] = {}
        for one in named:
            first = accounts.setdefault(one.account, one) if one.account else one
            if first.limits != one.limits:
                raise ValueError(
                    f"{first.name!r} and {one.name!r} belong to one account, {one.account!r}, but "
                    f"have different limits; give both the limits of the account"
                )

    def __iter__(self) -> Iterator[Member]:
        return iter(self._members.values())

    def __len__(self) -> int:
        return len(self._members)

    def __getitem__(self, name: str) -> Member:
        return self._members[name]

    def through(self, wrapped: Callable[[Any], Any]) -> Pool:
        """Return the same pool, with *wrapped* applied to each client."""
        return Pool(dataclasses.replace(one, client=wrapped(one.client)) for one in self)

    @property
    def limits(self) -> Limits:
        """The limits of all members together."""
        return limits_together((one.account, one.limits) for one in self)

    async def close(self) -> None:
        """Close the clients of all members that can be closed."""
        for one in self:
            close = getattr(one.client, "close", None)
            closing = None if close is None else close()
            if inspect.isawaitable(closing):
                await closing

    def __repr__(self) -> str:
        return f"Pool({list(self)!r})"


def limits_together(members: Iterable[tuple[str, Limits]]) -> Limits:
    """
    Return the sum of the limits of *members*, pairs of account and limits; each account counts
    once.

    A dimension that one of them does not limit is not limited; one that one of them has to learn is
    not known.
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
