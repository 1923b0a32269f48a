"""Values: a row of data, a row that cannot be read, and a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from ratedispatch.errors import JobError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Row: TypeAlias = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class BrokenRow:
    """
    A row that cannot be read, although the rows around it can.

    Args:
        message: One sentence that names the line.
    """

    message: str


@dataclass(frozen=True, slots=True)
class Table:
    """
    An open table.

    Args:
        columns: Their names, in order.
        rows: Each row with its number; can be gone through once.
    """

    columns: tuple[str, ...]
    rows: Iterator[tuple[int, Row | BrokenRow]]


def check_names(names: Sequence[str], input_name: str) -> tuple[str, ...]:
    """
    Return *names*, if each is there once.

    Raises:
        JobError: Two columns have the same name, so that one of them would be lost.
    """
    seen: dict[str, int] = {}
    for place, name in enumerate(names, 1):
        if name in seen:
            raise JobError(
                f"columns {seen[name]} and {place} of the input {input_name} are both named "
                f"{name!r:.80}; rename one of them"
            )
        seen[name] = place
    return tuple(names)
