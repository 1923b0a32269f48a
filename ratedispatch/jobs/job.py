"""
A file in, a file out.

Decides the life of a job: open the files, run the rows that are not done, write what comes,
report. Knows nothing of buckets or HTTP.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import math
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ratedispatch.dispatch.dispatcher import Dispatcher
from ratedispatch.dispatch.transports import as_transport
from ratedispatch.errors import JobError, Stopped
from ratedispatch.groups import LimitGroups
from ratedispatch.jobs.batchfile import row_of
from ratedispatch.jobs.inputs.formats import Format, format_of
from ratedispatch.jobs.inputs.lines import LongLine
from ratedispatch.jobs.inputs.row_text import open_text
from ratedispatch.jobs.inputs.streams import STDIN
from ratedispatch.jobs.journaling import NotingTransport
from ratedispatch.jobs.options import JobOptions
from ratedispatch.jobs.order import PARTS, Order, is_sorted
from ratedispatch.jobs.outputs.table import (
    OutputFormat,
    check_format,
    output_format_of,
    write_table,
)
from ratedispatch.jobs.plan.spending import Caps, Spending
from ratedispatch.jobs.rowformat import format_for
from ratedispatch.jobs.sink import Fsync
from ratedispatch.jobs.source import RowSource, Stretch
from ratedispatch.jobs.state.journal import open_journal
from ratedispatch.jobs.state.manifest import manifest_of
from ratedispatch.jobs.state.paths import check_files, files_of
from ratedispatch.jobs.state.resume import Going, open_job
from ratedispatch.jobs.state.rowset import RowSet
from ratedispatch.jobs.state.scan import survey
from ratedispatch.jobs.writer import Writer, ended, finished
from ratedispatch.limits import MINUTE
from ratedispatch.observe.report import Report, Tally
from ratedispatch.pacing.bottleneck import NOTHING, judge

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ratedispatch.events import Listener
    from ratedispatch.jobs.batchfile import BadRow
    from ratedispatch.jobs.inputs.row import Row
    from ratedispatch.jobs.inputs.streams import Source
    from ratedispatch.jobs.state.paths import JobFiles
    from ratedispatch.limits import Limits
    from ratedispatch.observe.eventlog import EventLog
    from ratedispatch.pacing.bottleneck import Verdict
    from ratedispatch.pacing.snapshot import Snapshot

#: Seconds that a job which is to end waits for what is in flight.
DRAIN_TIMEOUT = 120.0


async def run_file(
    input: str | os.PathLike[str],  # noqa: A002  (the word a user expects)
    output: str | os.PathLike[str],
    *,
    client: Any,
    limits: Limits | LimitGroups,
    errors: str | os.PathLike[str] | None = None,
    listeners: Sequence[Listener] = (),
    job_options: JobOptions | None = None,
    **options: Any,
) -> Report:
    """
    Send every row of a file and write one line for each; return the report.

    The same call again does what is left of the job.

    Args:
        input: A JSONL file in OpenAI's Batch format, which may be packed (``.gz``, ``.zst``), or a
            table with the template of *job_options*; ``-`` for standard input.
        output: Where answers go, in Batch output format, in the order in which they come; or the
            table that is made of them at the end.
        client: An ``openai.AsyncOpenAI``, or any transport.
        limits: What the account may spend, or what groups of models may.
        errors: Where failed rows go; by default ``out.errors.jsonl`` for ``out.jsonl``.
        listeners: Called with every event.
        job_options: How the job reads, writes and goes on.
        options: Further arguments of :class:`~ratedispatch.Dispatcher`, and *caps* and *log* of
            :meth:`Job.run`.

    Raises:
        JobError: A file is missing, or in the way; nothing was touched.
    """
    out = Path(output)
    source = STDIN if input == STDIN else Path(input)
    errors_path = None if errors is None else Path(errors)
    job_options = job_options or JobOptions()
    output_format = output_format_of(out, job_options.output_format)
    files = files_of(source, out, errors_path, output_format)
    # in a thread: to look through a large file takes seconds, which the loop has not
    opening = asyncio.ensure_future(asyncio.to_thread(Job, files, limits, job_options))
    try:
        job = await asyncio.shield(opening)
    except asyncio.CancelledError:
        opening.add_done_callback(_close_late)
        raise
    return await job.run(client, listeners=listeners, **options)


def _close_late(opening: asyncio.Future[Job]) -> None:
    if opening.exception() is None:
        opening.result().close()


class Job:
    """
    One run over a file.

    Args:
        files: Input, output and errors.
        limits: What the account may spend, or what groups of models may.
        options: How it reads, writes and goes on.

    Raises:
        JobError: A file is missing, or in the way; nothing was touched.
    """

    def __init__(
        self, files: JobFiles, limits: Limits | LimitGroups, options: JobOptions | None = None
    ) -> None:
        self._files = files
        self._limits = limits
        self._options = options or JobOptions()
        self._cpu_clock = time.process_time
        self._cpu_start = 0.0
        self._dispatcher: Dispatcher | None = None
        self._writer: Writer | None = None
        self._write_error: OSError | None = None
        self._input_error: JobError | None = None
        self._table_error: JobError | None = None
        self._abandoning: asyncio.TimerHandle | None = None
        self._is_stopping = False
        self.tally = Tally()
        with contextlib.ExitStack() as stack:
            try:
                self._open(stack)
            except OSError as error:
                where = f" ({error.filename})" if error.filename else ""
                raise JobError(
                    f"the job cannot start: {error.strerror or error}{where}; make room in the "
                    f"folder of the output, or choose another one"
                ) from error
            self._stack = stack.pop_all()

    def _open(self, stack: contextlib.ExitStack) -> None:
        files, options = self._files, self._options
        check_files(files)
        self._output_format = OutputFormat.JSONL
        if files.table is not None:
            self._output_format = output_format_of(files.table, options.output_format)
        check_format(self._output_format)
        template = options.template
        # first of all: whoever comes second is to be told before the input is read
        journal = open_journal(files.job) if files.job.exists() else None
        if journal is not None:
            stack.callback(journal.close)
        self._input_format = format_of(files.input, options.input_format)
        self._source_stat = _stat_of(files.input)
        self._text = stack.enter_context(
            open_text(
                files.input,
                format=self._input_format,
                is_table=template is not None,
                folder=files.output.parent,
            )
        )
        self._format = format_for(self._text, template)
        known = None
        if journal is not None and journal.manifest is not None:
            known = journal.manifest.known_survey(template)
        self._survey = survey(
            self._text.file, self._format.names, folder=files.output.parent, known=known
        )
        if not self._survey.rows:
            raise JobError(f"the input {self._text.name} is empty")
        opened = open_job(
            files,
            manifest_of(
                Path(self._text.name).name,
                self._survey,
                template,
                self._output_format,
                os.path.relpath(files.errors.absolute(), files.job.absolute().parent),
            ),
            self._text.file,
            self._survey,
            Going(
                options.retry_failed,
                options.force,
                template is not None and template.id_column is None,
            ),
            journal,
        )
        self._done = opened.progress
        self._journal = opened.journal
        self._notes = list(opened.notes)
        stack.callback(opened.journal.close)

    @property
    def total(self) -> int:
        """Rows of the input."""
        return self._survey.rows

    @property
    def resumed(self) -> int:
        """Rows that an earlier run has done."""
        return len(self._done.answered) + len(self._done.failed)

    @property
    def done(self) -> int:
        """Rows with a line that is as safe as was asked for."""
        return self.resumed + (self._writer.done if self._writer is not None else 0)

    @property
    def in_doubt(self) -> int:
        """Rows that were sent, have no line, and may have been billed."""
        return len(self._journal.open_rows)

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences on what was found when the files were opened, and at the end."""
        return tuple(self._notes)

    def snapshot(self) -> Snapshot | None:
        """Return the state of the line; ``None`` before it runs."""
        return self._dispatcher.snapshot() if self._dispatcher is not None else None

    def verdict(self) -> Verdict | None:
        """Return what holds the line back; ``None`` before it runs."""
        return self._dispatcher.verdict() if self._dispatcher is not None else None

    @property
    def is_stopping(self) -> bool:
        """Whether nothing more is sent, and what is in flight is waited for."""
        return self._is_stopping

    def drain(self, timeout: float = math.inf) -> None:
        """
        Send nothing more and end when what is in flight has its outcome.

        Args:
            timeout: Seconds after which it is waited for no longer.
        """
        self._stop("drained", "stopped on request")
        if self._dispatcher is not None and timeout < math.inf and self._abandoning is None:
            loop = asyncio.get_running_loop()
            self._abandoning = loop.call_later(timeout, self._dispatcher.abandon)

    def close(self) -> None:
        """Let go of the files of a job that is not run."""
        self._stack.close()

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
        Send the rows that are not done, and return the report. To be called once.

        What came in is in the files when this returns or raises, cancellation included.

        Args:
            client: An ``openai.AsyncOpenAI``, or any transport.
            listeners: Called with every event.
            caps: The most that this run may send and spend; none by default.
            log: Where to tell what happens; it is written as often as the answers, and left open.
            options: Further arguments of :class:`~ratedispatch.Dispatcher`.

        Raises:
            JobError: The result files cannot be opened; nothing was sent.
        """
        key = getattr(client, "api_key", None)  # a client may have none, or a function
        caps = caps or Caps()
        spending = Spending(
            caps,
            self._stop,
            counter=options.get("counter"),
            default_output_tokens=options.get("default_output_tokens", 16),
        )
        with self._stack:
            self._writer = writer = self._open_writer(key if isinstance(key, str) else "", log)
            heard = (self.tally, spending, writer, *listeners, *(() if log is None else (log,)))
            noting = NotingTransport(as_transport(client), writer.note)
            self._dispatcher = Dispatcher(noting, self._limits, listeners=heard, **options)
            self._cpu_start = self._cpu_clock()
            stop = await self._send_all(self._dispatcher, writer, spending, caps)
            if self._files.table is not None and self._write_error is None:
                await finished(functools.partial(self._make_table, self._files.table))
        self._look_back()
        report = self._report(stop, spending.cost)
        if log is not None and report.stop_code is not None:
            log.note_stop(report.stop_code, report.stop_message or "")
            log.flush()
        return report

    def _open_writer(self, key: str, log: EventLog | None) -> Writer:
        try:
            return Writer(
                self._files,
                self._journal,
                key=key,
                fsync=Fsync(self._options.fsync),
                interval=self._options.flush_interval,
                log=log,
                on_error=self._note_write_error,
            )
        except OSError as error:
            raise JobError(
                f"the results cannot be written to {error.filename or self._files.output}: "
                f"{error.strerror}"
            ) from error

    async def _send_all(
        self, dispatcher: Dispatcher, writer: Writer, spending: Spending, caps: Caps
    ) -> Stopped | None:
        """Send what is not done, and write what comes; return why it ended before its end."""

        def write_bad_row(bad: BadRow, digest: str) -> None:
            self.tally.count_bad_row()
            writer.write_bad_row(bad, digest)

        source = RowSource(
            self._text.file,
            self._survey,
            self._format,
            done=self._done.done,
            on_bad_row=write_bad_row,
            in_order=not self._is_spread(),
        )
        keeper = asyncio.create_task(writer.keep_safe())
        try:
            async with dispatcher:
                rows = spending.admit(source) if caps.bind else source
                async for outcome in dispatcher.map(rows):
                    row = outcome.request.row
                    assert row is not None
                    writer.write(outcome, source.digests.pop(row))
        except Stopped as error:
            return error
        except JobError as error:
            self._input_error = error
        finally:
            keeper.cancel()
            await ended(keeper)
            if self._abandoning is not None:
                self._abandoning.cancel()
            writer.close()
        return None

    def _is_spread(self) -> bool:
        """Whether rows are read from many places in turn."""
        limits = self._limits
        if self._options.order is not Order.AUTO:
            return self._options.order is Order.SPREAD
        if isinstance(limits, LimitGroups):
            return True  # rows sorted by their model would use the limits of one group at a time
        limited = {rate.dimension for rate in limits.rates()}
        if not limited >= {"requests", "tokens"}:
            return False
        requests, tokens = limits.known("requests"), limits.known("tokens")
        rates = None
        if requests is not None and tokens is not None:
            rates = (requests / MINUTE, tokens / MINUTE)
        return is_sorted(self._survey.parts(PARTS), self._survey.deviation, rates)

    def _stop(self, code: str, message: str) -> None:
        if self._dispatcher is not None:
            self._is_stopping = True
            self._dispatcher.stop(code, message)

    def _note_write_error(self, error: OSError) -> None:
        """A full disk stops the sending; what is still in memory is tried again at the end."""
        self._write_error = error
        self._stop("output", _unwritable(error))

    def _make_table(self, table: Path) -> None:
        """Make the table of what is done, unless it is there already."""
        assert self._writer is not None
        results = [self._files.errors, self._files.output]
        if not self._writer.written and _is_newer(table, results):
            return
        is_parquet = self._input_format is Format.PARQUET
        # another file under the same name would put answers beside rows of others
        is_parquet = is_parquet and _stat_of(self._files.input) == self._source_stat
        keeps_types = is_parquet and self._output_format is OutputFormat.PARQUET
        template = self._options.template
        try:
            write_table(
                table,
                self._output_format,
                columns=self._text.columns or (),
                rows=self._rows_of_table,
                results=results,
                row_of=row_of,
                parquet_source=Path(self._text.name) if keeps_types else None,
                id_column=None if template is None else template.id_column,
            )
        except JobError as error:
            self._table_error = error

    def _rows_of_table(self) -> Iterator[tuple[int, Row, str | None]]:
        survey = self._survey
        everything = Stretch(self._text.file, survey.marks[0], survey.end, RowSet())
        for number, line in everything:
            if isinstance(line, LongLine):
                yield number, {}, None
            else:
                yield number, *self._format.cells(line, number)

    def _look_back(self) -> None:
        """Note what has changed while the job ran."""
        assert self._writer is not None
        self._notes += self._writer.saved
        if self.resumed + self._writer.written >= self.total:
            self._files.retry.unlink(missing_ok=True)  # all have their new lines
        if self._text.is_copy or not isinstance(self._files.input, Path):
            return
        with contextlib.suppress(OSError):
            size = self._files.input.stat().st_size
            if size != self._survey.size:
                self._notes.append(
                    f"{self._files.input} had {self._survey.size:,} bytes when the job began and "
                    f"has {size:,} now; only the rows that it had were done, and to go on with "
                    f"those it has takes --force"
                )

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
        assert self._writer is not None
        tally = self.tally
        code, message = (stop.code, str(stop)) if stop is not None else (None, None)
        if self._input_error is not None:
            code, message = "input", str(self._input_error)
        if self._table_error is not None:
            code, message = "output", str(self._table_error)
        if self._write_error is not None:
            code, message = "output", _unwritable(self._write_error)
        answered = len(self._done.answered) + self._writer.answered
        failed = len(self._done.failed) + self._writer.failed
        if code == "drained" and answered + failed >= self.total:
            code = message = None  # what was in flight was the last
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
            in_doubt=self.in_doubt,
            billed_twice_at_most=self._journal.billed_twice,
            notes=self.notes,
        )


def _stat_of(path: Source) -> tuple[int, ...]:
    """Return what tells the file at *path* from another one put in its place."""
    if isinstance(path, str):
        return ()
    found = path.stat()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _is_newer(table: Path, results: Sequence[Path]) -> bool:
    """Whether *table* was made after the last line of *results*."""
    if not table.exists():
        return False
    made = table.stat().st_mtime_ns
    return all(made > path.stat().st_mtime_ns for path in results if path.exists())


def _unwritable(error: OSError) -> str:
    return f"results cannot be written: {error.strerror or error}"
