"""
Adds up the rows of a plan under the limits that they share.

A `Room` is what some limits leave room for; a `Sum` is the rows of one endpoint and model in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ratedispatch.dimension import dimension_named
from ratedispatch.errors import CostExceedsLimit
from ratedispatch.jobs.plan.model import GroupPlan, Need
from ratedispatch.limits import Limits
from ratedispatch.request import CHAT, RESPONSES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ratedispatch.groups import LimitGroups
    from ratedispatch.request import Cost

#: Endpoints whose output is as long as the model likes if the request does not bound it.
UNBOUNDED = frozenset({CHAT, RESPONSES})


class Room:
    """
    What a row may cost at most under some limits, and what they are.

    Attributes:
        rates: The limits that are known.
        unknown: The dimensions of those that are yet to be learned.
        amounts: What a cost amounts to in each of *rates*.
        most: The most that each may ever grant: a minute of it, a day's budget, one request.
    """

    __slots__ = ("amounts", "limits", "most", "name", "rates", "unknown")

    def __init__(self, name: str, limits: Limits) -> None:
        self.name = name
        self.limits = limits
        rates = limits.rates()
        self.rates = tuple(rate for rate in rates if not rate.is_auto)
        self.unknown = tuple(rate.dimension for rate in rates if rate.is_auto)
        self.amounts = tuple(dimension_named(rate.dimension).of_cost for rate in self.rates)
        self.most = tuple(max(rate.per_minute, rate.burst) for rate in self.rates)

    def granted(self, cost: Cost) -> tuple[Cost, int | None]:
        """
        Return what of *cost* is paid, and the index of a rate that can never grant it, if any.

        What the cost assumes is lowered to the limit, as the dispatcher does.
        """
        for index, most in enumerate(self.most):
            if self.amounts[index](cost) > most:
                lowered = cost.lowered(self.rates[index].dimension, most)
                return (cost, index) if lowered is None else self.granted(lowered)
        return cost, None

    def refusal(self, label: str, index: int, cost: Cost) -> str:
        """Return why the request called *label*, of *cost*, can never be sent."""
        rate = self.rates[index]
        amount = cost.amount(rate.dimension)
        return str(CostExceedsLimit(label, rate.dimension, amount, rate.limit))


class Sum:
    """
    The rows of one endpoint and model.

    Attributes:
        work: What they spend of each of the rates of *room*.
        billed: Prompt tokens that are billed.
        cap: Output tokens that are billed at most.
        uncapped: Rows whose output may be longer than that.
    """

    __slots__ = (
        "billed",
        "cap",
        "endpoint",
        "model",
        "output",
        "prompt",
        "room",
        "rows",
        "uncapped",
        "work",
    )

    def __init__(self, endpoint: str, model: str, room: Room) -> None:
        self.endpoint = endpoint
        self.model = model
        self.room = room
        self.rows = self.prompt = self.output = self.billed = self.cap = self.uncapped = 0
        self.work: list[float] = [0] * len(room.rates)

    def add(self, cost: Cost, times: int = 1) -> int | None:
        """
        Add *times* rows of *cost*; if a limit can never grant it, only return the limit's index.

        What it assumes is lowered to the limit, as the dispatcher does.
        """
        cost, refusing = self.room.granted(cost)
        if refusing is not None:
            return refusing
        for index, of_cost in enumerate(self.room.amounts):
            self.work[index] += times * of_cost(cost)
        self.rows += times
        self.prompt += times * cost.prompt_tokens
        self.output += times * cost.output_tokens
        # what a provider limits by characters it still bills by the tokenizer's count
        self.billed += times * cost.counted_tokens
        # the caps are billed even where the limit is not charged for them
        self.cap += times * cost.expected_output_tokens
        if self.endpoint in UNBOUNDED and not cost.is_capped:
            self.uncapped += times
        return None


def rooms_of(limits: Limits | LimitGroups) -> dict[str, Room]:
    """Return the room under each group of limits by its name; by "" that of all other models."""
    if isinstance(limits, Limits):
        return {"": Room("", limits)}
    found = {group.name: Room(group.name, group.limits) for group in limits.groups}
    if limits.default is not None:
        found[""] = Room("", limits.default)
    return found


def group_plan_of(room: Room, sums: Iterable[Sum]) -> GroupPlan:
    """Return what the rows of *sums* ask of each limit of *room*."""
    sums = tuple(sums)
    needs = tuple(
        Need(rate, sum(total.work[index] for total in sums))
        for index, rate in enumerate(room.rates)
    )
    rows = sum(total.rows for total in sums)
    return GroupPlan(room.name, rows, needs, room.unknown, room.limits.burst_seconds)
