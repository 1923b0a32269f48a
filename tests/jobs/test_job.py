"""One run over a file, and the next, against a provider in virtual time."""

from __future__ import annotations

import ast
import asyncio
import dataclasses
import errno
import json
import random
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ratedispatch.dispatch.options import DispatcherOptions
from ratedispatch.dispatch.retry import RetryPolicy
from ratedispatch.errors import JobError, TransportError
from ratedispatch.events import AttemptSent, JobStopped, RequestEnded
from ratedispatch.jobs import writer as writer_module
from ratedispatch.jobs.inputs.template import Template
from ratedispatch.jobs.job import Job, run_file
from ratedispatch.jobs.job_options import JobOptions
from ratedispatch.jobs.order import Order
from ratedispatch.jobs.plan.spending import Caps
from ratedispatch.jobs.sink import Fsync, LineSink
from ratedispatch.jobs.state.journal import Journal
from ratedispatch.jobs.state.paths import JobFiles, default_errors_path
from ratedispatch.limits import Limits
from ratedispatch.outcome import Response
from ratedispatch.simulate.clock import run_virtual
from ratedispatch.simulate.settings import ProviderSettings
from ratedispatch.simulate.transport import ProviderTransport
from tests.jobs.job_files import row, text_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from ratedispatch.events import Event
    from ratedispatch.observe.report import Report
    from ratedispatch.request import Request

FAST = Limits(requests_per_minute=60_000, tokens_per_minute=10_000_000)
SLOW = ProviderSettings(output_tokens=4, latency=0.5, latency_sigma=0.0)
ROWS = [row(f"r{number}") for number in range(1, 11)]

#: Each row is sent once, whatever becomes of the others.
ONCE: dict[str, Any] = {"retry": RetryPolicy(max_attempts=1), "tolerate_failures": True}


def files_in(folder: Path) -> JobFiles:
    return JobFiles(folder / "in.jsonl", folder / "out.jsonl", folder / "bad.jsonl")


def play(
    folder: Path,
    *,
    rows: list[dict[str, Any]] | None = None,
    job_options: JobOptions | None = None,
    limits: Limits = FAST,
    provider: ProviderSettings = SLOW,
    listen: Callable[[Job, Event], None] | None = None,
    send: Callable[[Request], Response | None] | None = None,
    caps: Caps | None = None,
    **options: Any,
) -> Report:
    """Run the job in *folder*; *send* answers in place of the provider if it returns anything."""
    if rows is not None:
        (folder / "in.jsonl").write_bytes(text_of(*rows))
    job_options = dataclasses.replace(job_options or JobOptions(), caps=caps)
    job = Job(files_in(folder), limits, job_options)

    class Edited(ProviderTransport):
        async def send(self, request: Request, timeout: float) -> Response:
            response = None if send is None else send(request)
            return await super().send(request, timeout) if response is None else response

    async def main() -> Report:
        heard = [] if listen is None else [lambda event: listen(job, event)]
        transport = Edited(provider, random.Random(1))
        values = {"max_in_flight": 2, "rng": random.Random(1), "cpu_clock": float, **options}
        return await job.run(
            transport, listeners=heard, dispatcher_options=DispatcherOptions(**values)
        )

    return run_virtual(main())


def at_end(count: int, action: Callable[[Job], None]) -> Callable[[Job, Event], None]:
    """Return a listener that does *action* once, when so many rows have ended."""
    ends = 0

    def listen(job: Job, event: Event) -> None:
        nonlocal ends
        if isinstance(event, RequestEnded):
            ends += 1
            if ends == count:
                action(job)

    return listen


def names(path: Path) -> list[str]:
    """Return the custom_ids in a result file; each of its lines is whole."""
    text = path.read_bytes()
    assert text.endswith(b"\n") or not text
    return [json.loads(line)["custom_id"] for line in text.splitlines()]


ALL = sorted(value["custom_id"] for value in ROWS)


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
    append = Journal._append
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

    monkeypatch.setattr(Journal, "_append", full)
    report = play(tmp_path, rows=ROWS, send=look)
    assert report.stop_code == "output"
    assert report.answered == len(names(tmp_path / "out.jsonl"))
    assert unnoted == []


#: Runs the job in a folder with files of so many bytes at most.
_BOUNDED = """
import resource, sys
from pathlib import Path
from tests.jobs.test_job import play
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
print(play(Path(sys.argv[1])).as_dict())
"""


@pytest.mark.slow
def test_a_file_that_may_not_grow_is_a_full_disk(tmp_path: Path) -> None:
    """The system itself cuts a line in two; whoever goes on finds whole lines."""
    (tmp_path / "in.jsonl").write_bytes(text_of(*ROWS))
    child = subprocess.run(
        [sys.executable, "-c", _BOUNDED, str(tmp_path), "2000"],
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
        "3 rows that may have been billed are sent again: an earlier run sent them and has no "
        "line in the files"
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


def sent_of(folder: Path, rows: list[dict[str, Any]], **options: Any) -> list[int]:
    """Return the numbers of the rows in the order in which they were sent, one at a time."""
    sent: list[int] = []

    def send(request: Request) -> None:
        sent.append(request.row or 0)

    provider = dataclasses.replace(SLOW, latency=0.001)
    play(folder, rows=rows, send=send, provider=provider, max_in_flight=1, **options)
    return sent


@pytest.mark.parametrize("order", [Order.AUTO, Order.FILE])
def test_rows_go_in_their_order_where_nothing_is_gained_by_another(
    tmp_path: Path, order: Order
) -> None:
    """As a person expects."""
    sent = sent_of(tmp_path, ROWS, job_options=JobOptions(order=order))
    assert sent == list(range(1, 11))


@pytest.mark.parametrize("is_reversed", [False, True])
def test_a_sorted_file_is_read_from_many_places_in_turn(tmp_path: Path, is_reversed: bool) -> None:
    """So that short and long rows go at once, and both limits are used."""
    rows = [row(f"s{number}", max_tokens=1) for number in range(240)]
    rows += [row(f"l{number}", max_tokens=3_000) for number in range(80)]
    both = Limits(requests_per_minute=64_000, tokens_per_minute=50_000_000)
    sent = sent_of(tmp_path, rows[::-1] if is_reversed else rows, limits=both)
    assert sorted(sent) == list(range(1, 321))
    long = range(1, 81) if is_reversed else range(241, 321)
    for begin in range(0, 320, 16):
        assert 2 <= sum(number in long for number in sent[begin : begin + 16]) <= 6


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
    assert third.notes == ("1 row that failed is sent once more",)
    assert names(tmp_path / "bad.jsonl") == []


def test_a_file_that_grows_is_done_as_far_as_it_went(tmp_path: Path) -> None:
    """With a note; the next run refuses the other content until it is forced."""
    path = tmp_path / "in.jsonl"

    def grow(_: Job) -> None:
        with path.open("ab") as file:
            file.write(text_of(row("new")))

    first = play(tmp_path, rows=ROWS, listen=at_end(1, grow))
    assert (first.answered, first.stop_code) == (10, None)
    assert "only the rows that it had were done" in first.notes[0]
    with pytest.raises(JobError, match="10 are unchanged"):
        play(tmp_path)
    last = play(tmp_path, job_options=JobOptions(allow_changed_input=True))
    assert (last.answered, last.attempts) == (11, 1)


def test_a_file_that_becomes_shorter_stops_the_job(tmp_path: Path) -> None:
    """With code "input"; what was answered is written."""
    rows = [row(f"r{number}", user="x" * 2_000) for number in range(60)]

    def cut(_: Job) -> None:
        (tmp_path / "in.jsonl").write_bytes(text_of(*rows[:30]))

    report = play(
        tmp_path, rows=rows, listen=at_end(2, cut), job_options=JobOptions(order=Order.FILE)
    )
    assert report.stop_code == "input"
    assert report.answered == report.attempts == len(names(tmp_path / "out.jsonl"))


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


@pytest.mark.parametrize("text", [b"", b"\n \r\n", b"\xef\xbb\xbf\n"])
def test_an_input_without_rows_is_refused_and_nothing_is_made(tmp_path: Path, text: bytes) -> None:
    """Blank lines are no rows."""
    (tmp_path / "in.jsonl").write_bytes(text)
    with pytest.raises(JobError, match=r"the input .* is empty"):
        Job(files_in(tmp_path), FAST)
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]


def test_a_template_that_names_a_missing_column_is_refused_and_nothing_is_made(
    tmp_path: Path,
) -> None:
    """Before anything is sent."""
    (tmp_path / "in.jsonl").write_bytes(b'{"text": "x"}\n')
    with pytest.raises(JobError, match="txet"):
        Job(files_in(tmp_path), FAST, JobOptions(template=Template("{txet}", model="gpt-4o")))
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]


def test_a_table_is_answered_row_by_row(tmp_path: Path) -> None:
    """Equal rows stay separate; a broken one fails alone, and takes no other with it."""
    table = tmp_path / "in.csv"
    table.write_bytes(b"text,n\nsame,1\nsame,1\ntoo,many,cells\n")
    output = tmp_path / "out.jsonl"

    async def main() -> Report:
        transport = ProviderTransport(SLOW, random.Random(1))
        options = JobOptions(template=Template("{text}", model="gpt-4o"))
        return await run_file(table, output, client=transport, limits=FAST, job_options=options)

    report = run_virtual(main())
    assert (report.answered, report.failed) == (2, 1)
    assert sorted(names(output)) == ["row-1", "row-2"]
    assert run_virtual(main()).attempts == 0


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
    assert rest.notes == ("2 rows that failed are still to be sent once more",)


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
    assert "was cut by another program" in (report.stop_message or "")
    assert play(tmp_path).answered == 10


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
