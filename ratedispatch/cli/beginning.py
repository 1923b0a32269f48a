"""Opens what a run needs; whatever cannot be opened is a usage error."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ratedispatch.cli.console import say
from ratedispatch.cli.loop import runner

if TYPE_CHECKING:
    import asyncio

    from ratedispatch.jobs.job import Job
    from ratedispatch.jobs.job_options import JobOptions
    from ratedispatch.jobs.state.paths import JobFiles

#: Bytes of an input that takes seconds to scan.
_LARGE_INPUT = 50_000_000


def announce(files: JobFiles) -> None:
    """Say that a large input is scanned before anything is sent, which takes a while."""
    path = files.input
    if isinstance(path, Path) and path.is_file() and path.stat().st_size > _LARGE_INPUT:
        size = path.stat().st_size / 1e6
        say(f"reading {path} ({size:,.0f} MB) before anything is sent")


def open_job(files: JobFiles, limits: Any, options: JobOptions) -> Job:
    """Return the job on *files*; one that cannot start is a usage error."""
    from ratedispatch.errors import JobError
    from ratedispatch.jobs.job import Job

    try:
        return Job(files, limits, options)
    except JobError as error:
        raise click.UsageError(str(error)) from error


def open_runner(name: str) -> asyncio.Runner:
    """Return what runs the job; a loop that is not installed is a usage error."""
    from ratedispatch.errors import JobError

    try:
        return runner(name)
    except JobError as error:
        raise click.UsageError(f"--loop {name}: {error}") from error
