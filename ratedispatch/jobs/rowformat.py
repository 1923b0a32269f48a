"""
Makes requests from the lines of a job's input: Batch format, or rows for a template.

Pure: turns a line into a request, or into the reason why it is not one.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ratedispatch.errors import InvalidRequest
from ratedispatch.jobs.batchfile import BadRow, parse_line, quick_name
from ratedispatch.jobs.inputs.json_rows import parse_row
from ratedispatch.jobs.inputs.lines import BOM
from ratedispatch.jobs.inputs.row import BrokenRow
from ratedispatch.request import CHAT, Request

if TYPE_CHECKING:
    from ratedispatch.jobs.inputs.row import Row
    from ratedispatch.jobs.inputs.row_text import RowText
    from ratedispatch.jobs.inputs.template import Template
    from ratedispatch.jobs.state.scan import Names


class RowFormat(Protocol):
    """Makes a request of a line."""

    @property
    def names(self) -> Names | None:
        """What finds the names of rows; None if no two rows can have the same."""

    def parse(self, line: bytes, row: int) -> Request | BadRow:
        """Return the request on *line*, the row number *row*, or a `BadRow`."""

    def cells(self, line: bytes, row: int) -> tuple[Row, str | None]:
        """Return the cells of *line* by column, none if there are no columns; and its name."""


class BatchRows:
    """
    Requests in OpenAI's Batch format.

    Args:
        endpoint: Where rows go that do not say so themselves; None for what their bodies tell.
    """

    endpoint: str | None = None

    def __init__(self, endpoint: str | None = None) -> None:
        self.endpoint = endpoint

    @property
    def names(self) -> Names:
        """Each row has its ``custom_id``."""
        return self

    def parse(self, line: bytes, row: int) -> Request | BadRow:
        """Return the request on *line*."""
        return parse_line(line, row, self.endpoint)

    def cells(self, line: bytes, row: int) -> tuple[Row, str | None]:
        """Requests have no columns."""
        return {}, parse_line(line, row).custom_id

    def guess(self, line: bytes, row: int) -> bytes | None:
        """Return the ``custom_id`` on *line* without parsing it where it comes first."""
        if row == 1:
            line = line.removeprefix(BOM)
        name = quick_name(line)
        if name is not None or not line.strip():
            return name
        return _encoded(self.name(line, row))

    def name(self, line: bytes, row: int) -> str | None:
        """Return the ``custom_id`` of the row on *line*, if it has one."""
        if row == 1:
            line = line.removeprefix(BOM)
        return parse_line(line.strip(), row).custom_id


@dataclass(frozen=True, slots=True)
class TableRows:
    """
    Rows of a table, and the template that makes requests of them.

    Args:
        template: What a request looks like.
        is_converted: Whether the lines were written by this program: then a text stands in place
            of a row that could not be read, and says why.
    """

    template: Template
    is_converted: bool = False

    @property
    def names(self) -> Names | None:
        """Rows that are named by their numbers cannot have the same name."""
        return None if self.template.id_column is None else self

    def parse(self, line: bytes, row: int) -> Request | BadRow:
        """Return the request for the row on *line*."""
        name: str | None = None
        try:
            request = self.template.request(self._read(line, row), row)
            name = request["custom_id"]
            if not name:
                raise InvalidRequest(
                    f"row {row}: the column {self.template.id_column!r:.80} is empty, but has to "
                    f"name the row"
                )
            _check_text(request["body"]["messages"], name, row)
        except InvalidRequest as error:
            return BadRow(row, name or None, "invalid_line", str(error))
        return Request(request["body"], CHAT, name, row)

    def cells(self, line: bytes, row: int) -> tuple[Row, str | None]:
        """Return the cells of *line* by column, none if it is not a row; and its name."""
        try:
            return self._read(line, row), self.parse(line, row).custom_id
        except InvalidRequest:
            return {}, None

    def _read(self, line: bytes, row: int) -> Row:
        # what this program wrote may hold NaN, which Parquet has and JSON has not
        found = json.loads(line) if self.is_converted else parse_row(row, line)
        if isinstance(found, BrokenRow):
            raise InvalidRequest(found.message)
        if isinstance(found, str):
            raise InvalidRequest(found)
        return found

    def guess(self, line: bytes, row: int) -> bytes | None:
        """Return the name of the row on *line*."""
        return _encoded(self.name(line, row))

    def name(self, line: bytes, row: int) -> str | None:
        """Return the name of the row on *line*, if it is one."""
        if row == 1:
            line = line.removeprefix(BOM)
        return self.parse(line.strip(), row).custom_id if line.strip() else None


def _encoded(name: str | None) -> bytes | None:
    return None if name is None else name.encode("utf-8", "surrogatepass")


def _check_text(messages: list[dict[str, str]], name: str, row: int) -> None:
    """Refuse what is not text: bytes of a column, which come as halves of surrogate pairs."""
    for message in messages:
        try:
            message["content"].encode()
            name.encode()
        except UnicodeEncodeError as error:
            raise InvalidRequest(
                f"row {row}: a cell is not UTF-8 text, at character "
                f"{error.start + 1} of the "
                f"{message['role']} message; remove its column from the template"
            ) from error


def format_for(
    text: RowText,
    template: Template | None,
    endpoint: str | None = None,
    max_tokens: int | None = None,
) -> RowFormat:
    """
    Return what makes requests of the lines of *text*.

    Args:
        text: The rows.
        template: Makes requests of rows of data; None if the rows are requests.
        endpoint: Where requests go that do not say so themselves.
        max_tokens: The most tokens of an output, of rows that are requests; by default what each
            says.

    Raises:
        JobError: *template* names a column that does not exist.
    """
    if template is None:
        rows = BatchRows(endpoint)
        if max_tokens is None:
            return rows
        from ratedispatch.jobs.output_caps import CappedRows

        return CappedRows(rows, max_tokens)
    template.check(text.columns or ())
    return TableRows(template, text.is_converted)
