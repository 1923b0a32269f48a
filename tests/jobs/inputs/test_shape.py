"""Inputs in other encodings, and inputs that are no rows on lines."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING

import pytest

from ratedispatch.errors import JobError
from ratedispatch.jobs.inputs.formats import Format
from ratedispatch.jobs.inputs.row_text import open_text
from ratedispatch.jobs.inputs.shape import check_shape
from ratedispatch.jobs.inputs.table_files import open_table

if TYPE_CHECKING:
    from pathlib import Path

ROW = {"custom_id": "a", "url": "/v1/responses", "body": {"model": "gpt-4o", "input": "hé 😀"}}
LINE = json.dumps(ROW, ensure_ascii=False)
#: With a mark, or without.
ENCODINGS = ("utf-16", "utf-32", "utf-16-le", "utf-16-be", "utf-8-sig")


def read(path: Path) -> bytes:
    with open_text(path, folder=path.parent) as text:
        return text.file.read()


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_lines_in_other_encodings_are_read_packed_or_not(tmp_path: Path, encoding: str) -> None:
    """As PowerShell and spreadsheets write them."""
    data = f"{LINE}\r\n{LINE}\r\n".encode(encoding)
    for name, content in (("in.jsonl", data), ("in.jsonl.gz", gzip.compress(data))):
        (tmp_path / name).write_bytes(content)
        found = read(tmp_path / name).decode("utf-8-sig").split()
        assert json.loads("".join(found[: len(found) // 2])) is not None
        assert read(tmp_path / name).decode("utf-8-sig") == f"{LINE}\r\n{LINE}\r\n"


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_table_in_another_encoding_is_read(tmp_path: Path, encoding: str) -> None:
    """Its columns have their names, without a mark."""
    path = tmp_path / "in.csv"
    path.write_bytes("text,id\nhé,1\n".encode(encoding))
    with open_table(path, Format.CSV) as table:
        assert table.columns == ("text", "id")
        assert list(table.rows) == [(1, {"text": "hé", "id": "1"})]


def test_a_damaged_text_is_one_sentence(tmp_path: Path) -> None:
    """With its encoding and what to do."""
    path = tmp_path / "in.jsonl"
    path.write_bytes(LINE.encode("utf-16")[:-1])
    with pytest.raises(
        JobError, match="is UTF-16 by its first bytes, but cannot be decoded as that"
    ):
        read(path)


def reason(tmp_path: Path, text: str, *, is_table: bool = False) -> str | None:
    """Return what is said of *text*; None if its lines can be rows."""
    path = tmp_path / "in.jsonl"
    path.write_bytes(text.encode())
    with path.open("rb", buffering=0) as file:
        try:
            check_shape(file, "in.jsonl", is_table=is_table)
        except JobError as error:
            return str(error)
        finally:
            assert file.tell() == 0
    return None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (json.dumps([ROW, ROW]), "is one JSON array"),
        (json.dumps([ROW, ROW], indent=2), "is one JSON array"),
        (json.dumps(ROW, indent=2), "is JSON over several lines"),
        (
            json.dumps(ROW, indent=2) + "\n" + json.dumps(ROW, indent=2),
            "is JSON over several lines",
        ),
        (f"{LINE}\r{LINE}\r", "uses carriage returns as line breaks"),
        ('{"prompt": "hello"}\n{"prompt": "you"}\n', "--prompt '{prompt}' --model NAME"),
        ('{"a b": 1, "text": "x"}', "has rows with 'a b', 'text' but without the body"),
        (
            '{"custom_id": "a", "params": {}}',
            "has rows with 'custom_id', 'params' but without the body",
        ),
        ("{}", "has rows with no fields"),
        (
            "Say 1\nSay 2\nSay 3\n",
            "has no JSON object on any of its first 3 lines (line 1: not JSON",
        ),
        ("id,text\n1,a\n2,b\n3,c\n", "for a table, name its format"),
    ],
)
def test_what_is_no_row_on_each_line_is_one_sentence(tmp_path: Path, text: str, said: str) -> None:
    """It says what to do."""
    found = reason(tmp_path, text)
    assert found is not None
    assert found.startswith("the input in.jsonl ")
    assert said in found


@pytest.mark.parametrize(
    "text",
    [
        LINE,
        f"nothing\n{LINE}",
        f"[]\n{LINE}",
        f"{LINE[:-1]}\n{LINE}",
        "not json\nnor this",
        '{"body": 5}',
        "[1, 2]",
        '{"custom_id": "a"',
        "",
    ],
)
def test_a_bad_line_is_only_that_rows_failure(tmp_path: Path, text: str) -> None:
    """Nothing is said of the whole file."""
    assert reason(tmp_path, text) is None


def test_any_object_is_a_row_of_a_table(tmp_path: Path) -> None:
    """But an array of them is none."""
    assert reason(tmp_path, '{"prompt": "hello"}', is_table=True) is None
    assert "is one JSON array" in str(reason(tmp_path, '[{"a": 1},\n{"a": 2}]', is_table=True))
