"""
Detects an input that does not have one row on each line.

One sentence about the whole file is more useful than a failure of each of its lines. Only an input
whose first lines all cannot be rows is refused: a single bad line is a failure of that row.
"""

from __future__ import annotations

import json
from itertools import islice
from typing import TYPE_CHECKING, Any

from ratedispatch.errors import JobError
from ratedispatch.jobs.inputs.json_rows import parse_row
from ratedispatch.jobs.inputs.lines import LongLine, numbered_lines
from ratedispatch.jobs.inputs.row import BrokenRow

if TYPE_CHECKING:
    from typing import BinaryIO

#: Lines that are examined: those of a JSON document over several lines seldom are objects.
_LINES = 50

#: Fewer lines without an object are rows that are broken.
_LEAST_LINES = 3

#: Characters of the beginning of a document that are examined.
_HEAD = 1_000_000

#: The field without which nothing is a request in Batch format.
_BODY = "body"

#: Names of fields that a message lists.
_MOST_FIELDS = 8


def check_shape(file: BinaryIO, name: str, *, is_table: bool) -> None:
    """
    Check that the lines of *file* can be rows.

    Args:
        file: Not buffered; left at its beginning.
        name: How messages name it.
        is_table: Whether any object is a row, rather than only a request in Batch format.

    Raises:
        JobError: They are something else; the sentence says what to do.
    """
    texts: list[bytes] = []
    first: dict[str, Any] | None = None
    for line in _first_lines(file):
        if isinstance(line, LongLine):
            return
        texts.append(line)
        value = _object(line)
        if value is None:
            continue
        if is_table or _BODY in value:
            return
        first = value if first is None else first
    if not texts:
        return
    reason = _document(b"\n".join(texts))
    if reason is None:
        reason = _no_rows(texts) if first is None else _fields(first)
    if reason is not None:
        raise JobError(f"the input {name} {reason}")


def _first_lines(file: BinaryIO) -> list[bytes | LongLine]:
    file.seek(0)
    with open(file.fileno(), "rb", closefd=False) as buffered:
        lines = [line for _, line in islice(numbered_lines(buffered), _LINES)]
    file.seek(0)
    return lines


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(line.decode())
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _document(head: bytes) -> str | None:
    """Return in words which kind of document begins with *head*; None if it is not one."""
    text = head[:_HEAD].decode("utf-8", "replace").lstrip()
    if text.startswith("[") and text[1:].lstrip()[:1] in {"{", ""}:
        return (
            "is one JSON array, not one row on each line; write each of its elements on a line: "
            "jq -c '.[]' in.json > in.jsonl"
        )
    if "\r" in text and all(map(_object, head.split(b"\r")[:2])):
        return "uses carriage returns as line breaks; turn them into line feeds: tr '\\r' '\\n'"
    first = text.partition("\n")[0].strip()
    if text.startswith("{") and _object(first.encode()) is None and _is_spread(text):
        return (
            "is JSON over several lines, not one row on each line; write each object on a line: "
            "jq -c . in.json > in.jsonl"
        )
    return None


def _no_rows(lines: list[bytes]) -> str | None:
    """Return in words that no line is an object; None for so few that they may be broken rows."""
    if len(lines) < _LEAST_LINES:
        return None
    broken = parse_row(1, lines[0])
    why = f" ({broken.message})" if isinstance(broken, BrokenRow) else ""
    return (
        f"has no JSON object on any of its first {len(lines)} lines{why}; each line must be one; "
        f"for a table, name its format, such as --input-format csv"
    )


def _is_spread(text: str) -> bool:
    """Whether *text* begins with an object that extends beyond its first line."""
    try:
        _, end = json.JSONDecoder().raw_decode(text)
    except json.JSONDecodeError as error:
        # where an object is only cut off, its first line is not a fault
        return error.lineno > 1 and text.partition("\n")[0].rstrip()[-1:] in {"{", "[", ","}
    except (ValueError, RecursionError):
        return False
    return "\n" in text[:end]


def _fields(row: dict[str, Any]) -> str:
    """Return in words that the rows are not requests but data, which have the fields of *row*."""
    names = [f"{name!r:.40}" for name in islice(row, _MOST_FIELDS)]
    there = ", ".join(names) if names else "no fields"
    column = next((name for name in row if name.isidentifier()), "column")
    return (
        f"has rows with {there} but without the body that requests in Batch format have "
        f"(custom_id, url, body); to make requests from such rows, give a template and a model: "
        f"--prompt '{{{column}}}' --model NAME"
    )
