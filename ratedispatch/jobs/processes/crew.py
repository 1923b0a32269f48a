"""
Starts the processes that send for a job.

They begin to import modules at once, so that they are ready when the input has been scanned. Each
ends by itself as soon as this process is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ratedispatch.errors import JobError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractAsyncContextManager, AbstractContextManager

_MODULE = "ratedispatch.jobs.processes.hand"

#: What ends the parent in its own way, and the children with it.
_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")

#: Seconds within which a process whose parent has let go of it ends by itself.
_ENDING = 2.0


@dataclass(slots=True)
class Hand:
    """
    A process that was started.

    Args:
        process: The process.
        end: This end of what connects them; None once it belongs to an event loop.
    """

    process: subprocess.Popen[bytes]
    end: socket.socket | None
    _until: float | None = None

    def let_go(self) -> None:
        """Close this end, if it belongs to nobody yet, at which the process ends."""
        if self._until is None:
            self._until = time.perf_counter() + _ENDING
        if self.end is not None:
            self.end.close()
            self.end = None

    def wait(self) -> int:
        """Wait until it has ended, and see to it; return its exit code."""
        # of many that were let go together none is waited for after the others
        left = _ENDING if self._until is None else max(0.0, self._until - time.perf_counter())
        try:
            return self.process.wait(left)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


class Crew:
    """
    The processes of a job, before they are given anything to do. To be closed by its maker.

    Args:
        count: How many.
        start: Starts one.

    Attributes:
        count: The argument of this name.
        opening: Opens the client in each of them, or a pool of clients; to be set before the job
            runs. A function of a module, or a ``functools.partial`` of one.
        running: Gives what runs the event loop of each; the same.
        aliases: The caller's own names of models, for counting.
        say: Called with what one of them has to say to a person.

    Raises:
        JobError: There can be none on this system.
    """

    opening: Callable[[], AbstractAsyncContextManager[Any]]

    def __init__(self, count: int, start: Callable[[], Hand] | None = None) -> None:
        if start is None and not hasattr(socket, "send_fds"):
            raise JobError("several processes need a Unix system; omit --processes")
        self.count = count
        self.running: Callable[[], AbstractContextManager[asyncio.Runner]] = asyncio.Runner
        self.aliases: Mapping[str, str] | None = None
        self.say: Callable[[str], None] = warnings.warn
        self.start = start or start_hand
        self._waiting: list[Hand] = []
        try:
            for _ in range(count):
                self._waiting.append(self.start())
        except OSError as error:
            self.close()
            raise JobError(f"a process cannot be started: {error.strerror or error}") from error

    def take(self) -> Hand:
        """Return one of the processes, or a new one if all are taken."""
        return self._waiting.pop(0) if self._waiting else self.start()

    def close(self) -> None:
        """End those that nobody has taken."""
        for hand in self._waiting:
            hand.let_go()
        for hand in self._waiting:
            hand.wait()
        self._waiting.clear()


def start_hand() -> Hand:
    """
    Start a process.

    Raises:
        OSError: It cannot be started.
    """
    ours, theirs = socket.socketpair()
    try:
        with theirs, _signals_held():
            # -P: no file in the working directory may stand in the way of a module
            command = [sys.executable, "-P", "-m", _MODULE, str(theirs.fileno())]
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                # what is found here is found there, in the same order
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
    except BaseException:
        ours.close()
        raise
    return Hand(process, ours)


@contextlib.contextmanager
def _signals_held() -> Iterator[None]:
    """
    Hold back the signals that end a run as long as the block runs.

    What is held back here is so for good in a process started meanwhile: a Ctrl-C comes to all
    processes of the terminal, and it is the parent that says what happens to it.
    """
    numbers = [getattr(signal, name) for name in _SIGNALS if hasattr(signal, name)]
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
