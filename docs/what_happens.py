"""
Run the commands of ``docs/explanation/what-happens-when.md``, and write what they print into it.

A comment ``<!-- run: … -->`` begins a scenario: a fresh folder with an input of 120 rows, and a
fake server with the flags of the comment. Each block of commands below it is run in a shell in that
folder, and the next block of text gets what it has printed, and its exit code. Three words in a
comment are no flags:

- ``away=SECONDS``: the server is gone for so long after the first answers; ``away=always`` from
  the start.
- ``disk=SIZE``: the folder is a disk of that size, and a file ``ballast`` fills most of it. This
  needs a Linux that lets users make namespaces; elsewhere the scenario is left as it is.
- ``rows=COUNT``: the input has so many rows.

``python -m docs.what_happens`` runs all in four minutes; ``--only disk`` those with this word in
their heading. ``--check`` only compares, whatever the numbers are.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shlex
import socket
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ratedispatch.simulate.server.child import FakeServerProcess

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "explanation" / "what-happens-when.md"

#: Rows of the input.
ROWS = 120

#: Seconds after which the server or a block of commands is given up.
PATIENCE_SECONDS = 240

#: What is shown in the place of what depends on this machine, such as the port.
_SHOWN = (
    ("127.0.0.1:8000", r"127\.0\.0\.1:\d+"),
    ("'127.0.0.1', 8000", r"'127\.0\.0\.1', \d+"),
    ("Killed", r"^bash: line \d+: +\d+ Killed .*$"),
)

#: A line of progress, which a run writes every ten seconds where there is no terminal.
_PROGRESS = re.compile(r"^[\d,]+ of [\d,]+ rows \(.*\n", re.MULTILINE)

_SCENARIO = re.compile(r"^<!-- run:(?P<flags>[^\n]*?)-->$", re.MULTILINE)
_STEP = re.compile(
    r"^```console\n(?P<commands>.*?)^```\n\n^```text\n(?P<printed>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Step:
    """
    A block of commands, and the block of what they print.

    Attributes:
        commands: As they stand on the page, without their prompts.
        start: Where in the page the second block has its text.
        end: Where that text ends.
        printed: The text.
    """

    commands: str
    start: int
    end: int
    printed: str


@dataclass(frozen=True, slots=True)
class Scenario:
    """
    What goes wrong, by the words of its comment, and the steps below it.

    Attributes:
        title: The heading above it.
        words: Those of the comment.
        steps: What is done.
    """

    title: str
    words: tuple[str, ...]
    steps: tuple[Step, ...]

    @property
    def flags(self) -> list[str]:
        """The flags of the fake server."""
        return [word for word in self.words if not word.startswith(("away=", "disk=", "rows="))]

    def option(self, name: str) -> str | None:
        """Return what the comment says behind ``name=``."""
        found = [word for word in self.words if word.startswith(f"{name}=")]
        return found[0].partition("=")[2] if found else None


def scenarios_of(page: str) -> list[Scenario]:
    """Return the scenarios of *page*, in their order."""
    begins = list(_SCENARIO.finditer(page))
    ends = [match.start() for match in begins[1:]] + [len(page)]
    return [
        Scenario(
            page[: begin.start()].rpartition("\n## ")[2].partition("\n")[0],
            tuple(shlex.split(begin["flags"])),
            tuple(_steps(page, begin.end(), end)),
        )
        for begin, end in zip(begins, ends, strict=True)
    ]


def _steps(page: str, start: int, end: int) -> Iterator[Step]:
    for match in _STEP.finditer(page, start, end):
        commands = re.sub(r"^\$ ", "", match["commands"], flags=re.MULTILINE)
        yield Step(commands, match.start("printed"), match.end("printed"), match["printed"])


def rows(count: int) -> str:
    """Return an input of *count* questions, in Batch format."""
    lines = []
    for number in range(1, count + 1):
        question = f"Which country has the {number}. largest capital?"
        body = {
            "model": "gpt-4.1-mini",
            "messages": [{"role": "user", "content": question}],
            "max_completion_tokens": 20,
        }
        row = {"custom_id": f"row-{number}", "method": "POST", "url": "/v1/chat/completions"}
        lines.append(json.dumps({**row, "body": body}) + "\n")
    return "".join(lines)


class Server:
    """The fake server of a scenario, which may go away and come back at the same address."""

    def __init__(self, scenario: Scenario) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.base_url = f"http://127.0.0.1:{port}/v1"
        self._process = FakeServerProcess(
            "--port", str(port), *scenario.flags, start_timeout=PATIENCE_SECONDS
        )
        self._away = scenario.option("away")
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Server:
        if self._away != "always":
            self._process.start()
        return self

    def watch(self, output: Path) -> None:
        """Be gone for a while once *output* has its first lines."""
        if self._away not in {None, "always"}:
            self._thread = threading.Thread(target=self._leave, args=(output,))
            self._thread.start()

    def _leave(self, output: Path) -> None:
        while not (output.exists() and output.stat().st_size):
            if self._ended.wait(0.1):
                return
        self._process.stop()
        self._ended.wait(float(self._away or 0))
        self._process.start()

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
        if self._away != "always":
            self._process.stop()


class Shell:
    """A shell in the folder of a scenario."""

    def __init__(self, folder: Path, base_url: str, scenario: Scenario) -> None:
        self._folder = folder
        self._base_url = base_url
        self._write_program()
        count = int(scenario.option("rows") or ROWS)
        (folder / "given.jsonl").write_text(rows(count), encoding="utf-8")
        disk = scenario.option("disk")
        disk_folder = folder / "disk"
        disk_folder.mkdir()
        self._process = subprocess.Popen(
            ["bash"] if disk is None else ["unshare", "-rm", "bash"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=disk_folder,
            encoding="utf-8",
            env=self._environment(),
        )
        if disk is not None:
            place = shlex.quote(str(disk_folder))
            self.run(f"mount -t tmpfs -o size={disk} none {place}; cd {place}")
        self.run(f"cp {shlex.quote(str(folder / 'given.jsonl'))} rows.jsonl")
        if disk is not None:
            free = "$(df --output=avail -B1 . | tail -1)"
            self.run(f"head -c $(({free} - 98304)) /dev/zero > ballast")

    def _write_program(self) -> None:
        program = self._folder / "bin" / "ratedispatch"
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m ratedispatch "$@"\n')
        program.chmod(0o755)

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if "RATEDISPATCH" not in name}
        return {
            **kept,
            "PATH": f"{self._folder / 'bin'}:{kept.get('PATH', os.defpath)}",
            "PYTHONPATH": str(ROOT),
            "OPENAI_BASE_URL": self._base_url,
            "OPENAI_API_KEY": "a-key",
            "XDG_STATE_HOME": str(self._folder / "state"),
            "HOME": str(self._folder),
            "NO_PROXY": "*",
        }

    def run(self, commands: str) -> str:
        """Run *commands*; return what they print, with the exit code of the last one."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        watch = threading.Timer(PATIENCE_SECONDS, self._process.kill)
        watch.start()
        self._process.stdin.write(f"{commands.rstrip()}\necho \"exit code: $?\"; echo '#end#'\n")
        self._process.stdin.flush()
        lines: list[str] = []
        for line in self._process.stdout:
            if line == "#end#\n":
                break
            lines.append(line)
        else:
            raise TimeoutError(f"the shell ended in: {commands}")
        watch.cancel()
        printed = "".join(lines).replace(self._base_url, "http://127.0.0.1:8000/v1")
        for shown, pattern in _SHOWN:
            printed = re.sub(pattern, shown, printed, flags=re.MULTILINE)
        return printed

    def close(self) -> None:
        """End the shell, after what it has in the background."""
        self._process.communicate("wait\n", PATIENCE_SECONDS)


def play(scenario: Scenario, folder: Path) -> list[str]:
    """Run the steps of *scenario* in *folder*, and return what each has printed."""
    with Server(scenario) as server:
        shell = Shell(folder, server.base_url, scenario)
        server.watch(folder / "disk" / "out.jsonl")
        try:
            return [shell.run(step.commands) for step in scenario.steps]
        finally:
            shell.close()


def masked(printed: str) -> str:
    """
    Return the messages of *printed*, and of a report only its beginning.

    Each number is 0 in it, but for exit codes.
    """
    numbers = r"^(exit code: \d+)$|\d[\d,.]*\d|\d"
    text = _PROGRESS.sub("", printed)
    plain = re.sub(numbers, lambda match: match[1] or "0", text, flags=re.MULTILINE)
    return re.sub(r"^(0 answered, 0 failed).*$", r"\1", plain, flags=re.MULTILINE)


def _can_mount() -> bool:
    with contextlib.suppress(OSError):
        return subprocess.run(["unshare", "-rm", "true"], check=False).returncode == 0  # noqa: S607
    return False


def main(arguments: list[str]) -> int:
    """Run all scenarios; write their outputs, or compare them. Return 1 if one differs."""
    parser = argparse.ArgumentParser(prog="python -m docs.what_happens", description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare only")
    parser.add_argument("--only", metavar="WORD", help="those with it in their heading")
    options = parser.parse_args(arguments)
    page = PAGE.read_text("utf-8")
    changed = 0
    for scenario in reversed(scenarios_of(page)):
        if options.only and options.only not in scenario.title:
            continue
        if scenario.option("disk") and not _can_mount():
            sys.stdout.write("left as it is: a scenario that needs a disk of its own\n")
            continue
        with tempfile.TemporaryDirectory() as name:
            printed = play(scenario, Path(name))
        for step, text in reversed(list(zip(scenario.steps, printed, strict=True))):
            if masked(step.printed) != masked(text):
                changed += 1
                sys.stdout.write(f"$ {step.commands}--- on the page\n{step.printed}--- now\n{text}")
            page = page[: step.start] + text + page[step.end :]
    if not options.check:
        PAGE.write_text(page, encoding="utf-8")
    return 1 if options.check and changed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
