"""``ratedispatch status``: shows how far a job is, from its files alone."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from ratedispatch.cli.command import SettingsCommand, collect, option
from ratedispatch.cli.console import json_text, say
from ratedispatch.cli.help import HELP
from ratedispatch.cli.interrupt import interruptible

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TextIO

    from ratedispatch.jobs.standing.job_reader import JobReader
    from ratedispatch.jobs.standing.job_standing import Standing

#: Exit codes: on its way or all answered; finished, and some rows failed; rows are left.
_FINE, _FAILED, _LEFT = 0, 1, 3

#: Seconds between two looks, unless told otherwise.
_EVERY_SECONDS = "2"

_WATCH = "--watch"


class _StatusCommand(SettingsCommand):
    """A command with a flag whose number may be omitted before the name of a file."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Give the flag its usual number where no number follows: ``--watch out.jsonl``."""
        words = []
        for index, word in enumerate(args):
            words.append(word)
            if word == _WATCH and not _is_number(args[index + 1 : index + 2]):
                words[-1] = f"{_WATCH}={_EVERY_SECONDS}"
        return super().parse_args(ctx, words)


def _is_number(words: Sequence[str]) -> bool:
    try:
        return bool(words) and float(words[0]) == float(words[0])
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class StatusFlags:
    """
    Which jobs are shown, and how.

    Args:
        files: Their outputs.
        watch: Seconds between two looks; None for a single one.
        as_json: Whether values are printed as JSON.
    """

    files: tuple[Path, ...]
    watch: float | None
    as_json: bool


_OPTIONS = (
    click.argument(
        "files", metavar="OUT...", nargs=-1, required=True, type=click.Path(path_type=Path)
    ),
    option(
        _WATCH,
        group="Display",
        type=click.FloatRange(min=0.1, max=86_400),
        metavar="[SECONDS]",
        help="Refresh every SECONDS (default: 2) until no run is active: redraws on a terminal, "
        "and prints one line each time elsewhere.",
    ),
    option(
        "--json",
        "as_json",
        group="Display",
        is_flag=True,
        help="Print all figures as JSON; with --watch, one line each time.",
    ),
)


@click.command(
    "status",
    cls=_StatusCommand,
    context_settings=HELP,
    short_help="Show the progress of a job, from its files.",
)
@collect(StatusFlags, "flags", _OPTIONS)
def status(flags: StatusFlags) -> None:
    """
    Show the progress of the job that writes OUT, whether it runs, and how to resume it.

    OUT is the file given to run with -o. For a job split by --shard, give that name, or the outputs
    of its shards. Reads only the files of the job; a running job is not disturbed.

    \b
    Examples:
      ratedispatch status out.jsonl
      ratedispatch status out.*-of-16.jsonl --watch 10

    \b
    Exit codes:
      0    the job runs, or all rows are answered
      1    the job is finished, and some rows failed
      2    wrong usage, or a file belongs to no job
      3    the job does not run, and rows are left
    """
    with interruptible(is_resumable=False):
        from ratedispatch.errors import JobError
        from ratedispatch.jobs.standing.found_jobs import outputs_of
        from ratedispatch.jobs.standing.job_reader import JobReader

    try:
        readers = [JobReader(output) for output in outputs_of(flags.files)]
        parts = _watch(readers, flags) if flags.watch is not None else _look(readers)
    except JobError as error:
        raise click.UsageError(str(error)) from error
    if flags.watch is None:
        _print(parts, as_json=flags.as_json)
    sys.exit(_code_of(parts))


def _look(readers: Sequence[JobReader]) -> list[Standing]:
    return [reader.read() for reader in readers]


def _print(parts: Sequence[Standing], *, as_json: bool) -> None:
    from ratedispatch.cli.status_text import page, values
    from ratedispatch.jobs.state.files import wall_clock

    if as_json:
        click.echo(json_text(values(parts)))
        return
    for text in page(parts, wall_clock(), _folder()):
        click.echo(text)


def _first_look(readers: Sequence[JobReader], seconds: float) -> list[Standing]:
    """Look at the jobs; wait for jobs that still read their input."""
    from ratedispatch.jobs.standing.job_notes import NotBegun

    while True:
        try:
            return _look(readers)
        except NotBegun as error:
            say(str(error))
            time.sleep(seconds)


def _watch(readers: Sequence[JobReader], flags: StatusFlags) -> list[Standing]:
    """Watch until no run is active, or until interrupted; return the last state."""
    parts: list[Standing] = []
    try:
        parts = _first_look(readers, flags.watch or 0.0)
        with _display(flags) as show:
            show(parts)
            while _runs(parts):
                time.sleep(flags.watch or 0.0)
                parts = _look(readers)
                show(parts)
    except KeyboardInterrupt:  # the user has seen enough
        pass
    return parts


class _display:  # noqa: N801  (a context manager, used as a function)
    """Shows one look after the other."""

    def __init__(self, flags: StatusFlags) -> None:
        self._flags = flags
        self._live: Any = None

    def __enter__(self) -> Callable[[Sequence[Standing]], None]:
        if self._flags.as_json or not sys.stdout.isatty():
            return self._write
        from rich.console import Console
        from rich.live import Live

        console = Console(file=_painter())
        if console.is_dumb_terminal:
            return self._write
        self._live = Live(console=console, auto_refresh=False)
        self._live.start()
        return self._draw

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def _write(self, parts: Sequence[Standing]) -> None:
        from ratedispatch.cli.status_text import line, values

        click.echo(json_text(values(parts)) if self._flags.as_json else line(parts))

    def _draw(self, parts: Sequence[Standing]) -> None:
        from rich.text import Text

        from ratedispatch.cli.status_text import page
        from ratedispatch.jobs.state.files import wall_clock

        text = Text("\n".join(page(parts, wall_clock(), _folder())))
        self._live.update(text, refresh=True)


def _painter() -> TextIO:
    """Return standard output as a display needs it that is drawn anew."""
    painter = getattr(sys.stdout, "painter", None)
    return sys.stdout if painter is None else cast("TextIO", painter())


def _folder() -> str:
    try:
        return os.getcwd()  # noqa: PTH109  (as a text)
    except OSError:  # it was removed
        return ""


def _runs(parts: Sequence[Standing]) -> bool:
    from ratedispatch.jobs.standing.job_standing import State

    return any(part.state is State.RUNNING for part in parts)


def _code_of(parts: Sequence[Standing]) -> int:
    from ratedispatch.jobs.standing.job_standing import State, Sum

    if any(part.state not in {State.RUNNING, State.FINISHED} for part in parts):
        return _LEFT
    if _runs(parts):
        return _FINE
    whole = Sum(parts)
    return _LEFT if whole.missing else _FAILED if whole.failed else _FINE
