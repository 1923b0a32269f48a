"""
What a job will take: rows, tokens, time and money.

Holds the values and the arithmetic between them; `planner` fills them in.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ratedispatch.jobs.plan.histogram import RELATIVE_ERROR

if TYPE_CHECKING:
    from ratedispatch.jobs.plan.histogram import Bar
    from ratedispatch.jobs.plan.prices import Price
    from ratedispatch.limits import Rate


@dataclass(frozen=True, slots=True)
class Finding:
    """
    A row that cannot be sent.

    Args:
        line: Its number in the file, counted from 1.
        custom_id: Its name, if it has one; long ones are cut.
        code: The reason for machines, as in the errors file of `run`.
        message: The reason in one sentence that names the line.
    """

    line: int
    custom_id: str | None
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Group:
    """
    The rows of one endpoint and model.

    Args:
        endpoint: Where they go.
        model: As the rows name it; empty if they do not.
        rows: How many can be sent.
        prompt_tokens: What the limit is charged for their prompts.
        output_tokens: What the limit is charged for their outputs.
        input_tokens: What is billed for their prompts: the tokenizer's count.
        cap_tokens: The most that is billed for their outputs: their caps.
        uncapped: Rows of these without an output cap, whose output may be longer than reserved.
        price: What their tokens cost; None if that is not known.
        limits: The group of limits that they fall under; empty for the only limits there are,
            and for those of the models that no group names.
    """

    endpoint: str
    model: str
    rows: int
    prompt_tokens: int
    output_tokens: int
    input_tokens: int
    cap_tokens: int
    uncapped: int
    price: Price | None
    limits: str = ""

    @property
    def usd(self) -> float | None:
        """What these rows cost at most, in USD; None without a price."""
        return None if self.price is None else self.price.usd(self.input_tokens, self.cap_tokens)


@dataclass(frozen=True, slots=True)
class Need:
    """
    What rows ask of one limit.

    Args:
        rate: The limit.
        work: What all rows spend together, in the same unit.
    """

    rate: Rate
    work: float

    @property
    def seconds(self) -> float:
        """
        From the first request sent to the last: (work − burst) / rate, at least 0.

        The burst of a limit per day is the budget of a whole day: it goes at once, and the rest
        at the daily rate, so this is (work − budget) / budget days.
        """
        return max(0.0, self.work - self.rate.burst) / self.rate.per_second

    @property
    def dimension(self) -> str:
        """What is limited, as `Rate` names it."""
        return self.rate.dimension

    def as_dict(self) -> dict[str, Any]:
        """Return everything by name, for JSON."""
        return {
            "dimension": self.rate.dimension,
            "per_minute": self.rate.per_minute,
            "burst": self.rate.burst,
            "work": self.work,
            "window": self.rate.window,
            "seconds": self.seconds,
        }


@dataclass(frozen=True, slots=True)
class GroupPlan:
    """
    The rows that share limits.

    Args:
        name: The group of limits; empty for the only limits there are, and for those of the
            models that no group names.
        rows: How many of them can be sent.
        needs: What they ask of each limit that is known, requests first.
        unknown: The dimensions whose limit is yet to be learned; they are not in the time.
        burst_seconds: Seconds of rate that may go at once.
    """

    name: str
    rows: int
    needs: tuple[Need, ...]
    unknown: tuple[str, ...]
    burst_seconds: float

    @property
    def binding(self) -> Need | None:
        """What takes longest; None if everything may go at once."""
        longest = max(self.needs, key=lambda need: need.seconds, default=None)
        return longest if longest is not None and longest.seconds > 0 else None

    @property
    def seconds(self) -> float:
        """From the first request sent to the last, at least."""
        return self.binding.seconds if self.binding is not None else 0.0

    @property
    def ratio(self) -> float | None:
        """How many times the next slower limit's time the binding one takes; None without one."""
        binding = self.binding
        others = [need.seconds for need in self.needs if need is not binding]
        if binding is None or not others or max(others) <= 0:
            return None
        return binding.seconds / max(others)

    def as_dict(self) -> dict[str, Any]:
        """Return everything but the needs by name, for JSON."""
        return {
            "name": self.name,
            "rows": self.rows,
            "seconds": self.seconds,
            "binding": self.binding.dimension if self.binding is not None else None,
            "ratio": self.ratio,
            "burst_seconds": self.burst_seconds,
            "unknown": list(self.unknown),
        }


@dataclass(frozen=True, slots=True)
class Quantiles:
    """Tokens that 50, 90 and 99 % of the rows do not exceed, each within 1 %, and the most."""

    p50: float
    p90: float
    p99: float
    max: int


@dataclass(frozen=True, slots=True)
class Plan:
    """
    What a job will take.

    Args:
        rows: Lines that are not blank.
        groups: Those that can be sent, by endpoint and model, most rows first.
        findings: Those that cannot, in the order of the file, at most `plan.MOST_FINDINGS`.
        counts: How many those are, by code.
        limit_groups: The rows by the limits that they share: one for each group of limits, in its
            order, and the last one for the models that no group names.
        tokens: Percentiles of what a row is charged.
        bars: The rows by what they are charged, on a logarithmic scale.
        policy: The name of the way in which the provider charges.
        default_output_tokens: Reserved for a row without an output cap.
    """

    rows: int
    groups: tuple[Group, ...]
    findings: tuple[Finding, ...]
    counts: dict[str, int]
    limit_groups: tuple[GroupPlan, ...]
    tokens: Quantiles
    bars: tuple[Bar, ...]
    policy: str
    default_output_tokens: int

    @property
    def sendable(self) -> int:
        """Rows that can be sent."""
        return sum(group.rows for group in self.groups)

    @property
    def prompt_tokens(self) -> int:
        """What the token limit is charged for all prompts."""
        return sum(group.prompt_tokens for group in self.groups)

    @property
    def output_tokens(self) -> int:
        """What the token limit is charged for all outputs."""
        return sum(group.output_tokens for group in self.groups)

    @property
    def uncapped(self) -> int:
        """Rows without an output cap."""
        return sum(group.uncapped for group in self.groups)

    @property
    def is_sound(self) -> bool:
        """Whether every row can be sent."""
        return not self.counts

    @property
    def needs(self) -> tuple[Need, ...]:
        """What is asked of each limit, group by group."""
        return tuple(need for part in self.limit_groups for need in part.needs)

    @property
    def slowest(self) -> GroupPlan:
        """The group of limits whose rows take longest: their time is that of the job."""
        return max(self.limit_groups, key=lambda part: part.seconds)

    @property
    def binding(self) -> Need | None:
        """What takes longest; None if everything may go at once."""
        return self.slowest.binding

    @property
    def seconds(self) -> float:
        """From the first request sent to the last, at least; the last answer comes after that."""
        return self.slowest.seconds

    @property
    def ratio(self) -> float | None:
        """How many times the time of the next slower limit of its group the binding one takes."""
        return self.slowest.ratio

    @property
    def burst_seconds(self) -> float | None:
        """Seconds of rate that may go at once; None if they are not the same in every group."""
        bursts = {part.burst_seconds for part in self.limit_groups}
        return bursts.pop() if len(bursts) == 1 else None

    @property
    def usd(self) -> float | None:
        """What the rows with a price cost at most; None if no row has one."""
        costs = [group.usd for group in self.groups if group.usd is not None]
        return sum(costs) if costs else None

    @property
    def unpriced(self) -> tuple[Group, ...]:
        """The groups without a price."""
        return tuple(group for group in self.groups if group.price is None)

    def as_dict(self) -> dict[str, Any]:
        """Return everything by name, for JSON."""
        return {
            "rows": self.rows,
            "sendable_rows": self.sendable,
            "tokens": {
                "prompt": self.prompt_tokens,
                "output": self.output_tokens,
                "total": self.prompt_tokens + self.output_tokens,
                "per_row": {**asdict(self.tokens), "relative_error": RELATIVE_ERROR},
            },
            "groups": [_group_as_dict(group) for group in self.groups],
            "unsendable": {
                "counts": dict(self.counts),
                "total": sum(self.counts.values()),
                "lines": [asdict(finding) for finding in self.findings],
            },
            "time": {
                "seconds": self.seconds,
                "binding": self.binding.dimension if self.binding is not None else None,
                "ratio": self.ratio,
                "burst_seconds": self.burst_seconds,
                "needs": [
                    {**need.as_dict(), "group": part.name}
                    for part in self.limit_groups
                    for need in part.needs
                ],
                "groups": [part.as_dict() for part in self.limit_groups],
            },
            "cost": {
                "usd": self.usd,
                "unpriced": [
                    {"model": group.model, "endpoint": group.endpoint, "rows": group.rows}
                    for group in self.unpriced
                ],
                "uncapped_rows": self.uncapped,
            },
            "histogram": [bar._asdict() for bar in self.bars],
            "policy": self.policy,
            "default_output_tokens": self.default_output_tokens,
        }


def _group_as_dict(group: Group) -> dict[str, Any]:
    values = {**asdict(group), "usd": group.usd}
    if group.price is not None:
        day = group.price.day
        values["price"]["day"] = day.isoformat() if day is not None else None
    return values
