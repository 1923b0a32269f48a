"""Where the line of each row stands."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratedispatch.errors import JobError
from ratedispatch.jobs import batchfile
from ratedispatch.jobs.outputs import index as module
from ratedispatch.jobs.outputs.index import ResultIndex, line_starts
from tests.jobs.outputs.lines import put, result, row_of

if TYPE_CHECKING:
    from pathlib import Path


def test_lines_are_found_by_their_row(tmp_path: Path) -> None:
    """In any order, of any file, with a suffix behind the number or without."""
    lines = {
        row: result(row, "x" * (row % 97), suffix="-0123456789abcdef" if row % 2 else "")
        for row in (9, 1, 5_000, 4_095, 4_096, 123_456)
    }
    one = put(tmp_path, "out", *list(lines.values())[:3])
    two = put(tmp_path, "err", *list(lines.values())[3:])
    with ResultIndex([one, two], row_of, tmp_path) as index:
        assert {row: index.line(row) for row in lines} == lines
        assert [row in index for row in (0, 1, 2, 4_097, 10**11)] == [False, True, *[False] * 3]
        assert index.line(2) is None


def test_the_row_of_a_job_is_told_by_its_own_function(tmp_path: Path) -> None:
    """With what the index hands it: the beginning of a line."""
    path = put(tmp_path, "out", result(3, "x" * 500))
    with ResultIndex([path], batchfile.row_of, tmp_path) as index:
        assert index.line(3) == result(3, "x" * 500)


def test_the_last_line_of_the_last_file_counts(tmp_path: Path) -> None:
    """A row that failed and was then answered, and one with two answers."""
    errors = put(tmp_path, "err", result(1, "old"), result(2, "only"))
    answers = put(tmp_path, "out", result(1, "new"), result(3, "first"), result(3, "second"))
    with ResultIndex([errors, answers], row_of, tmp_path) as index:
        assert [index.line(row) for row in (1, 2, 3)] == [
            result(1, "new"),
            result(2, "only"),
            result(3, "second"),
        ]
    with ResultIndex([answers, errors], row_of, tmp_path) as index:
        assert index.line(1) == result(1, "old")


def test_torn_and_foreign_lines_and_missing_files_are_passed_over(tmp_path: Path) -> None:
    """A crash leaves the first, and a job without failures the last."""
    path = put(tmp_path, "out", b"\n", b"hello\n", result(1, "a"), result(2, "b")[:-1])
    with ResultIndex([path, tmp_path / "none"], row_of, tmp_path) as index:
        assert index.line(1) == result(1, "a")
        assert index.line(2) is None
    with ResultIndex([], row_of, tmp_path) as index:
        assert index.line(1) is None


def test_a_file_that_changes_is_noticed(tmp_path: Path) -> None:
    """Rather than the answer of another row be taken."""
    path = put(tmp_path, "out", result(1, "a"), result(2, "b"))
    with ResultIndex([path], row_of, tmp_path) as index:
        put(tmp_path, "out", result(2, "b"), result(1, "a"))
        with pytest.raises(JobError, match=r"out was changed .* row 1 is no longer at byte 0;"):
            index.line(1)


def test_nothing_is_left_in_the_folder(tmp_path: Path) -> None:
    """The places are in a file without a name, also while they are used."""
    path = put(tmp_path, "out", result(1, "a"))
    with ResultIndex([path], row_of, tmp_path):
        assert list(tmp_path.iterdir()) == [path]
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A place that is written in part would be another one."""
    path = put(tmp_path, "out", result(1, "a"))
    monkeypatch.setattr(os, "pwrite", lambda *_: 3)
    with pytest.raises(OSError, match="No space left"):
        ResultIndex([path], row_of, tmp_path)


@given(st.lists(st.sampled_from([0, 1, 126, 127, 128, 129, 300]), max_size=8), st.booleans())
def test_lines_begin_where_they_do(lengths: list[int], is_torn: bool) -> None:
    """However they fall on the blocks that are read at a time."""
    lines = [bytes([65 + number]) * length for number, length in enumerate(lengths)]
    data = b"".join(line + b"\n" for line in lines) + (b"torn" if is_torn else b"")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "CHUNK", 100)
        found = list(line_starts(io.BytesIO(data)))
    starts = [sum(lengths[:number]) + number for number in range(len(lengths))]
    assert found == list(zip(starts, [line[:128] for line in lines], strict=True))
