"""
Several processes of ``ratedispatch run`` that share a limit, and the Redis that they share it by.

Decides how they are started, killed and stopped, and what their files say. Knows no target.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from tests.sharing.redis_server import PROGRAM, RedisServer, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from ratedispatch.simulate.server.child import FakeServerProcess

#: Why there is no round by Redis, where there is none.
NO_REDIS = "there is no redis-server and no valkey-server on this machine"


def has_redis() -> bool:
    """Whether this machine has a server of the kind."""
    return PROGRAM is not None


class Redis:
    """
    A Redis of the benchmark's own.

    Args:
        folder: Where its socket lies.
    """

    def __init__(self, folder: Path) -> None:
        port = free_port()
        self.url = f"redis://127.0.0.1:{port}/0"
        self._server = RedisServer(folder, "--port", str(port), "--bind", "127.0.0.1")

    def restart(self) -> None:
        """Kill it and start it again: it has forgotten everything."""
        self._server.kill()
        self._server.start()

    def stop(self) -> None:
        """Kill it."""
        self._server.kill()


@contextmanager
def redis_in(folder: Path) -> Iterator[Redis]:
    """Start a Redis for the time of a block."""
    redis = Redis(folder)
    try:
        yield redis
    finally:
        redis.stop()


class Ended(NamedTuple):
    """The exit code of a run, and the processor seconds that it took."""

    code: int
    cpu: float


class Fleet:
    """
    Runs of one account, each with files of its own.

    Args:
        folder: Where all files lie; a run called *name* reads ``NAME.jsonl``.
        server: Where all send to.
        flags: Of each run: its limits, and where they are shared.
    """

    def __init__(self, folder: Path, server: FakeServerProcess, flags: Sequence[str]) -> None:
        self._folder = folder
        self._server = server
        self._flags = flags
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Fleet:
        return self

    def __exit__(self, *_: object) -> None:
        for name in list(self._running):
            self.kill(name)

    def start(self, name: str, *more: str, rows: str = "") -> None:
        """Start a run, or go on with the one that was killed; *rows* is the input."""
        words = [sys.executable, "-m", "ratedispatch", "run", f"{rows or name}.jsonl"]
        words += ["-o", f"{name}.out.jsonl", "--base-url", self._server.base_url, *self._flags]
        words += [*more, "--no-config", "--no-memory", "--quiet"]
        runtime = self._folder / "runtime"
        runtime.mkdir(mode=0o700, exist_ok=True)
        with (self._folder / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                words,
                cwd=self._folder,
                env={**os.environ, "OPENAI_API_KEY": "any", "XDG_RUNTIME_DIR": str(runtime)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """End a run by a signal, and wait until it has ended."""
        process = self._running.pop(name)
        process.send_signal(number)
        process.wait()

    def stop(self) -> None:
        """Stop all together, and wait until they have ended."""
        for process in self._running.values():
            process.send_signal(signal.SIGTERM)
        for process in self._running.values():
            process.wait()
        self._running.clear()

    def wait(self) -> dict[str, Ended]:
        """Wait for the end of all; return how each ended."""
        found = {}
        for name, process in self._running.items():
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            found[name] = Ended(process.returncode, used.ru_utime + used.ru_stime)
        self._running.clear()
        return found

    def lines(self, name: str) -> int:
        """Return how many rows a run has answered so far."""
        try:
            return (self._folder / f"{name}.out.jsonl").read_bytes().count(b"\n")
        except FileNotFoundError:
            return 0

    def log(self, name: str) -> str:
        """Return what a run has said."""
        return (self._folder / f"{name}.log").read_text("utf-8")

    def wait_for_all(self, names: Sequence[str], seconds: float = 60.0) -> None:
        """
        Wait until each of *names* has answered a row.

        Raises:
            RuntimeError: One has not in so many seconds.
        """
        late = time.perf_counter() + seconds
        while not all(self.lines(name) for name in names):
            if time.perf_counter() > late:
                counts = {name: (self.lines(name), self.log(name)) for name in names}
                raise RuntimeError(f"not all have answered a row: {counts}")
            time.sleep(0.05)

    def answers(self, name: str) -> Counter[str]:
        """Return how often each row stands in the output of a run, by its ``custom_id``."""
        text = (self._folder / f"{name}.out.jsonl").read_text("utf-8")
        return Counter(json.loads(line)["custom_id"] for line in text.splitlines())
