"""The rows of a job that are still to be done."""

from __future__ import annotations

import hashlib
import io
import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratedispatch.errors import JobError
from ratedispatch.events import RequestSkipped
from ratedispatch.jobs.inputs.lines import LONGEST_LINE, LongLine
from ratedispatch.jobs.rowformat import BatchRows
from ratedispatch.jobs.source import RowSource
from ratedispatch.jobs.state import scan as scan_module
from ratedispatch.jobs.state import section as section_module
from ratedispatch.jobs.state.rowset import RowSet
from ratedispatch.jobs.state.section import Section, digest_of
from ratedispatch.request import Request
from tests.jobs.job_files import BOM, lines_of, row, scan_of, text_of, texts

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Set as AbstractSet

    from ratedispatch.jobs.batchfile import BadRow
    from ratedispatch.jobs.state.scan import Scan

LONGEST = 60


class Lines(BatchRows):
    """Remembers the lines that were read, and makes requests of all of them."""

    def __init__(self) -> None:
        self.read: list[tuple[int, bytes]] = []

    def parse(self, line: bytes, row: int) -> Request:
        self.read.append((row, line))
        return Request({}, custom_id=f"{row}", row=row)


def row_set(rows: Iterable[int]) -> RowSet:
    found = RowSet()
    found.update(rows)
    return found


def read(
    file: io.BytesIO,
    found: Scan,
    done: AbstractSet[int] = frozenset(),
    *,
    in_order: bool = False,
) -> tuple[list[Request], list[BadRow], RowSource]:
    """Return the requests and the bad rows, as they came."""
    bad: list[BadRow] = []
    source = RowSource(
        file,
        found,
        BatchRows(),
        done=row_set(done),
        on_bad_row=lambda row, _: bad.append(row),
        in_order=in_order,
    )
    return list(source), bad, source


@given(
    texts().filter(bool),
    st.sets(st.integers(1, 24))
    | st.builds(set, st.builds(range, st.integers(1, 8), st.integers(1, 40))),
    st.booleans(),
    st.sampled_from([1, 2, 8]) | st.integers(1, 40),
    st.integers(0, 40),
    st.sampled_from([2, 4, 8]),
)
def test_all_that_is_not_done_comes_once(
    data: bytes, done: set[int], in_order: bool, block: int, more: int, checkpoints: int
) -> None:
    """From whichever places it is read: each line with its number, stripped, and its digest."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (scan_module, section_module):
            patch.setattr(module, "LONGEST_LINE", LONGEST)
        patch.setattr(scan_module, "MAX_CHECKPOINTS", checkpoints)
        patch.setattr(scan_module, "CHUNK", 20)
        patch.setattr(section_module, "_BLOCK", block)
        patch.setattr(section_module, "_LARGE_BLOCK", block + more)
        found = scan_of(data)
        lines = Lines()
        bad: list[tuple[BadRow, str]] = []
        source = RowSource(
            io.BytesIO(data),
            found,
            lines,
            done=row_set(done),
            on_bad_row=lambda row, digest: bad.append((row, digest)),
            in_order=in_order,
        )
        yielded = [request.row for request in source]
        expected = {n: line for n, line in lines_of(data, LONGEST).items() if n not in done}
        short = {n: line for n, line in expected.items() if not isinstance(line, LongLine)}
        assert sorted(lines.read) == sorted(short.items())
        if in_order:
            assert lines.read == sorted(short.items())
        assert len(yielded) + len(bad) == len(expected)
        codes = {row.row: row.code for row, _ in bad}
        assert codes == {
            number: "invalid_line" if number not in short else "duplicate_custom_id"
            for number in expected
            if number not in short or number in found.duplicates
        }
        digests = {**source.digests, **{row.row: digest for row, digest in bad}}
        assert digests == {number: digest_of(line) for number, line in expected.items()}
        if not done:
            assert source.bytes_read == len(data)


def test_bom_crlf_blank_lines_and_a_missing_last_newline() -> None:
    """Row numbers are those of an editor."""
    one, two, three = (text_of(row(name)).strip() for name in "abc")
    data = BOM + one + b"\r\n\r\n  \n" + two + b"\n" + three
    rows, bad, source = read(io.BytesIO(data), scan_of(data), in_order=True)
    assert [(row.row, row.custom_id) for row in rows] == [(1, "a"), (4, "b"), (5, "c")]
    assert not bad
    assert source.digests[1] == hashlib.blake2b(one, digest_size=8).hexdigest()


def test_a_repeated_custom_id_fails_and_the_first_runs() -> None:
    """Also when the first is done already, or was no request."""
    data = text_of(row("a"), row("a"), {"custom_id": "b", "url": "x"}, row("b"))
    for done in (set[int](), {1}):
        rows, bad, _ = read(io.BytesIO(data), scan_of(data), done, in_order=True)
        assert [row.row for row in rows] == ([] if done else [1])
        assert [(row.row, row.code) for row in bad] == [
            (2, "duplicate_custom_id"),
            (3, "invalid_line"),
            (4, "duplicate_custom_id"),
        ]


def test_long_rows_at_one_end_are_met_one_at_a_time() -> None:
    """Of any four rows in a row, one is of the last quarter."""
    data = text_of(*(row(str(number)) for number in range(64)))
    rows, _, _ = read(io.BytesIO(data), scan_of(data))
    late = [row.row is not None and row.row > 48 for row in rows]
    assert sum(late) == 16
    assert all(sum(late[begin : begin + 4]) == 1 for begin in range(0, 64, 4))


@pytest.mark.parametrize("in_order", [True, False])
def test_a_file_that_has_become_shorter_is_an_error(in_order: bool) -> None:
    """With the place where it ends now."""
    data = text_of(row("a"), row("b"), row("c"))
    found = scan_of(data)
    short = data[: len(data) // 2]
    with pytest.raises(JobError, match=r"shorter while it was read: it ends at byte \d+") as caught:
        read(io.BytesIO(short), found, in_order=in_order)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("in_order", [True, False])
@pytest.mark.parametrize("end", [b"", b"\n"])
def test_what_is_added_behind_the_survey_is_not_read(in_order: bool, end: bytes) -> None:
    """Not even the rest of a line that had no end."""
    data = text_of(row("a"), row("b")).strip() + end
    found = scan_of(data)
    grown = data + b' {"more":1}\n' + text_of(row("c"))
    rows, bad, _ = read(io.BytesIO(grown), found, in_order=in_order)
    assert sorted(row.custom_id or "" for row in rows) == ["a", "b"]
    assert not bad


def test_odd_lines_are_bad_rows_with_their_reason() -> None:
    """Depth of 100,000, bytes that are no UTF-8, NUL; the rows around them run."""
    deep = b'{"custom_id":"deep","body":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    data = b"\n".join([text_of(row("a")), deep, b'{"custom_id":"\xff"}', b"\0", text_of(row("b"))])
    rows, bad, _ = read(io.BytesIO(data), scan_of(data), in_order=True)
    assert [row.custom_id for row in rows] == ["a", "b"]
    reasons = {row.row: row.message for row in bad}
    assert reasons[3] == "line 3: JSON that cannot be read: nested too deeply"
    assert reasons[4].startswith("line 4: not UTF-8")
    assert reasons[5].startswith("line 5: not JSON")


@pytest.mark.slow
def test_a_line_of_60_megabytes_is_read_and_a_longer_one_is_a_bad_row() -> None:
    """Each with its own result, and the row behind them runs."""
    large = text_of(row("large", messages=[{"role": "user", "content": "x" * 60_000_000}]))
    data = large + b"x" * (LONGEST_LINE + 1) + b"\n" + text_of(row("b"))
    rows, bad, source = read(io.BytesIO(data), scan_of(data))
    assert sorted(row.custom_id or "" for row in rows) == ["b", "large"]
    assert [(row.row, row.code) for row in bad] == [(2, "invalid_line")]
    assert f"{LONGEST_LINE + 1:,} bytes" in bad[0].message
    assert source.bytes_read == len(data)


def test_a_place_keeps_no_more_than_a_block_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Although a long line was read in larger pieces."""
    monkeypatch.setattr(section_module, "_BLOCK", 16)
    monkeypatch.setattr(section_module, "_LARGE_BLOCK", 1_000)
    data = b"x" * 100 + b"\n" + b"y\n" * 2_000
    found = scan_of(data)
    section = Section(io.BytesIO(data), found.checkpoints[0], found.end, RowSet())
    for number, (place, line) in enumerate(section, 1):
        assert place == number
        assert len(section._block) <= 16
        assert line == (b"x" * 100 if number == 1 else b"y")
    assert section.bytes_read == len(data)


def test_rows_that_are_skipped_leave_nothing_behind() -> None:
    """A stopped route may skip a million rows, whose digests nobody asks for."""
    data = b"".join(json.dumps(row(f"row {number}")).encode() + b"\n" for number in range(3))
    source = RowSource(
        io.BytesIO(data), scan_of(data), BatchRows(), done=RowSet(), on_bad_row=lambda *_: None
    )
    requests = list(source)
    assert set(source.digests) == {request.row for request in requests}
    source(RequestSkipped(requests[0], 0, 0.0))
    assert set(source.digests) == {request.row for request in requests[1:]}
