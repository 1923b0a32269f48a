"""
Adds the flags of ``simulate`` beyond those of the job and of the provider.

Also decides which flags of `run` have no effect here, and which would make the forecast wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from ratedispatch.cli.command import collect, option
from ratedispatch.cli.earlier_run import like_option

if TYPE_CHECKING:
    from ratedispatch.cli.sending_options import SendingFlags

#: Plays of a job: beyond so many the interval no longer changes.
_MOST_SEEDS = 100


@dataclass(frozen=True, slots=True)
class SimulateFlags:
    """
    How a job is played, and how that is shown.

    Args:
        seeds: How often it is played; None for what suits its size.
        method: What plays it.
        as_json: Whether the forecast is printed as JSON.
        quiet: Whether no progress is shown.
        probe: How many rows are sent first; None for none.
        like: The former run that the provider is fitted to; None for none.
        output, output_format, errors_file, log_json: As of `run`, whose command line is taken as
            it is; they do nothing without *probe*.
    """

    seeds: int | None
    method: Literal["auto", "engine", "model"]
    as_json: bool
    quiet: bool
    probe: int | None
    like: str | None
    output: Path | None
    output_format: str | None
    errors_file: Path | None
    log_json: Path | None


_NOTHING = "As in run; written only with --probe."

_OPTIONS = (
    option(
        "--seeds",
        group="Forecast",
        type=click.IntRange(1, _MOST_SEEDS),
        metavar="N",
        help="Simulate the job N times, each time with another random seed.  [default: 3, or fewer "
        "above 450,000 rows]",
    ),
    option(
        "--method",
        group="Forecast",
        type=click.Choice(["auto", "engine", "model"]),
        default="auto",
        show_default=True,
        help="Simulate every row with the engine that run uses, or with a faster model of its "
        "queue; auto chooses by the number of rows.",
    ),
    option(
        "--probe",
        group="Forecast",
        type=click.IntRange(min=1),
        metavar="N",
        help="First send a sample of N rows to the real provider, as run would, and fit the "
        "modelled provider to the answers. Needs -o and an API key. run does not "
        "send these rows again.",
    ),
    like_option("Forecast"),
    option("--json", "as_json", group="Display", is_flag=True, help="Print the forecast as JSON."),
    option("-q", "--quiet", group="Display", is_flag=True, help="Show no progress."),
)

_IDLE = (
    option(
        "-o",
        "--output",
        group="Without effect",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help=_NOTHING,
    ),
    option(
        "--output-format",
        group="Without effect",
        type=click.Choice(["jsonl", "csv", "parquet"]),
        help=_NOTHING,
    ),
    option(
        "--errors-file",
        group="Without effect",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help=_NOTHING,
    ),
    option(
        "--log-json",
        group="Without effect",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help=_NOTHING,
    ),
)

#: Adds the flags; the command gets `SimulateFlags` as ``playing``.
simulate_options = collect(SimulateFlags, "playing", (*_OPTIONS, *_IDLE))


def check_playable(sending: SendingFlags) -> None:
    """
    Refuse the flags of `run` whose effect cannot be forecast.

    Raises:
        click.UsageError: One of them is given.
    """
    if sending.share is not None:
        raise click.UsageError(
            "--share cannot be simulated, because it is not known how much of the limits other "
            "processes use; omit it, and describe what they send with --competitor START:RPM"
        )
