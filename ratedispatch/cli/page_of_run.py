"""Makes the page of ``run --report``: listens to the run, and writes the page when it has ended."""

from __future__ import annotations

import dataclasses
import functools
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ratedispatch.cli.console import say
from ratedispatch.cli.log_file import own_file
from ratedispatch.cli.page_file import check_place, read_forecast, write_page

if TYPE_CHECKING:
    from pathlib import Path

    from ratedispatch.cli.run import RunSettings, Start
    from ratedispatch.jobs.state.paths import JobFiles
    from ratedispatch.observe.eventlog import EventLog
    from ratedispatch.observe.history import History
    from ratedispatch.observe.page.material import Predicted
    from ratedispatch.observe.report import Report


#: What is said in place of the cost by model.
_OF_A_POOL = "Each member of a pool has its own prices, so the cost is not shown by model."


class PageOfRun:
    """
    The page of a run.

    Args:
        path: Where it goes.
        log: The event log that holds earlier runs, too; None if there are none.
        predicted: What was predicted of the job.

    Attributes:
        recorder: The listener that keeps what happens.
    """

    def __init__(self, path: Path, log: Path | None, predicted: Predicted | None) -> None:
        from ratedispatch.observe.history import Recorder

        self._path = path
        self._log = log
        self._predicted = predicted
        self.recorder = Recorder(functools.partial(datetime.now, UTC))

    def write(self, report: Report | None, start: Start, *, is_priced: bool) -> None:
        """
        Write the page; if that fails, print why, and change nothing else.

        Args:
            report: The report of the run; None if it was cancelled.
            start: What the run was started with.
            is_priced: Whether answers cost anything.
        """
        try:
            write_page(self._path, self._material(report, start, is_priced), start.key)
        except OSError as error:
            say(f"the report {self._path} cannot be written ({error.strerror or error})")
        except KeyboardInterrupt:
            say(f"the report {self._path} was not written: interrupted")
        except Exception as error:
            # the job is done and its exit code says how; a page is no reason for another one
            say(f"the report {self._path} cannot be made ({type(error).__name__}: {error})")

    def _material(self, report: Report | None, start: Start, is_priced: bool) -> Any:
        from ratedispatch.cli.run_line import release
        from ratedispatch.jobs.retold.job_page import material_of

        material = material_of(
            start.files,
            made=datetime.now(UTC),
            version=release(),
            history=self._history(),
            report=report,
            price=start.caps.price,
            predicted=self._predicted,
            with_cost=is_priced,
        )
        if start.pool is not None:
            # what a model costs depends on the member, and the results do not tell which it was
            material = dataclasses.replace(material, costs={}, priced_by=_OF_A_POOL)
        if report is not None or start.job is None:
            return material
        rows = start.job.in_doubt
        note = f"The run was cancelled with {rows:,} in flight, which may have been billed."
        return dataclasses.replace(material, notes=(note,))

    def _history(self) -> History:
        """Return what happened: in all runs that the log knows, or in this one."""
        if self._log is not None:
            from ratedispatch.jobs.retold.log_reader import read_log

            try:
                return read_log(self._log)
            except OSError as error:
                say(f"the log {self._log} cannot be read for the report ({error.strerror})")
        return self.recorder.history


def page_of_run(settings: RunSettings, files: JobFiles, log: EventLog | None) -> PageOfRun | None:
    """
    Return the page that is made of a run; None for none.

    Raises:
        click.UsageError: It cannot be written where it is to go, or the forecast not be read.
    """
    path = settings.display.report
    if path is None:
        return None
    path = own_file(path, files, "--report", settings.source.shard)
    check_place(path, "--report")
    earlier = log.path if log is not None and log.path.stat().st_size > 0 else None
    return PageOfRun(path, earlier, read_forecast(settings.display.forecast))


def tell_begin(start: Start, log: EventLog | None, *, rows: int, done: int) -> None:
    """Tell the log and the page of a run, if there are any, what it was started with."""
    if log is None and start.page is None:
        return
    from ratedispatch.cli.run_line import run_line

    line = run_line(start.account, start.options.origin)
    if log is not None:
        log.begin(**line, rows=rows, done=done)
    if start.page is not None:
        from ratedispatch.jobs.retold.log_reader import tell_begin as tell
        from ratedispatch.observe.redact import redact_value

        run = start.page.recorder.run
        tell(run, run.bins.start, redact_value(line, start.key))
