"""
What a job will take, before anything is sent: rows, tokens, time and money.

The arithmetic is pure (`Planner` takes requests, gives a `Plan`); `plan_file` feeds it from a
file. Memory does not depend on the number of rows. Knows nothing of how anything is shown, and
opens no connection.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ratedispatch.errors import CostExceedsLimit, InvalidRequest, JobError
from ratedispatch.groups import LimitGroups
from ratedispatch.inputs.formats import Format, format_of
from ratedispatch.inputs.streams import STDIN
from ratedispatch.inputs.text import open_text
from ratedispatch.jobs.histogram import RELATIVE_ERROR, Bar, Histogram
from ratedispatch.jobs.ledger import check_input
from ratedispatch.jobs.prices import Price, price_of
from ratedispatch.jobs.rowformat import format_for
from ratedispatch.jobs.rowset import RowSet
from ratedispatch.jobs.source import RowSource
from ratedispatch.jobs.survey import survey
from ratedispatch.limits import MINUTE, Limits
from ratedispatch.request import CHAT, RESPONSES, Cost
from ratedispatch.tokens import OPENAI, Counter

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Mapping

    from ratedispatch.inputs.streams import Source
    from ratedispatch.inputs.template import Template
    from ratedispatch.jobs.batchfile import BadRow
    from ratedispatch.limits import Rate
    from ratedispatch.request import Request
    from ratedispatch.tokens import ChargePolicy

#: Rows that cannot be sent of which a plan keeps the line and the reason; all are counted.
MOST_FINDINGS = 1_000

#: Pairs of endpoint and model that a plan tells apart; the others are counted together.
MOST_GROUPS = 1_000
#: The model of the group of those others.
OTHERS = "(other models)"

_LONGEST_NAME = 200
_LONGEST_REASON = 500

#: What is remembered of texts: a shared prompt or tool, but not the texts of all rows.
_MEMORY = 2_000_000

#: Rows between two calls of the listener.
_TICK = 256

#: Why a row cannot be sent, as `run` writes it to the errors file.
UNCOUNTABLE = "invalid_request"
TOO_LARGE = "cost_exceeds_limit"
UNLIMITED = "no_limits"


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
        dimension: What is limited, as `Rate` names it.
        per_minute: The limit.
        burst: What may be spent at once, in the same unit.
        work: What all rows spend together.
        window: Seconds that the limit is given for: 60, or 86,400 for a limit per day.
    """

    dimension: str
    per_minute: float
    burst: float
    work: float
    window: float = MINUTE

    @property
    def seconds(self) -> float:
        """
        From the first request sent to the last: (work − burst) / rate, at least 0.

        The burst of a limit per day is the budget of a whole day: it goes at once, and the rest
        at the daily rate, so this is (work − budget) / budget days.
        """
        return max(0.0, self.work - self.burst) / (self.per_minute / 60)

    @property
    def limit(self) -> float:
        """The limit as it is given, per *window*."""
        return self.per_minute / 60 * self.window

    @property
    def is_daily(self) -> bool:
        """Whether the limit is one per day."""
        return self.window > MINUTE


@dataclass(frozen=True, slots=True)
class Lane:
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
        findings: Those that cannot, in the order of the file, at most `MOST_FINDINGS`.
        counts: How many those are, by code.
        lanes: The rows by the limits that they share: one for each group of limits, in its
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
    lanes: tuple[Lane, ...]
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
        """What is asked of each limit, lane by lane."""
        return tuple(need for lane in self.lanes for need in lane.needs)

    @property
    def slowest(self) -> Lane:
        """The lane that takes longest: the time of the job is its."""
        return max(self.lanes, key=lambda lane: lane.seconds)

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
        """How many times the time of the next slower limit of its lane the binding one takes."""
        return self.slowest.ratio

    @property
    def burst_seconds(self) -> float | None:
        """Seconds of rate that may go at once; None if they are not the same in every lane."""
        bursts = {lane.burst_seconds for lane in self.lanes}
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
                    {**asdict(need), "seconds": need.seconds, "group": lane.name}
                    for lane in self.lanes
                    for need in lane.needs
                ],
                "groups": [lane.as_dict() for lane in self.lanes],
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


class _Room:
    """What a row may cost at most under some limits, and what they are."""

    __slots__ = ("limits", "name", "output", "prompt", "rates", "requests", "tokens", "unknown")

    def __init__(self, name: str, limits: Limits) -> None:
        self.name = name
        self.limits = limits
        rates = limits.rates()
        self.rates = tuple(rate for rate in rates if not rate.is_auto)
        self.unknown = tuple(rate.dimension for rate in rates if rate.is_auto)
        self.requests = self._most("requests", "requests_per_day")
        self.tokens = self._most("tokens", "tokens_per_day")
        self.prompt = self._most("input_tokens")
        self.output = self._most("output_tokens")

    def _most(self, *dimensions: str) -> float:
        fits = [_fitting(rate) for rate in self.rates if rate.dimension in dimensions]
        return min(fits, default=math.inf)

    def exceeded_by(self, cost: Cost) -> Rate | None:
        """Return the first limit of which a whole minute, or day, is not enough for *cost*."""
        for rate in self.rates:
            if cost.amount(rate.dimension) > _fitting(rate):
                return rate
        return None


def _fitting(rate: Rate) -> float:
    """Return the most that may ever be granted: a minute of *rate*, a day's budget, one request."""
    return max(rate.per_minute, rate.burst)


@dataclass(slots=True)
class _Sum:
    endpoint: str
    model: str
    room: _Room
    rows: int = 0
    prompt: int = 0
    output: int = 0
    billed: int = 0
    cap: int = 0
    uncapped: int = 0
    more: dict[str, float] = field(default_factory=dict)


class Planner:
    """
    Adds up requests; `plan` tells what they come to.

    Args:
        limits: What the account may spend; limits that are to be learned take no time here.
        policy: How the provider charges a request.
        default_output_tokens: Reserved for a request without an output cap.
        price: What tokens of every model cost, instead of the table.
        counter: Counts the requests; by default one that remembers little.

    Raises:
        ValueError: *default_output_tokens* is negative.
    """

    def __init__(
        self,
        limits: Limits | LimitGroups,
        *,
        policy: ChargePolicy = OPENAI,
        default_output_tokens: int = 16,
        price: Price | None = None,
        counter: Counter | None = None,
    ) -> None:
        if default_output_tokens < 0:
            raise ValueError(
                f"default_output_tokens must not be negative, got {default_output_tokens}"
            )
        self._groups = limits if isinstance(limits, LimitGroups) else None
        self._rooms = _rooms(limits)
        self._policy = policy
        self._up_front = policy.output_up_front
        # the caps are billed even where the limit is not charged for them
        self._asked = replace(policy, output_up_front=True)
        self._default = default_output_tokens
        self._price = price
        self._estimate = (counter or Counter(memory=_MEMORY)).estimate
        self._sums: dict[tuple[str, str], _Sum] = {}
        self._overflow: dict[tuple[str, str], _Sum] = {}
        self._histogram = Histogram()
        self._findings: list[Finding] = []
        self._counts: dict[str, int] = {}
        self.rows = 0

    def add(self, request: Request) -> None:
        """Take in a request, or note that it can never be sent."""
        self.rows += 1
        try:
            cost = self._estimate(
                request.body,
                request.endpoint,
                default_output_tokens=self._default,
                policy=self._asked,
            )
        except InvalidRequest as error:
            self._note(request.row, request.custom_id, UNCOUNTABLE, str(error))
            return
        cap = cost.output_tokens
        output = cap if self._up_front else 0
        charged = prompt = cost.prompt_tokens
        charged += output
        model = request.model
        total = self._sums.get((request.endpoint, model)) or self._sum(request.endpoint, model)
        if total is None:
            self._note(request.row, request.custom_id, UNLIMITED, _without_limits(model))
            return
        room = total.room
        if (
            charged > room.tokens
            or prompt > room.prompt
            or output > room.output
            or cost.requests > room.requests
            or request.more
        ) and not self._takes(total, request, Cost(prompt, output, cost.requests)):
            return
        total.rows += 1
        total.prompt += prompt
        total.output += output
        # what a provider limits by characters it still bills by the tokenizer's count
        total.billed += cost.counted_tokens
        total.cap += cap
        if request.endpoint in _UNBOUNDED and not cost.is_capped:
            total.uncapped += 1
        self._histogram.add(charged)

    def add_bad_row(self, bad: BadRow) -> None:
        """Take in a row that is no request."""
        self.rows += 1
        self._note(bad.row, bad.custom_id, bad.code, bad.message)

    def plan(self) -> Plan:
        """Return what has been added up so far."""
        sums = [*self._sums.values(), *self._overflow.values()]
        groups = [
            Group(
                total.endpoint,
                total.model,
                total.rows,
                total.prompt,
                total.output,
                total.billed,
                total.cap,
                total.uncapped,
                self._price or price_of(total.model),
                total.room.name,
            )
            for total in sums
            if total.rows
        ]
        groups.sort(key=lambda group: (-group.rows, group.endpoint, group.model))
        histogram = self._histogram
        return Plan(
            rows=self.rows,
            groups=tuple(groups),
            findings=tuple(self._findings),
            counts=dict(self._counts),
            lanes=tuple(
                _lane(room, [total for total in sums if total.room is room])
                for room in self._rooms.values()
            ),
            tokens=Quantiles(
                histogram.quantile(0.5),
                histogram.quantile(0.9),
                histogram.quantile(0.99),
                histogram.largest,
            ),
            bars=tuple(histogram.bars()),
            policy=self._policy.name,
            default_output_tokens=self._default,
        )

    def _sum(self, endpoint: str, model: str) -> _Sum | None:
        """Begin to add up the rows of *model*; None if there are no limits for it."""
        name = self._groups.group_of(model) if self._groups is not None else ""
        room = self._rooms.get(name)
        if room is None:
            return None
        if len(self._sums) < MOST_GROUPS and len(model) <= _LONGEST_NAME:
            return self._sums.setdefault((endpoint, model), _Sum(endpoint, model, room))
        return self._overflow.setdefault((endpoint, name), _Sum(endpoint, OTHERS, room))

    def _takes(self, total: _Sum, request: Request, cost: Cost) -> bool:
        """Whether there is room for a row that may be too large, or has amounts of its own."""
        cost = replace(cost, more=request.more)
        rate = total.room.exceeded_by(cost)
        if rate is not None:
            amount = cost.amount(rate.dimension)
            error = CostExceedsLimit(request.label, rate.dimension, amount, rate.limit)
            self._note(request.row, request.custom_id, TOO_LARGE, str(error))
            return False
        for name, amount in (request.more or {}).items():
            total.more[name] = total.more.get(name, 0) + amount
        return True

    def _note(self, row: int | None, custom_id: str | None, code: str, message: str) -> None:
        self._counts[code] = self._counts.get(code, 0) + 1
        if len(self._findings) < MOST_FINDINGS:
            line = row or self.rows
            prefix = f"line {line}: "
            message = message if message.startswith(prefix) else prefix + message
            name = custom_id[:_LONGEST_NAME] if custom_id is not None else None
            self._findings.append(Finding(line, name, code, message[:_LONGEST_REASON]))


def _rooms(limits: Limits | LimitGroups) -> dict[str, _Room]:
    """Return the room under each group of limits by its name; by "" that of all other models."""
    if isinstance(limits, Limits):
        return {"": _Room("", limits)}
    rooms = {group.name: _Room(group.name, group.limits) for group in limits.groups}
    if limits.others is not None:
        rooms[""] = _Room("", limits.others)
    return rooms


def _lane(room: _Room, sums: Iterable[_Sum]) -> Lane:
    rows, prompt, output, more = 0, 0, 0, dict[str, float]()
    for total in sums:
        rows += total.rows
        prompt += total.prompt
        output += total.output
        for name, amount in total.more.items():
            more[name] = more.get(name, 0) + amount
    work = Cost(prompt, output, requests=rows, more=more)
    needs = tuple(
        Need(rate.dimension, rate.per_minute, rate.burst, work.amount(rate.dimension), rate.window)
        for rate in room.rates
    )
    return Lane(room.name, rows, needs, room.unknown, room.limits.burst_seconds)


def _without_limits(model: str) -> str:
    return (
        f"no group of limits names the model {model[:_LONGEST_NAME]!r}, and there are none for "
        f"the other models; name it in a group, or give limits for the others"
    )


#: Endpoints whose output is as long as the model likes if the request does not bound it.
_UNBOUNDED = frozenset({CHAT, RESPONSES})


def plan_file(
    path: str | os.PathLike[str],
    limits: Limits | LimitGroups,
    *,
    policy: ChargePolicy = OPENAI,
    default_output_tokens: int = 16,
    price: Price | None = None,
    models: Mapping[str, str] | None = None,
    template: Template | None = None,
    input_format: Format | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Plan:
    """
    Read every row of a file and return what the job will take. Nothing is sent.

    Args:
        path: A JSONL file in OpenAI's Batch format, or a table; ``-`` for standard input.
        limits: What the account may spend.
        policy: How the provider charges a request; see `ratedispatch.tokens.policy_for`.
        default_output_tokens: Reserved for a row without an output cap.
        price: What tokens of every model cost, instead of the table.
        models: The caller's own names; see `Counter`.
        template: Makes requests of the rows of a table.
        input_format: How the input is written; by default what its name says.
        on_progress: Called now and then with the bytes read so far, and those there are.

    Raises:
        JobError: The file is missing, empty, or cannot be read.
        OSError: Reading broke off.
        ValueError: *default_output_tokens* is negative.
    """
    planner = Planner(
        limits,
        policy=policy,
        default_output_tokens=default_output_tokens,
        price=price,
        counter=Counter(models=models, memory=_MEMORY),
    )
    source: Source = STDIN if path == STDIN else Path(path)
    check_input(source)
    with open_text(
        source, format=input_format or format_of(source), is_table=template is not None
    ) as text:
        format = format_for(text, template)  # noqa: A001
        found = survey(text.file, format.names)
        if not found.rows:
            raise JobError(f"the input {text.name} is empty")
        rows = RowSource(
            text.file,
            found,
            format,
            done=RowSet(),
            on_bad_row=lambda bad, _: planner.add_bad_row(bad),
            in_order=True,
        )
        for count, request in enumerate(rows, 1):
            assert request.row is not None
            del rows.digests[request.row]
            planner.add(request)
            if on_progress is not None and count % _TICK == 0:
                on_progress(rows.bytes_read, found.size)
    if on_progress is not None:
        on_progress(found.size, found.size)
    return planner.plan()
