"""
Adds up what a job will take, before anything is sent.

`Planner` takes requests and gives a `Plan`; `plan_file` feeds it from a file. Memory does not
depend on the number of rows. Opens no connection.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ratedispatch.groups import LimitGroups
from ratedispatch.jobs.plan.findings import (
    LONGEST_NAME,
    MOST_FINDINGS,
    MOST_GROUPS,
    OTHERS,
    TOO_LARGE,
    UNCOUNTABLE,
    UNLIMITED,
    finding_of,
    without_limits,
)
from ratedispatch.jobs.plan.histogram import Histogram
from ratedispatch.jobs.plan.model import Finding, Group, Plan, Quantiles
from ratedispatch.jobs.plan.prices import Price, price_of
from ratedispatch.jobs.plan.sums import Sum, group_plan_of, rooms_of
from ratedispatch.jobs.workload.counted import Counting
from ratedispatch.jobs.workload.file_workload import Recalling
from ratedispatch.jobs.workload.row_reading import Reading, RowCounting, read_rows
from ratedispatch.tokens import OPENAI, Counter

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping

    from ratedispatch.jobs.batchfile import BadRow
    from ratedispatch.jobs.inputs.formats import Format
    from ratedispatch.jobs.inputs.template import Template
    from ratedispatch.jobs.shard import Shard
    from ratedispatch.jobs.workload.counted import Counted
    from ratedispatch.jobs.workload.counts_folder import CountsFolder
    from ratedispatch.limits import Limits
    from ratedispatch.request import Cost, Request
    from ratedispatch.simulate.forecast.workload import Kind
    from ratedispatch.tokens import ChargePolicy

#: Rows beyond which a plan keeps no counts for later: they would take more than 150 MB.
MOST_ROWS = 5_000_000

#: Arguments of a planner that a count depends on.
_COUNTING = ("policy", "default_output_tokens", "models")


class Planner:
    """
    Adds up requests; `plan` tells what they come to.

    Args:
        limits: What the account may spend; limits that are to be learned take no time here.
        policy: How the provider charges a request.
        default_output_tokens: Reserved for a request without an output cap.
        price: What tokens of every model cost, instead of the table.
        models: The caller's own names; see `Counter`.
        counter: Counts the requests; by default one that remembers little and knows *models*.

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
        models: Mapping[str, str] | None = None,
        counter: Counter | None = None,
    ) -> None:
        reading = Reading(policy=policy, default_output_tokens=default_output_tokens, models=models)
        self._counting = RowCounting(reading, counter or reading.counter(), [self])
        self._groups = limits if isinstance(limits, LimitGroups) else None
        self._rooms = rooms_of(limits)
        self._policy = policy
        self._default = default_output_tokens
        self._price = price
        self._sums: dict[tuple[str, str], Sum] = {}
        self._overflow: dict[tuple[str, str], Sum] = {}
        self._histogram = Histogram()
        self._findings: list[Finding] = []
        self._counts: dict[str, int] = {}
        self.rows = 0

    def add(self, request: Request) -> None:
        """Take in a request, or note that it can never be sent."""
        self._counting.add(request)

    def add_counted(self, request: Request, cost: Cost) -> None:
        """Take in a request of *cost*, or note that it can never be sent."""
        self.rows += 1
        model = request.model
        total = self._sums.get((request.endpoint, model)) or self._sum(request.endpoint, model)
        if total is None:
            self._note(request.row, request.custom_id, UNLIMITED, without_limits(model))
            return
        if request.custom:
            cost = replace(cost, custom=request.custom)
        refusing = total.add(cost)
        if refusing is None:
            self._histogram.add(cost.tokens)
            return
        self._note(
            request.row,
            request.custom_id,
            TOO_LARGE,
            total.room.refusal(request.label, refusing, cost),
        )

    def add_alike(self, kind: Kind, cost: Cost, times: int) -> bool:
        """Take in *times* rows of *kind* and *cost*; return whether they can be sent."""
        total = self._sums.get(kind) or self._sum(*kind)
        if total is None or total.add(cost, times) is not None:
            return False
        self.rows += times
        self._histogram.add(cost.tokens, times)
        return True

    def add_uncountable(self, request: Request, reason: str) -> None:
        """Take in a request that cannot be counted."""
        self.rows += 1
        self._note(request.row, request.custom_id, UNCOUNTABLE, reason)

    def add_bad_row(self, bad: BadRow) -> None:
        """Take in a row that is not a request."""
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
            limit_groups=tuple(
                group_plan_of(room, [total for total in sums if total.room is room])
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

    def _sum(self, endpoint: str, model: str) -> Sum | None:
        """Begin to add up the rows of *model*; None if there are no limits for it."""
        name = self._groups.group_of(model) if self._groups is not None else ""
        room = self._rooms.get(name)
        if room is None:
            return None
        if len(self._sums) < MOST_GROUPS and len(model) <= LONGEST_NAME:
            return self._sums.setdefault((endpoint, model), Sum(endpoint, model, room))
        return self._overflow.setdefault((endpoint, name), Sum(endpoint, OTHERS, room))

    def _note(self, row: int | None, custom_id: str | None, code: str, message: str) -> None:
        self._counts[code] = self._counts.get(code, 0) + 1
        if len(self._findings) < MOST_FINDINGS:
            self._findings.append(finding_of(row or self.rows, custom_id, code, message))


def plan_file(
    path: str | os.PathLike[str],
    limits: Limits | LimitGroups,
    *,
    template: Template | None = None,
    input_format: Format | None = None,
    endpoint: str | None = None,
    max_tokens: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    shard: Shard | None = None,
    **options: Any,
) -> Plan:
    """
    Read every row of a file and return what the job will take. Nothing is sent.

    Args:
        path: A JSONL file in OpenAI's Batch format, or a table; ``-`` for standard input.
        limits: What the account may spend.
        template: Makes requests of the rows of a table.
        input_format: How the input is written; by default what its name says.
        endpoint: Where rows in Batch format go that have no ``url``.
        max_tokens: The most tokens of an output, of rows in Batch format.
        on_progress: Called now and then with the bytes read so far, and those there are.
        shard: The part of the rows that is planned for; all by default.
        options: Further arguments of `Planner`; and ``folder``, a `CountsFolder` where counts are
            kept: then a file that was counted before need not be read again.

    Raises:
        JobError: The file is missing, empty, or cannot be read.
        OSError: Reading broke off.
        ValueError: *default_output_tokens* is negative.
    """
    reading = Reading(
        template=template,
        input_format=input_format,
        endpoint=endpoint,
        max_tokens=max_tokens,
        shard=shard,
        **{name: options[name] for name in _COUNTING if name in options},
    )
    folder: CountsFolder | None = options.pop("folder", None)
    counter = options.pop("counter", None)
    if counter is not None:  # it may count in a way that the settings do not tell
        folder = None
    counter = counter or reading.counter()
    recalling = Recalling(path, reading, folder)
    remembered = recalling.counted()
    if remembered is not None:
        made = _of_counts(remembered, Planner(limits, counter=counter, **options))
        if made is not None:
            return made
    planner, counting = Planner(limits, counter=counter, **options), Counting(MOST_ROWS)
    takers = (planner,) if folder is None else (planner, counting)
    read_rows(path, reading, takers, counter=counter, on_progress=on_progress)
    if counting.is_complete:
        recalling.keep(counting.counted(), counter)
    return planner.plan()


def _of_counts(counted: Counted, planner: Planner) -> Plan | None:
    """
    Return what *planner* makes of *counted*; None if the file itself has to be read.

    It has to where a row cannot be sent, whose name and reason are not kept.
    """
    if counted.counts or not counted.is_whole:
        return None
    for kind, cost, times in counted.alike():
        if not planner.add_alike(kind, cost, times):
            return None
    return planner.plan()
