"""Reads the rows of a JSONL file whose lines are objects of any kind."""

from __future__ import annotations

import json
from itertools import chain
from typing import TYPE_CHECKING

from ratedispatch import _json
from ratedispatch.errors import JobError
from ratedispatch.jobs.inputs.lines import LONGEST_LINE, LongLine, numbered_lines
from ratedispatch.jobs.inputs.row import BrokenRow, Table

if TYPE_CHECKING:
    from typing import BinaryIO

    from ratedispatch.jobs.inputs.row import Row


def json_table(file: BinaryIO, name: str, *, longest: int = LONGEST_LINE) -> Table:
    """
    Return the table in *file*: an object on each line.

    The columns are the keys of the first object; another row may lack some, and have more. Rows
    have the numbers of their lines. A key that an object has twice counts as its last value.

    Raises:
        JobError: There is no line, or the first one is not an object.
    """
    rows = (
        (number, parse_row(number, line)) for number, line in numbered_lines(file, longest=longest)
    )
    first = next(rows, None)
    if first is None:
        raise JobError(f"the input {name} is empty")
    if isinstance(first[1], BrokenRow):
        raise JobError(
            f"the columns of the input {name} are the keys of its first object, but "
            f"{first[1].message}; each line must be one JSON object"
        )
    return Table(tuple(first[1]), chain([first], rows))


def parse_row(number: int, line: bytes | LongLine) -> Row | BrokenRow:
    """Return the row on *line*, which has the number *number*, or a `BrokenRow`."""
    if isinstance(line, LongLine):
        return BrokenRow(line.message)
    try:
        # decoded here, because json guesses at UTF-16 and UTF-32
        value = json.loads(line.decode(), parse_constant=_json.refuse_constant)
    except UnicodeDecodeError as error:
        return BrokenRow(f"line {number}: not UTF-8: {error.reason} at byte {error.start + 1}")
    except json.JSONDecodeError as error:
        return BrokenRow(
            f"line {number}: not JSON: {error.msg.removesuffix(' at')} at column {error.colno}"
        )
    except RecursionError:
        return BrokenRow(f"line {number}: JSON that cannot be read: nested too deeply")
    except ValueError as error:  # a constant, or a number of more than 4,300 digits
        return BrokenRow(f"line {number}: JSON that cannot be read: {error}")
    if not isinstance(value, dict):
        return BrokenRow(f"line {number}: not a JSON object")
    return value
