"""Result files that fill up, go away or cannot be opened while a job runs."""

from __future__ import annotations

import ast
import asyncio
import errno
import random
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from ratedispatch.errors import JobError
from ratedispatch.events import RequestEnded
from ratedispatch.jobs import writer as writer_module
from ratedispatch.jobs.job_options import JobOptions
from ratedispatch.jobs.run_file import run_file
from ratedispatch.jobs.sink import LineSink
from ratedispatch.jobs.state.journal import Journal
from ratedispatch.limits import Limits
from ratedispatch.simulate.clock import run_virtual
from ratedispatch.simulate.settings import ProviderSettings
from ratedispatch.simulate.transport import ProviderTransport
from tests.jobs.job_files import text_of
from tests.jobs.played_job import ALL, ROWS, at_end, names, play

if TYPE_CHECKING:
    from pathlib import Path

    from ratedispatch.events import Event
    from ratedispatch.jobs.job import Job
    from ratedispatch.request import Request


class Full(LineSink):
    """Has no room for more than *room* lines in the output."""

    room = 3

    def flush(self) -> None:
        if self.path.name != "out.jsonl":
            super().flush()
            return
        waiting = bytes(self._buffer).splitlines(keepends=True)
        fitting = waiting[: max(0, self.room - self.written)]
        self._buffer = bytearray(b"".join(fitting))
        super().flush()
        self._buffer = bytearray(b"".join(waiting[len(fitting) :]))
        if self._buffer:
            raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_stops_the_job_and_only_what_is_written_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing more is sent, and the next run sends the rest; lost answers were billed twice."""
    with monkeypatch.context() as patch:
        patch.setattr(writer_module, "LineSink", Full)
        first = play(tmp_path, rows=ROWS)
    assert first.stop_code == "output"
    assert first.stop_message == "results cannot be written: No space left on device"
    assert first.answered == len(names(tmp_path / "out.jsonl")) == 3
    assert first.attempts <= 6
    assert first.unanswered == 7
    second = play(tmp_path)
    assert (second.answered, second.attempts, second.stop_code) == (10, 7, None)
    assert second.billed_twice_at_most == first.attempts - 3
    assert sorted(names(tmp_path / "out.jsonl")) == ALL


def test_answers_that_could_not_be_written_are_in_doubt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They have no line, were billed, and are sent again by the next run."""
    with monkeypatch.context() as patch:
        patch.setattr(writer_module, "LineSink", Full)
        report = play(tmp_path, rows=ROWS)
    assert report.in_doubt == report.attempts - report.answered > 0


def test_an_attempt_that_cannot_be_noted_does_not_leave(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk with the job file is full: what is sent is on it, and the job stops."""
    noted = 0
    append = Journal.append
    unnoted: list[str | None] = []

    def full(journal: Journal, record: bytes) -> None:
        nonlocal noted
        noted += 1
        if noted > 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        append(journal, record)

    def look(request: Request) -> None:
        if b"\ns%d\n" % (request.row or 0) not in (tmp_path / "out.jsonl.job").read_bytes():
            unnoted.append(request.custom_id)

    monkeypatch.setattr(Journal, "append", full)
    report = play(tmp_path, rows=ROWS, send=look)
    assert report.stop_code == "output"
    assert report.answered == len(names(tmp_path / "out.jsonl"))
    assert unnoted == []


#: Runs the job in a folder with files of so many bytes at most.
_BOUNDED = """
import resource, sys
from pathlib import Path
from tests.jobs.played_job import play
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
print(play(Path(sys.argv[1])).as_dict())
"""


@pytest.mark.slow
def test_a_file_that_may_not_grow_is_a_full_disk(tmp_path: Path) -> None:
    """The system itself cuts a line in two; whoever goes on finds whole lines."""
    (tmp_path / "in.jsonl").write_bytes(text_of(*ROWS))
    child = subprocess.run(
        # -B: Python would leave cut files of compiled modules, which no later process can load
        [sys.executable, "-B", "-c", _BOUNDED, str(tmp_path), "2000"],
        capture_output=True,
        text=True,
        check=True,
    )
    first = ast.literal_eval(child.stdout)
    assert first["stop_code"] == "output"
    assert first["stop_message"] == "results cannot be written: File too large"
    output = tmp_path / "out.jsonl"
    assert first["answered"] == output.read_bytes().count(b"\n") > 0
    second = play(tmp_path)
    assert (second.answered, second.resumed) == (10, first["answered"])
    assert sorted(names(output)) == ALL


def test_room_that_is_there_again_takes_what_has_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk was full for a moment: the job stops, but what was answered is not lost."""

    def listen(job: Job, event: Event) -> None:
        if isinstance(event, RequestEnded):
            asyncio.get_running_loop().call_later(0.2, monkeypatch.setattr, Full, "room", 100)

    with monkeypatch.context() as patch:
        patch.setattr(writer_module, "LineSink", Full)
        patch.setattr(Full, "room", 0)
        report = play(tmp_path, rows=ROWS, listen=listen)
    assert report.stop_code == "output"
    assert report.answered == report.attempts == len(names(tmp_path / "out.jsonl"))
    assert report.in_doubt == 0


def test_an_output_that_is_removed_is_put_back_and_the_job_stops(tmp_path: Path) -> None:
    """With all answers; the same command goes on."""
    output = tmp_path / "out.jsonl"
    first = play(tmp_path, rows=ROWS, listen=at_end(3, lambda _: output.unlink()))
    assert first.stop_code == "output"
    assert first.answered == first.attempts == len(names(output))
    assert 3 <= first.answered < 10
    assert first.notes == (f"{output} was removed or replaced; its lines were saved to {output}",)
    assert play(tmp_path).answered == 10
    assert sorted(names(output)) == ALL


def test_another_file_in_place_of_the_output_is_not_touched(tmp_path: Path) -> None:
    """Answers go beside it, and the next run refuses to mix them."""
    output = tmp_path / "out.jsonl"

    def replace(_: Job) -> None:
        output.unlink()
        output.write_bytes(b"precious\n")

    report = play(tmp_path, rows=ROWS, listen=at_end(3, replace))
    saved = tmp_path / "out.jsonl.saved-1"
    assert report.stop_code == "output"
    assert output.read_bytes() == b"precious\n"
    assert report.answered == len(names(saved))
    assert str(saved) in report.notes[0]
    with pytest.raises(JobError, match=r"line 1 of .* was not written by ratedispatch"):
        play(tmp_path)
    assert output.read_bytes() == b"precious\n"


def test_a_removed_job_file_is_put_back(tmp_path: Path) -> None:
    """The job does not stop for it, and the next run goes on."""
    job_file = tmp_path / "out.jsonl.job"
    report = play(tmp_path, rows=ROWS, listen=at_end(3, lambda _: job_file.unlink()))
    assert (report.answered, report.stop_code) == (10, None)
    assert job_file.exists()
    assert play(tmp_path).attempts == 0


def test_result_files_that_cannot_be_opened_are_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk has become full since the job was looked at; nothing was sent."""
    play(tmp_path, rows=ROWS[:1])
    (tmp_path / "bad.jsonl").unlink()

    def full(path: Path) -> LineSink:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(writer_module, "LineSink", full)
    with pytest.raises(JobError, match="No space left on device"):
        play(tmp_path)


def test_an_output_that_is_cut_at_the_very_end_is_noticed(tmp_path: Path) -> None:
    """After the last look at the disk."""
    output = tmp_path / "out.jsonl"

    def cut(_: Job) -> None:
        output.write_bytes(b"")

    report = play(
        tmp_path,
        rows=ROWS,
        listen=at_end(9, cut),
        job_options=JobOptions(flush_interval=1_000),
    )
    assert report.stop_code == "output"
    assert "was truncated by another program" in (report.stop_message or "")
    assert play(tmp_path).answered == 10


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"job_options": JobOptions(caps=5)}, AttributeError),  # type: ignore[arg-type]
        ({"client": object()}, TypeError),
    ],
    ids=["caps", "client"],
)
def test_a_mistake_of_the_caller_leaves_the_output_to_the_next_call(
    wrong: dict[str, Any], error: type[Exception], tmp_path: Path
) -> None:
    """A notebook keeps the exception, and with it all that it refers to."""
    (tmp_path / "in.jsonl").write_bytes(text_of(*ROWS))

    def call(**changes: Any) -> Any:
        right = {"client": None, "limits": Limits(60_000), "job_options": JobOptions()}
        settings = ProviderSettings(requests_per_minute=60_000)

        async def main() -> Any:
            chosen = {**right, **changes}
            if chosen["client"] is None:
                chosen["client"] = ProviderTransport(settings, rng=random.Random(1))
            return await run_file(tmp_path / "in.jsonl", tmp_path / "out.jsonl", **chosen)

        return run_virtual(main())

    with pytest.raises(error) as kept:
        call(**wrong)
    assert call().answered == len(ROWS)
    assert kept.value is not None


def test_what_are_no_limits_is_refused_before_a_file_is_touched(tmp_path: Path) -> None:
    wrong: Any = 3_000
    with pytest.raises(TypeError, match="expected Limits or LimitGroups, got int"):
        _ = run_file(tmp_path / "in.jsonl", tmp_path / "out.jsonl", client=wrong, limits=wrong)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("option", "names"),
    [("order", "auto, interleave, file"), ("fsync", "interval"), ("output_format", "csv")],
)
def test_a_name_that_an_option_does_not_know_is_told_with_those_that_it_knows(
    option: str, names: str
) -> None:
    with pytest.raises(ValueError, match=f"{option} must be one of .*{names}.*, not 'fast'"):
        JobOptions(**{option: "fast"})  # type: ignore[arg-type]
