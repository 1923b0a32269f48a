"""A table of answers as Parquet."""

from __future__ import annotations

import datetime
import io
import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratedispatch.errors import JobError
from ratedispatch.jobs.outputs import parquet_groups, parquet_table
from ratedispatch.jobs.outputs.answer import Answer
from ratedispatch.jobs.outputs.columns import columns_of
from ratedispatch.jobs.outputs.kinds import Kind, kinds_of
from ratedispatch.jobs.outputs.parquet_table import write_parquet, write_parquet_like

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from ratedispatch.jobs.outputs.output_row import Row

OWN_TYPES = {
    "custom_id": pa.string(),
    "status": pa.string(),
    "status_code": pa.int64(),
    "answer": pa.string(),
    "prompt_tokens": pa.int64(),
    "output_tokens": pa.int64(),
    "error": pa.string(),
}
CELLS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=5)
    | st.lists(st.integers() | st.text(max_size=3), max_size=2)
)


def answered(row: int) -> Answer:
    return Answer("answered", 200, f"answer {row}", 7, 3)


def table_of(values: Sequence[object]) -> Any:
    """Write a table with one column of the input, and read it."""
    file = io.BytesIO()
    rows: list[Row] = [(row, {"x": value}, f"q-{row}") for row, value in enumerate(values, 1)]
    count = write_parquet(file, columns_of(["x"]), lambda: iter(rows), answered)
    table = pq.read_table(io.BytesIO(file.getvalue()))
    assert table.num_rows == count == len(values)
    return table


def test_own_columns_have_types() -> None:
    """Numbers are numbers, and what is missing is null."""
    file = io.BytesIO()
    answers = {
        1: Answer("answered", 200, "yes", 12, 5),
        3: Answer("failed", error="It broke. (connection)"),
    }
    rows: list[Row] = [(1, {}, "q-1"), (2, {}, "q-2"), (3, {}, None)]
    assert write_parquet(file, columns_of([]), lambda: iter(rows), answers.get) == 2
    table = pq.read_table(io.BytesIO(file.getvalue()))
    assert {field.name: field.type for field in table.schema} == OWN_TYPES
    names = list(OWN_TYPES)
    assert table.to_pylist() == [
        dict(zip(names, ["q-1", "answered", 200, "yes", 12, 5, None], strict=True)),
        dict(
            zip(
                names,
                [None, "failed", None, None, None, None, "It broke. (connection)"],
                strict=True,
            )
        ),
    ]


@pytest.mark.parametrize(
    ("values", "kind", "cells"),
    [
        ([1, None, -5], pa.int64(), [1, None, -5]),
        ([2**63 - 1, -(2**63) + 1], pa.int64(), [2**63 - 1, -(2**63) + 1]),
        ([1, 2.5], pa.float64(), [1.0, 2.5]),
        ([2**53, 0.5], pa.float64(), [2.0**53, 0.5]),
        ([2**53 + 1, 0.5], pa.string(), ["9007199254740993", "0.5"]),
        ([2**63, 1], pa.string(), ["9223372036854775808", "1"]),
        ([True, None, False], pa.bool_(), [True, None, False]),
        ([True, 1], pa.string(), ["true", "1"]),
        (["007", "1.50", None], pa.string(), ["007", "1.50", None]),
        (["a", 7], pa.string(), ['"a"', "7"]),
        ([[1, "é"], None, {"a": None}], pa.string(), ['[1,"é"]', None, '{"a":null}']),
        ([None, None], pa.string(), [None, None]),
        ([], pa.string(), []),
        (["a\ud800b"], pa.string(), ["a\ufffdb"]),
        ([["\udc00"]], pa.string(), ['["\ufffd"]']),
    ],
)
def test_types_are_found_in_the_values(values: list[object], kind: Any, cells: list[Any]) -> None:
    """One type for a column, and JSON where there is none; nothing is rounded."""
    table = table_of(values)
    assert table.schema.field("x").type == kind
    assert table["x"].to_pylist() == cells


@settings(max_examples=30, deadline=None)
@given(st.lists(CELLS, max_size=6))
def test_values_come_back(values: list[object]) -> None:
    """As they are, as the same number, or as their JSON."""
    (kind,) = kinds_of(["x"], [{"x": value} for value in values])
    for value, cell in zip(values, table_of(values)["x"].to_pylist(), strict=True):
        if value is None:
            assert cell is None
        elif kind is Kind.JSON:
            assert isinstance(cell, str)
            assert json.loads(cell) == value
        else:
            assert cell == value
            assert isinstance(cell, str) == isinstance(value, str)


def test_types_do_not_depend_on_who_has_an_answer() -> None:
    """A table made in the middle of a job has the types of the one made at its end."""
    file = io.BytesIO()
    rows: list[Row] = [(1, {"x": 1}, "q-1"), (2, {"x": "one"}, "q-2")]
    write_parquet(file, columns_of(["x"]), lambda: iter(rows), {1: answered(1)}.get)
    assert pq.read_table(io.BytesIO(file.getvalue()))["x"].to_pylist() == ["1"]


def test_odd_text_does_not_stop_a_table() -> None:
    """Half a surrogate pair in a name, in an id, in an answer."""
    file = io.BytesIO()
    rows: list[Row] = [(1, {"\ud800": 1}, "\udfff")]
    answers = {1: Answer("answered", 200, "a\ud83d")}
    write_parquet(file, columns_of(["\ud800"]), lambda: iter(rows), answers.get)
    (row,) = pq.read_table(io.BytesIO(file.getvalue())).to_pylist()
    assert (row["\ufffd"], row["custom_id"], row["answer"]) == (1, "\ufffd", "a\ufffd")


def test_an_input_that_changes_is_noticed() -> None:
    """Its types were found in other values."""
    times: Iterator[list[Any]] = iter([[1], ["one"]])

    def rows() -> Iterator[Row]:
        return iter([(1, {"x": value}, "q") for value in next(times)])

    with pytest.raises(JobError, match="the input was changed while a table was made of it"):
        write_parquet(io.BytesIO(), columns_of(["x"]), rows, answered)


@pytest.mark.parametrize("limit", ["GROUP_ROWS", "GROUP_BYTES"])
def test_row_groups_are_bounded(limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By rows and by bytes; what is left is a group of its own."""
    monkeypatch.setattr(parquet_groups, limit, 500)
    file = io.BytesIO()
    rows: list[Row] = [(row, {}, "q") for row in range(1, 1_101)]
    assert write_parquet(file, columns_of([]), lambda: iter(rows), answered) == 1_100
    opened = pq.ParquetFile(io.BytesIO(file.getvalue()))
    sizes = [opened.metadata.row_group(group).num_rows for group in range(opened.num_row_groups)]
    assert sizes == ([512, 512, 76] if limit == "GROUP_ROWS" else [256, 256, 256, 256, 76])
    assert opened.read()["answer"].to_pylist() == [f"answer {row}" for row in range(1, 1_101)]


def test_long_texts_are_not_gathered(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few of them are enough for a batch, and a few batches for a group."""
    monkeypatch.setattr(parquet_table, "_BATCH_CHARACTERS", 2_000)
    monkeypatch.setattr(parquet_groups, "GROUP_BYTES", 5_000)
    file = io.BytesIO()
    rows: list[Row] = [(row, {"x": "x" * 900}, "q") for row in range(1, 15)]
    write_parquet(file, columns_of(["x"]), lambda: iter(rows), answered)
    opened = pq.ParquetFile(io.BytesIO(file.getvalue()))
    sizes = [opened.metadata.row_group(group).num_rows for group in range(opened.num_row_groups)]
    assert sizes == [6, 6, 2]


ODD = pa.table(
    {
        "id": pa.array([7, 8, 9], pa.uint64()),
        "short": pa.array([0.1, None, 2], pa.float32()),
        "at": pa.array([1, 2, None], pa.timestamp("ns", "Europe/Berlin")),
        "day": pa.array([datetime.date(2025, 1, 2), None, None], pa.date32()),
        "price": pa.array([Decimal("1.50"), None, Decimal("-2.00")], pa.decimal128(9, 2)),
        "bytes": pa.array([b"\xff\x00", b"", None], pa.binary()),
        "list": pa.array([[1, None], [], None], pa.list_(pa.int16())),
        "struct": pa.array([{"a": "x"}, None, {"a": None}], pa.struct([("a", pa.string())])),
        "map": pa.array([[("k", 1)], None, []], pa.map_(pa.string(), pa.int32())),
        "kind": pa.array(["a", "b", "a"]).dictionary_encode(),
        "large": pa.array(["x", None, "é"], pa.large_string()),
        "nothing": pa.nulls(3),
        "answer": pa.array(["old", "old", "old"]),
    }
).replace_schema_metadata({"from": "somebody"})


def put_parquet(folder: Path, table: Any, **options: Any) -> Path:
    path = folder / "in.parquet"
    pq.write_table(table, path, **options)
    return path


@pytest.mark.parametrize("done", [[1, 2, 3], [1, 3], [2]])
def test_the_columns_of_a_parquet_input_are_kept(tmp_path: Path, done: list[int]) -> None:
    """Their types, values and notes, whatever they are; the own ones come behind."""
    path = put_parquet(tmp_path, ODD)
    kept = pq.read_table(path)
    columns = columns_of(kept.column_names, "id")
    answers = {row: answered(row) for row in done}
    file = io.BytesIO()
    rows: list[Row] = [(row, {}, f"q-{row}") for row in (1, 2, 3)]
    assert write_parquet_like(file, path, columns, iter(rows), answers.get) == len(done)
    table = pq.read_table(io.BytesIO(file.getvalue()))
    assert table.schema.metadata == {b"from": b"somebody"}
    ours = table.select(kept.column_names)
    assert ours.schema == kept.schema
    assert ours.equals(pa.concat_tables([kept.slice(row - 1, 1) for row in done]))
    assert table.column_names == list(columns.names)
    assert "custom_id" not in table.column_names
    assert table["answer_2"].to_pylist() == [f"answer {row}" for row in done]


def test_rows_of_a_parquet_input_meet_their_answers(tmp_path: Path) -> None:
    """Over the ends of batches and of row groups, with rows left out on either side."""
    path = put_parquet(tmp_path, pa.table({"n": range(1, 1_001)}), row_group_size=300)
    wanted = [row for row in range(1, 1_001) if row % 7 and not 300 <= row <= 700]
    rows: list[Row] = [(row, {}, f"q-{row}") for row in wanted]
    answers = {row: answered(row) for row in range(1, 1_001) if row % 3}
    file = io.BytesIO()
    write_parquet_like(file, path, columns_of(["n"]), iter(rows), answers.get)
    table = pq.read_table(io.BytesIO(file.getvalue()))
    expected = [row for row in wanted if row % 3]
    assert table["n"].to_pylist() == expected
    assert table["custom_id"].to_pylist() == [f"q-{row}" for row in expected]
    assert table["answer"].to_pylist() == [f"answer {row}" for row in expected]


@pytest.mark.parametrize("numbers", [[2, 1], [1, 1], [0], [300, 2]])
def test_rows_that_do_not_rise_are_refused(tmp_path: Path, numbers: list[int]) -> None:
    """They would meet the cells of other rows."""
    path = put_parquet(tmp_path, pa.table({"n": range(400)}))
    rows: list[Row] = [(row, {}, "q") for row in numbers]
    with pytest.raises(ValueError, match=r"row \d comes after row \d+, but rows must rise"):
        write_parquet_like(io.BytesIO(), path, columns_of(["n"]), iter(rows), answered)


def test_an_empty_parquet_input_has_an_empty_table(tmp_path: Path) -> None:
    """With all columns."""
    path = put_parquet(tmp_path, pa.table({"n": pa.array([], pa.int8())}))
    file = io.BytesIO()
    assert write_parquet_like(file, path, columns_of(["n"]), iter([]), answered) == 0
    table = pq.read_table(io.BytesIO(file.getvalue()))
    assert table.schema.field("n").type == pa.int8()
    assert table.column_names == ["n", *OWN_TYPES]


def test_a_parquet_input_that_is_another_now_is_refused(tmp_path: Path) -> None:
    """With what is different."""
    path = put_parquet(tmp_path, pa.table({"n": [1, 2]}))

    def write(columns: list[str], last: int) -> None:
        rows: list[Row] = [(row, {}, "q") for row in range(1, last + 1)]
        write_parquet_like(io.BytesIO(), path, columns_of(columns), iter(rows), answered)

    with pytest.raises(JobError, match=r"has 1 columns that are not the 2 it had"):
        write(["n", "m"], 2)
    with pytest.raises(JobError, match=r"has 2 rows, but had a row 3 before"):
        write(["n"], 3)
    data = bytearray(path.read_bytes())
    data[4:40] = bytes(36)
    path.write_bytes(data)
    with pytest.raises(JobError, match=r"cannot be read beyond row 0 of 2: "):
        write(["n"], 2)
    path.write_bytes(b"PAR1")
    with pytest.raises(JobError, match=r"in.parquet cannot be read as Parquet: "):
        write(["n"], 2)
