"""
A file in, a file out.

Decides the life of a job: open the files, run the rows that are not done, write what comes,
report. Knows nothing of buckets or HTTP.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ratedispatch.dispatcher import Dispatcher
from ratedispatch.errors import Stopped
from ratedispatch.jobs.batchfile import BadRow, bad_row_line, outcome_line
from ratedispatch.jobs.caps import Caps, Spending
from ratedispatch.jobs.ledger import JobFiles, open_job
from ratedispatch.jobs.report import Report, Tally
from ratedispatch.jobs.secrets import hide_key, hide_key_in, holds_key
from ratedispatch.jobs.sink import LineSink
from ratedispatch.jobs.source import BatchSource, count_rows
from ratedispatch.outcome import Completed
from ratedispatch.verdict import NOTHING, judge

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from ratedispatch.budget import Snapshot
    from ratedispatch.events import Listener
    from ratedispatch.groups import LimitGroups
    from ratedispatch.jobs.eventlog import EventLog
    from ratedispatch.limits import Limits
    from ratedispatch.outcome import Outcome
    from ratedispatch.verdict import Verdict

#: Seconds after which what has come in stands in the files at the latest.
_FLUSH_INTERVAL = 0.5


def default_errors_path(output: Path) -> Path:
    """Return where failed rows go: ``out.errors.jsonl`` for ``out.jsonl``."""
    return output.with_name(output.name.removesuffix(".jsonl") + ".errors.jsonl")


async def run_file(
    input: str | os.PathLike[str],  # noqa: A002  (the word a user expects)
    output: str | os.PathLike[str],
    *,
    client: Any,
    limits: Limits | LimitGroups,
    errors: str | os.PathLike[str] | None = None,
    listeners: Sequence[Listener] = (),
    **options: Any,
) -> Report:
    """
    Send every row of a Batch file and write one line for each; return the report.

    The same call again does what is left of the job.

    Args:
        input: A JSONL file in OpenAI's Batch format.
        output: Where answers go, in Batch output format, in the order in which they come.
        client: An ``openai.AsyncOpenAI``, or any transport.
        limits: What the account may spend, or what groups of models may.
        errors: Where failed rows go; by default ``out.errors.jsonl`` for ``out.jsonl``.
        listeners: Called with every event.
        options: Further arguments of :class:`~ratedispatch.Dispatcher`, and *caps* and *log* of
            :meth:`Job.run`.

    Raises:
        JobError: A file is missing, or in the way; nothing was touched.
    """
    out = Path(output)
    errors_path = Path(errors) if errors is not None else default_errors_path(out)
    files = JobFiles(Path(input), out, errors_path)
    return await Job(files, limits).run(client, listeners=listeners, **options)


class Job:
    """
    One run over a request file.

    Args:
        files: Input, output and errors.
        limits: What the account may spend, or what groups of models may.

    Raises:
        JobError: A file is missing, or in the way; nothing was touched.
    """

    def __init__(self, files: JobFiles, limits: Limits | LimitGroups) -> None:
        self._files = files
        self._limits = limits
        self._key = ""
        self._cpu_clock = time.process_time
        self._cpu_start = 0.0
        opened = open_job(files)
        self._done = opened.progress
        self._lock = opened.lock
        self._dispatcher: Dispatcher | None = None
        self._write_error: OSError | None = None
        self._unwritten = (0, 0)
        self.tally = Tally()
        self.total = count_rows(files.input)

    @property
    def resumed(self) -> int:
        """Rows that an earlier run has done."""
        return len(self._done.answered) + len(self._done.failed)

    def snapshot(self) -> Snapshot | None:
        """Return the state of the line; ``None`` before it runs."""
        return self._dispatcher.snapshot() if self._dispatcher is not None else None

    def verdict(self) -> Verdict | None:
        """Return what holds the line back; ``None`` before it runs."""
        return self._dispatcher.verdict() if self._dispatcher is not None else None

    def drain(self) -> None:
        """Send nothing more and end when what is in flight has its outcome."""
        self._stop("drained", "stopped on request")

    async def run(
        self,
        client: Any,
        *,
        listeners: Sequence[Listener] = (),
        caps: Caps | None = None,
        log: EventLog | None = None,
        **options: Any,
    ) -> Report:
        """
        Send the rows that are not done, and return the report.

        What came in is in the files when this returns or raises, cancellation included.

        Args:
            client: An ``openai.AsyncOpenAI``, or any transport.
            listeners: Called with every event.
            caps: The most that this run may send and spend; none by default.
            log: Where to tell what happens; it is written as often as the answers, and left open.
            options: Further arguments of :class:`~ratedispatch.Dispatcher`.
        """
        stop: Stopped | None = None
        key = getattr(client, "api_key", None)  # a client may have none, or a function
        self._key = key if isinstance(key, str) else ""
        caps = caps or Caps()
        spending = Spending(
            caps,
            self._stop,
            counter=options.get("counter"),
            default_output_tokens=options.get("default_output_tokens", 16),
        )
        heard = (self.tally, spending, *listeners, *(() if log is None else (log,)))
        dispatcher = Dispatcher(client, self._limits, listeners=heard, **options)
        self._dispatcher = dispatcher
        self._cpu_start = self._cpu_clock()
        answers, failures = LineSink(self._files.output), LineSink(self._files.errors)

        def write_bad_row(bad: BadRow) -> None:
            self.tally.count_bad_row()
            self._append(failures, bad_row_line(bad))

        source = BatchSource(
            self._files.input, is_done=self._done.__contains__, on_bad_row=write_bad_row
        )
        flusher = asyncio.create_task(self._flush_regularly(log, answers, failures))
        try:
            async with dispatcher:
                async for outcome in dispatcher.map(
                    spending.admit(source) if caps.bind else source
                ):
                    self._write(outcome, answers, failures)
        except Stopped as error:
            stop = error
        finally:
            flusher.cancel()
            for sink in (answers, failures):
                with self._stop_on_write_error():
                    sink.close()
            self._unwritten = (answers.lines_waiting, failures.lines_waiting)
            self._lock.close()
            if log is not None:
                log.flush()
        report = self._report(stop, spending.cost)
        if log is not None and report.stop_code is not None:
            log.note_stop(report.stop_code, report.stop_message or "")
            log.flush()
        return report

    def _stop(self, code: str, message: str) -> None:
        if self._dispatcher is not None:
            self._dispatcher.stop(code, message)

    def _write(self, outcome: Outcome, answers: LineSink, failures: LineSink) -> None:
        sink = answers if isinstance(outcome, Completed) else failures
        line = outcome_line(outcome)
        if holds_key(line, self._key):
            line = outcome_line(_without_key(outcome, self._key))
        self._append(sink, line)

    def _append(self, sink: LineSink, line: bytes) -> None:
        with self._stop_on_write_error():
            sink.append(line)

    async def _flush_regularly(self, log: EventLog | None, *sinks: LineSink) -> None:
        while True:
            await asyncio.sleep(_FLUSH_INTERVAL)
            for sink in sinks:
                with self._stop_on_write_error():
                    sink.flush()
            if log is not None:
                log.flush()

    @contextlib.contextmanager
    def _stop_on_write_error(self) -> Any:
        """A full disk stops the sending; what is still in memory is tried again at the end."""
        try:
            yield
        except OSError as error:
            self._write_error = error
            self._stop("output", _unwritable(error))

    def _constraints(self) -> dict[str, Any]:
        """What held the line back over the whole run, and the share of each limit in use."""
        assert self._dispatcher is not None
        state = self._dispatcher.snapshot()
        wall = sum(state.held.values())
        cpu = (self._cpu_clock() - self._cpu_start) / wall if wall > 0 else 0.0
        binding = max(state.held, key=state.held.__getitem__, default=NOTHING)
        # of several lines, that of the group which has used most of its limit
        used: dict[str, float] = {}
        for level in state.levels:
            if level.used is not None:
                used[level.dimension] = max(used.get(level.dimension, 0.0), level.used)
        found = judge(binding, used, cpu)
        limits = {
            f"{level.group}.{level.dimension}" if level.group else level.dimension: level.limit
            for level in state.levels
            if math.isfinite(level.limit)
        }
        return {
            "request_share": used.get("requests"),
            "token_share": used.get("tokens"),
            "binding": found.binding,
            "held_seconds": {cause: round(time, 3) for cause, time in state.held.items()},
            "limits": limits,
        }

    def _report(self, stop: Stopped | None, cost: float | None) -> Report:
        tally = self.tally
        code, message = (stop.code, str(stop)) if stop is not None else (None, None)
        if self._write_error is not None:
            code = "output"
            message = _unwritable(self._write_error)
        answered = len(self._done.answered) + tally.answered - self._unwritten[0]
        failed = len(self._done.failed) + tally.failed - self._unwritten[1]
        return Report(
            answered=answered,
            failed=failed,
            resumed=self.resumed,
            unanswered=max(0, self.total - answered - failed),
            attempts=tally.attempts,
            refusals=tally.refusals,
            retries=tally.retries,
            seconds=tally.seconds,
            **self._constraints(),
            prompt_tokens=tally.prompt_tokens,
            output_tokens=tally.output_tokens,
            expected_tokens=tally.expected_tokens,
            stop_code=code,
            stop_message=message,
            started=stop.started if stop is not None else answered > 0,
            cost_usd=None if cost is None else round(cost, 9),
        )


def _unwritable(error: OSError) -> str:
    return f"results cannot be written: {error.strerror or error}"


def _without_key(outcome: Outcome, key: str) -> Outcome:
    """*outcome* with *key* blacked out in what the server said."""
    response = outcome.response
    if response is not None:
        body = hide_key_in(response.body, key)
        headers = {name: hide_key(value, key) for name, value in response.headers.items()}
        response = dataclasses.replace(response, body=body, headers=headers)
    if isinstance(outcome, Completed):
        assert response is not None
        return dataclasses.replace(outcome, response=response)
    return dataclasses.replace(outcome, response=response, message=hide_key(outcome.message, key))
