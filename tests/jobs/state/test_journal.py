"""The file beside the output."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratedispatch.errors import JobError
from ratedispatch.jobs.state.journal import Journal, open_journal
from ratedispatch.jobs.state.manifest import manifest_of
from tests.jobs.job_files import scan_of

MANIFEST = manifest_of("in.jsonl", scan_of(b'{"custom_id":"a"}\n' * 3), None, "jsonl")

#: Opens a job file, notes rows, and is killed or lets go of it.
_CHILD = """
import os, sys
from pathlib import Path
from ratedispatch.errors import JobError
from ratedispatch.jobs.state.journal import open_journal
try:
    journal = open_journal(Path(sys.argv[1]))
except JobError as error:
    print(error)
    sys.exit()
for row in range(100):
    journal.send(row)
journal.take_back(7)
os.kill(os.getpid(), 9)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A job file with its manifest."""
    path = tmp_path / "out.jsonl.job"
    with contextlib.closing(open_journal(path)) as journal:
        journal.write_manifest(MANIFEST)
    return path


def opened(path: Path) -> contextlib.closing[Journal]:
    return contextlib.closing(open_journal(path))


def child(path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", _CHILD, str(path)], capture_output=True, text=True, check=False
    )


def test_what_was_noted_is_there_when_it_is_opened_again(path: Path) -> None:
    """Rows that left, but for those that came back; and how often one left twice."""
    with opened(path) as journal:
        for row in (1, 2, 3, 12):
            journal.send(row)
        journal.take_back(2)
        journal.send(3)
        journal.end(1)
        assert (list(journal.open_rows), journal.billed_twice) == ([3, 12], 1)
    with opened(path) as journal:
        # that row 1 has ended stands in the result files
        assert (list(journal.open_rows), journal.billed_twice) == ([1, 3, 12], 1)
        assert journal.manifest is not None
        assert journal.manifest.to_line() == MANIFEST.to_line()


def test_a_row_that_came_back_may_be_sent_again_without_doubt(path: Path) -> None:
    """Refused, then answered: billed once."""
    with opened(path) as journal:
        journal.send(1)
        journal.take_back(1)
        journal.take_back(1)
        journal.send(1)
        assert journal.billed_twice == 0
    with opened(path) as journal:
        assert (list(journal.open_rows), journal.billed_twice) == ([1], 0)


def test_a_row_that_could_not_be_noted_is_not_open(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not sent either, so that it is no second attempt once there is room again."""
    with opened(path) as journal:
        with monkeypatch.context() as patch:
            patch.setattr(journal, "append", full)
            with pytest.raises(OSError, match="No space left"):
                journal.send(1)
        assert 1 not in journal.open_rows
        journal.send(1)
        assert (1 in journal.open_rows, journal.billed_twice) == (True, 0)


def full(record: bytes) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_refused_second_attempt_does_not_clear_the_first(path: Path) -> None:
    """No answer, then a refusal: the attempt that is not known to have ended may be billed."""
    with opened(path) as journal:
        journal.send(1)
        journal.send(1)
        journal.take_back(1)
        assert list(journal.open_rows) == [1]
    with opened(path) as journal:
        assert list(journal.open_rows) == [1]


@given(st.lists(st.tuples(st.sampled_from("stb"), st.integers(0, 30)), max_size=30), st.data())
def test_a_torn_tail_is_cut_off_and_the_file_goes_on(
    steps: list[tuple[str, int]], data: st.DataObject
) -> None:
    """Wherever it is cut behind the manifest: whole records count, and what follows is whole."""
    records = [f"{kind}{row}\n".encode() for kind, row in steps]
    cut = data.draw(st.integers(0, len(b"".join(records))))
    whole = b"".join(records)[:cut]
    rows: set[int] = set()
    repeated: set[int] = set()
    twice = 0
    for record in whole[: whole.rfind(b"\n") + 1].splitlines():
        row = int(record[1:])
        if record.startswith(b"b") and row in repeated:
            repeated.remove(row)
            twice -= 1
        elif record.startswith(b"b"):
            rows.discard(row)
        else:
            rows.add(row)
            if record.startswith(b"t"):
                repeated.add(row)
                twice += 1
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "job"
        path.write_bytes(MANIFEST.to_line() + whole)
        with opened(path) as journal:
            assert (set(journal.open_rows), journal.billed_twice) == (rows, twice)
            journal.send(99)
        with opened(path) as journal:
            assert set(journal.open_rows) == {*rows, 99}


def test_records_are_found_wherever_a_block_ends(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also those that came with the manifest."""
    with opened(path) as journal:
        for row in range(50):
            journal.send(row)
    for size in (1, 3, len(MANIFEST.to_line()) + 1):
        monkeypatch.setattr("ratedispatch.jobs.state.journal.CHUNK", size)
        with opened(path) as journal:
            assert list(journal.open_rows) == list(range(50))


def test_a_new_manifest_keeps_the_rows_in_doubt(path: Path) -> None:
    """And whoever goes on finds the new one."""
    with opened(path) as journal:
        journal.send(4)
        journal.send(5)
        journal.end(5)
        journal.send(4)
        journal.write_manifest(dataclasses.replace(MANIFEST, input="other"))
        journal.send(6)
    with opened(path) as journal:
        assert journal.manifest is not None
        assert (journal.manifest.input, journal.billed_twice) == ("other", 1)
        assert list(journal.open_rows) == [4, 6]
        journal.take_back(4)
        assert (journal.billed_twice, list(journal.open_rows)) == (0, [4, 6])
    assert list(path.parent.iterdir()) == [path]


def test_a_renewed_manifest_keeps_the_count_of_what_was_billed_twice(path: Path) -> None:
    """Also of what was noted behind the former one."""
    with opened(path) as journal:
        journal.send(1)
        journal.send(1)
        assert journal.manifest is not None
        journal.write_manifest(dataclasses.replace(MANIFEST, billed_twice=journal.billed_twice))
        assert journal.billed_twice == 1
    with opened(path) as journal:
        assert journal.billed_twice == 1


def test_a_second_opener_is_refused_until_the_first_lets_go(path: Path) -> None:
    """In this process or another; a new manifest does not let anybody in."""
    with opened(path) as journal:
        for _ in range(2):
            with pytest.raises(JobError, match=r"another process is working on .*out\.jsonl;"):
                open_journal(path)
            journal.write_manifest(MANIFEST)
    open_journal(path).close()


@pytest.mark.slow
def test_what_a_killed_writer_has_noted_is_not_lost(path: Path) -> None:
    """Nothing waits in its memory, and its lock goes with it."""
    with opened(path):
        assert "another process is working on" in child(path).stdout
    assert child(path).returncode == -signal.SIGKILL
    with opened(path) as journal:
        assert list(journal.open_rows) == [row for row in range(100) if row != 7]


def test_a_removed_file_is_put_back(path: Path) -> None:
    """With its open rows and its count; a file that is there is left alone."""
    with opened(path) as journal:
        before = path.stat()
        journal.restore()
        assert path.stat().st_ino == before.st_ino
        journal.send(1)
        journal.send(1)
        path.unlink()
        journal.restore()
        journal.send(2)
    with opened(path) as journal:
        assert (list(journal.open_rows), journal.billed_twice) == ([1, 2], 1)


def test_a_file_that_cannot_be_put_back_is_an_error(path: Path) -> None:
    """Its folder is gone."""
    with opened(path) as journal:
        path.unlink()
        path.parent.rmdir()
        with pytest.raises(JobError, match="cannot be written: No such file"):
            journal.restore()
    path.parent.mkdir()


def test_nobody_else_may_read_it(path: Path) -> None:
    """Prompts are in it. Also after a new manifest, whatever the mask."""
    before = os.umask(0)
    try:
        with opened(path) as journal:
            journal.write_manifest(MANIFEST)
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "text",
    [b"{}", b"precious\n", b"[]\n", b"null\n", b'{"format": 1}\n', b"\xff\n", b"s1\n"],
)
def test_a_file_that_is_none_is_refused_and_untouched(tmp_path: Path, text: bytes) -> None:
    """One sentence; it can be opened again once it is right."""
    path = tmp_path / "out.job"
    path.write_bytes(text)
    with pytest.raises(JobError, match="cannot be read as a job file; to start over"):
        open_journal(path)
    assert path.read_bytes() == text
    path.write_bytes(MANIFEST.to_line())
    open_journal(path).close()


def test_what_was_spent_is_there_after_a_kill_and_another_manifest(path: Path) -> None:
    """To a billionth of a dollar; a new manifest keeps it."""
    with opened(path) as journal:
        journal.send(1)
        journal.note_spent(1.5, 0.000_000_02)
        journal.note_spent(1.500_000_03, 0.25)
        journal.note_spent(1.500_000_03, 0.25)
    assert path.read_bytes().count(b"\nc") == 3  # one of the manifest, and no repetition
    for _ in range(2):
        with opened(path) as journal:
            assert (journal.spent, journal.dearest) == (1.500_000_03, 0.25)
            assert list(journal.open_rows) == [1]
            journal.write_manifest(MANIFEST)


def test_rows_that_are_lost_sight_of_cost_as_much_as_the_dearest(path: Path) -> None:
    """Where the input has changed they cannot be found, and may have been billed."""
    with opened(path) as journal:
        for row in (1, 2):
            journal.send(row)
        journal.note_spent(1.0, 0.25)
        journal.count_open_rows_as_billed_twice()
        assert journal.spent == 1.5
