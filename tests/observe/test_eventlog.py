"""The log of a job: what a line says, and what becomes of a file that is in the way."""

from __future__ import annotations

import errno
import json
import random
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from ratedispatch.dispatch.options import DispatcherOptions
from ratedispatch.events import (
    AttemptEnded,
    AttemptSent,
    JobStopped,
    LimitChanged,
    QueuePaused,
    RequestEnded,
)
from ratedispatch.jobs.job import Job
from ratedispatch.jobs.job_options import JobOptions
from ratedispatch.jobs.plan.spending import Caps
from ratedispatch.jobs.state.paths import JobFiles
from ratedispatch.limits import Limits, Rate, Reading
from ratedispatch.observe.eventlog import EventLog
from ratedispatch.outcome import Decision, Failed, Usage
from ratedispatch.request import Cost, Request
from ratedispatch.simulate.clock import run_virtual
from ratedispatch.simulate.settings import ProviderSettings
from ratedispatch.simulate.transport import ProviderTransport

if TYPE_CHECKING:
    from pathlib import Path

    from ratedispatch.events import Event

KEY = "sk-very-secret-key-0123456789"
NOON = datetime(2026, 11, 24, 12, 0, 0, 250_000, tzinfo=UTC)
AT = "2026-11-24T12:00:00.250Z"


@pytest.fixture
def warned() -> list[str]:
    return []


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.jsonl"


def open_log(path: Path, warned: list[str]) -> EventLog:
    return EventLog(path, clock=lambda: NOON, key=KEY, on_failure=warned.append)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(text) for text in path.read_text().splitlines()]


def attempt(name: str = "a") -> tuple[Event, Event]:
    """Return an attempt that was sent and has ended."""
    request = Request({"model": "gpt-4o"}, custom_id=name, row=3)
    cost = Cost(20, 16)
    return (
        AttemptSent(request, 2, cost, 1.23456, 10.0),
        AttemptEnded(request, 2, cost, 429, Decision.RATE_LIMIT, "slow", 0.5, 10.5),
    )


def test_an_answer_tells_what_was_billed_and_what_is_left(path: Path, warned: list[str]) -> None:
    """With the cap of all its outputs; of what remains only the numbers that are known."""
    request = Request({"model": "gpt-4o"}, row=3)
    cost = Cost(20, 16, counted_tokens=19, expected_output_tokens=16)
    readings = (Reading("requests", 99.0), Reading("tokens", None, window=86_400.0))
    said = request, 1, cost, 200, Decision.ANSWERED, "", 0.5, 10.5, "", Usage(21, 7), readings
    with open_log(path, warned) as log:
        log(AttemptEnded(*said))
        log(AttemptEnded(request, 1, Cost(20, is_capped=False), *said[3:9]))
    first, second = lines(path)
    assert (first["prompt"], first["cap"]) == (19, 16)
    assert first["usage"] == {"prompt": 21, "output": 7}
    assert first["remaining"] == {"requests": 99.0}
    assert (second["cap"], second["usage"]) == (None, None)
    assert "remaining" not in second


def test_a_run_begins_with_what_was_started(path: Path, warned: list[str]) -> None:
    """Each run of several in one file; the key is in none of it."""
    with open_log(path, warned) as log:
        log.begin(version="1.0", flags={"--user": KEY})
    assert lines(path) == [
        {"event": "run", "at": AT, "version": "1.0", "flags": {"--user": "[key removed]"}}
    ]


def test_each_kind_of_line(path: Path, warned: list[str]) -> None:
    """An attempt when it ends, a pause, a limit, a stop; an outcome is not told again."""
    sent, ended = attempt()
    assert isinstance(ended, AttemptEnded)
    with open_log(path, warned) as log:
        log(sent)
        log(ended)
        log(QueuePaused(2.5, "slow", 10.5, "fast models"))
        log(LimitChanged(Rate("tokens_per_day", 100.0, 1.0, window=86_400.0), "", 11.0))
        log(LimitChanged(Rate("requests", float("inf"), float("inf")), "", 11.0))
        log(RequestEnded(Failed(ended.request, "x", "y"), 12.0))
        log(JobStopped("quota", "no credit", 12.0))
    assert lines(path) == [
        {
            "event": "attempt",
            "at": AT,
            "place": 3,
            "custom_id": "a",
            "model": "gpt-4o",
            "attempt": 2,
            "cost": {"requests": 1, "tokens": 36},
            "prompt": 0,
            "cap": 0,
            "wait": 1.235,
            "latency": 0.5,
            "status": 429,
            "decision": "rate_limit",
            "code": "slow",
            "usage": None,
        },
        {"event": "pause", "at": AT, "seconds": 2.5, "code": "slow", "group": "fast models"},
        {
            "event": "limit",
            "at": AT,
            "dimension": "tokens_per_day",
            "limit": 144_000.0,
            "window_s": 86_400.0,
            "group": "",
        },
        {
            "event": "limit",
            "at": AT,
            "dimension": "requests",
            "limit": None,
            "window_s": 60.0,
            "group": "",
        },
        {"event": "stop", "at": AT, "code": "quota", "message": "no credit"},
    ]
    assert not warned


def test_the_file_is_for_its_owner_and_is_written_when_flushed(
    path: Path, warned: list[str]
) -> None:
    """Mode 0600 from the first moment; until then lines wait."""
    with open_log(path, warned) as log:
        assert path.stat().st_mode & 0o777 == 0o600
        log(JobStopped("a", "b", 12.0))
        assert path.read_bytes() == b""
        log.flush()
        assert len(lines(path)) == 1


def test_a_large_backlog_does_not_wait(path: Path, warned: list[str]) -> None:
    """Memory does not grow with the speed of a job."""
    with open_log(path, warned) as log:
        log(JobStopped("a", "b" * 300_000, 12.0))
        assert path.stat().st_size > 300_000


@pytest.mark.parametrize(
    ("before", "after"),
    [("", ""), ('{"event":"old"}\n', '{"event":"old"}\n'), ('{"event":"to', '{"event":"to\n')],
)
def test_a_log_goes_on_where_another_ended(
    path: Path, warned: list[str], before: str, after: str
) -> None:
    """It keeps what is there, the line that a crash has cut off included, and begins a new one."""
    path.write_text(before)
    with open_log(path, warned) as log:
        log(JobStopped("a", "b", 12.0))
    kept, _, added = path.read_text().rpartition('{"event": "stop"')
    assert kept == after
    assert added


def test_the_key_never_gets_in(path: Path, warned: list[str]) -> None:
    """Neither by a name nor by what a server says."""
    with open_log(path, warned) as log:
        for event in attempt(f"row {KEY}"):
            log(event)
        log(JobStopped("authentication", f"incorrect key {KEY}", 12.0))
    assert KEY not in path.read_text()
    assert [line.get("custom_id") for line in lines(path)] == ["row [key removed]", None]


def test_a_full_disk_ends_the_log_with_one_warning(
    path: Path, warned: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes later is not even kept, and no line is torn."""

    class Full:
        room = 10

        def __init__(self, file: Any) -> None:
            self.file = file
            self.fileno = file.fileno

        def write(self, data: bytes) -> int:
            if not self.room:
                raise OSError(errno.ENOSPC, "No space left on device")
            self.room, room = 0, self.room
            written: int = self.file.write(data[:room])
            return written

    with open_log(path, warned) as log:
        with monkeypatch.context() as patch:
            patch.setattr(log, "_file", Full(log._file))
            log(JobStopped("a", "b", 12.0))
            log.flush()
            log(JobStopped("a", "b", 12.0))
            log.flush()
        log(JobStopped("a", "b", 12.0))
    assert path.read_bytes() == b""
    (sentence,) = warned
    assert sentence == (
        f"the log {path} cannot be written (No space left on device) and ends here; "
        "the job continues"
    )


def test_what_is_no_file_is_refused(tmp_path: Path, warned: list[str]) -> None:
    """A folder, or a folder that is not there."""
    with pytest.raises(OSError, match="not a regular file"):
        open_log(tmp_path, warned)
    with pytest.raises(FileNotFoundError):
        open_log(tmp_path / "missing" / "log.jsonl", warned)


def test_a_job_logs_while_it_runs_and_ends_with_its_stop(
    tmp_path: Path, path: Path, warned: list[str]
) -> None:
    """A line stands in the file within a second, and the stop is the last."""
    rows = [
        {
            "custom_id": str(number),
            "url": "/v1/chat/completions",
            "body": {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]},
        }
        for number in range(6)
    ]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    seen: list[int] = []
    # a request each second
    limits = Limits(requests_per_minute=60, tokens_per_minute=100_000, burst_seconds=1)
    files = JobFiles(tmp_path / "in.jsonl", tmp_path / "out.jsonl", tmp_path / "bad")
    job = Job(files, limits, JobOptions(caps=Caps(max_rows=4)))

    async def main(log: EventLog) -> None:
        transport = ProviderTransport(ProviderSettings(), random.Random(1))
        await job.run(
            transport,
            listeners=[lambda _: seen.append(len(lines(path))), log],
            dispatcher_options=DispatcherOptions(rng=random.Random(1), cpu_clock=float),
        )

    with open_log(path, warned) as log:
        run_virtual(main(log))
        assert max(seen) >= 2
        events = [line["event"] for line in lines(path)]
    assert events[-1] == "stop"
    assert events.count("attempt") == 4
    assert events.count("stop") == 1
