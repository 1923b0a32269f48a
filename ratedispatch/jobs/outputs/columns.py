"""Decides the names and the order of the columns of a table of answers. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ratedispatch.jobs.outputs.answer import Answer

#: What a table tells of each row, in order.
OWN = (
    "custom_id",
    "status",
    "status_code",
    "answer",
    "prompt_tokens",
    "output_tokens",
    "error",
)


@dataclass(frozen=True, slots=True)
class Columns:
    """
    The columns of a table.

    Args:
        inputs: The columns of the input, in its order.
        own: Those of `OWN` that the table has, each with its name there, in order.
    """

    inputs: tuple[str, ...]
    own: tuple[tuple[str, str], ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all columns, in order."""
        return (*self.inputs, *(name for _, name in self.own))

    def own_cells(self, custom_id: str | None, answer: Answer) -> list[str | int | None]:
        """Return the cells of the own columns; shape (own,)."""
        cells = {
            "custom_id": custom_id,
            "status": answer.status,
            "status_code": answer.status_code,
            "answer": answer.text,
            "prompt_tokens": answer.prompt_tokens,
            "output_tokens": answer.output_tokens,
            "error": answer.error,
        }
        return [cells[name] for name, _ in self.own]


def columns_of(inputs: Sequence[str], id_column: str | None = None) -> Columns:
    """
    Return the columns of a table of answers to an input with the columns *inputs*.

    An own column whose name the input has already, in any case of its letters, gets ``_2`` or
    the next number that is free: databases take ``Answer`` and ``answer`` for one name. If the
    input has the column *id_column*, which is where ``custom_id`` came from, it is not repeated.
    """
    taken = {name.casefold() for name in inputs}
    own = []
    for name in OWN:
        if name == "custom_id" and id_column is not None and id_column in inputs:
            continue
        free = name
        for number in count(2):
            if free.casefold() not in taken:
                break
            free = f"{name}_{number}"
        taken.add(free.casefold())
        own.append((name, free))
    return Columns(tuple(inputs), tuple(own))
