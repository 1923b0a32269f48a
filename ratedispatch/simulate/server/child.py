"""
The fake server as a child process, for tests and benchmarks.

Starts it, waits until it is ready, asks its referee, ends it. Never leaves it behind: it ends with
its standard input, so it survives neither `stop` nor the death of the parent.
"""

from __future__ import annotations

import http.client
import json
import os
import selectors
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

_READY = "fake server ready at "


class FakeServerProcess:
    """
    A context manager around ``ratedispatch fake-server``.

    Args:
        flags: As on the command line, for example ``"--rpm", "30k", "--fault", "500=0.1"``;
            port and ``--exit-with-parent`` are added.
        start_timeout: Seconds that it may take to become ready.
        env: Its environment; by default that of this process.

    Attributes:
        base_url: ``http://127.0.0.1:PORT/v1``, once started.
        process: The child.

    Raises:
        RuntimeError: On entry, when it ended or said nothing in time.
    """

    base_url: str
    process: subprocess.Popen[str]

    def __init__(
        self, *flags: str, start_timeout: float = 30.0, env: Mapping[str, str] | None = None
    ) -> None:
        self._flags = flags
        self._env = env
        self._start_timeout = start_timeout

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start the child and wait until it listens."""
        command = [sys.executable, "-m", "ratedispatch", "fake-server", "--port", "0"]
        self.process = subprocess.Popen(
            [*command, "--exit-with-parent", *self._flags],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            # the console of the user may be set to what no line can be read from
            env={**(os.environ if self._env is None else self._env), "PYTHONIOENCODING": "utf-8"},
            start_new_session=True,  # a Ctrl-C on the terminal is for the parent to deal with
        )
        try:
            line = self._first_line()
        except BaseException:
            self.stop()
            raise
        self.base_url = line.removeprefix(_READY)

    def _first_line(self) -> str:
        stdout = self.process.stdout
        assert stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(stdout, selectors.EVENT_READ)
            if not selector.select(self._start_timeout):
                raise RuntimeError(f"the fake server was not ready in {self._start_timeout} s")
        line = stdout.readline().strip()
        if not line.startswith(_READY):
            code = self.process.wait(self._start_timeout)
            raise RuntimeError(f"the fake server ended with exit code {code}: {line}")
        return line

    def stop(self) -> int:
        """End the child and return its exit code; more than once does no harm."""
        process = self.process
        process.terminate()
        try:
            code = process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
        # after the signal: while it ends for its closed input, a signal would still kill it
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()
        return code

    @property
    def azure_endpoint(self) -> str:
        """``http://127.0.0.1:PORT``, as Azure's clients want it."""
        return self.base_url.removesuffix("/v1")

    @property
    def port(self) -> int:
        """The port it listens on."""
        port = urlsplit(self.base_url).port
        assert port is not None
        return port

    def stats(self) -> dict[str, Any]:
        """Return the referee's report."""
        return self._ask("GET", "/_stats")

    def reset(self) -> None:
        """Start over: buckets, chance, quota, outage and referee."""
        self._ask("POST", "/_reset")

    def set_limits(self, *, key: str | None = None, **limits: float | None) -> dict[str, Any]:
        """
        Change ``rpm`` or ``tpm`` while it runs (None lifts one); return what is in force.

        Args:
            key: Whose limits, where it knows several keys.
            limits: By the name of the flag.
        """
        return self._ask("POST", "/_limits", {**({"key": key} if key else {}), **limits})

    def _ask(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, None if body is None else json.dumps(body))
            response = connection.getresponse()
            answer = json.loads(response.read())
        finally:
            connection.close()
        if response.status != 200:
            raise RuntimeError(f"the fake server answered {response.status}: {answer}")
        assert isinstance(answer, dict)
        return answer
