"""An input as lines of JSON that can be read from any place."""

from __future__ import annotations

import datetime
import decimal
import errno
import gzip
import io
import json
import sys
import types
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ratedispatch.errors import JobError
from ratedispatch.jobs.inputs import row_text as text_module
from ratedispatch.jobs.inputs.formats import Format
from ratedispatch.jobs.inputs.row_text import RowText, open_text
from ratedispatch.jobs.inputs.streams import STDIN

if TYPE_CHECKING:
    from ratedispatch.jobs.inputs.streams import Source

LINES = b'\xef\xbb\xbf{"text": "one"}\r\n\n{"text": "two", "more": 1}\nbroken'


def zstd(data: bytes) -> bytes:
    packed: bytes = pytest.importorskip("zstandard").ZstdCompressor().compress(data)
    return packed


def read(path: Source, **options: Any) -> tuple[bytes, RowText]:
    """Return the text of *path*, and what is said of it; no file is left or seen meanwhile."""
    folder = path.parent if isinstance(path, Path) else None
    before = [] if folder is None else sorted(folder.iterdir())
    with open_text(path, **{"folder": folder, **options}) as text:
        assert text.file.tell() == 0
        if folder is not None:
            assert sorted(folder.iterdir()) == before
        data = text.file.read()
        text.file.seek(5)
        assert text.file.read(3) == data[5:8]
    assert text.file.closed
    return data, text


def give(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    """Give *data* as standard input, which can be read once, and only forwards."""

    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def seek(self, *_: Any) -> int:
            raise io.UnsupportedOperation("a pipe")

    monkeypatch.setattr(sys, "stdin", types.SimpleNamespace(buffer=io.BufferedReader(Pipe(data))))


def test_a_plain_file_is_read_where_it_is(tmp_path: Path) -> None:
    """Byte for byte, without a copy."""
    path = tmp_path / "in.jsonl"
    path.write_bytes(LINES)
    data, text = read(path)
    assert data == LINES
    assert (text.name, text.columns, text.is_copy, text.is_converted) == (
        str(path),
        None,
        False,
        False,
    )


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
@pytest.mark.parametrize("is_table", [False, True])
def test_a_packed_file_is_copied_as_it_was(tmp_path: Path, suffix: str, is_table: bool) -> None:
    """Line ends, marks and all, so that lines have the same numbers."""
    path = tmp_path / f"in.jsonl{suffix}"
    path.write_bytes(gzip.compress(LINES) if suffix == ".gz" else zstd(LINES))
    data, text = read(path, is_table=is_table)
    assert data == LINES
    assert text.columns == (("text",) if is_table else None)
    assert (text.is_copy, text.is_converted) == (True, False)


@pytest.mark.parametrize("is_table", [False, True])
@pytest.mark.parametrize("count", [1, 10_000])
def test_standard_input_is_copied_whole(
    monkeypatch: pytest.MonkeyPatch, is_table: bool, count: int
) -> None:
    """From its first byte on, however much it is."""
    lines = b"".join(b'{"n": %d, "text": "word"}\n' % number for number in range(count))
    give(monkeypatch, lines)
    data, text = read(STDIN, is_table=is_table)
    assert data == lines
    assert (text.name, text.is_copy) == ("standard input", True)
    assert text.columns == (("n", "text") if is_table else None)


def test_packed_data_from_standard_input_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its name says nothing of how it is packed."""
    give(monkeypatch, gzip.compress(LINES))
    with pytest.raises(JobError, match="standard input contains gzip data"):
        read(STDIN)


def test_packed_data_under_a_plain_name_are_refused(tmp_path: Path) -> None:
    """Rather than read as lines that are no JSON."""
    path = tmp_path / "in.jsonl"
    path.write_bytes(gzip.compress(LINES))
    with pytest.raises(JobError, match=r"contains gzip data; give it as a file whose name ends"):
        read(path)


def test_an_archive_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    """And leaves nothing behind."""
    path = tmp_path / "in.jsonl.gz"
    path.write_bytes(gzip.compress(LINES)[:-9])
    with pytest.raises(JobError, match="is truncated"):
        read(path)
    assert list(tmp_path.iterdir()) == [path]


def test_the_columns_are_those_of_the_first_row(tmp_path: Path) -> None:
    """And reading them does not move the text."""
    path = tmp_path / "in.jsonl"
    path.write_bytes(b'\n{"b": 1, "a": 2}\n{"c": 3}\n')
    assert read(path, is_table=True)[1].columns == ("b", "a")
    path.write_bytes(b"broken\n")
    with pytest.raises(JobError, match="each line must be one JSON object"):
        read(path, is_table=True)


@pytest.mark.parametrize("suffix", ["csv", "tsv"])
def test_rows_of_a_table_are_numbered_by_their_lines(tmp_path: Path, suffix: str) -> None:
    """A row over several lines is one, a blank one is none, and a broken one says why."""
    path = tmp_path / f"in.{suffix}"
    text = 'name,text\na,"one\n\ntwo"\n\nb,x,y\nc,\u00fc\n'
    path.write_text(text if suffix == "csv" else text.replace(",", "\t"))
    data, found = read(path, format=Format(suffix), is_table=True)
    rows = [json.loads(line) for line in data.splitlines()]
    assert data.endswith(b"\n")
    assert rows[0] == {"name": "a", "text": "one\n\ntwo"}
    assert rows[1].startswith("line 6: the row has 3 cells")
    assert rows[2] == {"name": "c", "text": "ü"}
    assert len(rows) == 3
    assert (found.columns, found.is_copy, found.is_converted) == (("name", "text"), True, True)


def test_a_packed_table_and_one_from_standard_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same lines."""
    path = tmp_path / "in.csv.gz"
    path.write_bytes(gzip.compress(b"a\n1\n2\n"))
    expected = b'{"a": "1"}\n{"a": "2"}\n'
    assert read(path, format=Format.CSV)[0] == expected
    give(monkeypatch, b"a\n1\n2\n")
    assert read(STDIN, format=Format.CSV)[0] == expected


def test_many_rows_are_written_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """None is lost between them."""
    monkeypatch.setattr(text_module, "CHUNK", 30)
    path = tmp_path / "in.csv"
    path.write_text("n\n" + "".join(f"{number}\n" for number in range(100)))
    data, _ = read(path, format=Format.CSV)
    assert [json.loads(line)["n"] for line in data.splitlines()] == [str(n) for n in range(100)]


def test_values_of_a_parquet_file_become_json(tmp_path: Path) -> None:
    """Numbers, NaN, nothing, nested values and dates; bytes that are no UTF-8 are still told."""
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    columns = {
        "n": [1, None],
        "x": [float("nan"), 0.5],
        "raw": [b"\xff\x00", b"text"],
        "nested": [{"a": [{"b": "\u00fc"}, None]}, None],
        "day": [datetime.date(2024, 2, 29), None],
        "price": [decimal.Decimal("1.10"), None],
    }
    path = tmp_path / "in.parquet"
    parquet.write_table(arrow.table(columns), path)
    data, text = read(path, format=Format.PARQUET, is_table=True)
    one, two = (json.loads(line) for line in data.splitlines())
    assert text.columns == tuple(columns)
    assert one["x"] != one["x"]
    assert one["raw"].encode("utf-8", "surrogateescape") == b"\xff\x00"
    assert (one["n"], one["nested"]) == (1, {"a": [{"b": "ü"}, None]})
    assert (one["day"], one["price"]) == ("2024-02-29", "1.10")
    assert two == {
        "n": None, "x": 0.5, "raw": "text", "nested": None, "day": None, "price": None
    }  # fmt: skip


class Full(io.BytesIO):
    """A file that takes nothing."""

    def write(self, _: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("name", ["in.jsonl.gz", "in.csv"])
def test_a_copy_for_which_there_is_no_room_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """With the reason and the way out."""
    path = tmp_path / name
    path.write_bytes(gzip.compress(LINES) if name.endswith("gz") else b"a\n1\n")
    monkeypatch.setattr("tempfile.TemporaryFile", lambda **_: Full())
    format_ = Format.CSV if name.endswith("csv") else Format.JSONL
    with pytest.raises(JobError, match="No space left on device; free some space in the folder"):
        read(path, format=format_)


def test_a_copy_has_no_name_and_needs_its_folder(tmp_path: Path) -> None:
    """A folder that is not there takes none."""
    path = tmp_path / "in.csv"
    path.write_bytes(b"a\n1\n")
    with pytest.raises(JobError, match=r"nowhere cannot hold a copy of the input: No such file"):
        read(path, format=Format.CSV, folder=tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("name", "format"), [("in.jsonl", Format.JSONL), ("in.csv", Format.CSV), ("x.gz", Format.JSONL)]
)
def test_a_missing_input_is_an_error(tmp_path: Path, name: str, format: Format) -> None:  # noqa: A002
    """One sentence, and no copy is left."""
    with pytest.raises(JobError, match="does not exist"):
        read(tmp_path / name, format=format)
    assert not list(tmp_path.iterdir())
