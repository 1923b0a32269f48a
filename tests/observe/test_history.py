"""The listener that keeps a run: the same history that the run's event log tells."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ratedispatch.dispatch.options import DispatcherOptions
from ratedispatch.events import RequestEnded
from ratedispatch.jobs.job import Job
from ratedispatch.jobs.job_options import JobOptions
from ratedispatch.jobs.retold.log_reader import read_log
from ratedispatch.jobs.state.paths import JobFiles
from ratedispatch.limits import Limits
from ratedispatch.observe.eventlog import EventLog
from ratedispatch.observe.history import Recorder
from ratedispatch.observe.page.frames import frames_of
from ratedispatch.simulate.clock import run_virtual
from ratedispatch.simulate.settings import ProviderSettings
from ratedispatch.simulate.transport import ProviderTransport
from tests.cli.run_command import row

if TYPE_CHECKING:
    from pathlib import Path

NOON = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC).timestamp()


def test_a_run_and_its_log_tell_the_same(tmp_path: Path) -> None:
    """Rates, refusals, pauses, waits and latencies, within the milliseconds of a log."""
    import asyncio

    (tmp_path / "in.jsonl").write_text("".join(row(f"r{n}") + "\n" for n in range(200)))
    files = JobFiles(tmp_path / "in.jsonl", tmp_path / "out.jsonl", tmp_path / "err.jsonl")

    def clock() -> datetime:
        return datetime.fromtimestamp(NOON + asyncio.get_running_loop().time(), UTC)

    async def play() -> Any:
        recorder = Recorder(clock)
        provider = ProviderTransport(
            ProviderSettings(requests_per_minute=300, burst_seconds=1.0, headers=False),
            random.Random(1),
        )
        with EventLog(tmp_path / "log", clock=clock, on_failure=print) as log:
            job = Job(files, Limits(requests_per_minute=600), JobOptions())
            report = await job.run(
                provider,
                listeners=[log, recorder],
                dispatcher_options=DispatcherOptions(rng=random.Random(2)),
            )
            log.end(report)
        return recorder.history, report

    heard, report = run_virtual(play())
    read = read_log(tmp_path / "log")
    assert read.unread == 0
    assert read.runs[0].closing is not None
    assert report.refusals > 0
    for one in (heard, read):
        (run,) = one.runs
        frames = frames_of(run, 600)
        assert sum(run.bins.requests) == report.attempts
        assert sum(frames.refusals) == report.refusals
        assert sum(frames.answers) == report.answered == one.latencies.count
        assert run.pauses > 0
        assert abs(run.bins.seconds - report.seconds) < 0.01
    mine, logged = (one.runs[0] for one in (heard, read))
    assert mine.codes == logged.codes
    found = [[round(step.per_minute, 2) for step in run.steps] for run in (mine, logged)]
    assert found[0] == found[1]
    flight = [sum(run.bins.in_flight()) * run.bins.width for run in (mine, logged)]
    assert abs(flight[0] - flight[1]) < 0.001 * report.attempts


def test_it_hears_no_outcomes() -> None:
    """Else the processes of a job would send their answers back whole."""
    assert RequestEnded not in Recorder.listens_to
