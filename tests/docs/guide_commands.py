"""
Runs the commands of the guides as a reader would type them, and compares what they print.

Each page gets an empty folder with the files that it takes for granted. Its console blocks run in a
shell, one after the other, against a fake server in place of the provider. A command fails if its
exit code says that it was used wrongly, and a text block fails if one of its lines was not printed;
numbers and the bottleneck may differ.

Run it with ``python -m tests.docs.guide_commands [PAGE ...]``, for example ``run-a-file``.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import textwrap
from dataclasses import dataclass
from pathlib import Path

import click

from ratedispatch.simulate.server.child import FakeServerProcess
from tests.docs.pages import DOCS, ROOT

#: Pages whose commands install the project or build its image; the release checklist tries these.
_OF_A_RELEASE = {"install", "run-in-a-container"}

GUIDES = sorted(page for page in (DOCS / "how-to").glob("*.md") if page.stem not in _OF_A_RELEASE)

#: The project's own example, which pages name by its path.
EXAMPLE = Path("docs/examples/docstrings.jsonl")

_FENCE = re.compile(r"^( *)```(console|text|toml)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)

#: Lines of console blocks that are not run here: servers that run until they are stopped (the fake
#: one stands for them), benchmarks that take minutes, and installations.
_LEFT_OUT = re.compile(r"^(ratedispatch fake-server|curl|python -m benchmarks|pip install)\b")

#: Addresses in commands that the fake server stands for.
_ADDRESS = re.compile(
    r"https?://(?:localhost:8000|127\.0\.0\.1:8000|openrouter\.ai/api|api\.openai\.com)/v1"
)

#: What is changed on a page so that it runs without its providers.
_REPLACED = {
    "spread-over-a-pool": ("answers.jsonl --limits", "answers.jsonl --fake --limits"),
    "watch-a-job": ("tail -f", "cat"),
}

#: What stands for the files and servers that a page takes for granted.
_BEFORE = {
    "watch-a-job": f"ratedispatch run {EXAMPLE} -o out.jsonl --fake",
    "set-flags-once": "ratedispatch plan requests.jsonl && ratedispatch run requests.jsonl",
    "spread-over-a-pool": "export WEST_KEY=any OTHER_KEY=any",
}

#: Lines of text blocks that take a situation which no command of the page makes.
_OF_A_SITUATION = re.compile(
    r"other process|earlier runs|unknown key|no such column|no limit up to|slowest answer"
    r"|95 % within|^[0-9a-f]{16} |running since|in flight|failures|speed|spent|^export "
    r"|^ratedispatch |redis|^unix://|^ACL"
)

#: Exit codes of a command that was used rightly: all answered, some failed, stopped early.
_FINE = {0, 1, 3}

_SHIM = """#!/bin/bash
"{python}" -m ratedispatch "$@"
code=$?
echo "$code $*" >> "{codes}"
exit $code
"""


@dataclass(frozen=True, slots=True)
class Followed:
    """
    What came of a page that was followed.

    Args:
        commands: How many commands of the program ran.
        wrong: Commands that ended with another exit code than they should.
        missing: Lines that the page shows and no command printed.
    """

    commands: int
    wrong: tuple[str, ...]
    missing: tuple[str, ...]


def shape(line: str) -> str:
    """Return *line* without what differs from run to run: numbers, bars and the bottleneck."""
    line = re.sub(r"bound by [^;,]+", "bound by …", line)
    line = re.sub(r"\$?\d[\d,.:]*\d|\$?\d", "#", line)
    line = re.sub(r"; cost #|; prompt tokens .*", "", line).replace("# min # s", "# s")
    line = re.sub(r"\w+ bind: # × the time that \w+ need", "… bind", line)
    return " ".join(line.replace("#####", "").split()).rstrip(" .#…")


def parts(page: Path, language: str) -> list[str]:
    """Return the blocks of *page* in *language*, those in lists too."""
    found = _FENCE.finditer(page.read_text("utf-8"))
    return [textwrap.dedent(match[1] + match[3]) for match in found if match[2] == language]


def prepare(page: Path, folder: Path, rows: int) -> None:
    """Write the files into *folder* that *page* takes for granted, with so many rows at most."""
    example = (ROOT / EXAMPLE).read_text("utf-8").splitlines(keepends=True)[:rows]
    (folder / EXAMPLE).parent.mkdir(parents=True)
    (folder / EXAMPLE).write_text("".join(example), "utf-8")
    mixed = [json.loads(line) for line in example]
    for number, row in enumerate(mixed):
        row["body"]["model"] = "gpt-4o" if number % 10 == 9 else "gpt-4o-mini"
    text = "".join(json.dumps(row) + "\n" for row in mixed)
    for name in ("prompts", "requests", "a", "b", "first", "second"):
        (folder / f"{name}.jsonl").write_text(text, "utf-8")
    for block in parts(page, "toml"):
        named = re.match(r"# (\S+\.toml)\n", block)
        if named is not None:
            (folder / named[1]).write_text(block, "utf-8")


def script_of(page: Path, address: str) -> str:
    """Return the console blocks of *page* as a shell script that sends to *address*."""
    old, new = _REPLACED.get(page.stem, ("", ""))
    lines = [_BEFORE.get(page.stem, "")]
    for block in parts(page, "console"):
        whole = block.replace("\\\n", " ").replace("=…", "=any")
        lines += [line for line in whole.splitlines() if not _LEFT_OUT.match(line)]
    kept = [line for line in lines if "redis://" not in line]
    text = "\n".join(kept)
    return _ADDRESS.sub(address, text.replace(old, new) if old else text)


def follow(page: Path, folder: Path, rows: int = 300) -> Followed:
    """Run the commands of *page* in *folder*, which is empty."""
    prepare(page, folder, rows)
    codes, tools = folder / "codes", folder / "tools"
    tools.mkdir()
    for name, text in (
        ("ratedispatch", _SHIM.format(python=sys.executable, codes=codes)),
        ("python", f'#!/bin/bash\nexec "{sys.executable}" "$@"\n'),
    ):
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    with FakeServerProcess("--rpm", "3000", "--tpm", "2M", "--latency", "0.05") as server:
        done = subprocess.run(
            ["bash", "-c", script_of(page, server.base_url)],
            cwd=folder,
            env={
                **os.environ,
                "PATH": os.pathsep.join([str(tools), os.environ["PATH"]]),
                "PYTHONPATH": str(ROOT),
                "OPENAI_BASE_URL": server.base_url,
                "OPENAI_API_KEY": "any",
                "XDG_STATE_HOME": str(folder / "state"),
                "XDG_RUNTIME_DIR": str(folder),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600,
            check=False,
        )
    ran = codes.read_text().splitlines() if codes.exists() else []
    printed = done.stdout + "".join(path.read_text() for path in folder.glob("*.csv"))
    return Followed(
        len(ran),
        tuple(line for line in ran if int(line.split()[0]) not in _FINE),
        tuple(missing_lines(page, printed)),
    )


def missing_lines(page: Path, printed: str) -> list[str]:
    """Return the lines of the text blocks of *page* that are not in *printed*."""
    shapes = {shape(line) for line in printed.splitlines()}
    lines = [line for block in parts(page, "text") for line in block.splitlines()]
    return [
        line
        for line in lines
        if shape(line)
        and not _OF_A_SITUATION.search(line)
        and not any(shape(line) in one for one in shapes)
    ]


def main(words: list[str]) -> int:
    """Follow the pages that *words* name, or all; return 1 if one does not hold."""
    if shutil.which("jq") is None:
        click.echo("jq is not installed: the queries of watch-a-job find nothing")
    failed = False
    for page in GUIDES:
        if (words and page.stem not in words) or not parts(page, "console"):
            continue
        with tempfile.TemporaryDirectory() as folder:
            found = follow(page, Path(folder))
        click.echo(f"{page.stem}: {found.commands} commands")
        for line in found.wrong:
            click.echo(f"  exit code {shlex.join(line.split())}")
        for line in found.missing:
            click.echo(f"  not printed: {line}")
        failed = failed or bool(found.wrong or found.missing)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
