"""Opens the file of ``--log-json``."""

from __future__ import annotations

import functools
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ratedispatch.cli.console import say
from ratedispatch.errors import JobError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ratedispatch.jobs.shard import Shard
    from ratedispatch.jobs.state.paths import JobFiles
    from ratedispatch.observe.eventlog import EventLog


def open_log(
    path: Path, files: JobFiles, key: str | Sequence[str], shard: Shard | None = None
) -> EventLog:
    """
    Return the log on *path*.

    Args:
        path: The file; one that is a link, or a file of the job, is refused.
        files: The files of the job.
        key: Kept out of the log.
        shard: The shard of the job, which a file is named after.

    Raises:
        click.UsageError: It is refused, or cannot be opened.
    """
    from ratedispatch.observe.eventlog import EventLog

    path = own_file(path, files, "--log-json", shard)
    try:
        return EventLog(
            path,
            clock=functools.partial(datetime.now, UTC),
            key=key,
            on_failure=say,
        )
    except OSError as error:
        raise click.UsageError(
            f"--log-json {path} cannot be opened: {error.strerror}; name another file"
        ) from error


def own_file(path: Path, files: JobFiles, flag: str, shard: Shard | None = None) -> Path:
    """
    Return *path*, or the one that a shard has of it, for a file beside those of a job.

    Args:
        path: What was given with *flag*.
        files: The files of the job.
        flag: What messages name.
        shard: The shard of the job.

    Raises:
        click.UsageError: It is standard output, or a file of the job.
    """
    if str(path) == "-":
        what = flag.removeprefix("--").removesuffix("-json")
        raise click.UsageError(f"{flag} -: the {what} cannot go to standard output; name a file")
    if shard is not None and (path.is_file() or not path.exists()):
        try:
            path = shard.path(path)
        except JobError as error:
            raise click.UsageError(f"{flag} {error}") from error
    for name in ("input", "output", "errors", "job", "table"):
        other = getattr(files, name)
        if not isinstance(other, Path):  # standard input, or no table
            continue
        if path.resolve() == other.resolve() or (path.exists() and _is_file(path, other)):
            raise click.UsageError(
                f"{flag} {path} is the {name} file of the job; name another file"
            )
    return path


def _is_file(path: Path, other: Path) -> bool:
    return other.exists() and path.samefile(other)
