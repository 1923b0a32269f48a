"""One run over a file, and the next, against a provider in virtual time."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ratedispatch.dispatch.options import DispatcherOptions
from ratedispatch.errors import JobError, TransportError
from ratedispatch.events import AttemptSent, JobStopped, RequestEnded
from ratedispatch.jobs.job import Job
from ratedispatch.jobs.job_options import JobOptions
from ratedispatch.jobs.order import Order
from ratedispatch.jobs.plan.spending import Caps
from ratedispatch.jobs.run_file import run_file
from ratedispatch.jobs.sink import Fsync
from ratedispatch.jobs.state.paths import default_errors_path
from ratedispatch.outcome import Response
from ratedispatch.simulate.clock import run_virtual
from ratedispatch.simulate.settings import ProviderSettings
from ratedispatch.simulate.transport import ProviderTransport
from tests.jobs.job_files import text_of
from tests.jobs.played_job import ALL, FAST, ONCE, ROWS, SLOW, at_end, files_in, names, play

if TYPE_CHECKING:
    from ratedispatch.events import Event
    from ratedispatch.observe.report import Report
    from ratedispatch.request import Request


def test_a_finished_job_sends_nothing_when_it_is_run_again(tmp_path: Path) -> None:
    """And reports what is done; its files do not change."""
    (tmp_path / "in.jsonl").write_bytes(text_of(*ROWS) + b"broken\n")

    async def main() -> Report:
        transport = ProviderTransport(SLOW, random.Random(1))
        return await run_file(
            tmp_path / "in.jsonl", tmp_path / "out.jsonl", client=transport, limits=FAST
        )

    first = run_virtual(main())
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    second = run_virtual(main())
    assert (first.answered, first.failed, first.attempts) == (10, 1, 10)
    assert (second.answered, second.failed, second.attempts, second.resumed) == (10, 1, 0, 11)
    assert second.stop_code is None
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert sorted(path.name for path in before) == [
        "in.jsonl",
        "out.errors.jsonl",
        "out.jsonl",
        "out.jsonl.job",
    ]


@pytest.mark.parametrize("order", list(Order))
@pytest.mark.parametrize("fsync", list(Fsync))
def test_every_row_is_in_one_file_once(tmp_path: Path, order: Order, fsync: Fsync) -> None:
    """Whatever the order and however it is made safe."""
    rows = [*ROWS, {"custom_id": "bad"}, ROWS[0]]
    report = play(tmp_path, rows=rows, job_options=JobOptions(order=order, fsync=fsync))
    assert sorted(names(tmp_path / "out.jsonl")) == ALL
    assert sorted(names(tmp_path / "bad.jsonl")) == ["bad", "r1"]
    assert (report.answered, report.failed, report.in_doubt) == (10, 2, 0)


def test_a_drain_waits_for_what_is_in_flight(tmp_path: Path) -> None:
    """Nothing is in doubt after it."""
    first = play(tmp_path, rows=ROWS, listen=at_end(2, lambda job: job.drain(60)))
    assert first.stop_code == "drained"
    assert first.answered == first.attempts < 10
    assert (first.in_doubt, first.unanswered) == (0, 10 - first.answered)
    second = play(tmp_path)
    assert (second.answered, second.billed_twice_at_most) == (10, 0)
    assert sorted(names(tmp_path / "out.jsonl")) == ALL


def test_a_drain_gives_up_after_its_time_and_tells_what_is_in_doubt(tmp_path: Path) -> None:
    """The next run says so, sends these rows again, and counts them as billed twice at most."""
    patient = ProviderSettings(output_tokens=4, latency=100.0, latency_sigma=0.0)

    def listen(job: Job, event: Event) -> None:
        if isinstance(event, AttemptSent):
            asyncio.get_running_loop().call_later(1, job.drain, 5)

    first = play(tmp_path, rows=ROWS, provider=patient, listen=listen, max_in_flight=3)
    assert (first.stop_code, first.answered, first.attempts) == ("drained", 0, 3)
    assert (first.in_doubt, first.billed_twice_at_most) == (3, 0)
    second = play(tmp_path)
    assert second.notes[0] == (
        "3 rows that may have been billed are sent again: an earlier run sent them, but the "
        "files have no result"
    )
    assert (second.answered, second.in_doubt, second.billed_twice_at_most) == (10, 0, 3)
    third = play(tmp_path)
    assert (third.attempts, third.in_doubt, third.billed_twice_at_most) == (0, 0, 3)
    assert third.notes == ()


def test_rows_that_were_refused_are_not_in_doubt(tmp_path: Path) -> None:
    """A refusal bills nothing: only what has no answer at all is counted."""
    refused = Response(429, {"retry-after": "1"}, {"error": {"code": "rate_limit_exceeded"}})

    def listen(job: Job, event: Event) -> None:
        if isinstance(event, AttemptSent):
            asyncio.get_running_loop().call_later(3, job.drain, 0.1)

    first = play(tmp_path, rows=ROWS, send=lambda _: refused, listen=listen)
    assert first.stop_code == "drained"
    assert first.refusals == first.attempts > 0
    assert first.in_doubt == 0
    second = play(tmp_path)
    assert (second.answered, second.billed_twice_at_most, second.notes) == (10, 0, ())


def test_a_row_whose_answer_was_cut_off_may_be_billed_twice(tmp_path: Path) -> None:
    """It is sent again; one that never reached the server is not billed at all."""
    broken = {"r2": TransportError("reset"), "r5": TransportError("refused", reached=False)}

    def send(request: Request) -> None:
        error = broken.pop(request.custom_id or "", None)
        if error is not None:
            raise error

    report = play(tmp_path, rows=ROWS, send=send)
    assert (report.answered, report.attempts) == (10, 12)
    assert (report.billed_twice_at_most, report.in_doubt) == (1, 0)


def test_a_failed_row_stays_failed_until_it_is_asked_for(tmp_path: Path) -> None:
    """Then it is sent once more, without a word of rows in flight."""
    bad = Response(400, {}, {"error": {"message": "no", "type": "invalid_request_error"}})
    first = play(
        tmp_path, rows=ROWS, send=lambda request: bad if request.custom_id == "r4" else None
    )
    assert (first.answered, first.failed) == (9, 1)
    assert play(tmp_path).attempts == 0
    third = play(tmp_path, job_options=JobOptions(retry_failed=True))
    assert (third.answered, third.failed, third.attempts) == (10, 0, 1)
    assert third.notes == ("1 row that failed is sent again",)
    assert names(tmp_path / "bad.jsonl") == []


def test_files_end_whole_when_the_run_is_cancelled(tmp_path: Path) -> None:
    """As by a second Ctrl-C: what came is there, what was in flight is in doubt."""
    (tmp_path / "in.jsonl").write_bytes(text_of(*ROWS))

    async def main() -> None:
        job = Job(files_in(tmp_path), FAST)
        transport = ProviderTransport(SLOW, random.Random(1))
        sending = DispatcherOptions(max_in_flight=2, rng=random.Random(1))
        task = asyncio.create_task(job.run(transport, dispatcher_options=sending))
        await asyncio.sleep(1.2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run_virtual(main())
    done = len(names(tmp_path / "out.jsonl"))
    assert done == 4
    second = play(tmp_path)
    assert (second.answered, second.resumed, second.attempts) == (10, done, 6)
    assert second.billed_twice_at_most == 2


def test_two_jobs_on_one_output_are_refused(tmp_path: Path) -> None:
    """At once, until the first lets go of its files."""
    (tmp_path / "in.jsonl").write_bytes(text_of(*ROWS))
    first = Job(files_in(tmp_path), FAST)
    with pytest.raises(JobError, match="another process is working on"):
        Job(files_in(tmp_path), FAST)
    first.close()
    assert play(tmp_path).answered == 10


@pytest.mark.parametrize("interval", [0.0, -1.0, float("inf"), float("nan")])
def test_an_interval_that_means_nothing_is_refused(interval: float) -> None:
    """Named, with its value."""
    with pytest.raises(ValueError, match="flush_interval must be above 0 seconds"):
        JobOptions(flush_interval=interval)


def test_where_failed_rows_go() -> None:
    """OUT.errors.jsonl beside OUT.jsonl."""
    assert default_errors_path(Path("x/out.jsonl")) == Path("x/out.errors.jsonl")
    assert default_errors_path(Path("out")) == Path("out.errors.jsonl")


def test_a_row_that_failed_without_an_answer_and_is_sent_again_may_be_billed_twice(
    tmp_path: Path,
) -> None:
    """It has a line, of failure; the attempt that timed out may have been executed."""
    late = ProviderSettings(latency=2, latency_sigma=0)
    first = play(tmp_path, rows=ROWS, provider=late, timeout=0.5, **ONCE)
    assert (first.failed, first.billed_twice_at_most) == (10, 0)
    again = play(tmp_path, job_options=JobOptions(retry_failed=True))
    assert (again.answered, again.failed, again.billed_twice_at_most) == (10, 0, 10)
    assert not (tmp_path / "bad.jsonl.retry").exists()


def test_rows_that_wait_to_be_sent_once_more_are_not_in_flight(tmp_path: Path) -> None:
    """Under a cap some of those that failed are not sent again yet; they are in no doubt anew."""
    late = ProviderSettings(latency=2, latency_sigma=0)
    play(tmp_path, rows=ROWS, provider=late, timeout=0.5, **ONCE)
    some = play(tmp_path, job_options=JobOptions(retry_failed=True), caps=Caps(max_rows=4))
    assert (some.attempts, some.in_doubt, some.billed_twice_at_most) == (4, 0, 4)
    for more in (2, 4):
        some = play(tmp_path, caps=Caps(max_rows=2))
        assert (some.attempts, some.in_doubt) == (2, 0)
        assert some.billed_twice_at_most == 4 + more
        assert not [note for note in some.notes if "may have been billed" in note]
    rest = play(tmp_path)
    assert (rest.answered, rest.in_doubt, rest.billed_twice_at_most) == (10, 0, 10)
    assert rest.notes == ("2 rows that failed are still to be sent again",)


def test_a_drain_when_the_last_rows_are_in_flight_stops_nothing(tmp_path: Path) -> None:
    """All rows have their lines: there is nothing to go on with."""
    report = play(tmp_path, rows=ROWS[:2], listen=at_end(1, lambda job: job.drain(10)))
    assert (report.answered, report.stop_code) == (2, None)


@pytest.mark.parametrize("timeout", [5.0, float("inf")])
def test_a_drain_before_the_run_sends_nothing(tmp_path: Path, timeout: float) -> None:
    """It is not forgotten while the dispatcher is still being made; the next run does the rows."""
    (tmp_path / "in.jsonl").write_bytes(text_of(*ROWS))
    job = Job(files_in(tmp_path), FAST)
    job.drain(timeout)
    assert job.is_stopping

    async def main() -> Report:
        return await job.run(ProviderTransport(SLOW, random.Random(1)))

    report = run_virtual(main())
    assert (report.stop_code, report.attempts, report.unanswered) == ("drained", 0, 10)
    assert play(tmp_path).answered == 10


class Faulty:
    """A listener that raises on every event and at every flush."""

    def __init__(self) -> None:
        self.events = self.flushes = 0

    def __call__(self, event: Event) -> None:
        self.events += 1
        raise RuntimeError("on an event")

    def flush(self) -> None:
        self.flushes += 1
        raise RuntimeError("at a flush")


def test_a_listener_that_raises_is_logged_once_and_breaks_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Once for its events, the stop of the job included, and once for its flushes."""
    (tmp_path / "in.jsonl").write_bytes(text_of(*ROWS))
    job = Job(files_in(tmp_path), FAST)
    faulty = Faulty()
    heard: list[Event] = []

    def listen(event: Event) -> None:
        heard.append(event)
        if isinstance(event, RequestEnded):
            job.drain()

    async def main() -> Report:
        return await job.run(
            ProviderTransport(SLOW, random.Random(1)),
            listeners=(faulty, listen),
            dispatcher_options=DispatcherOptions(max_in_flight=2, cpu_clock=float),
        )

    report = run_virtual(main())
    assert report.stop_code == "drained"
    assert isinstance(heard[-1], JobStopped)
    assert faulty.events == len(heard)
    assert faulty.flushes >= 2  # at the end of the run, and after the stop is told
    assert [record.name for record in caplog.records] == ["ratedispatch"] * 2
    assert ["flushed" in record.getMessage() for record in caplog.records] == [False, True]
    assert play(tmp_path).answered == 10
