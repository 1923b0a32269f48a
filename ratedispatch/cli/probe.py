"""
``simulate --probe N``: sends a few rows of the job for real, and learns from them what is to come.

The rows are chosen, so that they stand for the file; they are sent as `run` sends them, with its
flags, and count as done for it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import signal
from typing import TYPE_CHECKING

import click

from ratedispatch.cli.console import say

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ratedispatch.cli.run import RunSettings
    from ratedispatch.jobs.like.former_run import Likeness
    from ratedispatch.jobs.workload.counted import Counted
    from ratedispatch.observe.report import Report

#: What the name of a probe's log has behind that of the output; no name of a result looks like it.
_LOG = ".probe"


def check_probe(settings: RunSettings) -> None:
    """
    Refuse a probe that could not count as done for a run.

    Raises:
        click.UsageError: The input cannot be read twice.
    """
    if isinstance(settings.source.source, str):
        raise click.UsageError(
            "--probe cannot read standard input: the run that follows would find it empty; "
            "give the name of a file"
        )


def send_probe(settings: RunSettings, counted: Counted, most: int) -> Likeness:
    """
    Send *most* rows of *counted*, but those that are done, and return what they show.

    Ends the command if the rows are not all sent, as `run` ends.

    Args:
        settings: The flags of the run.
        counted: The rows of the input that can be sent.
        most: How many stand for them.

    Raises:
        click.UsageError: The flags make no sense, or no answer shows anything.
    """
    from ratedispatch.cli.run import carry_out, close
    from ratedispatch.jobs.workload.sample import sample

    lines = [counted.lines[index] for index in sample(counted, most)]
    output = settings.output.output
    log = settings.display.log_json or output.with_name(output.name + _LOG)
    display = dataclasses.replace(settings.display, log_json=log, as_json=False)
    settings = dataclasses.replace(settings, display=display, only=lines)
    with _own_signals():
        start, report = carry_out(settings)
        if report is None or report.stop_code is not None:
            close(settings, start, report)  # ends the command
            raise AssertionError("a run that has stopped ends the command")
    if not display.quiet:
        say(_sentence(report, len(lines), str(output)))
    if settings.source.shard is not None:
        log = settings.source.shard.path(log)
    return _shown_by(log, start.files.output, settings, counted)


def _shown_by(log: Path, output: Path, settings: RunSettings, counted: Counted) -> Likeness:
    """Return what the log shows; what the answers do if it was not there when they came."""
    from ratedispatch.errors import JobError
    from ratedispatch.jobs.like.former_run import like

    source = settings.source.input
    with contextlib.suppress(JobError):
        return like(log, source=source, counted=counted)
    try:
        return like(output, source=source, counted=counted)
    except JobError as error:
        reason = str(error).removeprefix("--like: ").removeprefix("--like ")
        raise click.UsageError(f"the probe shows nothing of the provider: {reason}") from error


def _sentence(report: Report, rows: int, output: str) -> str:
    """Return what the probe has sent and spent."""
    from ratedispatch.observe.human import about_usd, duration_text

    sent = report.answered + report.failed - report.resumed
    text = f"probe: {rows:,} rows stand for the file; "
    if not sent:
        return text + f"all of them were done before, and nothing was sent; see {output}"
    text += f"{sent:,} sent in {duration_text(report.seconds)}"
    if report.prompt_tokens or report.output_tokens:
        text += f", billed {report.prompt_tokens:,} tokens in and {report.output_tokens:,} out"
    if report.cost_usd is not None:
        text += f" ({about_usd(report.cost_usd)})"
    return text + f"; they are in {output}, and done for run"


@contextlib.contextmanager
def _own_signals() -> Iterator[None]:
    """Put back what Ctrl-C and SIGTERM do, which a run leaves as they are when a command ends."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    with contextlib.suppress(ValueError):  # elsewhere than in the main thread there are none
        for number, handler in before.items():
            signal.signal(number, handler)
