"""
Runs a job: reads a file, sends every row that is not done, and writes one line for each.

Modules `job_files`, `final_table` and `ending` open the files, make the table and report.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import math
from typing import TYPE_CHECKING

from ratedispatch.dispatch.listeners import Listeners
from ratedispatch.dispatch.options import DispatcherOptions
from ratedispatch.dispatch.pool import Pool
from ratedispatch.errors import JobError, Stopped
from ratedispatch.events import JobStopped
from ratedispatch.jobs.ahead import Outlook
from ratedispatch.jobs.chronicle import Chronicle
from ratedispatch.jobs.ending import Ending, constraints_of, report_of, unwritable, writable
from ratedispatch.jobs.halt import Halt
from ratedispatch.jobs.job_files import open_files
from ratedispatch.jobs.job_options import JobOptions
from ratedispatch.jobs.journaling import keys_of
from ratedispatch.jobs.opened import opened
from ratedispatch.jobs.plan.price_book import PriceBook
from ratedispatch.jobs.plan.spending import Caps, Spending
from ratedispatch.jobs.sender import Means, sender_of
from ratedispatch.jobs.sink import Fsync
from ratedispatch.jobs.source import RowSource
from ratedispatch.jobs.writer import Writer, ended, finished, flushable, may_be_billed
from ratedispatch.observe.report import Tally
from ratedispatch.observe.shown import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ratedispatch.dispatch.transports import Client
    from ratedispatch.events import Listener
    from ratedispatch.groups import LimitGroups
    from ratedispatch.jobs.batchfile import BadRow
    from ratedispatch.jobs.processes.crew import Crew
    from ratedispatch.jobs.sender import Sender
    from ratedispatch.jobs.state.paths import JobFiles
    from ratedispatch.jobs.writer import Flushable
    from ratedispatch.limits import Limits
    from ratedispatch.observe.foresight import Ahead
    from ratedispatch.observe.report import Report
    from ratedispatch.pacing.bottleneck import Bottleneck
    from ratedispatch.pacing.snapshot import Snapshot


class Job:
    """
    One run over a file.

    Args:
        files: Input, output and errors.
        limits: The limits of the account or of groups of models.
        options: How it reads, writes and resumes, and its caps.

    Attributes:
        tally: What has been counted so far.

    Raises:
        JobError: A file is missing, or in the way; nothing was touched.
    """

    def __init__(
        self, files: JobFiles, limits: Limits | LimitGroups, options: JobOptions | None = None
    ) -> None:
        self._limits = limits
        self._options = options or JobOptions()
        self._files = open_files(files, self._options)
        self._notes = list(self._files.notes)
        self._dispatcher: Sender | None = None
        self._writer: Writer | None = None
        self._ending = Ending()
        self._halt = Halt()
        self._listeners = Listeners(())
        self.tally = Tally()
        try:
            self._outlook = Outlook(self._files, self._options, limits)
        except BaseException:
            self._files.close()  # or the next run would wait for this process
            raise

    @property
    def total(self) -> int:
        """Rows of the input."""
        return self._files.scan.rows

    @property
    def resumed(self) -> int:
        """Rows that an earlier run has done."""
        return self._files.resumed

    @property
    def done(self) -> int:
        """Rows whose line is as durable as requested."""
        return self.resumed + (self._writer.done if self._writer is not None else 0)

    @property
    def in_doubt(self) -> int:
        """Rows in doubt: sent, without a result, and perhaps billed."""
        return len(self._files.journal.open_rows)

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences on what was found when the files were opened, and at the end."""
        return tuple(self._notes)

    def ahead(self) -> Ahead | None:
        """Return what is still to be sent in this run; None before anything was sent."""
        return self._outlook.ahead(self.tally)

    def snapshot(self) -> Snapshot | None:
        """Return the state of the queue; ``None`` before it runs."""
        return self._dispatcher.snapshot() if self._dispatcher is not None else None

    def members(self) -> dict[str, Snapshot]:
        """Return the state of each member of a pool, or of each group of models, by its name."""
        return self._dispatcher.snapshots() if self._dispatcher is not None else {}

    def bottleneck(self) -> Bottleneck | None:
        """Return the bottleneck; ``None`` before it runs."""
        return self._dispatcher.bottleneck() if self._dispatcher is not None else None

    @property
    def is_stopping(self) -> bool:
        """Whether nothing more is sent, and the job waits for what is in flight."""
        return self._halt.is_set

    def drain(self, timeout: float = math.inf) -> None:
        """
        Send nothing more, and end when everything in flight has its outcome.

        Before :meth:`run` too, which then sends nothing.

        Args:
            timeout: Seconds after which the job gives up what is still in flight.
        """
        self._halt.stop("drained", "the run was asked to stop")
        self._halt.limit(timeout)

    def close(self) -> None:
        """Close the files, as `run` does at its end; again does nothing."""
        self._files.close()

    async def run(
        self,
        client: Client | Pool,
        *,
        listeners: Sequence[Listener] = (),
        dispatcher_options: DispatcherOptions | None = None,
        crew: Crew | None = None,
    ) -> Report:
        """
        Send the rows that are not done, and return the report. To be called once.

        All results that have arrived are in the files when this returns, raises or is cancelled.

        Args:
            client: An ``openai.AsyncOpenAI``, any transport, or a pool of them.
            listeners: Called with every event; one that has a ``flush`` method is flushed as
                often as the answers. None is closed.
            dispatcher_options: How the job sends.
            crew: The processes that send; None for this one.

        Raises:
            JobError: The result files cannot be opened; nothing was sent.
        """
        options = dispatcher_options or DispatcherOptions()
        self._listeners = Listeners(listeners)
        told = [self._listeners.tell] if self._listeners.are_there else []
        caps = self._options.caps or Caps()
        prices = PriceBook(caps.price, client)
        spending = Spending(caps, self._halt.stop, self._files.earlier, may_be_billed, prices)
        keys = keys_of(client)
        chronicle = Chronicle(self._files, self._options.command, keys)
        with contextlib.closing(self._files), chronicle.kept(self._ending):
            flushed = [*flushable(listeners), chronicle]
            self._writer = writer = self._open_writer(keys, flushed, spending)
            with contextlib.closing(writer):
                chronicle.begin(writer)
                source = self._source(writer)
                limits = None if isinstance(client, Pool) else self._limits
                means = Means(client, limits, options, self._files.journal, writer, listeners)
                heard: list[Listener] = [self.tally, spending, source, *told]
                self._dispatcher = dispatcher = sender_of(means, heard, crew, self._on_write_error)
                self._halt.attach(dispatcher)
                cpu_start = options.cpu_clock()
                await self._send_all(dispatcher, source, writer, spending)
            await self._make_table(writer)
        self._halt.end()
        self._look_back(writer)
        cpu = max(options.cpu_clock() - cpu_start, dispatcher.cpu_seconds)
        report = report_of(
            self._files,
            writer,
            self._ending,
            self.tally,
            constraints_of(dispatcher.snapshot(), cpu),
            spending.cost,
            self.notes,
            self.tally.routes.ended(self.members(), spending.costs),
        )
        self._tell_stop(report, writer)
        return report

    def _open_writer(
        self, keys: Sequence[str], flushed: Sequence[Flushable], spending: Spending
    ) -> Writer:
        with writable(self._files.paths.output):
            return Writer(
                self._files.paths,
                self._files.journal,
                keys=keys,
                fsync=Fsync(self._options.fsync),
                interval=self._options.flush_interval,
                flushed=flushed,
                spent=spending.record,
                on_error=self._on_write_error,
            )

    async def _send_all(
        self, dispatcher: Sender, source: RowSource, writer: Writer, spending: Spending
    ) -> None:
        """Send the rows that are not done, and write what comes."""
        caps = self._options.caps
        is_capped = caps is not None and caps.bind
        rows = spending.admit(source, dispatcher.estimator) if is_capped else source
        keeper = asyncio.create_task(writer.keep_safe())
        try:
            async with dispatcher:
                async for outcome in dispatcher.map(rows, progress=False):
                    row = outcome.request.row
                    assert row is not None
                    writer.write(outcome, source.digests.pop(row))
        except Stopped as error:
            self._ending.stop = error
        except JobError as error:
            self._ending.input_error = error
        finally:
            keeper.cancel()
            await ended(keeper)
            self._halt.detach()

    def _source(self, writer: Writer) -> RowSource:
        """Return the rows that are not done; those that are not requests fail at once."""

        def write_bad_row(bad: BadRow, digest: str) -> None:
            self.tally.count_bad_row(bad.code)
            writer.write_bad_row(bad, digest)

        files = self._files
        return RowSource(
            files.text.file,
            files.scan,
            files.format,
            done=files.skipped,
            on_bad_row=write_bad_row,
            in_order=self._outlook.is_in_order,
        )

    def _on_write_error(self, error: OSError) -> None:
        """A full disk stops the sending; what is still in memory is tried again at the end."""
        self._ending.write_error = error
        self._halt.stop("output", unwritable(error))

    async def _make_table(self, writer: Writer) -> None:
        """Make the table that was requested, in a thread."""
        if self._files.paths.table is None or self._ending.write_error is not None:
            return
        from ratedispatch.jobs.final_table import finish  # most jobs make no table

        is_over = functools.partial(getattr, self._halt, "is_over")
        work = self._files, self._options.template, self._ending, writer.written > 0, is_over
        await finished(functools.partial(finish, *work))

    def _look_back(self, writer: Writer) -> None:
        """Note what has changed while the job ran, and remove the lines that have new ones."""
        self._notes += writer.saved
        if self._dispatcher is not None:
            self._notes += self._dispatcher.notes
        if self.resumed + writer.written >= self.total:
            self._files.paths.retry.unlink(missing_ok=True)
        change = self._files.change_of_input()
        if change is not None:
            self._notes.append(change)

    def _tell_stop(self, report: Report, writer: Writer) -> None:
        if report.stop_code is None:
            return
        at = asyncio.get_running_loop().time()
        self._listeners.tell(JobStopped(report.stop_code, report.stop_message or "", at))
        writer.flush_others()


async def open_and_run(
    open_job: Callable[[], Job],
    client: Client | Pool,
    listeners: Sequence[Listener],
    options: DispatcherOptions | None,
    progress: bool | None,
    starting: contextlib.AbstractContextManager[Crew | None],
) -> Report:
    """
    Open a job and run it; see `run_file`.

    Args:
        open_job: Opens it.
        client: As in `Job.run`.
        listeners: As in `Job.run`.
        options: As in `Job.run`.
        progress: Whether it is shown how far it is; None for in a notebook only.
        starting: Gives the processes that send, if there are any.
    """
    # in a thread: the scan of a large file takes seconds, for which the loop would be held
    with starting as crew, contextlib.closing(await opened(open_job)) as job:
        async with shown(job, progress) as told:
            every = (*listeners, *told)
            return await job.run(client, listeners=every, dispatcher_options=options, crew=crew)
