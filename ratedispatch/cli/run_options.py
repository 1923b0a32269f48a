"""The flags of ``run`` beyond those it shares with ``plan``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ratedispatch.cli.command import collect, option
from ratedispatch.cli.interrupt import DRAIN_TIMEOUT, TERMINATION_TIMEOUT
from ratedispatch.cli.limit_options import PriceFlags, price_flags
from ratedispatch.cli.param_types import FiniteRange

if TYPE_CHECKING:
    from ratedispatch.cli.command import Decorator
    from ratedispatch.jobs.outputs.table import OutputFormat
    from ratedispatch.jobs.plan.spending import Caps


@dataclass(frozen=True, slots=True)
class OutputFlags:
    """
    Where results go.

    Args:
        output: The file of the answers.
        output_format: The name of its format; None for what its own name says.
        errors_file: The file of the rows that failed; None for the one beside the output.
    """

    output: Path
    output_format: str | None
    errors_file: Path | None

    @property
    def format(self) -> OutputFormat:
        """
        How answers are written.

        Raises:
            click.UsageError: The name of the output means another format.
        """
        from ratedispatch.errors import JobError
        from ratedispatch.jobs.outputs.table import output_format_of

        try:
            return output_format_of(self.output, self.output_format)
        except JobError as error:
            raise click.UsageError(str(error)) from error


_OUTPUT_OPTIONS = (
    option(
        "-o",
        "--output",
        group="Output",
        required=True,
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="File for the answers, in Batch output format; or a table (.csv, .parquet), which is "
        "written at the end.",
    ),
    option(
        "--output-format",
        group="Output",
        type=click.Choice(["jsonl", "csv", "parquet"]),
        help="Format of the output: one line for each answer as it arrives, or a table with the "
        "columns of the input and the answers.  [default: by the name of the output]",
    ),
    option(
        "--errors-file",
        group="Output",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="File for failed rows, in the same format.  [default: OUT.errors.jsonl]",
    ),
)

output_options = collect(OutputFlags, "output", _OUTPUT_OPTIONS)


@dataclass(frozen=True, slots=True)
class DurabilityFlags:
    """
    How results are made durable, and how a job resumes.

    Args:
        retry_failed: Whether rows that failed are sent again.
        allow_changed_input: Whether to resume with another input or template.
        allow_other_server: Whether to resume beside answers of another server.
        order: The order in which rows are sent.
        fsync: When results are safe from a power cut.
        flush_interval: Maximum seconds between two flushes.
        drain_timeout: Seconds to wait for requests in flight; None for the default of the signal.
    """

    retry_failed: bool
    allow_changed_input: bool
    allow_other_server: bool
    order: str
    fsync: str
    flush_interval: float
    drain_timeout: float | None


_DURABILITY_OPTIONS = (
    option(
        "--retry-failed",
        group="Durability",
        is_flag=True,
        help="Also send the rows that failed in an earlier run.",
    ),
    option(
        "--allow-changed-input",
        group="Durability",
        is_flag=True,
        help="Resume even if the input or the template has changed: rows with the same content "
        "stay done, and the results of other rows are moved to OUT.stale.",
    ),
    option(
        "--allow-other-server",
        group="Durability",
        is_flag=True,
        help="Resume even if the existing answers come from another base URL or from --fake.",
    ),
    option(
        "--order",
        group="Input",
        type=click.Choice(["auto", "interleave", "file"]),
        default="auto",
        show_default=True,
        help="Send rows in the order of the file, or interleave rows from many places in it; auto "
        "interleaves if the file is sorted by length, or if --limits has groups.",
    ),
    option(
        "--fsync",
        group="Durability",
        type=click.Choice(["always", "interval", "never"]),
        default="interval",
        show_default=True,
        help="When results are safe from a power cut: before a row counts as done, within the "
        "flush interval, or whenever the system writes them.",
    ),
    option(
        "--flush-interval",
        group="Durability",
        type=FiniteRange(min=0.01),
        default=1.0,
        show_default=True,
        metavar="SECONDS",
        help="Maximum seconds between two flushes, with --fsync interval.",
    ),
    option(
        "--drain-timeout",
        group="Durability",
        type=FiniteRange(min=0),
        metavar="SECONDS",
        help="Seconds to wait for requests in flight after the first Ctrl-C, SIGTERM or SIGHUP.  "
        f"[default: {DRAIN_TIMEOUT:g}; {TERMINATION_TIMEOUT:g} after SIGTERM, since Kubernetes and "
        "SLURM kill after 30]",
    ),
)

durability_options = collect(DurabilityFlags, "durability", _DURABILITY_OPTIONS)


@dataclass(frozen=True, slots=True)
class CapFlags(PriceFlags):
    """
    The caps at which a run stops.

    Args:
        max_rows: The most rows of a run.
        max_cost: The most that all runs of the job may cost, in USD.
        max_cost_run: The most that this run may cost, in USD.
    """

    max_rows: int | None
    max_cost: float | None
    max_cost_run: float | None

    def caps(self) -> Caps:
        """
        Return the caps that the flags come to.

        Raises:
            click.UsageError: Only one of the two prices is given.
        """
        from ratedispatch.jobs.plan.spending import Caps

        return Caps(self.max_rows, self.max_cost, self.price, self.max_cost_run)


_CAP_OPTIONS: tuple[Decorator, ...] = (
    option(
        "--max-rows",
        group="Caps",
        type=click.IntRange(min=1),
        metavar="N",
        help="Send at most N rows in this run, then stop; the same command then sends the next N.",
    ),
    option(
        "--max-cost",
        group="Caps",
        type=FiniteRange(min=0, min_open=True),
        metavar="USD",
        help="Stop before the total cost of all runs of this job, including requests in flight, "
        "can exceed USD.",
    ),
    option(
        "--max-cost-run",
        group="Caps",
        type=FiniteRange(min=0, min_open=True),
        metavar="USD",
        help="Stop before the cost of this run can exceed USD; the same command may then spend "
        "the same amount again.",
    ),
    *price_flags("Caps"),
)

cap_options = collect(CapFlags, "caps", _CAP_OPTIONS)


@dataclass(frozen=True, slots=True)
class DisplayFlags:
    """
    How the progress and the result of a run are shown.

    Args:
        log_json: The file of the event log.
        report: Where the page of the run goes.
        forecast: The file of what was predicted of it.
        quiet: Whether no progress is shown.
        as_json: Whether the report is printed as JSON.
    """

    log_json: Path | None
    report: Path | None
    forecast: Path | None
    quiet: bool
    as_json: bool


_DISPLAY_OPTIONS = (
    option(
        "--log-json",
        group="Display",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Append a JSON line to FILE for each attempt, pause, change of a limit and stop.",
    ),
    option(
        "--report",
        group="Display",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="At the end, write an HTML report about the run to FILE: charts of requests and "
        "tokens against the limits, failures, cost.",
    ),
    option(
        "--forecast",
        group="Display",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="With --report: compare with the forecast in FILE, the output of simulate --json.",
    ),
    option("-q", "--quiet", group="Display", is_flag=True, help="Show no progress."),
    option("--json", "as_json", group="Display", is_flag=True, help="Print the report as JSON."),
)

display_options = collect(DisplayFlags, "display", _DISPLAY_OPTIONS)
