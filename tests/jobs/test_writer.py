"""Where the outcomes of a run go."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING

import pytest

from ratedispatch.events import AttemptEnded
from ratedispatch.jobs.batchfile import BadRow
from ratedispatch.jobs.sink import Fsync
from ratedispatch.jobs.state.journal import open_journal
from ratedispatch.jobs.state.manifest import Manifest
from ratedispatch.jobs.state.paths import JobFiles
from ratedispatch.jobs.writer import Writer
from ratedispatch.outcome import Completed, Decision, Failed, Response
from ratedispatch.request import Cost, Request
from ratedispatch.simulate.clock import run_virtual

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from ratedispatch.jobs.state.journal import Journal

KEY = "sk-secret-0123456789"
DIGEST = "0123456789abcdef"


class Desk:
    """A writer in a folder, with what it has told."""

    def __init__(self, folder: Path, fsync: Fsync) -> None:
        self.files = JobFiles("-", folder / "out.jsonl", folder / "bad.jsonl")
        self.journal: Journal = open_journal(self.files.job)
        self.journal.write_manifest(Manifest("in", 0, 0, ""))
        self.errors: list[OSError] = []
        self.writer = Writer(
            self.files,
            self.journal,
            keys=[KEY],
            fsync=fsync,
            interval=1.0,
            on_error=self.errors.append,
        )


@contextlib.asynccontextmanager
async def desk(folder: Path, fsync: Fsync = Fsync.INTERVAL) -> AsyncIterator[Desk]:
    """Open a writer that keeps what it writes safe."""
    made = Desk(folder, fsync)
    keeper = asyncio.create_task(made.writer.keep_safe())
    try:
        yield made
    finally:
        keeper.cancel()
        await asyncio.gather(keeper, return_exceptions=True)
        made.writer.close()
        made.journal.close()


def request(row: int) -> Request:
    return Request({"model": "gpt-4o"}, custom_id=f"r{row}", row=row)


def answered(row: int, text: str = "hi") -> Completed:
    return Completed(request(row), Response(200, {}, {"text": text}), Cost(1))


def ended(row: int, status: int | None, decision: Decision) -> AttemptEnded:
    return AttemptEnded(request(row), 1, Cost(1), status, decision, "", 0.1, 0.0)


async def turn() -> None:
    """Let the loop go once around, without time."""
    for _ in range(3):
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("fsync", "at_once", "later", "synced"),
    [
        (Fsync.ALWAYS, 0, 2, True),
        (Fsync.INTERVAL, 2, 2, True),
        (Fsync.NEVER, 2, 2, False),
    ],
)
def test_a_line_is_written_at_once_and_counts_when_it_is_safe(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fsync: Fsync,
    at_once: int,
    later: int,
    synced: bool,
) -> None:
    """With fsync always only what is on the disk counts; never waits for no disk."""
    syncs: list[int] = []

    async def main() -> None:
        async with desk(tmp_path, fsync) as made:
            monkeypatch.setattr("os.fsync", syncs.append)
            writer = made.writer
            writer.write(answered(1), DIGEST)
            writer.write(Failed(request(2), "bad", "m", None, 1), DIGEST)
            assert writer.done == 0
            writer._flush()
            assert (writer.answered, writer.failed, writer.done) == (1, 1, at_once)
            assert made.files.output.read_bytes().count(b"\n") == 1
            assert made.files.errors.read_bytes().count(b"\n") == 1
            await asyncio.sleep(1.5)
            assert writer.done == later
            assert bool(syncs) == synced

    run_virtual(main())


def test_lines_are_written_within_one_turn_of_the_loop(tmp_path: Path) -> None:
    """No more is lost with the process than what is in flight."""

    async def main() -> None:
        async with desk(tmp_path) as made:
            made.writer.write(answered(1), DIGEST)
            made.writer.write_bad_row(BadRow(2, None, "invalid_line", "line 2: no"), DIGEST)
            await turn()
            assert made.files.output.read_bytes().count(b"\n") == 1
            assert made.files.errors.read_bytes().count(b"\n") == 1

    run_virtual(main())


def test_a_disk_that_fails_to_sync_is_told_and_counts_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is not known to be on the disk is not done."""

    def fail(_: int) -> None:
        raise OSError(5, "Input/output error")

    async def main() -> None:
        async with desk(tmp_path, Fsync.ALWAYS) as made:
            with monkeypatch.context() as patch:
                patch.setattr("os.fsync", fail)
                made.writer.write(answered(1), DIGEST)
                await asyncio.sleep(0.5)
                assert made.writer.done == 0
                assert made.errors

    run_virtual(main())


def test_each_attempt_is_noted_before_it_leaves(tmp_path: Path) -> None:
    """
    What was refused or never arrived is taken back.

    No answer in time stays in doubt, and an error of the server, which may have come late.
    """

    async def main() -> None:
        async with desk(tmp_path) as made:
            for row in range(1, 7):
                assert made.writer.note(row)
            assert list(made.journal.open_rows) == [1, 2, 3, 4, 5, 6]
            made.writer(ended(1, 429, Decision.RATE_LIMIT))
            made.writer(ended(2, 500, Decision.TRANSIENT))
            made.writer(ended(3, None, Decision.UNREACHABLE))
            made.writer(ended(4, None, Decision.TRANSIENT))
            made.writer(ended(5, 200, Decision.ANSWERED))
            assert list(made.journal.open_rows) == [2, 4, 5, 6]
            made.writer.write(answered(5), DIGEST)
            await turn()
            assert list(made.journal.open_rows) == [2, 4, 6]

    run_virtual(main())


def test_the_key_is_in_no_line(tmp_path: Path) -> None:
    """Neither in an answer nor in a failure nor in a row that is none."""

    async def main() -> None:
        async with desk(tmp_path) as made:
            made.writer.write(answered(1, f"you sent {KEY}"), DIGEST)
            refused = Response(401, {"x-request-id": KEY}, {"error": {"message": f"bad {KEY}"}})
            made.writer.write(Failed(request(2), "bad", KEY, refused, 1), DIGEST)
            made.writer.write(Failed(request(3), "bad", f"with {KEY}", None, 1), DIGEST)
            made.writer.write_bad_row(BadRow(4, None, "invalid_line", f"line 4: {KEY}"), DIGEST)

    run_virtual(main())
    lines = (tmp_path / "out.jsonl").read_bytes() + (tmp_path / "bad.jsonl").read_bytes()
    assert lines.count(b"\n") == 4
    assert KEY.encode() not in lines
    assert all(json.loads(line) for line in lines.splitlines())


def test_a_removed_job_file_is_put_back_at_the_end(tmp_path: Path) -> None:
    """With what is in doubt; others are let in afterwards."""

    async def main() -> None:
        async with desk(tmp_path) as made:
            assert made.writer.note(1)
            made.files.job.unlink()
        assert not made.errors
        with contextlib.closing(open_journal(made.files.job)) as journal:
            assert list(journal.open_rows) == [1]

    run_virtual(main())


def test_removed_result_files_are_told_and_their_lines_saved(tmp_path: Path) -> None:
    """Within the interval; each sentence names the file."""

    async def main() -> Desk:
        async with desk(tmp_path) as made:
            made.writer.write(answered(1), DIGEST)
            await turn()
            made.files.output.unlink()
            await asyncio.sleep(2.5)
            assert "was removed" in str(made.errors[0])
        return made

    made = run_virtual(main())
    assert made.files.output.read_bytes().count(b"\n") == 1
    assert [str(made.files.output) in sentence for sentence in made.writer.saved] == [True]
