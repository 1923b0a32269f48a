"""How far a job is, as its files say, whatever state they are in."""

from __future__ import annotations

import fcntl
import json
from typing import TYPE_CHECKING, Any

import pytest

from ratedispatch.errors import JobError
from ratedispatch.jobs.job_options import JobOptions
from ratedispatch.jobs.standing.failure_counts import reason_on
from ratedispatch.jobs.standing.found_jobs import outputs_of
from ratedispatch.jobs.standing.job_notes import NotBegun
from ratedispatch.jobs.standing.job_reader import JobReader
from ratedispatch.jobs.standing.job_standing import State, Sum
from ratedispatch.jobs.state.run_notes import Mark
from ratedispatch.outcome import Response
from tests.jobs.job_files import row
from tests.jobs.played_job import ONCE, ROWS, play

if TYPE_CHECKING:
    from pathlib import Path

    from ratedispatch.events import Event
    from ratedispatch.jobs.job import Job
    from ratedispatch.jobs.standing.job_standing import Standing
    from ratedispatch.request import Request


def stand(folder: Path) -> Standing:
    return JobReader(folder / "out.jsonl", clock=lambda: 1e9).read()


def test_a_finished_job_says_when_it_ended_and_what_it_spent(tmp_path: Path) -> None:
    """And is not changed by being looked at; nor by being run again."""
    play(tmp_path, rows=ROWS, job_options=JobOptions(command=("ratedispatch", "run", "a b")))
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    found = stand(tmp_path)
    assert (found.state, found.rows, found.answered, found.failed) == (State.FINISHED, 10, 10, 0)
    assert (found.in_doubt, found.left, found.eta, found.notes) == (0, 0, None, ())
    assert found.begun is not None
    assert found.ended is not None
    assert found.begun.command == ("ratedispatch", "run", "a b")
    assert found.ended.code == ""
    assert found.spent == pytest.approx(0.0006)
    play(tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    ("word", "kept"),
    [
        ("redis://:s3cret@host:6379/0", "redis://host:6379/0"),
        ("--share=redis://user:p@ss:w@host/0", "--share=redis://host/0"),
        ("https://token@host/v1?api-version=2&api_key=s3cret&x=1", None),
        ("redis://host?PASSWORD=s3cret", "redis://host?PASSWORD="),
        ("https://host/@user/a?n=1#@", "https://host/@user/a?n=1#@"),
        ("write to a@b.org: //c@d", "write to a@b.org: //c@d"),
    ],
)
def test_no_password_of_an_address_reaches_the_journal(
    tmp_path: Path, word: str, kept: str | None
) -> None:
    """With a name or without one, as a token, or in a query; other signs stay as they are."""
    play(tmp_path, rows=ROWS, job_options=JobOptions(command=("ratedispatch", "run", word)))
    found = stand(tmp_path).begun
    assert found is not None
    assert found.command[2] == (kept or "https://host/v1?api-version=2&api_key=&x=1")


def test_while_it_runs_it_is_seen_from_its_files_and_not_disturbed(tmp_path: Path) -> None:
    """Each of many looks in the middle of the run fits what the job itself says."""
    seen: list[tuple[Standing, int]] = []

    def look(job: Job, _: Event) -> None:
        seen.append((stand(tmp_path), job.done))

    report = play(tmp_path, rows=ROWS, listen=look)
    assert report.answered == 10
    assert {one.state for one, _ in seen} == {State.RUNNING}
    assert [one.answered for one, _ in seen] == [done for _, done in seen]
    assert seen[-1][0].answered > 5


def refuse_odd(request: Request) -> Response | None:
    if (request.row or 0) % 2 == 0:
        return None
    error = {"error": {"message": 'not "code": "this"', "type": "invalid", "code": "too_\x1blong"}}
    return Response(400, {}, error)


def test_failures_are_told_by_their_reasons(tmp_path: Path) -> None:
    """Those of the provider, and rows that are no requests."""
    rows = [*ROWS, {"custom_id": "bad"}]
    play(tmp_path, rows=rows, send=refuse_odd, **ONCE)
    found = stand(tmp_path)
    assert (found.state, found.answered, found.failed) == (State.FINISHED, 5, 6)
    assert found.failures == {"too_\x1blong": 5, "invalid_line": 1}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"id":"x","response":null,"error":{"code":"timeout","message":"m"}}\n', "timeout"),
        (b'{"response":{"status_code":502,"body":{"detail":"x"}},"error":null}\n', "HTTP 502"),
        (b'{"response":{"body":{"error":{"type":"server","code":null}}}}\n', "server"),
        (b"{}\n", "unknown"),
    ],
)
def test_the_reason_of_a_line(line: bytes, reason: str) -> None:
    """A code where there is one, then a type, then a status."""
    assert reason_on(line) == reason


def cut_notes(folder: Path, keep: int, *, ended: bool = False) -> None:
    """Make of a finished job one whose process was killed when it had *keep* answers."""
    out, job = folder / "out.jsonl", folder / "out.jsonl.job"
    out.write_bytes(b"".join(out.read_bytes().splitlines(keepends=True)[:keep]) + b'{"id":"batch')
    lines = job.read_bytes().splitlines(keepends=True)
    marks = [index for index, line in enumerate(lines) if line.startswith(b"w")]
    if not ended:
        del lines[marks[-1] :]
    job.write_bytes(b"".join(lines) + b"s9")


def test_a_job_that_was_killed_is_dead_and_knows_its_rows_in_doubt(tmp_path: Path) -> None:
    """A torn line counts for nothing."""
    play(tmp_path, rows=ROWS)
    cut_notes(tmp_path, 7)
    found = stand(tmp_path)
    assert (found.state, found.answered, found.in_doubt, found.left) == (State.DEAD, 7, 3, 3)
    assert found.ended is None


@pytest.mark.parametrize("failing", ["never", "once", "refused"])
def test_rows_in_doubt_are_the_same_with_marks_and_without(tmp_path: Path, failing: str) -> None:
    """Rows that were sent again or came back have their records behind the mark, or before."""
    met: set[int] = set()

    def fail(request: Request) -> Response | None:
        row = request.row or 0
        if failing == "never" or row % 3 or row in met:
            return None
        met.add(row)
        return Response(500 if failing == "once" else 429, {}, {"error": {"message": "x"}})

    play(tmp_path, rows=ROWS, send=fail)
    cut_notes(tmp_path, 6)
    job = tmp_path / "out.jsonl.job"
    found = stand(tmp_path)
    lines = job.read_bytes().splitlines(keepends=True)
    job.write_bytes(b"".join(one for one in lines if not one.startswith(b"w")))
    bare = stand(tmp_path)
    assert (found.state, found.answered, found.in_doubt) == (State.DEAD, 6, bare.in_doubt)


def test_an_output_that_was_cut_is_told(tmp_path: Path) -> None:
    """What the job had written is known from its marks."""
    play(tmp_path, rows=ROWS)
    cut_notes(tmp_path, 7, ended=True)
    (note,) = stand(tmp_path).notes
    assert note == f"{tmp_path}/out.jsonl was truncated by another program: 3 answers are missing"
    (tmp_path / "out.jsonl").unlink()
    (note,) = stand(tmp_path).notes
    assert note == f"{tmp_path}/out.jsonl is missing; it held the answers of 10 rows"


def test_a_job_of_a_former_release_is_counted_by_its_lines(tmp_path: Path) -> None:
    """It has no notes of runs."""
    play(tmp_path, rows=ROWS)
    job = tmp_path / "out.jsonl.job"
    lines = job.read_bytes().splitlines(keepends=True)
    job.write_bytes(b"".join(one for one in lines if not one.startswith((b"w", b'{"run', b'{"en'))))
    found = stand(tmp_path)
    assert (found.state, found.answered, found.begun) == (State.FINISHED, 10, None)
    cut_lines = b"".join((tmp_path / "out.jsonl").read_bytes().splitlines(keepends=True)[:4])
    (tmp_path / "out.jsonl").write_bytes(cut_lines)
    found = stand(tmp_path)
    assert (found.state, found.answered, found.in_doubt) == (State.UNKNOWN, 4, 6)


def test_the_speed_is_that_of_the_last_minutes(tmp_path: Path) -> None:
    """By the marks, of which those of five minutes count; only while somebody holds the job."""
    play(tmp_path, rows=[row(f"r{number}") for number in range(40)])
    job = tmp_path / "out.jsonl.job"
    lines = job.read_bytes().splitlines(keepends=True)
    kept = [one for one in lines if not one.startswith((b"w", b'{"end'))]
    marks = [Mark(100.0 * at, min(at, 30), 0, 2, 0, 0).to_line() for at in range(40)]
    job.write_bytes(b"".join([*kept, *marks]))
    assert stand(tmp_path).pace is None
    with job.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        found = stand(tmp_path)
    assert (found.state, found.answered) == (State.RUNNING, 70)
    assert found.pace is not None
    assert (found.pace.rows_per_minute, found.pace.seconds) == (0.0, 300.0)
    assert any("have 70 lines, but the job has only 40 rows" in note for note in found.notes)


def test_what_is_no_job_is_told(tmp_path: Path) -> None:
    """A file of somebody else, one that is not there, a job file that is damaged."""
    (tmp_path / "other.jsonl").write_text("{}\n")
    with pytest.raises(JobError, match="not an output of ratedispatch run"):
        outputs_of([tmp_path / "other.jsonl"])
    with pytest.raises(JobError, match="does not exist"):
        outputs_of([tmp_path / "none.jsonl"])
    (tmp_path / "out.jsonl.job").touch()
    with pytest.raises(NotBegun, match="is empty: a run is still reading its input"):
        stand(tmp_path)
    for text in (b"{}\n", b"\x00\xff\n", b"[" * 99_999):
        (tmp_path / "out.jsonl.job").write_bytes(text)
        with pytest.raises(JobError, match="cannot be read as a job file"):
            stand(tmp_path)


def test_shards_are_found_by_the_name_without_their_part(tmp_path: Path) -> None:
    """And their errors files are none; a shard that nobody has begun is missing in the sum."""
    shards = tmp_path / "shards"
    shards.mkdir()
    for number in (2, 0):
        folder = tmp_path / str(number)
        folder.mkdir()
        play(
            folder, rows=ROWS, job_options=JobOptions(shard=f"{number}/3"), send=refuse_odd, **ONCE
        )
        for name in ("out.jsonl", "out.jsonl.job", "bad.jsonl"):
            target = name.replace(".jsonl", f".{number}-of-3.jsonl", 1)
            text = (folder / name).read_bytes()
            if name.endswith("job"):
                text = text.replace(b'"bad.jsonl"', json.dumps(f"bad.{number}-of-3.jsonl").encode())
            (shards / target).write_bytes(text)
    asked: list[Any] = [shards / "out.jsonl"]
    outputs = outputs_of(asked)
    assert [path.name for path in outputs] == ["out.0-of-3.jsonl", "out.2-of-3.jsonl"]
    assert sorted(outputs_of(sorted(shards.glob("*.jsonl")))) == outputs
    whole = Sum([JobReader(path).read() for path in outputs])
    assert (whole.rows, whole.answered + whole.failed) == (10, sum(p.rows for p in whole.parts))
    assert [str(shard) for shard in whole.missing] == ["1/3"]
    assert whole.eta is None


@pytest.mark.parametrize(
    "change",
    [
        {"rows": "5"}, {"rows": 10**400}, {"rows": -1}, {"rows": True}, {"shard": "9/3"},
        {"shard": 3}, {"errors": 5}, {"errors": "\0"}, {"input": None}, {"output_format": None},
    ],
)  # fmt: skip
def test_a_job_file_that_says_what_no_job_is_made_from_is_refused(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    """In a sentence, whatever is wrong with it."""
    play(tmp_path, rows=ROWS)
    job = tmp_path / "out.jsonl.job"
    first, rest = job.read_bytes().split(b"\n", 1)
    job.write_bytes(json.dumps({**json.loads(first), **change}).encode() + b"\n" + rest)
    with pytest.raises(JobError, match="cannot be read as a job file"):
        stand(tmp_path)


def test_a_job_file_that_names_a_device_is_not_followed(tmp_path: Path) -> None:
    """One that never ends would never be read to its end."""
    play(tmp_path, rows=ROWS)
    job = tmp_path / "out.jsonl.job"
    first, rest = job.read_bytes().split(b"\n", 1)
    job.write_bytes(
        json.dumps({**json.loads(first), "errors": "/dev/null"}).encode() + b"\n" + rest
    )
    with pytest.raises(JobError, match="/dev/null is not a regular file"):
        stand(tmp_path)
