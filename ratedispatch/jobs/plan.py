"""
What a job will take, before anything is sent: rows, tokens, time and money.

The arithmetic is pure (`Planner` takes requests, gives a `Plan`); `plan_file` feeds it from a
file. Memory does not depend on the number of rows. Knows nothing of how anything is shown, and
opens no connection.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ratedispatch.errors import CostExceedsLimit, InvalidRequest
from ratedispatch.jobs.histogram import RELATIVE_ERROR, Bar, Histogram
from ratedispatch.jobs.ledger import check_input
from ratedispatch.jobs.prices import Price, price_of
from ratedispatch.jobs.source import BatchSource
from ratedispatch.request import CHAT, RESPONSES, Cost
from ratedispatch.tokens import OPENAI, Counter

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from ratedispatch.jobs.batchfile import BadRow
    from ratedispatch.limits import Limits
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
MALFORMED = "invalid_line"
DUPLICATE = "duplicate_custom_id"
UNCOUNTABLE = "invalid_request"
TOO_LARGE = "cost_exceeds_limit"


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

    @property
    def usd(self) -> float | None:
        """What these rows cost at most, in USD; None without a price."""
        return None if self.price is None else self.price.usd(self.input_tokens, self.cap_tokens)


@dataclass(frozen=True, slots=True)
class Need:
    """
    What the job asks of one limit.

    Args:
        dimension: ``requests`` or ``tokens``.
        per_minute: The limit.
        burst: What may be spent at once, in the same unit.
        work: What all rows spend together.
    """

    dimension: str
    per_minute: float
    burst: float
    work: int

    @property
    def seconds(self) -> float:
        """From the first request sent to the last: (work − burst) / rate, at least 0."""
        return max(0.0, self.work - self.burst) / (self.per_minute / 60)


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
        needs: What is asked of each limit, requests first.
        tokens: Percentiles of what a row is charged.
        bars: The rows by what they are charged, on a logarithmic scale.
        burst_seconds: Seconds of rate that may go at once.
        policy: The name of the way in which the provider charges.
        default_output_tokens: Reserved for a row without an output cap.
    """

    rows: int
    groups: tuple[Group, ...]
    findings: tuple[Finding, ...]
    counts: dict[str, int]
    needs: tuple[Need, ...]
    tokens: Quantiles
    bars: tuple[Bar, ...]
    burst_seconds: float
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
    def binding(self) -> Need | None:
        """What takes longest; None if everything may go at once."""
        longest = max(self.needs, key=lambda need: need.seconds, default=None)
        return longest if longest is not None and longest.seconds > 0 else None

    @property
    def seconds(self) -> float:
        """From the first request sent to the last, at least; the last answer comes after that."""
        return self.binding.seconds if self.binding is not None else 0.0

    @property
    def ratio(self) -> float | None:
        """How many times the next slower limit's time the binding one takes; None without one."""
        binding = self.binding
        others = [need.seconds for need in self.needs if need is not binding]
        if binding is None or not others or max(others) <= 0:
            return None
        return binding.seconds / max(others)

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
                "needs": [{**asdict(need), "seconds": need.seconds} for need in self.needs],
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


@dataclass(slots=True)
class _Sum:
    rows: int = 0
    prompt: int = 0
    output: int = 0
    billed: int = 0
    cap: int = 0
    uncapped: int = 0


class Planner:
    """
    Adds up requests; `plan` tells what they come to.

    Args:
        limits: What the account may spend.
        policy: How the provider charges a request.
        default_output_tokens: Reserved for a request without an output cap.
        price: What tokens of every model cost, instead of the table.
        counter: Counts the requests; by default one that remembers little.

    Raises:
        ValueError: *default_output_tokens* is negative.
    """

    def __init__(
        self,
        limits: Limits,
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
        self._limits = limits
        self._rates = limits.rates()
        self._most_requests = limits.known("requests") or math.inf
        self._most_tokens = limits.known("tokens") or math.inf
        self._policy = policy
        self._up_front = policy.output_up_front
        # the caps are billed even where the limit is not charged for them
        self._asked = replace(policy, output_up_front=True)
        self._default = default_output_tokens
        self._price = price
        self._estimate = (counter or Counter(memory=_MEMORY)).estimate
        self._sums: dict[tuple[str, str], _Sum] = {}
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
        if charged > self._most_tokens or cost.requests > self._most_requests:
            self._note_too_large(request, Cost(prompt, output, cost.requests))
            return
        model = request.model
        total = self._sums.get((request.endpoint, model)) or self._sum(request.endpoint, model)
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
        groups = [
            Group(
                endpoint,
                model,
                total.rows,
                total.prompt,
                total.output,
                total.billed,
                total.cap,
                total.uncapped,
                self._price or price_of(model),
            )
            for (endpoint, model), total in self._sums.items()
        ]
        groups.sort(key=lambda group: (-group.rows, group.endpoint, group.model))
        histogram = self._histogram
        work = {"requests": histogram.count, "tokens": histogram.total}
        return Plan(
            rows=self.rows,
            groups=tuple(groups),
            findings=tuple(self._findings),
            counts=dict(self._counts),
            needs=tuple(
                Need(rate.dimension, rate.per_minute, rate.burst, work[rate.dimension])
                for rate in self._rates
            ),
            tokens=Quantiles(
                histogram.quantile(0.5),
                histogram.quantile(0.9),
                histogram.quantile(0.99),
                histogram.largest,
            ),
            bars=tuple(histogram.bars()),
            burst_seconds=self._limits.burst_seconds,
            policy=self._policy.name,
            default_output_tokens=self._default,
        )

    def _sum(self, endpoint: str, model: str) -> _Sum:
        is_kept = len(self._sums) < MOST_GROUPS and len(model) <= _LONGEST_NAME
        return self._sums.setdefault((endpoint, model if is_kept else OTHERS), _Sum())

    def _note_too_large(self, request: Request, cost: Cost) -> None:
        """Note the first limit of which a whole minute is not enough."""
        for rate in self._rates:
            amount = cost.amount(rate.dimension)
            if amount > rate.per_minute:
                error = CostExceedsLimit(request.label, rate.dimension, amount, rate.per_minute)
                self._note(request.row, request.custom_id, TOO_LARGE, str(error))
                return

    def _note(self, row: int | None, custom_id: str | None, code: str, message: str) -> None:
        self._counts[code] = self._counts.get(code, 0) + 1
        if len(self._findings) < MOST_FINDINGS:
            line = row or self.rows
            prefix = f"line {line}: "
            message = message if message.startswith(prefix) else prefix + message
            name = custom_id[:_LONGEST_NAME] if custom_id is not None else None
            self._findings.append(Finding(line, name, code, message[:_LONGEST_REASON]))


#: Endpoints whose output is as long as the model likes if the request does not bound it.
_UNBOUNDED = frozenset({CHAT, RESPONSES})


def plan_file(
    path: str | os.PathLike[str],
    limits: Limits,
    *,
    policy: ChargePolicy = OPENAI,
    default_output_tokens: int = 16,
    price: Price | None = None,
    counter: Counter | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> Plan:
    """
    Read every row of a Batch file and return what the job will take. Nothing is sent.

    Args:
        path: A JSONL file in OpenAI's Batch format.
        limits: What the account may spend.
        policy: How the provider charges a request; see `ratedispatch.tokens.policy_for`.
        default_output_tokens: Reserved for a row without an output cap.
        price: What tokens of every model cost, instead of the table.
        counter: Counts the requests; by default one that remembers little.
        on_progress: Called now and then with the bytes read so far.

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
        counter=counter,
    )
    file = Path(path)
    check_input(file)
    source: BatchSource

    def tick(row: int) -> bool:
        """Every row passes here once; none is ever done."""
        if on_progress is not None and row % _TICK == 0:
            on_progress(source.bytes_read)
        return False

    source = BatchSource(file, is_done=tick, on_bad_row=planner.add_bad_row)
    for request in source:
        planner.add(request)
    if on_progress is not None:
        on_progress(file.stat().st_size)
    return planner.plan()
