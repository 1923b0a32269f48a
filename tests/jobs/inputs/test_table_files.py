"""Tables in files."""

from __future__ import annotations

import contextlib
import csv
import datetime
import gzip
import io
import json
import re
import sys
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratedispatch.errors import JobError
from ratedispatch.jobs.inputs.csv_rows import csv_table
from ratedispatch.jobs.inputs.formats import Format
from ratedispatch.jobs.inputs.json_rows import json_table
from ratedispatch.jobs.inputs.row import BrokenRow, Row, Table
from ratedispatch.jobs.inputs.streams import STDIN
from ratedispatch.jobs.inputs.table_files import open_table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ratedispatch.jobs.inputs.streams import Source

CELLS = st.text(
    st.characters(codec="utf-8", exclude_characters="\r") | st.sampled_from('",;\t\n '), max_size=8
)


def of_csv(text: str | bytes, delimiter: str | None = None, longest: int = 10_000) -> Table:
    data = text if isinstance(text, bytes) else text.encode()
    return csv_table(io.BytesIO(data), "in.csv", delimiter, longest=longest)


def rows(table: Table) -> list[tuple[int, Row | BrokenRow]]:
    return list(table.rows)


def read_rows(path: Source, kind: Format) -> Iterator[tuple[int, Row | BrokenRow]]:
    with open_table(path, kind) as table:
        yield from table.rows


def put(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


@given(
    st.lists(st.tuples(CELLS, CELLS, st.just("x")), max_size=6),
    st.sampled_from([",", ";", "\t"]),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
)
def test_what_was_written_as_csv_is_read_as_it_was(
    cells: list[tuple[str, str, str]], delimiter: str, end: str, has_mark: bool
) -> None:
    """Quotes, line ends and delimiters in cells, any delimiter, with or without a mark."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator=end)
    writer.writerows([("a", "b", "c"), *cells])
    table = of_csv(text.getvalue().encode("utf-8-sig" if has_mark else "utf-8"))
    assert table.columns == ("a", "b", "c")
    expected = [dict(zip("abc", row, strict=True)) for row in cells]
    assert rows(table) == list(enumerate(expected, 1))


@given(st.binary(max_size=60) | st.text('a",;\n\r \t', max_size=40).map(str.encode))
def test_any_bytes_are_rows_or_a_sentence(data: bytes) -> None:
    """No other exception leaves either reader."""
    for make in (csv_table, json_table):
        found: list[object] = []
        with contextlib.suppress(JobError):
            found += (row for _, row in make(io.BytesIO(data), "in", longest=30).rows)
        assert all(isinstance(row, BrokenRow | dict) for row in found)


def test_text_stays_as_it_stands_in_the_file() -> None:
    """No number is made of it, and nothing is missing because of its name."""
    table = of_csv("n,x\n1.50,NA\n007,null\n1e5, padded \n")
    assert [row for _, row in table.rows] == [
        {"n": "1.50", "x": "NA"},
        {"n": "007", "x": "null"},
        {"n": "1e5", "x": " padded "},
    ]


@pytest.mark.parametrize(
    ("header", "columns"),
    [
        ("a,b", ("a", "b")),
        ("a;b", ("a", "b")),
        ("a\tb", ("a", "b")),
        ("text", ("text",)),
        ('"a,b,c";d', ("a,b,c", "d")),
        ('"a"";;""x",b', ('a";;"x', "b")),
        (" a , b ", ("a", "b")),
        (",a,", ("a",)),
        ("\n\r\n  \na,b", ("a", "b")),
    ],
)
def test_the_first_line_names_the_columns(header: str, columns: tuple[str, ...]) -> None:
    """Its delimiter is the one that stands most often outside of quotes."""
    assert of_csv(header + "\n").columns == columns


def test_a_delimiter_can_be_given() -> None:
    """For a first line that tells another one."""
    assert of_csv("a;b,c\n", ",").columns == ("a;b", "c")
    with pytest.raises(JobError, match=r"delimiter '\|' is not one of"):
        of_csv("a|b\n", "|")


def test_cells_that_are_missing_are_empty_and_blank_rows_are_none() -> None:
    """Also where a spreadsheet has left only delimiters."""
    table = of_csv("a,b\n1\n\n , \n,,,\n2,3,,\n")
    assert rows(table) == [(1, {"a": "1", "b": ""}), (2, {"a": "2", "b": "3"})]


def test_columns_without_a_name_are_left_out() -> None:
    """As the index that some libraries write."""
    assert rows(of_csv(",text\n0,hi\n")) == [(1, {"text": "hi"})]


def test_a_row_with_too_many_cells_is_broken_and_those_around_it_are_not() -> None:
    """It is named by its line."""
    table = of_csv('a,b\n"1\n1",2\n3,4,5\n6,7\n')
    (_, first), (number, broken), (_, last) = rows(table)
    assert (first, number, last) == ({"a": "1\n1", "b": "2"}, 2, {"a": "6", "b": "7"})
    assert broken == BrokenRow(
        "line 4: the row has 3 cells but there are 2 columns; "
        "put cells that contain the delimiter in quotes"
    )


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "in.csv is empty"),
        (b"\n \n", "in.csv is empty"),
        (b"a,b,a\n", "columns 1 and 3 of the input in.csv are both named 'a'"),
        (b"a\nb\nM\xfcller\n", "line 3 of the input in.csv is not UTF-8: .* at byte 2"),
        (b'a\nb\n"c\nd\n', "line 3 of the input in.csv begins a row that is not CSV"),
        (b'a\n"b"c"\n', "line 2 of the input in.csv begins a row that is not CSV"),
        (b"a\rb\rc\r", "line 1 of the input in.csv begins a row that is not CSV"),
        (b"a\n\n" + b"x" * 20_000, "line 3 of the input in.csv has at least 20,000 bytes"),
        (b'a\nb\n"' + b"x\n" * 9_000, "line 3 of the input in.csv has .* a row may have 10,000"),
        (b"\n\n" + b"x" * 20_000, "line 3 of the input in.csv has at least 20,000 bytes"),
    ],
)
def test_a_file_that_is_no_table_is_a_sentence(data: bytes, said: str) -> None:
    """With the line, and what to do."""
    with pytest.raises(JobError, match=said):
        rows(of_csv(data))


def test_a_long_cell_is_read() -> None:
    """Beyond the 131,072 characters that the csv module stops at."""
    cell = "x" * 200_000
    assert rows(of_csv(f"a\n{cell}\n", longest=300_000)) == [(1, {"a": cell})]


def test_nul_bytes_are_text() -> None:
    """What the provider makes of them is its own."""
    assert rows(of_csv(b"a\nx\x00y\n")) == [(1, {"a": "x\x00y"})]


def test_objects_have_the_columns_of_the_first_and_the_numbers_of_their_lines() -> None:
    """Others may have more keys or fewer."""
    data = b'\xef\xbb\xbf{"a": 1, "b": null}\r\n\n{"c": [1]}'
    table = json_table(io.BytesIO(data), "in.jsonl")
    assert table.columns == ("a", "b")
    assert rows(table) == [(1, {"a": 1, "b": None}), (3, {"c": [1]})]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"[1]", "line 2: not a JSON object"),
        (b"{", "line 2: not JSON: .* at column 2"),
        (b'{"a": NaN}', "line 2: JSON that cannot be read: NaN is not a JSON number"),
        (b'{"a": ' + b"1" * 5_000 + b"}", "line 2: JSON that cannot be read: .*4300"),
        (b"\xff", "line 2: not UTF-8: invalid start byte at byte 1"),
        (b"[" * 90_000, "line 2: JSON that cannot be read: nested too deeply"),
        (b" " * 100_001 + b"x", "line 2: 100,002 bytes, more than the 100,000"),
    ],
)
def test_a_line_that_is_no_object_is_a_broken_row(line: bytes, said: str) -> None:
    """Unless it is the first, whose keys are needed."""
    data = b'{"a": 1}\n' + line + b'\n{"a": 2}\n'
    table = json_table(io.BytesIO(data), "in.jsonl", longest=100_000)
    first, (number, broken), last = rows(table)
    assert (first, number, last) == ((1, {"a": 1}), 2, (3, {"a": 2}))
    assert isinstance(broken, BrokenRow)
    assert re.match(said, broken.message)
    with pytest.raises(JobError, match=r"first object, but line 1: .*must be one JSON object"):
        json_table(io.BytesIO(line + b"\n"), "in.jsonl", longest=100_000)


def test_no_objects_are_a_sentence() -> None:
    """An empty file has no columns."""
    with pytest.raises(JobError, match=r"in\.jsonl is empty"):
        json_table(io.BytesIO(b" \n\n"), "in.jsonl")


def test_files_are_read_by_their_format(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Packed or not; a tab is what .tsv means, whatever stands in it."""
    packed = put(tmp_path, "in.csv.gz", gzip.compress(b"a;b\n1;2\n"))
    assert list(read_rows(packed, Format.CSV)) == [(1, {"a": "1", "b": "2"})]
    tabs = put(tmp_path, "in.tsv", b"a,b,c\td\n1\t2\n")
    assert list(read_rows(tabs, Format.TSV)) == [(1, {"a,b,c": "1", "d": "2"})]
    objects = put(tmp_path, "in.jsonl", b'{"a": 1}')
    assert list(read_rows(objects, Format.JSONL)) == [(1, {"a": 1})]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a\n1\n")))
    assert list(read_rows(STDIN, Format.CSV)) == [(1, {"a": "1"})]


def test_columns_are_known_before_rows_and_rows_come_one_by_one(tmp_path: Path) -> None:
    """What is wrong far down shows when it is reached."""
    path = put(tmp_path, "in.csv", b"a\n" + b"x\n" * 100_000 + b"\xff\n")
    with open_table(path, Format.CSV) as table:
        assert table.columns == ("a",)
        assert next(table.rows) == (1, {"a": "x"})
    assert next(read_rows(tmp_path / "in.csv", Format.CSV)) == (1, {"a": "x"})


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    """Before its first row."""
    with pytest.raises(JobError, match="does not exist"), open_table(tmp_path / "a", Format.CSV):
        pass


def parquet(path: Path, columns: dict[str, Any], **options: Any) -> Path:
    arrow = pytest.importorskip("pyarrow")
    table = arrow.table(list(columns.values()), names=list(columns))
    pytest.importorskip("pyarrow.parquet").write_table(table, path, **options)
    return path


def test_parquet_values_come_as_they_are(tmp_path: Path) -> None:
    """Dates, times and short floats as text, in full."""
    arrow = pytest.importorskip("pyarrow")
    nanoseconds = arrow.array([1_700_000_000_123_456_789], arrow.timestamp("ns"))
    path = parquet(
        tmp_path / "in.parquet",
        {
            "text": ["hi"],
            "none": arrow.array([None], arrow.string()),
            "whole": [7],
            "short": arrow.array([0.1], arrow.float32()),
            "when": nanoseconds,
            "day": [datetime.date(2024, 1, 2)],
            "price": [Decimal("1.50")],
            "list": [[1, 2]],
            "bytes": [b"\xff"],
        },
    )
    assert list(read_rows(path, Format.PARQUET)) == [
        (
            1,
            {
                "text": "hi",
                "none": None,
                "whole": 7,
                "short": "0.1",
                "when": "2023-11-14 22:13:20.123456789",
                "day": "2024-01-02",
                "price": Decimal("1.50"),
                "list": [1, 2],
                "bytes": b"\xff",
            },
        )
    ]


def test_parquet_rows_are_numbered_through_all_batches(tmp_path: Path) -> None:
    """And through row groups."""
    path = parquet(tmp_path / "in.parquet", {"n": list(range(1_000))}, row_group_size=300)
    with open_table(path, Format.PARQUET) as table:
        assert table.columns == ("n",)
        assert list(table.rows) == [(number, {"n": number - 1}) for number in range(1, 1_001)]


def test_parquet_that_cannot_be_read_is_a_sentence(tmp_path: Path) -> None:
    """Missing, cut off, damaged, packed, twice the same name, from a pipe."""
    pytest.importorskip("pyarrow")
    numbers = {"a": [str(number * 7919) for number in range(3_000)]}
    whole = parquet(tmp_path / "in.parquet", numbers, row_group_size=1_000, compression="gzip")
    data = bytearray(whole.read_bytes())
    cut = put(tmp_path, "cut.parquet", bytes(data[:-10]))
    data[len(data) // 2 : len(data) // 2 + 400] = bytes(400)
    broken = put(tmp_path, "broken.parquet", bytes(data))
    arrow = pytest.importorskip("pyarrow")
    twice = tmp_path / "twice.parquet"
    table = arrow.Table.from_arrays([arrow.array([1]), arrow.array([2])], names=["a", "a"])
    pytest.importorskip("pyarrow.parquet").write_table(table, twice)
    for path, said in (
        (tmp_path / "none.parquet", "none.parquet does not exist"),
        (cut, "cut.parquet cannot be read as Parquet: "),
        (broken, r"broken.parquet cannot be read beyond row [\d,]+ of 3,000: "),
        (twice, "columns 1 and 2 of the input .*twice.parquet are both named 'a'"),
        (tmp_path / "in.parquet.gz", "compressed Parquet file"),
        (STDIN, "Parquet cannot be read from standard input"),
    ):
        with pytest.raises(JobError, match=said):
            list(read_rows(path, Format.PARQUET))


def test_parquet_without_its_library_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the command that installs it."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(JobError, match=r"needs pyarrow, .*pip install pyarrow"):
        list(read_rows(tmp_path / "in.parquet", Format.PARQUET))


def test_a_million_cells_are_never_in_memory_at_once(tmp_path: Path) -> None:
    """Rows are made as they are asked for."""
    tracemalloc = pytest.importorskip("tracemalloc")
    path = put(tmp_path, "in.jsonl", (json.dumps({"a": "x" * 1_000}) + "\n").encode() * 5_000)
    tracemalloc.start()
    try:
        assert sum(1 for _ in read_rows(path, Format.JSONL)) == 5_000
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
