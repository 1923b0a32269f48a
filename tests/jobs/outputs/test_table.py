"""Tables of answers in files."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ratedispatch.errors import JobError
from ratedispatch.jobs.inputs.formats import Format
from ratedispatch.jobs.inputs.table_files import open_table
from ratedispatch.jobs.outputs.table import (
    OutputFormat,
    check_format,
    output_format_of,
    write_table,
)
from tests.jobs.outputs.lines import chat, put, result, row_of

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ratedispatch.jobs.outputs.output_row import Row

FORMATS = [OutputFormat.CSV, OutputFormat.PARQUET]


def three_rows() -> Iterator[Row]:
    yield from ((row, {"text": f"t{row}"}, f"q-{row}") for row in (1, 2, 3))


def make(target: Path, format: OutputFormat, **changes: Any) -> int:  # noqa: A002
    """Make a table of three rows: the last answered, the first failed, the second not done."""
    results = [
        put(target.parent, "err.jsonl", result(1, {"error": {"message": "Bad."}}, status=400)),
        put(target.parent, "out.jsonl", result(3, chat("Hello"))),
    ]
    given: dict[str, Any] = {
        "columns": ["text"],
        "rows": three_rows,
        "results": results,
        "row_of": row_of,
        **changes,
    }
    return write_table(target, format, **given)


def read(path: Path, format: OutputFormat) -> list[dict[str, object]]:  # noqa: A002
    with open_table(path, Format(format)) as table:
        return [dict(row) for _, row in table.rows if isinstance(row, dict)]


@pytest.mark.parametrize("format", FORMATS)
def test_answers_and_failures_stand_in_the_order_of_the_input(
    tmp_path: Path,
    format: OutputFormat,  # noqa: A002
) -> None:
    """The row that is not done is left out, and the formats tell the same."""
    target = tmp_path / "table"
    assert make(target, format) == 2
    first, second = read(target, format)
    assert (first["text"], first["custom_id"], first["error"]) == ("t1", "q-1", "Bad.")
    assert (second["text"], second["answer"], second["status"]) == ("t3", "Hello", "answered")
    assert str(second["prompt_tokens"]) == "7"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["err.jsonl", "out.jsonl", "table"]


def test_a_parquet_input_keeps_its_types(tmp_path: Path) -> None:
    """The cells of the rows are not needed then."""
    source = tmp_path / "in.parquet"
    pq.write_table(pa.table({"n": pa.array([1, 2, 3], pa.int8())}), source)
    rows: list[Row] = [(row, {}, f"q-{row}") for row in (1, 2, 3)]
    target = tmp_path / "table"
    make(
        target,
        OutputFormat.PARQUET,
        columns=["n"],
        rows=lambda: iter(rows),
        parquet_source=source,
        id_column="n",
    )
    table = pq.read_table(target)
    assert table["n"].type == pa.int8()
    assert table["n"].to_pylist() == [1, 3]
    assert "custom_id" not in table.column_names


def broken_rows() -> Iterator[Row]:
    yield 1, {"text": "x"}, "q-1"
    raise JobError("the disk broke")


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("is_there", [True, False])
def test_a_failure_leaves_nothing_behind(
    tmp_path: Path,
    format: OutputFormat,  # noqa: A002
    is_there: bool,
) -> None:
    """And the former table is what it was."""
    target = tmp_path / "table"
    if is_there:
        target.write_text("former")
    with pytest.raises(JobError, match="the disk broke"):
        make(target, format, rows=broken_rows)
    names = ["err.jsonl", "out.jsonl", *(["table"] if is_there else [])]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    assert not is_there or target.read_text() == "former"


@pytest.mark.parametrize("format", FORMATS)
def test_a_disk_that_fails_is_a_sentence(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    format: OutputFormat,  # noqa: A002
) -> None:
    """Nothing paid for is lost, and it says so."""

    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    target = tmp_path / "table"
    target.write_text("former")
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(
        JobError, match=r"table cannot be written: No space left .* in .*err.jsonl and .*out.jsonl"
    ):
        make(target, format)
    assert target.read_text() == "former"
    assert len(list(tmp_path.iterdir())) == 3


def test_a_folder_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    """As any other file that cannot be made."""
    with pytest.raises(JobError, match=r"none/t\.csv cannot be written: No such file"):
        write_table(
            tmp_path / "none" / "t.csv",
            OutputFormat.CSV,
            columns=[],
            rows=three_rows,
            results=[],
            row_of=row_of,
        )


def test_what_a_table_is_made_of_is_not_replaced(tmp_path: Path) -> None:
    """Neither results nor the input, by whatever name; and no folder."""
    target = tmp_path / "out.jsonl"
    with pytest.raises(JobError, match=r"would overwrite .*out\.jsonl, from which it is made"):
        make(target, OutputFormat.CSV)
    source = put(tmp_path, "in.parquet")
    link = tmp_path / "link.parquet"
    link.symlink_to(source)
    with pytest.raises(JobError, match=r"would overwrite .*in\.parquet, from which it is made"):
        make(link, OutputFormat.PARQUET, parquet_source=source)
    (tmp_path / "folder").mkdir()
    with pytest.raises(JobError, match=r"folder is not a file, so a table cannot replace it"):
        make(tmp_path / "folder", OutputFormat.CSV)
    with pytest.raises(ValueError, match="JSONL is not a table"):
        make(tmp_path / "t", OutputFormat.JSONL)


def test_a_link_stays_one(tmp_path: Path) -> None:
    """What it leads to is replaced."""
    (tmp_path / "there").mkdir()
    link = tmp_path / "table"
    link.symlink_to(tmp_path / "there" / "table")
    make(link, OutputFormat.CSV)
    assert link.is_symlink()
    assert (tmp_path / "there" / "table").read_text().startswith("text,custom_id")


def test_a_table_may_be_read_by_whom_other_files_may(tmp_path: Path) -> None:
    """Its mode is that of any new file."""
    make(tmp_path / "table", OutputFormat.CSV)
    modes = {(tmp_path / name).stat().st_mode for name in ("table", "out.jsonl")}
    assert len(modes) == 1


@pytest.mark.parametrize(
    ("path", "name", "format"),
    [
        ("out.csv", None, OutputFormat.CSV),
        ("out.CSV", None, OutputFormat.CSV),
        ("out.parquet", None, OutputFormat.PARQUET),
        ("out.pq", None, OutputFormat.PARQUET),
        ("out.jsonl", None, OutputFormat.JSONL),
        ("out", None, OutputFormat.JSONL),
        ("out.jsonl.gz", None, OutputFormat.JSONL),
        ("out.csv.old", None, OutputFormat.JSONL),
        ("out.txt", "CSV", OutputFormat.CSV),
        ("out.csv", "jsonl", OutputFormat.JSONL),
        ("out.csv.gz", "csv", OutputFormat.CSV),
    ],
)
def test_the_suffix_tells_the_format_unless_it_is_named(
    path: str,
    name: str | None,
    format: OutputFormat,  # noqa: A002
) -> None:
    """And everything else is JSONL."""
    assert output_format_of(Path(path), name) is format


@pytest.mark.parametrize(
    ("path", "name", "said"),
    [
        ("out", "xml", "the output format 'xml' is not one of jsonl, csv, parquet"),
        (
            "out.xlsx",
            None,
            r"out.xlsx ends in \.xlsx, which cannot be written; .* \.csv, \.parquet",
        ),
        ("out.tsv", None, r"out.tsv ends in \.tsv, which"),
        ("out.csv.gz", None, r"out.csv.gz ends in \.csv\.gz, which"),
        ("out.parquet.zst", None, r"ends in \.parquet\.zst, which"),
    ],
)
def test_a_format_that_is_not_written_is_a_sentence(path: str, name: str | None, said: str) -> None:
    """A table that was meant is never a file of JSONL."""
    with pytest.raises(JobError, match=said):
        output_format_of(Path(path), name)


def test_a_library_that_is_missing_is_told_before_anything_is_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With the command that installs it; CSV takes none."""
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    check_format(OutputFormat.CSV)
    check_format(OutputFormat.JSONL)
    with pytest.raises(JobError, match=r"Parquet needs pyarrow, .* pip install pyarrow"):
        check_format(OutputFormat.PARQUET)
    monkeypatch.undo()
    check_format(OutputFormat.PARQUET)


@pytest.mark.slow
@pytest.mark.parametrize("format", FORMATS)
def test_memory_does_not_depend_on_the_number_of_rows(
    tmp_path: Path,
    format: OutputFormat,  # noqa: A002
) -> None:
    """Several times as many take a few MB more at most; each in a process of its own."""
    few, many = (peak_of(tmp_path, format, rows) for rows in (20_000, 50_000))
    # 5 MB: 170 bytes for each further row would not fit
    assert many - few < 5, f"{few:.1f} MB for 20,000 rows, {many:.1f} MB for 50,000"


def peak_of(folder: Path, format: OutputFormat, count: int) -> float:  # noqa: A002
    """Return the most MB that a process has while it makes a table of *count* rows."""
    command = [sys.executable, "-m", "tests.jobs.outputs.memory", str(folder), format, str(count)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout)
