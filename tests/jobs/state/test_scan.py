"""One pass over an input."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratedispatch.jobs.batchfile import quick_name
from ratedispatch.jobs.inputs.template import Template
from ratedispatch.jobs.rowformat import BatchRows, TableRows
from ratedispatch.jobs.state import repeats
from ratedispatch.jobs.state import scan as scan_module
from ratedispatch.jobs.state.scan import Scan, scan
from tests.jobs.job_files import LINES, lines_of, name_of, scan_of, texts

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST = 60
CHECKPOINTS = 4


@pytest.fixture(scope="module", autouse=True)
def small() -> Iterator[None]:
    """Bounds that a short text meets: chunk, longest line, checkpoints, waiting names."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scan_module, "LONGEST_LINE", LONGEST)
        patch.setattr(scan_module, "MAX_CHECKPOINTS", CHECKPOINTS)
        patch.setattr(repeats, "_BINS", 2)
        patch.setattr(repeats, "_WAITING", 3)
        yield


def read(data: bytes, chunk: int) -> Scan:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scan_module, "CHUNK", chunk)
        return scan_of(data)


CHUNKS = st.integers(1, LONGEST)


@given(texts(), CHUNKS)
def test_what_there_is_is_what_a_slow_reader_finds(data: bytes, chunk: int) -> None:
    """Wherever the chunks are cut: size, rows, lines, and the digest of all bytes."""
    found = read(data, chunk)
    assert found.size == len(data)
    assert found.rows == len(lines_of(data, LONGEST))
    assert found.lines == data.count(b"\n") + (data[-1:] not in {b"\n", b""})
    assert found.digest == hashlib.sha256(data).hexdigest()


@given(texts(), CHUNKS)
def test_of_rows_with_one_name_the_first_stays(data: bytes, chunk: int) -> None:
    """However it is written, and also if the first is no request; what is no JSON has no name."""
    seen: set[str] = set()
    expected = []
    for number, line in lines_of(data, LONGEST).items():
        name = name_of(line, number)
        if name is None:
            continue
        if name in seen:
            expected.append(number)
        seen.add(name)
    assert list(read(data, chunk).duplicates) == expected


@given(texts(), CHUNKS)
def test_marks_are_where_lines_begin(data: bytes, chunk: int) -> None:
    """Not too many, the first at the beginning, equally far apart, with the rows before each."""
    found = read(data, chunk)
    starts = [0, *(place + 1 for place, byte in enumerate(data) if byte == ord("\n"))]
    rows = sorted(lines_of(data, LONGEST))
    assert len(found.checkpoints) <= CHECKPOINTS
    assert bool(found.checkpoints) == bool(data)
    strides = {
        two.line - one.line
        for one, two in zip(found.checkpoints, found.checkpoints[1:], strict=False)
    }
    assert len(strides) <= 1
    for checkpoint in found.checkpoints:
        assert checkpoint.offset == starts[checkpoint.line - 1]
        assert checkpoint.rows == sum(number < checkpoint.line for number in rows)
    if found.checkpoints:
        assert (found.checkpoints[0].offset, found.checkpoints[0].line) == (0, 1)
        last = found.checkpoints[-1].line
        assert found.lines - last < max(strides, default=1)


@given(texts(), CHUNKS, st.integers(1, 6))
def test_the_parts_of_an_input_add_up_to_it(data: bytes, chunk: int, count: int) -> None:
    """As many as were asked for at most."""
    found = read(data, chunk)
    parts = found.parts(count)
    assert len(parts) <= count
    assert sum(part[0] for part in parts) == found.rows
    assert sum(part[1] for part in parts) == pytest.approx(found.tokens)


@pytest.mark.parametrize("line", LINES)
def test_a_quick_name_is_the_one_that_counts(line: bytes) -> None:
    """Or there is none, and the line has to be parsed."""
    name = name_of(line.strip(), 1)
    if name is not None:
        assert quick_name(line) in {None, name.encode("utf-8", "surrogatepass")}


@pytest.mark.parametrize(
    "second",
    [b'"custom\\u005fid":"b"', b'"\\u0063ustom_id":"b"', b'"custom_id":"b"', b'"CUSTOM_ID":"b"'],
)
def test_a_key_that_is_there_twice_counts_as_its_last_value(second: bytes) -> None:
    """Also when one of the two is written with escapes."""
    line = b'{"custom_id":"a",' + second + b"}"
    name = json.loads(line)["custom_id"].encode()
    assert BatchRows().guess(line, 1) == name
    data = line + b'\n{"custom_id":"' + name + b'"}\n'
    assert list(scan_of(data).duplicates) == [2]


def test_tokens_are_those_of_the_text_and_of_the_output_cap(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Four bytes to a token; the cap is the last one on the line."""
    monkeypatch.setattr(scan_module, "LONGEST_LINE", 10_000)
    lines = [b"x" * 40, b'{"max_tokens":100}', b'{"max_output_tokens" : 7}', b'{"max_tokens":null}']
    found = scan_of(b"\n".join(lines))
    assert found.tokens == sum(map(len, lines)) / 4 + 107
    equal = scan_of(b"y" * 40 + b"\n" + b"z" * 40)
    assert equal.deviation == pytest.approx(0.0)
    apart = scan_of(b"y" * 40 + b"\n" + b"z" * 120)
    assert apart.deviation == pytest.approx(0.5)


def test_rows_that_are_named_by_their_numbers_have_no_duplicates() -> None:
    """Without an id column nobody looks for names; with one, each cell is a name."""
    data = b'{"n":"a"}\n{"n":"a"}\n{"n":""}\n{"n":""}\nbroken\n{"n":"b"}\n'
    by_number = TableRows(Template("{n}", model="m"))
    assert by_number.names is None
    assert not len(scan(io.BytesIO(data), by_number.names).duplicates)
    by_column = TableRows(Template("hi", model="m", id_column="n"))
    assert list(scan(io.BytesIO(data), by_column.names).duplicates) == [2]


@given(texts(), CHUNKS)
def test_a_survey_comes_back_from_json(data: bytes, chunk: int) -> None:
    """With all that was found."""
    found = read(data, chunk)
    again = Scan.from_dict(json.loads(json.dumps(found.as_dict())))
    assert again.as_dict() == found.as_dict()
    assert (again.checkpoints, list(again.duplicates)) == (
        found.checkpoints,
        list(found.duplicates),
    )


@pytest.mark.parametrize("after", [b"a\nb\n", b"a\nc\n", b"a\n", b"a\nb\nc\n"])
def test_what_is_known_counts_as_long_as_the_bytes_are_the_same(after: bytes) -> None:
    """One byte that is another, fewer or more, and everything is looked at anew."""
    before = b"a\nb\n"
    known = dataclasses.replace(scan_of(before), deviation=7.0)
    found = scan(io.BytesIO(after), BatchRows(), known=known)
    assert (found is known) == (after == before)
    if after != before:
        assert found.as_dict() == scan_of(after).as_dict()


def test_an_empty_file_has_nothing() -> None:
    """No rows, no checkpoints, no parts that matter."""
    found = scan_of(b"")
    assert (found.size, found.rows, found.lines, found.checkpoints) == (0, 0, 0, ())
    assert sum(part[0] for part in found.parts(4)) == 0
