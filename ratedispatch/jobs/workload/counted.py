"""
Holds the counted rows of a file, independent of limits, and those that cannot be sent.

`Counting` is told of each row and makes a `Counted` of them; `under` takes out what the limits of
an account can never grant, as `plan` and the dispatcher do. Some 22 bytes a row.
"""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

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
from ratedispatch.jobs.plan.sums import UNBOUNDED, Room, rooms_of
from ratedispatch.request import COMPLETIONS, Cost
from ratedispatch.simulate.forecast.workload import MOST_TOKENS, Kind, Row, Workload

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ratedispatch.jobs.batchfile import BadRow
    from ratedispatch.jobs.plan.model import Finding
    from ratedispatch.limits import Limits
    from ratedispatch.request import Request

#: Rows that are examined together to find those that cost the same.
_PIECE = 65_536

#: Endpoints whose answers are generated, and which may leave out a cap.
_GENERATING = UNBOUNDED | {COMPLETIONS}


@dataclass(frozen=True, slots=True)
class Counted:
    """
    The rows of a file as they were counted.

    Args:
        workload: Those that can be counted, in the order of the file.
        lines: The number of each of them in the file, counted from 1.
        billed_outputs: Tokens that are billed for the outputs of each at most.
        assumed: Of the prompt of each, tokens that rest on an assumption.
        findings: Rows that cannot be sent, in the order of the file, as many as a plan keeps.
        counts: How many those are, by code.
        rows: All rows, good and bad.
        is_whole: Whether nothing is left out that a plan would tell.
        is_remembered: Whether they were counted by a former command.
    """

    workload: Workload
    lines: Sequence[int]
    billed_outputs: Sequence[int]
    assumed: Sequence[int]
    findings: tuple[Finding, ...] = ()
    counts: dict[str, int] | None = None
    rows: int = 0
    is_whole: bool = True
    is_remembered: bool = False

    def under(self, limits: Limits | LimitGroups) -> Counted:
        """
        Return the rows that *limits* can grant, the others among the findings.

        What a row assumes is lowered to the limit, as the dispatcher does.
        """
        rooms = rooms_of(limits)
        groups = limits if isinstance(limits, LimitGroups) else None
        kinds = self.workload.kinds
        of_kind = [rooms.get(groups.group_of(k.model) if groups else "") for k in kinds]
        if None not in of_kind and self._all_fit([room for room in of_kind if room is not None]):
            return self
        return _Sieve(self, of_kind).sifted()

    def _all_fit(self, rooms: list[Room]) -> bool:
        """Whether the most expensive row fits under every limit, however it is counted."""
        if not len(self.workload):
            return True
        dearest = max(self.workload.prompt) + max(self.workload.output)
        least = min((most for room in rooms for most in room.most), default=dearest)
        return least >= max(dearest, 1)

    def cost(self, index: int) -> Cost:
        """Return what the row at *index* was counted to cost."""
        row = self.workload[index]
        kind = self.workload.kinds[row.kind]
        return _cost(kind, *row[1:], self.billed_outputs[index], self.assumed[index])

    def alike(self) -> Iterator[tuple[Kind, Cost, int]]:
        """Yield the kind, the cost and the number of rows that cost the same, a piece at a time."""
        workload, size = self.workload, len(self.workload)
        columns = (workload.kind, workload.prompt, workload.output, workload.billed, workload.cap)
        every = (*columns, self.billed_outputs, self.assumed)
        for start in range(0, size, _PIECE):
            rows = zip(*(one[start : start + _PIECE] for one in every), strict=True)
            for row, times in Counter(rows).items():
                yield workload.kinds[row[0]], _cost(workload.kinds[row[0]], *row[1:]), times


def _cost(
    kind: Kind, prompt: int, output: int, billed: int, cap: int, most: int, assumed: int
) -> Cost:
    return Cost(
        prompt,
        output,
        counted_tokens=billed,
        expected_tokens=billed,
        is_capped=cap > 0 or kind.endpoint not in _GENERATING,
        expected_output_tokens=most,
        assumed_tokens=assumed,
    )


class Counting:
    """
    Makes a `Counted` of the rows that it is told of.

    Args:
        most_rows: Beyond so many it keeps nothing; by default there is no such bound.
    """

    def __init__(self, most_rows: int | None = None) -> None:
        self._workload = Workload()
        self._lines: array[int] = array("I")
        self._billed: array[int] = array("I")
        self._assumed: array[int] = array("I")
        self._findings: list[Finding] = []
        self._counts: dict[str, int] = {}
        self._most = most_rows
        self._is_whole = True
        self.rows = 0

    def add_counted(self, request: Request, cost: Cost) -> None:
        """Take in a row and its cost."""
        self.rows += 1
        if self._most is not None and self.rows > self._most:
            self._forget()
            return
        workload, capped = self._workload, 0
        expected = cost.expected_output_tokens
        if cost.is_capped and cost.choices:
            capped = expected // cost.choices
            if not capped and request.endpoint in _GENERATING:
                self._is_whole = False  # a cap of nothing is told as none
        if max(cost.prompt_tokens, cost.output_tokens, cost.counted_tokens, expected) > MOST_TOKENS:
            self._is_whole = False
        workload.add(
            Row(
                self._kind(request),
                min(cost.prompt_tokens, MOST_TOKENS),
                min(cost.output_tokens, MOST_TOKENS),
                min(cost.counted_tokens, MOST_TOKENS),
                min(capped, MOST_TOKENS),
            )
        )
        self._lines.append(request.row or self.rows)
        self._billed.append(min(expected, MOST_TOKENS))
        self._assumed.append(min(cost.assumed_tokens, MOST_TOKENS))

    def add_uncountable(self, request: Request, reason: str) -> None:
        """Take in a row that cannot be counted."""
        self.rows += 1
        self._note(request.row or self.rows, request.custom_id, UNCOUNTABLE, reason)

    def add_bad_row(self, bad: BadRow) -> None:
        """Take in a row that is not a request."""
        self.rows += 1
        self._note(bad.row, bad.custom_id, bad.code, bad.message)

    def counted(self) -> Counted:
        """Return what has been taken in so far."""
        return Counted(
            self._workload,
            self._lines,
            self._billed,
            self._assumed,
            tuple(self._findings),
            dict(self._counts),
            self.rows,
            self._is_whole,
        )

    @property
    def is_complete(self) -> bool:
        """Whether there were no more rows than it keeps."""
        return self._most is None or self.rows <= self._most

    def _kind(self, request: Request) -> int:
        workload, model = self._workload, request.model
        if len(workload.kinds) >= MOST_GROUPS or len(model) > LONGEST_NAME:
            known = workload.known(Kind(request.endpoint, model))
            if known is not None:
                return known
            self._is_whole = False
            model = OTHERS
        return workload.index_of(Kind(request.endpoint, model))

    def _note(self, line: int, custom_id: str | None, code: str, message: str) -> None:
        self._counts[code] = self._counts.get(code, 0) + 1
        if len(self._findings) < MOST_FINDINGS:
            self._findings.append(finding_of(line, custom_id, code, message))

    def _forget(self) -> None:
        self._workload, self._is_whole = Workload(), False
        for kept in (self._lines, self._billed, self._assumed):
            del kept[:]


class _Sieve:
    """Takes out of *counted* what the limits of its kind, *rooms*, can never grant."""

    def __init__(self, counted: Counted, rooms: list[Room | None]) -> None:
        self._counted = counted
        self._rooms = rooms
        self._found: list[Finding] = []
        self._counts = dict(counted.counts or {})
        self._kept = array("I")
        self._lowered: dict[int, Cost] = {}

    def sifted(self) -> Counted:
        """Return the rest, lowered where it has to be."""
        counted = self._counted
        for index, row in enumerate(counted.workload):
            room = self._rooms[row.kind]
            if room is None:
                model = counted.workload.kinds[row.kind].model
                self._note(index, UNLIMITED, without_limits(model))
                continue
            if self._fits_at_once(row, room):
                self._kept.append(index)
                continue
            cost = counted.cost(index)
            granted, refusing = room.granted(cost)
            if refusing is None:
                self._kept.append(index)
                if granted is not cost:
                    self._lowered[len(self._kept) - 1] = granted
            else:
                label = f"request {counted.lines[index]}"
                self._note(index, TOO_LARGE, room.refusal(label, refusing, cost))
        return self._rest()

    def _rest(self) -> Counted:
        counted, kept = self._counted, self._kept
        workload = counted.workload.chosen(kept)
        for place, cost in self._lowered.items():
            workload.prompt[place] = cost.prompt_tokens
            workload.output[place] = cost.output_tokens
        findings = sorted((*counted.findings, *self._found), key=lambda finding: finding.line)
        return replace(
            counted,
            workload=workload,
            lines=array("I", map(counted.lines.__getitem__, kept)),
            billed_outputs=array("I", map(counted.billed_outputs.__getitem__, kept)),
            assumed=array("I", map(counted.assumed.__getitem__, kept)),
            findings=tuple(findings[:MOST_FINDINGS]),
            counts=self._counts,
        )

    @staticmethod
    def _fits_at_once(row: Row, room: Room) -> bool:
        return all(most >= max(1, row.prompt + row.output) for most in room.most)

    def _note(self, index: int, code: str, message: str) -> None:
        self._counts[code] = self._counts.get(code, 0) + 1
        if len(self._found) < MOST_FINDINGS:
            line = self._counted.lines[index]
            self._found.append(finding_of(line, None, code, message))
