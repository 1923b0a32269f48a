"""
Ctrl-C, SIGTERM and SIGHUP: before the loop one ends the command, in the loop the first one drains.

SIGHUP comes when the terminal is closed, as often as not twice; a second one cancels nothing. A
command under ``nohup`` ignores it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

from ratedispatch.cli.console import say

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator

    from ratedispatch.jobs.job import Job


#: The exit code of a command that was interrupted before the loop or after it.
_INTERRUPTED = 130

#: None on Windows.
_HANGUP: signal.Signals | None = getattr(signal, "SIGHUP", None)


def _signals() -> tuple[signal.Signals, ...]:
    """Return the signals that end a run; a hangup only where it is not to be ignored."""
    usual = (signal.SIGINT, signal.SIGTERM)
    if _HANGUP is None or signal.getsignal(_HANGUP) is signal.SIG_IGN:
        return usual
    return (*usual, _HANGUP)


def interrupt_once(_number: int, _frame: object) -> None:
    """Raise the first interruption; a second one ends the process while that is being told."""
    for number in _signals():
        signal.signal(number, _end)
    raise KeyboardInterrupt


def _end(_number: int, _frame: object) -> None:
    os._exit(_INTERRUPTED)


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Let one interruption end the command; for what runs before and after the loop."""
    before: dict[signal.Signals, Any] = {}
    with contextlib.suppress(ValueError):  # elsewhere than in the main thread there is none
        for number in _signals():
            before[number] = signal.signal(number, interrupt_once)
    try:
        yield
    except KeyboardInterrupt:
        say("cancelled; the same command starts again, or goes on")
        sys.exit(_INTERRUPTED)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def end_if_interrupted(*_: object) -> None:
    """
    Let another Ctrl-C end the process at once, now that all is written and the loop is closed.

    An interruption within the closing of a loop leaves it neither open nor closed.
    """
    signal.signal(signal.SIGINT, _end_now)


def _end_now(*_: object) -> None:
    os._exit(_INTERRUPTED)


class Interruptions:
    """
    The first signal drains, the second Ctrl-C or SIGTERM cancels.

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
        self.say = say

    def hang_up(self) -> None:
        """Drain the job if nothing has interrupted it yet."""
        if not self._count:
            self.interrupt()

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
    signals = _signals()
    for number in signals:
        with contextlib.suppress(NotImplementedError):  # Windows has no signal handlers in loops
            called = handler.hang_up if number is _HANGUP else handler.interrupt
            loop.add_signal_handler(number, called)
    try:
        yield handler
    finally:
        for number in signals:
            with contextlib.suppress(NotImplementedError):
                loop.remove_signal_handler(number)
