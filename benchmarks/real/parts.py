"""
What a real server brings, and the child processes it is made of.

Decides how a server is described: why it cannot be had, how it is started on the loopback, and
what is asked of it. Knows no server by name and nothing of how the program is measured.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

#: Seconds until a server accepts connections, at most.
_START_SECONDS = 30.0

#: Seconds that it gets to end.
_END_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Trial:
    """
    One job against one server.

    Args:
        name: What is tried, for the table.
        start: Starts the server in an empty folder, and yields the base URL.
        flags: What the program is told.
        ideal: Seconds that nobody can go below; None if something else is asked for.
        rows: How many requests.
        most_ratio: Times the ideal that it may take.
        most_refused: The share of all attempts that may be refused.
        seconds: When it is stopped.
    """

    name: str
    start: Callable[[Path], AbstractContextManager[str]]
    flags: tuple[str, ...]
    ideal: float | None
    rows: int = 300
    most_ratio: float = 1.15
    most_refused: float = 0.1
    seconds: float = 120.0


@dataclass(frozen=True, slots=True)
class RealServer:
    """
    A server that nobody here wrote.

    Args:
        name: As on the command line.
        missing: Returns why it cannot be had here; None if it can.
        trials: What is tried on it.
    """

    name: str
    missing: Callable[[], str | None]
    trials: tuple[Trial, ...]


def program(name: str) -> str | None:
    """Return the path of an installed program; None without one."""
    return shutil.which(name, path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")


def missing_package(name: str, package: str | None = None) -> str | None:
    """Return why the program *name* of a Debian package cannot be had; None if it can."""
    if program(name) is not None:
        return None
    return f"{name} is not installed: apt-get install {package or name}"


def free_port() -> int:
    """Return a port of the loopback that nothing listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@contextlib.contextmanager
def running(
    command: Sequence[str], folder: Path, port: int, seconds: float = _START_SECONDS
) -> Iterator[None]:
    """
    Run *command* until the block ends; it begins when *port* accepts connections.

    It gets so many *seconds* until it does.

    Raises:
        RuntimeError: It ended, or did not listen in time; with the end of what it wrote.
    """
    path = folder / f"{Path(command[0]).name}.log"
    with path.open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    try:
        _wait_for(port, process, path, seconds)
        yield
    finally:
        process.terminate()
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def upstream(folder: Path, *flags: str) -> Iterator[int]:
    """Yield the port of a model server: the fake one, without limits, with these *flags*."""
    port = free_port()
    command = [sys.executable, "-m", "ratedispatch", "fake-server", "--port", str(port), *flags]
    with running(command, folder, port):
        yield port


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path, seconds: float) -> None:
    deadline = time.perf_counter() + seconds
    while time.perf_counter() < deadline:
        if process.poll() is not None:
            break
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    said = log.read_text("utf-8", errors="replace").strip()[-500:]
    raise RuntimeError(f"{log.stem} does not listen on port {port}: {said}")
