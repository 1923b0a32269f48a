"""What the lines of a job's input are."""

from __future__ import annotations

import io
import json

import pytest

from ratedispatch.errors import JobError
from ratedispatch.jobs.batchfile import BadRow
from ratedispatch.jobs.inputs.row_text import RowText
from ratedispatch.jobs.inputs.template import Template
from ratedispatch.jobs.rowformat import BatchRows, TableRows, format_for
from ratedispatch.request import Request

NAMED = Template("Say {text}", model="m", id_column="id")
NUMBERED = Template("Say {text}", model="m")


def test_a_row_becomes_the_request_of_its_template() -> None:
    """Named by its column, or by its number."""
    line = b'{"id": "a", "text": "hi"}'
    body = {"model": "m", "messages": [{"role": "user", "content": "Say hi"}]}
    assert TableRows(NAMED).parse(line, 7) == Request(body, custom_id="a", row=7)
    assert TableRows(NUMBERED).parse(line, 7) == Request(body, custom_id="row-7", row=7)


pytestmark = pytest.mark.filterwarnings(
    "ignore::ratedispatch.jobs.inputs.template.EmptyCellWarning"
)


@pytest.mark.parametrize(
    ("line", "reason", "name"),
    [
        (b"broken", "line 7: not JSON", None),
        (b"[1]", "line 7: not a JSON object", None),
        (b'{"id": "a\xff"}', "line 7: not UTF-8", None),
        (b'{"id": "", "text": "x"}', "row 7: the column 'id' is empty", None),
        (b'{"text": "x"}', "row 7: the column 'id' is empty", None),
        (b'{"id": "a", "text": "\\ud800"}', "row 7: a cell is not UTF-8 text", "a"),
    ],
)
def test_a_row_that_is_no_request_names_its_number_and_reason(
    line: bytes, reason: str, name: str | None
) -> None:
    """The row fails alone."""
    bad = TableRows(NAMED).parse(line, 7)
    assert isinstance(bad, BadRow)
    assert (bad.row, bad.custom_id, bad.code) == (7, name, "invalid_line")
    assert bad.message.startswith(reason)


def test_bytes_of_a_converted_row_that_are_no_text_are_refused() -> None:
    """They came as halves of surrogate pairs; NaN is empty, and a text says what was wrong."""
    rows = TableRows(NAMED, is_converted=True)
    broken = json.dumps({"id": "a", "text": b"\xff".decode("utf-8", "surrogateescape")}).encode()
    bad = rows.parse(broken, 3)
    assert isinstance(bad, BadRow)
    assert "row 3: a cell is not" in bad.message
    empty = rows.parse(b'{"id": "a", "text": NaN}', 3)
    assert isinstance(empty, Request)
    assert empty.body["messages"][0]["content"] == "Say "
    told = rows.parse(b'"line 9: the row has 3 cells"', 3)
    assert isinstance(told, BadRow)
    assert told.message == "line 9: the row has 3 cells"


def test_only_rows_with_a_column_of_names_can_have_the_same() -> None:
    """Those that are numbered cannot."""
    assert TableRows(NUMBERED).names is None
    named = TableRows(NAMED)
    assert named.names is named
    assert named.name(b'\xef\xbb\xbf{"id": "a", "text": "x"}\r', 1) == "a"
    assert named.name(b'{"id": 5, "text": "x"}', 2) == "5"
    assert named.name(b"  ", 3) is None
    assert named.guess(b'{"id": "\\u00fc", "text": "x"}', 2) == "ü".encode()


def test_the_format_follows_from_the_template() -> None:
    """Requests without one; a column that is missing is refused before anything is read."""
    text = RowText(io.BytesIO(), "in", ("id", "text"), True, True)
    assert isinstance(format_for(text, None), BatchRows)
    assert format_for(text, NAMED) == TableRows(NAMED, is_converted=True)
    with pytest.raises(JobError, match="txet"):
        format_for(text, Template("{txet}", model="m"))
