"""
A process that has imported the command already, and forks one that runs it for each line it reads.

To start Python and import everything takes a second, which a job that is killed some hundred
times would spend over and over. Each fork is a process of its own, and is killed as any other.

Run as a child: reads lines of JSON, lists of arguments; prints the number of the process, then its
exit code.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class ForkServer:
    """
    Starts commands quickly. A context manager.

    Args:
        env: Variables of the environment, beside those of this process.
    """

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = {**os.environ, **env}
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.live.parts.forkserver"],
            env=self._env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def start(self, arguments: Sequence[str]) -> int:
        """Start the command with *arguments*; return the number of its process."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(list(arguments)) + "\n")
        self._process.stdin.flush()
        return self._read()

    def wait(self) -> int:
        """Wait for the command that was started last; return its exit code, or −9 if killed."""
        return self._read()

    def _read(self) -> int:
        assert self._process is not None
        assert self._process.stdout is not None
        return int(self._process.stdout.readline())


def _serve() -> None:
    # what the command imports when it needs it, imported once before the forks
    import ratedispatch.dispatch.transports.bulk
    import ratedispatch.dispatch.transports.sdk
    import ratedispatch.jobs.job
    import ratedispatch.observe.progress
    import ratedispatch.tokens
    from ratedispatch.cli import main

    ratedispatch.tokens.count_tokens({"model": "gpt-4o", "messages": []})
    for line in sys.stdin:
        child = os.fork()
        if not child:
            _run(main, json.loads(line))
        print(child, flush=True)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _run(main: Any, arguments: list[str]) -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(nothing, number)
    code = 1
    try:
        main(arguments)
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    os._exit(code)


if __name__ == "__main__":
    _serve()
