"""``ratedispatch report``: writes an HTML report about a job."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ratedispatch.cli.command import SettingsCommand, collect, option
from ratedispatch.cli.console import say
from ratedispatch.cli.help import HELP
from ratedispatch.cli.limit_options import PriceFlags, price_flags

if TYPE_CHECKING:
    from ratedispatch.cli.command import Decorator
    from ratedispatch.jobs.state.paths import JobFiles


@dataclass(frozen=True, slots=True)
class ReportFlags(PriceFlags):
    """
    What a page is made of.

    Args:
        output: The output of the job.
        log: Its event log; None for a page without a timeline.
        page: Where the page goes; None for beside the output.
        errors_file: Where its failed rows are; None for where its job file says.
        forecast: The file of what was predicted of it.
        quiet: Whether nothing is said at the end.
    """

    output: Path
    log: Path | None
    page: Path | None
    errors_file: Path | None
    forecast: Path | None
    quiet: bool


_OPTIONS: tuple[Decorator, ...] = (
    click.argument("output", metavar="OUT", type=click.Path(path_type=Path)),
    option(
        "--log",
        group="Input",
        type=click.Path(path_type=Path),
        metavar="LOG",
        help="The event log of the job's runs (--log-json); the timeline is drawn from it.",
    ),
    option(
        "--errors-file",
        group="Input",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="The file of failed rows.  [default: the one in the job file, or OUT.errors.jsonl]",
    ),
    option(
        "--forecast",
        group="Input",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Compare with the forecast in FILE, the output of simulate --json.",
    ),
    option(
        "-o",
        "--page",
        group="Output",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="The page to write.  [default: OUT.report.html]",
    ),
    *price_flags("Cost"),
    option("-q", "--quiet", group="Display", is_flag=True, help="Print nothing at the end."),
)


@click.command(
    cls=SettingsCommand,
    context_settings=HELP,
    short_help="Write an HTML report about a job.",
)
@collect(ReportFlags, "flags", _OPTIONS)
def report(flags: ReportFlags) -> None:
    """
    Write a self-contained HTML report about the job with the output OUT.

    The page has charts of requests and tokens against the limits, of waits and latencies, and
    tables of failures, models and cost. The full timeline needs the event log (--log). Reads only
    the files of the job, and also works while the job runs.

    \b
    Examples:
      ratedispatch report out.jsonl --log log.jsonl -o report.html
      ratedispatch run in.jsonl -o out.jsonl --report report.html
    """
    from ratedispatch.cli.page_file import check_place, read_forecast, write_page
    from ratedispatch.cli.run_line import release
    from ratedispatch.jobs.retold.job_file_runs import read_job_file
    from ratedispatch.jobs.retold.job_page import material_of
    from ratedispatch.jobs.retold.log_reader import read_log
    from ratedispatch.jobs.state.origin import FAKE

    if str(flags.output) == "-" or not flags.output.is_file():
        raise click.UsageError(_no_output(flags.output))
    files, origin = _files(flags)
    has_job_file, is_trial = origin is not None, origin == FAKE
    page = flags.page or flags.output.with_name(f"{flags.output.name}.report.html")
    others = [*files.results, files.job, *([flags.log] if flags.log else [])]
    if any(page.resolve() == other.resolve() for other in others):
        raise click.UsageError(f"--page {page} is a file of the job; name another file")
    check_place(page, "--page")
    try:
        history = read_job_file(files.job) if flags.log is None else read_log(flags.log)
    except OSError as error:
        raise click.UsageError(f"--log {flags.log} cannot be read: {error.strerror}") from error
    try:
        material = material_of(
            files,
            made=datetime.now(UTC),
            version=release(),
            history=history,
            price=flags.price,
            predicted=read_forecast(flags.forecast),
            with_cost=not is_trial or flags.price is not None,
        )
        if not has_job_file and not material.outcomes.answered + material.outcomes.failed:
            raise click.UsageError(
                f"{flags.output} is not an output of ratedispatch run: no line has an answer, "
                f"and there is no readable job file {files.job} beside it"
            )
        size = write_page(page, material)
    except OSError as error:
        where = error.filename or page
        raise click.UsageError(f"{where}: {error.strerror or error}") from error
    if not flags.quiet:
        say(f"wrote {page} ({size / 1000:,.0f} kB); open it in a browser")


def _no_output(path: Path) -> str:
    """Return the message about an output that is not a file."""
    from ratedispatch.errors import JobError
    from ratedispatch.jobs.standing.found_jobs import outputs_of

    text = f"{path} is not the output file of a job; give the file that run wrote with -o"
    try:
        shards = outputs_of([path]) if path.name else []
    except JobError:
        return text
    first = next((shard for shard in shards if shard != path), None)
    return text if first is None else f"{text}, or that of one shard, such as {first}"


def _files(flags: ReportFlags) -> tuple[JobFiles, str | None]:
    """
    Return the files of the job, and the server of its job file; None without such a file.

    A name that cannot be is a usage error.
    """
    from ratedispatch.errors import JobError
    from ratedispatch.jobs.outputs.table import output_format_of
    from ratedispatch.jobs.retold.result_lines import manifest_beside
    from ratedispatch.jobs.state.paths import files_of

    output = flags.output
    try:
        files = files_of("-", output, flags.errors_file, output_format_of(output))
    except JobError as error:
        raise click.UsageError(str(error)) from error
    manifest = manifest_beside(files.job)
    if manifest is None:
        return files, None
    named = manifest.errors if isinstance(manifest.errors, str) else ""
    if named and flags.errors_file is None:
        files = dataclasses.replace(files, errors=files.job.parent / named)
    return files, manifest.origin
