"""
Ctrl-C and SIGTERM: before the loop one ends the command, in the loop the first one drains the job.
"""

from __future__ import annotations

import contextlib
import functools
import signal
import sys
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator

    from ratedispatch.jobs.job import Job


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Let one interruption end the command; for what runs before and after the loop."""

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before: dict[signal.Signals, Any] = {}
    with contextlib.suppress(ValueError):  # elsewhere than in the main thread there is none
        for number in (signal.SIGINT, signal.SIGTERM):
            before[number] = signal.signal(number, interrupt)
    try:
        yield
    except KeyboardInterrupt:
        click.echo("cancelled; the same command starts again, or goes on", err=True)
        sys.exit(130)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Interruptions:
    """
    The first Ctrl-C or SIGTERM drains, the second cancels.

    Attributes:
        say: Where to say so; a progress display has a way of its own, which it does not wipe out.
    """

    def __init__(self, job: Job, task: asyncio.Task[object], drain_timeout: float) -> None:
        self._job = job
        self._task = task
        self._drain_timeout = drain_timeout
        self._count = 0
        self.say: Callable[[str], None]
        self.say_plainly()

    def say_plainly(self) -> None:
        """Say so without a progress display."""
        self.say = functools.partial(click.echo, err=True)

    def interrupt(self) -> None:
        """Count an interruption, and drain or cancel the job."""
        self._count += 1
        if self._count > 1:
            self._task.cancel()
            return
        self._job.drain(self._drain_timeout)
        snapshot = self._job.snapshot()
        self.say(_drain_sentence(snapshot.in_flight if snapshot else 0, self._drain_timeout))


def _drain_sentence(in_flight: int, timeout: float) -> str:
    if not in_flight:
        return "stopping: nothing is in flight"
    requests, them = ("request", "it") if in_flight == 1 else ("requests", "them")
    return (
        f"stopping: waiting for {in_flight:,} {requests} in flight, {timeout:g} s at most; "
        f"interrupt again to cancel {them}"
    )


@contextlib.contextmanager
def interruptions(
    job: Job, task: asyncio.Task[object], drain_timeout: float
) -> Iterator[Interruptions]:
    """Handle interruptions as long as the block runs."""
    import asyncio  # here because --help must not wait for it

    loop = asyncio.get_running_loop()
    handler = Interruptions(job, task, drain_timeout)
    signals = (signal.SIGINT, signal.SIGTERM)
    for number in signals:
        with contextlib.suppress(NotImplementedError):  # Windows has no signal handlers in loops
            loop.add_signal_handler(number, handler.interrupt)
    try:
        yield handler
    finally:
        for number in signals:
            with contextlib.suppress(NotImplementedError):
                loop.remove_signal_handler(number)
