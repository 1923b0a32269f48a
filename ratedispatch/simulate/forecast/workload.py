"""
Holds the costs of the rows of a job, without their texts.

Values only: sixteen bytes and an index for each row, so that a million rows take 18 MB.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: Tokens of a prompt, or of an output, above which they count as so many: a column holds twice as
#: many, which is what a row of both comes to.
MOST_TOKENS = 2**31 - 1


class Kind(NamedTuple):
    """
    What rows have in common.

    Args:
        endpoint: Where they go.
        model: As they name it; empty if they do not.
    """

    endpoint: str
    model: str


class Row(NamedTuple):
    """
    What one row costs.

    Args:
        kind: Its place in the kinds of its workload.
        prompt: Tokens that a limit is charged for its prompt.
        output: Tokens that a limit is charged for its output: what it reserves.
        billed: Tokens that are billed for its prompt.
        cap: The most tokens of each of its outputs; 0 if it names none, or generates nothing.
    """

    kind: int
    prompt: int
    output: int
    billed: int
    cap: int


def _numbers() -> array[int]:
    return array("I")


@dataclass(slots=True)
class Workload:
    """
    The rows of a job, in the order of the file.

    Filled by `add`, and not changed afterwards.

    Attributes:
        kinds: The endpoints and models there are, in the order in which they were met.
    """

    kinds: list[Kind] = field(default_factory=list)
    _indexes: dict[Kind, int] = field(default_factory=dict)
    kind: array[int] = field(default_factory=lambda: array("H"))
    prompt: array[int] = field(default_factory=_numbers)
    output: array[int] = field(default_factory=_numbers)
    billed: array[int] = field(default_factory=_numbers)
    cap: array[int] = field(default_factory=_numbers)

    def index_of(self, kind: Kind) -> int:
        """Return the place of *kind* in `kinds`, where it is put if it is new."""
        index = self._indexes.get(kind)
        if index is None:
            index = self._indexes[kind] = len(self.kinds)
            self.kinds.append(kind)
        return index

    def known(self, kind: Kind) -> int | None:
        """Return the place of *kind* in `kinds`; None if it is not there."""
        return self._indexes.get(kind)

    def add(self, row: Row) -> None:
        """Take in a row."""
        self.kind.append(row.kind)
        self.prompt.append(row.prompt)
        self.output.append(row.output)
        self.billed.append(row.billed)
        self.cap.append(row.cap)

    def __len__(self) -> int:
        return len(self.prompt)

    def __getitem__(self, index: int) -> Row:
        return Row(
            self.kind[index],
            self.prompt[index],
            self.output[index],
            self.billed[index],
            self.cap[index],
        )

    def __iter__(self) -> Iterator[Row]:
        return map(Row, self.kind, self.prompt, self.output, self.billed, self.cap)

    @property
    def tokens(self) -> int:
        """What a limit on tokens is charged for all of them."""
        return sum(self.prompt) + sum(self.output)

    def chosen(self, indexes: Iterable[int]) -> Workload:
        """Return the rows at *indexes*, in that order."""
        places = list(indexes)
        columns = (self.kind, self.prompt, self.output, self.billed, self.cap)
        return Workload(
            list(self.kinds),
            dict(self._indexes),
            *(array(one.typecode, map(one.__getitem__, places)) for one in columns),
        )
