"""What the result files of a job hold."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratedispatch.errors import JobError
from ratedispatch.jobs.state import results as results_module
from ratedispatch.jobs.state.results import recover
from tests.jobs.job_files import result

ROWS = st.lists(st.integers(1, 500), unique=True, max_size=12)


def written(rows: list[int]) -> bytes:
    """Return result lines of different lengths, with and without a digest."""
    digests = ("", "0123456789abcdef")
    return b"".join(
        result(row, digests[row % 2]).replace(b"}", b',"x":"%s"}' % (b"y" * (row % 60)))
        for row in rows
    )


def recovered(data: bytes, chunk: int) -> tuple[list[int], bytes, bytes | None]:
    """Return the rows that are found, the file afterwards, and what was put aside."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(results_module, "CHUNK", chunk + 1)  # 1 would be a buffer of lines
        patch.setattr("os.fsync", lambda _: None)  # not to wait for the disk a hundred times
        path = Path(folder) / "out.jsonl"
        path.write_bytes(data)
        rows = list(recover(path).rows)
        damaged = path.with_name("out.jsonl.damaged")
        return rows, path.read_bytes(), damaged.read_bytes() if damaged.exists() else None


@given(ROWS, st.integers(1, 300), st.data())
def test_whole_lines_count_wherever_the_file_is_cut(
    rows: list[int], chunk: int, data: st.DataObject
) -> None:
    """At any byte; the torn rest is nobody's."""
    text = written(rows)
    text = text[: data.draw(st.integers(0, len(text)))]
    found, after, aside = recovered(text, chunk)
    assert found == sorted(rows[: text.count(b"\n")])
    assert (after, aside) == (text, None)


@given(ROWS.filter(bool), st.integers(1, 300), st.data())
def test_a_hole_of_zeros_cuts_the_file_and_the_rest_is_kept_aside(
    rows: list[int], chunk: int, data: st.DataObject
) -> None:
    """As a power cut leaves it: lines before the one with the hole count, and no byte is lost."""
    text = written(rows)
    begin = data.draw(st.integers(0, len(text) - 2))
    end = data.draw(st.integers(begin + 1, len(text) - 1))
    text = text[:begin] + bytes(end - begin) + text[end:]
    whole = text[: text.rfind(b"\n", 0, begin) + 1]
    found, after, aside = recovered(text, chunk)
    assert found == sorted(rows[: whole.count(b"\n")])
    assert after == whole
    assert aside == text[len(whole) :]


def test_zeros_without_an_end_are_a_torn_line(tmp_path: Path) -> None:
    """No line is behind them that could be lost; whoever opens the file cuts them off."""
    found, _, aside = recovered(written([1, 2]) + bytes(5_000), 100)
    assert (found, aside) == ([1, 2], None)


def test_what_was_put_aside_earlier_stays(tmp_path: Path) -> None:
    """A second power cut adds to it."""
    path = tmp_path / "out"
    for text in (b"\0one\n", b"\0two\n"):
        path.write_bytes(text)
        assert not len(recover(path).rows)
    assert (tmp_path / "out.damaged").read_bytes() == b"\0one\n\0two\n"


#: Lines that are not ours, and one of ours that was torn and then ended.
FOREIGN = [
    b"precious",
    b"",
    b"\r",
    b"{}",
    b' {"id":"batch_req_000000000001"}',
    b'{"id":"batch_req_12"}',
    b'{"id": "batch_req_000000000001"}',
    b'{"id":"batch_req_000000000001","custom_id":"a","resp',
]


@pytest.mark.parametrize("foreign", FOREIGN)
def test_a_file_of_another_program_is_refused(tmp_path: Path, foreign: bytes) -> None:
    """The file is left as it was."""
    path = tmp_path / "out"
    path.write_bytes(foreign + b"\n")
    with pytest.raises(JobError, match=r"^line 1 of .* was not written by"):
        recover(path)
    assert path.read_bytes() == foreign + b"\n"


@given(ROWS.filter(bool), st.integers(1, 300), st.sampled_from(FOREIGN), st.data())
def test_a_foreign_line_among_ours_is_passed_over(
    rows: list[int], chunk: int, foreign: bytes, data: st.DataObject
) -> None:
    """Another program has written while the job ran; its line stays, and no row is done for it."""
    place = data.draw(st.integers(0, len(rows)))
    text = written(rows[:place]) + foreign + b"\n" + written(rows[place:])
    found, after, aside = recovered(text, chunk)
    assert found == sorted(rows)
    assert (after, aside) == (text, None)


def test_foreign_lines_are_counted(tmp_path: Path) -> None:
    """With the number of the first."""
    path = tmp_path / "out"
    path.write_bytes(written([1, 2]) + b"x\ny\n" + written([3]))
    found = recover(path)
    assert (found.foreign, found.first_foreign) == (2, 3)


def test_a_missing_file_has_no_rows_and_is_not_made(tmp_path: Path) -> None:
    """Looking is no writing."""
    assert not len(recover(tmp_path / "out").rows)
    assert not list(tmp_path.iterdir())
