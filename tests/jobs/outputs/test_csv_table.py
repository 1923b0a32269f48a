"""A table of answers as CSV."""

from __future__ import annotations

import csv
import datetime
import io
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratedispatch.jobs.inputs.csv_rows import csv_table
from ratedispatch.jobs.outputs.answer import Answer
from ratedispatch.jobs.outputs.cell_text import UNWRITABLE, cell_text
from ratedispatch.jobs.outputs.columns import columns_of
from ratedispatch.jobs.outputs.csv_table import write_csv

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ratedispatch.jobs.outputs.output_row import AnswerOf, Row

#: Text that UTF-8 can hold, rich in what CSV has a meaning for.
TEXT = st.text(st.characters(codec="utf-8") | st.sampled_from('",;\t\r\n \0=\ufeff'), max_size=8)
NAMES = st.lists(
    # names are trimmed on reading, and a mark of byte order before the first one is dropped
    TEXT.map(str.strip).filter(lambda name: name and not name.startswith("\ufeff")),
    unique=True,
    max_size=3,
)


def written(
    inputs: Sequence[str], rows: Sequence[Row], answer_of: AnswerOf, id_column: str | None = None
) -> str:
    file = io.BytesIO()
    write_csv(file, columns_of(inputs, id_column), rows, answer_of)
    return file.getvalue().decode()


def cells_of(text: str) -> list[Mapping[str, object]]:
    found: list[Mapping[str, object]] = []
    for _, row in csv_table(io.BytesIO(text.encode()), "out.csv").rows:
        assert isinstance(row, dict)
        found.append(row)
    return found


def test_rows_stand_beside_their_answers() -> None:
    """In the order of the input, those without a result left out."""
    answers = {
        1: Answer("answered", 200, 'He said "no",\nthen left.', 12, 5),
        3: Answer("failed", 400, error="Bad. (bad)"),
    }
    rows: list[Row] = [(number, {"n": f"00{number}"}, f"q-{number}") for number in (1, 2, 3)]
    assert written(["n"], rows, answers.get) == (
        "n,custom_id,status,status_code,answer,prompt_tokens,output_tokens,error\n"
        '001,q-1,answered,200,"He said ""no"",\nthen left.",12,5,\n'
        "003,q-3,failed,400,,,,Bad. (bad)\n"
    )


def test_an_input_without_columns_has_a_table_too() -> None:
    """A row that has no id because it is no request has an empty one."""
    text = written([], [(1, {}, None)], {1: Answer("failed", error="line 1: not JSON")}.get)
    assert text.splitlines()[1] == ",failed,,,,,line 1: not JSON"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("=1+1", "=1+1"),
        ("", ""),
        (None, ""),
        (True, "true"),
        (7, "7"),
        (2**70, "1180591620717411303424"),
        (1.5, "1.5"),
        (float("nan"), ""),
        ([1, "é", None], '[1,"é",null]'),
        ({"a": {}}, '{"a":{}}'),
        (b"abc\xc3\xa9", "abcé"),
        (b"\xff\x00", "/wA="),
        (Decimal("1.50"), "1.50"),
        ([datetime.date(2025, 1, 2)], '["2025-01-02"]'),
    ],
)
def test_cells_are_texts(value: Any, text: str) -> None:
    """What is none is JSON; a formula stays one, for the table is to be read again."""
    table = written(["x"], [(1, {"x": value}, "q")], {1: Answer("answered")}.get)
    (row,) = cells_of(table)
    assert row["x"] == text


def test_a_cell_that_cannot_be_written_says_so() -> None:
    """One that contains itself, say."""
    endless: list[Any] = []
    endless.append(endless)
    assert cell_text(endless) == UNWRITABLE


def test_half_a_surrogate_pair_is_replaced() -> None:
    """No UTF-8 can hold it; what stands beside it stays."""
    answer = Answer("answered", 200, "a\ud83d b\U0001f600")
    text = written(["\udc00"], [(1, {"\udc00": "\ud800é"}, "\udfff")], {1: answer}.get)
    assert text.startswith("\ufffd,custom_id,")
    assert "\ufffdé,\ufffd,answered,200,a\ufffd b\U0001f600," in text


@pytest.mark.parametrize("name", ["a;b;c;d;e;f;g;h;i", "a\tb\tc\td\te\tf\tg\th\ti"])
def test_names_full_of_other_delimiters_do_not_mislead_a_reader(name: str) -> None:
    """It finds the delimiter by counting."""
    text = written([name], [(1, {name: "x"}, "q")], {1: Answer("answered")}.get)
    assert cells_of(text)[0][name] == "x"


@given(NAMES, st.lists(st.tuples(TEXT, TEXT, TEXT, TEXT), max_size=4))
def test_a_table_that_is_read_back_is_the_same(
    names: list[str], texts: list[tuple[str, str, str, str]]
) -> None:
    """Quotes, line ends of any kind, delimiters and formulas, in cells and in names."""
    columns = columns_of(names)
    rows: list[Row] = [
        (number, dict(zip(names, cells, strict=False)), cells[3])
        for number, cells in enumerate(texts, 1)
    ]
    answers = {row: Answer("answered", 200, texts[row - 1][2]) for row, _, _ in rows}
    text = written(names, rows, answers.get)
    expected = [
        {
            **row,
            **dict(zip(columns.names[len(names) :], _own(custom_id, answers[number]), strict=True)),
        }
        for number, row, custom_id in rows
    ]
    assert cells_of(text) == expected
    # and by any other reader of CSV
    assert list(csv.DictReader(io.StringIO(text, newline=""))) == expected


def _own(custom_id: str | None, answer: Answer) -> list[str | None]:
    return [custom_id, "answered", "200", answer.text, "", "", ""]
