"""The processes of ``run --processes N``: how many there are, and what each is started with."""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING, Any

import click

from ratedispatch.cli.console import say
from ratedispatch.cli.loop import runner, seldom_collecting

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator
    from contextlib import AbstractAsyncContextManager

    from ratedispatch.cli.run import RunSettings
    from ratedispatch.cli.sending_options import SendingFlags
    from ratedispatch.jobs.processes.crew import Crew


@contextlib.contextmanager
def crew_of(sending: SendingFlags) -> Iterator[Crew | None]:
    """Yield the sending processes, which have begun to start; None if this process sends."""
    count = sending.processes
    if isinstance(sending.max_in_flight, int) and sending.max_in_flight < count:
        count = sending.max_in_flight
        say(f"{count} of {sending.processes} processes send, since only {count} may be in flight")
    if count == 1:
        yield None
        return
    from ratedispatch.errors import JobError
    from ratedispatch.jobs.processes.crew import Crew

    try:
        crew = Crew(count)
    except JobError as error:
        raise click.UsageError(str(error)) from error
    try:
        yield crew
    finally:
        crew.close()


def prepare(
    crew: Crew | None,
    opening: Callable[[], AbstractAsyncContextManager[Any]],
    settings: RunSettings,
    tell: Callable[[str], None],
) -> None:
    """
    Say what each process of *crew* sends with, if there is one.

    Args:
        crew: The processes.
        opening: Opens the client.
        settings: All flags of the run.
        tell: Called with what one of them has to say.
    """
    if crew is not None:
        crew.opening = opening
        crew.running = functools.partial(running, settings.sending.loop)
        crew.aliases = settings.provider.model_alias
        crew.say = tell


@contextlib.contextmanager
def running(loop: str) -> Iterator[asyncio.Runner]:
    """Give what runs the event loop *loop* of such a process."""
    with runner(loop) as runs, seldom_collecting():
        yield runs
