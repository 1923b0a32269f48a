"""
Adds up what a job will take, before anything is sent.

`Planner` takes requests and gives a `Plan`; `plan_file` feeds it from a file. Memory does not
depend on the number of rows. Knows nothing of how anything is shown, and opens no connection.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ratedispatch.errors import CostExceedsLimit, InvalidRequest, JobError
from ratedispatch.groups import LimitGroups
from ratedispatch.jobs.inputs.formats import Format, format_of
from ratedispatch.jobs.inputs.row_text import open_text
from ratedispatch.jobs.inputs.streams import STDIN
from ratedispatch.jobs.plan.histogram import Histogram
from ratedispatch.jobs.plan.model import Finding, Group, Lane, Need, Plan, Quantiles
from ratedispatch.jobs.plan.prices import Price, price_of
from ratedispatch.jobs.rowformat import format_for
from ratedispatch.jobs.source import RowSource
from ratedispatch.jobs.state.paths import check_input
from ratedispatch.jobs.state.rowset import RowSet
from ratedispatch.jobs.state.scan import survey
from ratedispatch.limits import Limits
from ratedispatch.request import CHAT, RESPONSES, Cost
from ratedispatch.tokens import OPENAI, Counter

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Mapping

    from ratedispatch.jobs.batchfile import BadRow
    from ratedispatch.jobs.inputs.streams import Source
    from ratedispatch.jobs.inputs.template import Template
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
