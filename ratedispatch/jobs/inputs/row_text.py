"""
Opens an input as lines of JSON that can be read repeatedly, from any position.

A plain JSONL file is read where it is. An input that can be read only once or only from its
beginning (a pipe, a compressed file) is copied first; rows of another format are copied as one JSON
object per line, so that the number of a row is the number of its line. The copy has no name and
disappears when this process ends, however it ends.
"""

from __future__ import annotations

import json
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from ratedispatch.errors import JobError
from ratedispatch.jobs.inputs.encodings import HEAD, wide_encoding
from ratedispatch.jobs.inputs.formats import PACKED, Format
from ratedispatch.jobs.inputs.json_rows import json_table
from ratedispatch.jobs.inputs.row import BrokenRow
from ratedispatch.jobs.inputs.shape import check_shape
from ratedispatch.jobs.inputs.streams import name_of, open_bytes
from ratedispatch.jobs.inputs.table_files import open_table
from ratedispatch.jobs.state.files import CHUNK, copy_all, write_all

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ratedispatch.jobs.inputs.row import Row
    from ratedispatch.jobs.inputs.streams import Source


@dataclass(frozen=True, slots=True)
class RowText:
    """
    The rows of an input, one on each line.

    Args:
        file: The text, from its beginning; not buffered, and can be moved in.
        name: How messages name the input.
        columns: The columns of a table; None for requests in Batch format.
        is_copy: Whether *file* is a copy rather than the input itself.
        is_converted: Whether its lines were written by :func:`open_text`: objects, and a text in
            place of a row that could not be read.
    """

    file: BinaryIO
    name: str
    columns: tuple[str, ...] | None = None
    is_copy: bool = False
    is_converted: bool = False


@contextmanager
def open_text(
    path: Source,
    *,
    format: Format = Format.JSONL,  # noqa: A002
    is_table: bool = False,
    folder: Path | None = None,
) -> Iterator[RowText]:
    """
    Open the rows of *path*.

    Args:
        path: The file, or ``-``.
        format: How it is written.
        is_table: Whether its rows are data for a template rather than requests in Batch format.
        folder: Where a copy is kept while it is needed; by default that of temporary files.

    Raises:
        JobError: The input is missing, empty, damaged, or not what *format* says, or there is no
            room for a copy.
    """
    if format is not Format.JSONL:
        with _scratch(folder) as copy:
            columns = _convert(path, format, copy)
            yield RowText(_rewound(copy), name_of(path), columns, True, True)
        return
    if isinstance(path, Path) and _is_plain(path):
        with path.open("rb", buffering=0) as file:
            yield RowText(file, name_of(path), _columns(file, path) if is_table else None)
        return
    with _scratch(folder) as copy:
        with open_bytes(path) as packed, _room(path):
            copy_all(packed, copy)
        columns_of = _columns(_rewound(copy), path) if is_table else None
        yield RowText(_rewound(copy), name_of(path), columns_of, True)


def _is_plain(path: Path) -> bool:
    """
    Whether the file can be read where it is: it is not compressed, and no text in a wide encoding.

    Raises:
        JobError: It is compressed under a plain name.
    """
    if path.suffix.lower() in PACKED:
        return False
    with open_bytes(path) as reader:
        reader.peek(1)
    with path.open("rb") as file:
        return wide_encoding(file.read(HEAD)) is None


@contextmanager
def _scratch(folder: Path | None) -> Iterator[BinaryIO]:
    """A file without a name, which no other user can read."""
    try:
        file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115  (closed below)
    except OSError as error:
        where = folder or tempfile.gettempdir()
        raise JobError(
            f"the folder {where} cannot hold a copy of the input: {error.strerror}; free some "
            f"space there"
        ) from error
    with file:
        yield file


@contextmanager
def _room(path: Source) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise JobError(
            f"the input {name_of(path)} has to be copied, but the copy cannot be written: "
            f"{error.strerror}; free some space in the folder of the output"
        ) from error


def _rewound(file: BinaryIO) -> BinaryIO:
    file.seek(0)
    return file


def _columns(file: BinaryIO, path: Source) -> tuple[str, ...]:
    check_shape(file, name_of(path), is_table=True)
    with open(file.fileno(), "rb", closefd=False) as buffered:
        columns = json_table(buffered, name_of(path)).columns
    file.seek(0)
    return columns


def _convert(path: Source, format: Format, copy: BinaryIO) -> tuple[str, ...]:  # noqa: A002
    """Write the rows of *path* to *copy*, one on each line; return their columns."""
    waiting = bytearray()
    with open_table(path, format) as table, _room(path):
        for _, row in table.rows:
            waiting += _line(row)
            if len(waiting) >= CHUNK:
                write_all(copy, waiting)
                waiting = bytearray()
        write_all(copy, waiting)
        return table.columns


def _line(row: Row | BrokenRow) -> bytes:
    if isinstance(row, BrokenRow):
        return json.dumps(row.message).encode() + b"\n"
    try:
        return json.dumps(dict(row), default=_text).encode() + b"\n"
    except RecursionError:
        return json.dumps("a cell is nested too deeply to be read").encode() + b"\n"


def _text(value: Any) -> str:
    """What JSON does not have, as text; bytes that are none keep as halves of surrogate pairs."""
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else str(value)
