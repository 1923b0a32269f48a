"""
Determines how a run ended: the reason for an early stop, and the report.

Of several reasons, one is reported: results that cannot be written come before an input that cannot
be read, and that before a stop.
"""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ratedispatch.errors import JobError
from ratedispatch.observe.report import Report
from ratedispatch.pacing.bottleneck import NOTHING, bottleneck_of, unknown_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from ratedispatch.errors import Stopped
    from ratedispatch.jobs.job_files import OpenFiles
    from ratedispatch.jobs.writer import Writer
    from ratedispatch.observe.report import Tally
    from ratedispatch.observe.route_figures import RouteFigures
    from ratedispatch.pacing.snapshot import Snapshot


@dataclass(slots=True)
class Ending:
    """
    Why a run ended before its last row, so far.

    Attributes:
        stop: The stop of the dispatcher.
        input_error: The input could not be read to its end.
        table_error: The table could not be made.
        write_error: Results could not be written.
        is_table_left: Whether the run had to stop before its table was made.
    """

    stop: Stopped | None = None
    input_error: JobError | None = None
    table_error: JobError | None = None
    write_error: OSError | None = None
    is_table_left: bool = False

    @property
    def reason(self) -> tuple[str | None, str | None]:
        """The code and the message of the reported reason; ``None`` twice if there is none."""
        if self.write_error is not None:
            return "output", unwritable(self.write_error)
        if self.table_error is not None:
            return "output", str(self.table_error)
        if self.input_error is not None:
            return "input", str(self.input_error)
        if self.is_table_left:
            return "drained", "the run was asked to stop before its table was written"
        if self.stop is not None:
            return self.stop.code, str(self.stop)
        return None, None


def unwritable(error: OSError) -> str:
    """Return the sentence on results that cannot be written."""
    return f"results cannot be written: {error.strerror or error}"


@contextlib.contextmanager
def writable(output: Path) -> Iterator[None]:
    """
    Name the file if the block cannot open the results.

    Raises:
        JobError: The result files, of which *output* is one, cannot be opened.
    """
    try:
        yield
    except OSError as error:
        raise JobError(
            f"the results cannot be written to {error.filename or output}: {error.strerror}"
        ) from error


def report_of(
    files: OpenFiles,
    writer: Writer,
    ending: Ending,
    tally: Tally,
    constraints: dict[str, Any],
    cost: float | None,
    notes: tuple[str, ...],
    routes: Mapping[str, RouteFigures],
) -> Report:
    """
    Return the report of a run.

    Args:
        files: The files of the job.
        writer: The writer that has written the results.
        ending: Why the run ended early, if it did.
        tally: What was counted.
        constraints: See :func:`constraints_of`.
        cost: USD for the rows answered in this run; ``None`` if no price is known.
        notes: Sentences on what a person should know.
        routes: What each member of a pool has done.
    """
    code, message = ending.reason
    total = files.scan.rows
    answered = len(files.progress.answered) + writer.answered
    failed = len(files.progress.failed) + writer.failed
    if code == "drained" and answered + failed >= total and not ending.is_table_left:
        code = message = None  # what was in flight was the last
    return Report(
        answered=answered,
        failed=failed,
        resumed=files.resumed,
        unanswered=max(0, total - answered - failed),
        attempts=tally.attempts,
        refusals=tally.refusals,
        retries=tally.retries,
        seconds=tally.seconds,
        failures=dict(tally.failures),
        **constraints,
        prompt_tokens=tally.prompt_tokens,
        output_tokens=tally.output_tokens,
        expected_tokens=tally.expected_tokens,
        stop_code=code,
        stop_message=message,
        started=ending.stop.started if ending.stop is not None else answered > 0,
        cost_usd=None if cost is None else round(cost, 9),
        in_doubt=len(files.journal.open_rows),
        billed_twice_at_most=files.journal.billed_twice,
        notes=notes,
        routes=routes,
    )


def constraints_of(state: Snapshot, cpu_seconds: float) -> dict[str, Any]:
    """
    Return the fields of a report on what held the run back, and how much of each limit was used.

    Args:
        state: At the end of the run.
        cpu_seconds: Seconds of processor time that the run took.
    """
    wall = sum(state.held.values())
    cpu = cpu_seconds / wall if wall > 0 else 0.0
    binding = max(state.held, key=state.held.__getitem__, default=NOTHING)
    used = state.used
    limits = {
        f"{level.group}.{level.dimension}" if level.group else level.dimension: level.limit
        for level in state.levels
        if math.isfinite(level.limit)
    }
    return {
        "request_share": used.get("requests"),
        "token_share": used.get("tokens"),
        "shares": used,
        "binding": bottleneck_of(binding, used, cpu, unknown_of(state.levels)).binding,
        "held_seconds": {cause: round(time, 3) for cause, time in state.held.items()},
        "limits": limits,
    }
