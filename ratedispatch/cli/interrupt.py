"""
Ctrl-C, SIGTERM and SIGHUP: before the event loop, one ends the command; in it, the first one
drains.

SIGHUP comes when the terminal is closed, often twice; a second one cancels nothing. A command under
``nohup`` ignores it.

SIGTERM comes from a system that needs the machine: Kubernetes, SLURM and others kill the process 30
s later. The same command resumes a run that SIGTERM stopped, so the exit code says so.
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

#: The exit code of a run that SIGTERM ended: the same command resumes it.
RESUMABLE = 3

#: Default seconds to wait for requests in flight: after Ctrl-C, longer than most answers take.
DRAIN_TIMEOUT = 120.0

#: After SIGTERM, of the 30 s that Kubernetes (terminationGracePeriodSeconds) and SLURM (KillWait)
#: give by default, with 5 s left to write what came and to end.
TERMINATION_TIMEOUT = 25.0

#: None on Windows.
_HANGUP: signal.Signals | None = getattr(signal, "SIGHUP", None)


def _signals() -> tuple[signal.Signals, ...]:
    """Return the signals that end a run; a hangup only unless it is ignored."""
    usual = (signal.SIGINT, signal.SIGTERM)
    if _HANGUP is None or signal.getsignal(_HANGUP) is signal.SIG_IGN:
        return usual
    return (*usual, _HANGUP)


class Terminated(KeyboardInterrupt):
    """SIGTERM: the command must end, and will be started again elsewhere or later."""


def code_of(error: KeyboardInterrupt) -> int:
    """Return the exit code of a run that *error* has ended before it began."""
    return RESUMABLE if isinstance(error, Terminated) else _INTERRUPTED


def interrupt_once(number: int, _frame: object) -> None:
    """Raise the first interruption; a second one ends the process meanwhile."""
    error = Terminated() if number == signal.SIGTERM else KeyboardInterrupt()

    def end(_number: int, _frame: object) -> None:
        os._exit(code_of(error))

    for other in _signals():
        signal.signal(other, end)
    raise error


@contextlib.contextmanager
def interruptible(*, is_resumable: bool = True) -> Iterator[None]:
    """
    Let one interruption end the command; for code that runs before and after the event loop.

    Args:
        is_resumable: Whether the same command resumes what SIGTERM has ended.
    """
    before: dict[signal.Signals, Any] = {}
    hook = sys.unraisablehook

    def end(error: KeyboardInterrupt) -> int:
        say("cancelled; run the same command again to start over or resume")
        return code_of(error) if is_resumable else _INTERRUPTED

    def end_unraised(of: Any) -> None:
        """End all the same where Python only prints an error: while it forgets an object."""
        if not isinstance(of.exc_value, KeyboardInterrupt):
            hook(of)
            return
        code = end(of.exc_value)
        os._exit(code)

    with contextlib.suppress(ValueError):  # elsewhere than in the main thread there is none
        for number in _signals():
            before[number] = signal.signal(number, interrupt_once)
    sys.unraisablehook = end_unraised
    try:
        yield
    except KeyboardInterrupt as error:
        sys.exit(end(error))
    finally:
        sys.unraisablehook = hook
        for number, handler in before.items():
            signal.signal(number, handler)


def end_if_interrupted(*_: object) -> None:
    """
    Let another Ctrl-C end the process immediately, because everything is written and closed.

    An interruption within the closing of a loop leaves it neither open nor closed.
    """
    signal.signal(signal.SIGINT, lambda *_: os._exit(_INTERRUPTED))
    signal.signal(signal.SIGTERM, lambda *_: os._exit(RESUMABLE))


def outlast() -> None:
    """Ignore SIGTERM while the last sentence is printed: the run has already ended."""
    with contextlib.suppress(ValueError):  # elsewhere than in the main thread there is none
        signal.signal(signal.SIGTERM, signal.SIG_IGN)


class Interruptions:
    """
    The first signal drains, the second Ctrl-C or SIGTERM cancels.

    Args:
        job: The job to drain.
        task: The task to cancel.
        drain_timeout: Seconds to wait for requests in flight; None for the default of the signal.

    Attributes:
        say: Prints a message; a progress display replaces it, so that messages stay visible.
    """

    def __init__(self, job: Job, task: asyncio.Task[object], drain_timeout: float | None) -> None:
        self._job = job
        self._task = task
        self._drain_timeout = drain_timeout
        self._count = 0
        self.say: Callable[[str], None]
        self.say_plainly()

    def say_plainly(self) -> None:
        """Say so without a progress display."""
        self.say = say

    def say_now(self, text: str) -> None:
        """Print *text* by the current `say`."""
        self.say(text)

    def hang_up(self) -> None:
        """Drain the job, unless it has already been interrupted."""
        if not self._count:
            self.interrupt()

    def terminate(self) -> None:
        """Handle it like any interruption, within the time until the system kills the process."""
        self.interrupt(TERMINATION_TIMEOUT)

    def interrupt(self, timeout: float = DRAIN_TIMEOUT) -> None:
        """Count an interruption, and drain or cancel the job, by default within *timeout*."""
        self._count += 1
        if self._count > 1:
            self._task.cancel()
            return
        timeout = timeout if self._drain_timeout is None else self._drain_timeout
        self._job.drain(timeout)
        snapshot = self._job.snapshot()
        self.say(_drain_sentence(snapshot.in_flight if snapshot else 0, timeout))


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
    job: Job, task: asyncio.Task[object], drain_timeout: float | None
) -> Iterator[Interruptions]:
    """Handle interruptions as long as the block runs."""
    import asyncio  # here because --help must not wait for it

    loop = asyncio.get_running_loop()
    handler = Interruptions(job, task, drain_timeout)
    signals = _signals()
    called = {signal.SIGTERM: handler.terminate, _HANGUP: handler.hang_up}
    for number in signals:
        with contextlib.suppress(NotImplementedError):  # Windows has no signal handlers in loops
            loop.add_signal_handler(number, called.get(number, handler.interrupt))
    try:
        yield handler
    finally:
        for number in signals:
            with contextlib.suppress(NotImplementedError):
                loop.remove_signal_handler(number)
