"""
Writes and reads the file that keeps the counts of one input, as raw arrays.

Numbers only, and of each kind of rows its endpoint and model: no text, no name of a row or a file.
Whatever does not look exactly as it was written is refused: torn, foreign, of another version or
machine, or made to do harm. A reader takes no more memory than the file is long.
"""

from __future__ import annotations

import hashlib
import json
import struct
import sys
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

from ratedispatch.jobs.plan.findings import LONGEST_NAME, MOST_FINDINGS, MOST_GROUPS, finding_of
from ratedispatch.jobs.workload.counted import Counted
from ratedispatch.request import ENDPOINTS
from ratedispatch.simulate.forecast.workload import Kind, Workload

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_MAGIC = b"rdcounts"

#: The version of the format. A file of another one is left alone, and counts as none.
VERSION = 1

#: Magic, version, a mark of the byte order, bytes of a number, nothing, bytes of what it is about,
#: rows, and the digests of the input and of all that follows.
_HEAD = struct.Struct("=8sHHHHIQ32s32s")
_ORDER_MARK = 0x0102 if sys.byteorder == "little" else 0x0201

#: Bytes of what it is about: a thousand kinds and a thousand lines take less.
_MOST_ABOUT = 2**20

#: Columns that every file has, in their order, and those that are left out where they say nothing.
_ALWAYS = ("kind", "prompt", "output", "billed", "cap")
_SELDOM = ("lines", "billed_outputs", "assumed")

#: Bytes that are written at a time.
_CHUNK = 2**20


class DamagedCounts(ValueError):
    """A file of counts cannot be read by this version."""


@dataclass(frozen=True, slots=True)
class _About:
    """
    What stands before the columns.

    Args:
        kinds: Endpoints and models.
        columns: The columns of `_SELDOM` that are there.
        rows: All rows of the input.
        counts: Rows that cannot be sent, by code.
        found: The lines of the first of them, and their codes.
        is_whole: As in `Counted`.
    """

    kinds: list[Kind]
    columns: list[str]
    rows: int
    counts: dict[str, int]
    found: list[tuple[int, str]]
    is_whole: bool


def write_counts(file: BinaryIO, key: bytes, counted: Counted) -> None:
    """
    Write *counted* to *file*, as that of the input with the digest *key*, 32 bytes.

    Raises:
        OSError: It cannot be written.
    """
    columns = _columns_of(counted)
    about = {
        "kinds": counted.workload.kinds,
        "columns": [name for name in _SELDOM if name in columns],
        "rows": counted.rows,
        "counts": counted.counts or {},
        "found": [[finding.line, finding.code] for finding in counted.findings],
        "is_whole": counted.is_whole,
    }
    text = json.dumps(about, separators=(",", ":")).encode()
    parts = [memoryview(text), *(memoryview(column).cast("B") for column in columns.values())]
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    rows, item = len(counted.workload), array("I").itemsize
    head = _MAGIC, VERSION, _ORDER_MARK, item, 0, len(text), rows, key, digest.digest()
    file.write(_HEAD.pack(*head))
    for part in parts:
        file.writelines(part[start : start + _CHUNK] for start in range(0, len(part), _CHUNK))


def size_of(counted: Counted) -> int:
    """Return about how many bytes the file of *counted* has."""
    columns = _columns_of(counted).values()
    return _HEAD.size + sum(len(column) * column.itemsize for column in columns)


def _columns_of(counted: Counted) -> dict[str, array[int]]:
    """Return the columns by name, without those that say nothing."""
    workload = counted.workload
    found: dict[str, array[int]] = {name: getattr(workload, name) for name in _ALWAYS}
    lines = counted.lines
    if len(lines) and lines[-1] != len(lines):  # they ascend: with the last one all are as counted
        found["lines"] = _numbers(lines)
    if counted.billed_outputs is not workload.output:
        billed = _numbers(counted.billed_outputs)
        if billed != workload.output:
            found["billed_outputs"] = billed
    if any(counted.assumed):
        found["assumed"] = _numbers(counted.assumed)
    return found


def _numbers(values: Sequence[int]) -> array[int]:
    return values if isinstance(values, array) else array("I", values)


def read_counts(file: BinaryIO, size: int, key: bytes) -> Counted:
    """
    Return what `write_counts` wrote to *file*, which is *size* bytes long.

    Raises:
        DamagedCounts: It is not that, or of another input than the one with the digest *key*.
        OSError: It cannot be read.
    """
    head = file.read(_HEAD.size)
    if len(head) != _HEAD.size:
        raise DamagedCounts("it is too short")
    *known, length, rows, its_key, digest = _HEAD.unpack(head)
    if (*known, its_key) != (_MAGIC, VERSION, _ORDER_MARK, array("I").itemsize, 0, key):
        raise DamagedCounts("it is of another program, version, machine or input")
    if length > _MOST_ABOUT or rows > size:
        raise DamagedCounts("its sizes are wrong")
    text = file.read(length)
    checked = hashlib.sha256(text)
    about = _about(text)
    names = [*_ALWAYS, *about.columns]
    columns = {name: array("H" if name == "kind" else "I") for name in names}
    if size != _HEAD.size + length + rows * sum(one.itemsize for one in columns.values()):
        raise DamagedCounts("its length is wrong")
    for column in columns.values():
        try:
            column.fromfile(file, rows)
        except EOFError:
            raise DamagedCounts("it is cut off") from None
        checked.update(column)
    if checked.digest() != digest:
        raise DamagedCounts("its checksum is wrong")
    return _counted(about, columns, rows)


def _counted(about: _About, columns: dict[str, array[int]], rows: int) -> Counted:
    if rows and max(columns["kind"]) >= len(about.kinds):
        raise DamagedCounts("a row has no kind")
    lines: Sequence[int] = columns.get("lines") or range(1, rows + 1)
    if isinstance(lines, array) and not _ascends(lines):
        raise DamagedCounts("its lines do not ascend")
    workload = Workload(
        about.kinds,
        {kind: index for index, kind in enumerate(about.kinds)},
        *(columns[name] for name in _ALWAYS),
    )
    return Counted(
        workload,
        lines,
        columns.get("billed_outputs", workload.output),
        columns.get("assumed") or array("I", bytes(4 * rows)),
        tuple(_findings(about.found)),
        about.counts,
        about.rows,
        about.is_whole,
        is_remembered=True,
    )


def _ascends(lines: array[int]) -> bool:
    return lines[0] >= 1 and all(map(int.__lt__, lines, memoryview(lines)[1:]))


def _findings(found: Iterable[tuple[int, str]]) -> Iterator[Any]:
    """Yield what is told of rows that cannot be sent: their names and reasons are not kept."""
    for line, code in found:
        yield finding_of(line, None, code, "it cannot be sent")


def _about(text: bytes) -> _About:
    """Return what *text* says."""
    try:
        values = json.loads(text)
        kinds = [Kind(*_texts(pair, 2)) for pair in values["kinds"]]
        columns = _texts(values["columns"], len(values["columns"]))
        counts = {_code(code): _count(number) for code, number in values["counts"].items()}
        found = [(_count(line), _code(code)) for line, code in values["found"]]
        about = _About(
            kinds, columns, _count(values["rows"]), counts, found, values["is_whole"] is True
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise DamagedCounts("what it is about cannot be read") from error
    is_sound = (
        len(set(kinds)) == len(kinds) <= MOST_GROUPS + len(ENDPOINTS)
        and all(kind.endpoint in ENDPOINTS and len(kind.model) <= LONGEST_NAME for kind in kinds)
        and columns == [name for name in _SELDOM if name in columns]
        and len(found) <= MOST_FINDINGS
    )
    if not is_sound:
        raise DamagedCounts("what it is about is not possible")
    return about


def _texts(values: Any, count: int) -> list[str]:
    if not isinstance(values, list) or len(values) != count:
        raise TypeError("not so many texts")
    for value in values:
        if not isinstance(value, str):
            raise TypeError("no text")
    return values


def _code(value: Any) -> str:
    if not isinstance(value, str) or not value.isidentifier() or len(value) > 50:
        raise TypeError("no code")
    return value


def _count(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 2**53:
        raise TypeError("no number of rows")
    return value
