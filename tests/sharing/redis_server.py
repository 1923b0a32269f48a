"""A real Redis for a test, on a socket of its own."""

from __future__ import annotations

import contextlib
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAM = shutil.which("redis-server") or shutil.which("valkey-server")


class RedisServer:
    """
    A server that can be killed, stopped and started again; it keeps nothing on the disk.

    Args:
        folder: Where its socket lies.
        settings: More of its settings.
    """

    def __init__(self, folder: Path, *settings: str) -> None:
        self.folder = folder
        self.socket = folder / "redis.sock"
        self.settings = settings
        self.url = f"unix://{self.socket}"
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        assert PROGRAM is not None
        settings = ["--unixsocket", str(self.socket), "--dir", str(self.folder), "--save", ""]
        if "--port" not in self.settings:
            settings += ["--port", "0"]
        self.process = subprocess.Popen(
            [PROGRAM, *settings, *self.settings], stdout=subprocess.DEVNULL
        )
        for _ in range(500):
            try:
                with socket.socket(socket.AF_UNIX) as client:
                    client.settimeout(1.0)
                    client.connect(str(self.socket))
                    client.sendall(b"PING\r\n")
                    if client.recv(64):
                        return
            except OSError:
                time.sleep(0.01)
        self.kill()
        raise AssertionError("the Redis has not started")

    def kill(self) -> None:
        """Kill it; what it knew is lost."""
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()
            self.process = None
            self.socket.unlink(missing_ok=True)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal: SIGSTOP is a network that is gone."""
        assert self.process is not None
        self.process.send_signal(number)


def running(*settings: str) -> Iterator[RedisServer]:
    """Yield a server; skip if there is none on this machine."""
    if PROGRAM is None:
        pytest.skip("there is no redis-server and no valkey-server on this machine")
    with tempfile.TemporaryDirectory(prefix="rd-redis-") as folder:
        server = RedisServer(Path(folder), *settings)
        try:
            yield server
        finally:
            server.kill()


def free_port(*, has_bus: bool = False) -> int:
    """Return a port that is free now; with *has_bus* the one 10,000 above is free, too."""
    for _ in range(1000):
        with (
            contextlib.suppress(OSError),
            socket.socket() as taken,
            socket.socket() as bus,
        ):
            taken.bind(("127.0.0.1", random.randrange(20_000, 30_000) if has_bus else 0))
            port: int = taken.getsockname()[1]
            if has_bus:
                bus.bind(("127.0.0.1", port + 10_000))
            return port
    raise AssertionError("no port is free")
