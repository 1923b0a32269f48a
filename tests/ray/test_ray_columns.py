"""Rows of Arrow tables, and the columns of answers beside them."""

from __future__ import annotations

import datetime as dt

import pytest

from ratedispatch.errors import JobError
from ratedispatch.ray.ray_columns import Cell, LazyRow, check_names, rows_of, with_cells

pa = pytest.importorskip("pyarrow")

TABLE = pa.table({"text": ["a", None], "number": [1, 2], "image": [b"\x00" * 9, b"\xff" * 9]})


def test_the_types_of_new_columns_do_not_depend_on_what_they_hold() -> None:
    """Blocks of which every row failed fit beside those of which none did."""
    answered = with_cells(TABLE, [Cell("x", 3, 4), Cell("y")], "")
    failed = with_cells(TABLE, [Cell(None, error_code="c", error="e")] * 2, "")
    assert answered.schema == failed.schema
    assert answered.schema.names == [*TABLE.schema.names, "answer", "usage", "error_code", "error"]
    rows = pa.concat_tables([answered, failed]).to_pylist()
    assert rows[0]["usage"] == {"prompt_tokens": 3, "output_tokens": 4}
    assert [row["answer"] for row in rows] == ["x", "y", None, None]
    assert [row["usage"] is None for row in rows] == [False, True, True, True]
    assert [row["error"] for row in rows] == [None, None, "e", "e"]


def test_other_columns_are_the_same_memory() -> None:
    """A large column is neither copied nor looked at."""
    new = with_cells(TABLE, [Cell("x"), Cell("y")], "")
    before, after = TABLE.column("image").chunk(0), new.column("image").chunk(0)
    assert [one.address for one in after.buffers() if one] == [
        one.address for one in before.buffers() if one
    ]


def test_an_empty_block_gets_the_columns_too() -> None:
    assert with_cells(TABLE.slice(0, 0), [], "new_").schema.names[3:] == [
        "new_answer",
        "new_usage",
        "new_error_code",
        "new_error",
    ]


def test_a_name_that_is_there_already_is_refused() -> None:
    """No column of the dataset is lost or renamed."""
    with pytest.raises(JobError, match=r"has a column 'error'; give a prefix"):
        check_names(["id", "error"], "")
    check_names(["id", "error"], "new_")
    with pytest.raises(JobError, match=r"column 'new_usage'"):
        check_names(["new_usage"], "new_")


def test_rows_have_the_columns_that_are_asked_for() -> None:
    assert rows_of(TABLE, ["number", "text"]) == [
        {"number": 1, "text": "a"},
        {"number": 2, "text": None},
    ]
    assert rows_of(TABLE, []) == [{}, {}]


def test_a_lazy_row_is_a_mapping_of_the_whole_row() -> None:
    row = LazyRow(TABLE.append_column("day", pa.array([dt.date(2020, 1, 2)] * 2)), 1)
    assert row["number"] == 2
    assert row["day"] == dt.date(2020, 1, 2)
    assert row.get("missing", "other") == "other"
    assert list(row) == ["text", "number", "image", "day"]
    assert len(row) == 4
    assert dict(row)["image"] == b"\xff" * 9
