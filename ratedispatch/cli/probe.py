"""
Carries out ``simulate --probe N``: sends a sample of the rows and fits the provider to the answers.

The sample is representative of the file. `run` would send these rows with the same flags, and does
not send them again.
"""

from __future__ import annotations

import contextlib
import signal
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import click

from ratedispatch.cli.console import say
from ratedispatch.cli.earlier_run import EarlierRun

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ratedispatch.cli.input_options import InputFlags
    from ratedispatch.cli.limit_options import LimitFlags, ProviderFlags
    from ratedispatch.cli.run import RunSettings
    from ratedispatch.cli.run_options import CapFlags, DurabilityFlags
    from ratedispatch.cli.sending_options import SendingFlags
    from ratedispatch.cli.simulate_options import SimulateFlags
    from ratedispatch.jobs.like.former_run import FormerRun
    from ratedispatch.jobs.plan.foretold_cost import ForetoldCost
    from ratedispatch.jobs.workload.counted import Counted
    from ratedispatch.observe.report import Report
    from ratedispatch.simulate.forecast.workload import Workload

#: What the name of a probe's log has behind that of the output; no name of a result looks like it.
_LOG = ".probe"


class Flags(Protocol):
    """The flags of a job."""

    @property
    def source(self) -> InputFlags:
        """About the input."""

    @property
    def provider(self) -> ProviderFlags:
        """About the provider."""

    @property
    def sending(self) -> SendingFlags:
        """About the sending."""

    @property
    def durability(self) -> DurabilityFlags:
        """About the results."""


@dataclass(frozen=True, slots=True)
class Probed(EarlierRun):
    """
    What the rows of a probe have shown.

    Args:
        lines: The lines of the probe.
        report: The report of the run that has sent them.
    """

    lines: frozenset[int]
    report: Report

    def left(self, counted: Counted) -> Workload:
        """Return the rows of *counted* that are still to be sent."""
        lines = counted.lines
        return counted.workload.chosen(
            index for index in range(len(lines)) if lines[index] not in self.lines
        )

    def priced(self, cost: ForetoldCost, counted: Counted, caps: CapFlags) -> ForetoldCost:
        """Return *cost* as it is: it is that of the rows that are left."""
        del counted, caps
        return cost

    def notes(self, counted: Counted, caps: CapFlags) -> list[str]:
        """Return sentences on the rows of the probe, and on what all rows are expected to cost."""
        from ratedispatch.observe.human import about_usd

        noun, verb = ("row", "is") if len(self.lines) == 1 else ("rows", "are")
        found = [
            f"The {len(self.lines):,} {noun} of the probe {verb} done, and {verb} not simulated."
        ]
        bill = self.bill(counted, caps)
        if bill is not None and bill.usd is not None:
            low = bill.usd if bill.low is None else bill.low
            high = bill.usd if bill.high is None else bill.high
            found.append(
                f"With them, the whole job is expected to cost {about_usd(bill.usd)} "
                f"({about_usd(low)} to {about_usd(high)}): {bill.prompt_tokens:,.0f} tokens in and "
                f"{bill.output_tokens:,.0f} out."
            )
            if bill.wanted is not None:
                found[-1] += f" --probe {bill.wanted} would narrow that to within 1 %."
        return found

    def as_dict(self, counted: Counted, caps: CapFlags) -> dict[str, Any]:
        """Return everything as values of JSON."""
        report = self.report
        return {
            "probe": {
                "rows": len(self.lines),
                "sent": _sent(report),
                "prompt_tokens": report.prompt_tokens,
                "output_tokens": report.output_tokens,
                "cost_usd": report.cost_usd,
            },
            **EarlierRun.as_dict(self, counted, caps),
        }


def probe_settings(
    playing: SimulateFlags, flags: Flags, limits: LimitFlags, caps: CapFlags
) -> RunSettings:
    """
    Return the flags of the run that sends a probe: those of `run`.

    Raises:
        click.UsageError: The rows could not count as done for a run.
    """
    from ratedispatch.cli.run import RunSettings
    from ratedispatch.cli.run_options import DisplayFlags, OutputFlags

    if playing.output is None:
        raise click.UsageError(
            "--probe sends rows and needs a file for their answers; give -o FILE, the output of "
            "the run that follows"
        )
    if isinstance(flags.source.source, str):
        raise click.UsageError(
            "--probe cannot read standard input, because the run that follows would find it empty; "
            "give a file"
        )
    log = playing.log_json or playing.output.with_name(playing.output.name + _LOG)
    return RunSettings(
        source=flags.source,
        output=OutputFlags(playing.output, playing.output_format, playing.errors_file),
        limits=limits,
        provider=flags.provider,
        sending=flags.sending,
        durability=flags.durability,
        caps=replace(caps, max_rows=None),
        display=DisplayFlags(log, None, None, quiet=playing.quiet, as_json=playing.as_json),
    )


def probe(settings: RunSettings, counted: Counted, most: int) -> Probed:
    """
    Send *most* rows of *counted*, but those that are done, and return what they have shown.

    Ends the command if they are not all sent, as `run` ends.

    Args:
        settings: The flags of the run.
        counted: The rows of the input that can be sent.
        most: How many stand for them.

    Raises:
        click.UsageError: The flags make no sense, or no answer shows anything.
    """
    from ratedispatch.cli.run import carry_out, close
    from ratedispatch.jobs.workload.sample import sample

    if not len(counted.workload):
        from ratedispatch.cli.forecast_notes import unsendable

        raise click.UsageError(f"--probe has no row that can be sent. {unsendable(counted)}")
    lines = frozenset(counted.lines[index] for index in sample(counted, most))
    with _own_signals():
        start, report = carry_out(replace(settings, only=lines))
        if report is None or report.stop_code is not None:
            close(settings, start, report)
    assert report is not None  # or the command has ended
    if not settings.display.quiet:
        say(_sentence(report, len(lines), str(start.files.table or start.files.output)))
    log = settings.display.log_json
    assert log is not None
    if settings.source.shard is not None:
        log = settings.source.shard.path(log)
    former = _shown_by(log, start.files.output, settings, counted)
    return Probed(former, lines, report)


def _shown_by(log: Path, output: Path, settings: RunSettings, counted: Counted) -> FormerRun:
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
        raise click.UsageError(f"the probe shows nothing about the provider: {reason}") from error


def _sentence(report: Report, rows: int, output: str) -> str:
    """Return what the probe has sent and spent."""
    from ratedispatch.observe.human import about_usd, duration_text

    sent = _sent(report)
    text = f"probe: {rows:,} {'row' if rows == 1 else 'rows'} sampled from the file; "
    if not sent:
        return text + f"all were already done, so nothing was sent; the answers are in {output}"
    text += f"{sent:,} sent in {duration_text(report.seconds)}"
    if report.prompt_tokens or report.output_tokens:
        text += f", billed {report.prompt_tokens:,} tokens in and {report.output_tokens:,} out"
    if report.cost_usd is not None:
        text += f" ({about_usd(report.cost_usd)})"
    return text + f"; the answers are in {output}; run will not send these rows again"


def _sent(report: Report) -> int:
    return report.answered + report.failed - report.resumed


@contextlib.contextmanager
def _own_signals() -> Iterator[None]:
    """Put back what Ctrl-C and SIGTERM do, which a run leaves as they are when a command ends."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    with contextlib.suppress(ValueError):  # elsewhere than in the main thread there are none
        for number, handler in before.items():
            signal.signal(number, handler)
