"""
Write ``docs/reference/cli.md`` from what the commands say about themselves.

Run it after a flag has changed: ``python docs/generate_cli.py``. A test fails while the page and
the program differ.
"""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ratedispatch.cli import main as command_line

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).resolve().parent / "reference" / "cli.md"

#: Columns of the help texts, whatever the terminal.
_WIDTH = 80

_HEAD = """\
<!-- Written by docs/generate_cli.py. Change the help texts in ratedispatch/cli/, not this page. -->
# Command line

Answers and reports go to stdout, progress and messages to stderr.
A number may be written `3000`, `3_000`, `3,000`, `30k`, `1.5M` or `2G`.
`python -m ratedispatch` is the same program as `ratedispatch`.

| exit code | of `run` |
|---|---|
| 0 | All rows are answered. |
| 1 | The job is finished, and some rows failed; they are in the errors file. |
| 2 | The command or its configuration is wrong, and nothing was answered. |
| 3 | The job stopped early; run the same command again to resume. |
| 130 | It was interrupted twice, or by Ctrl-C before the job began; the same command resumes it. |

[Errors](errors.md) lists the reasons for each.
[Run a file](../how-to/run-a-file.md) shows the flags in use.
[Set flags once](../how-to/set-flags-once.md) explains the file and the environment variables.
[The fake server](fake-server.md) says more about the last command.
"""


def help_text(*arguments: str) -> str:
    """Return what ``ratedispatch ARGUMENTS --help`` prints, at a fixed width."""
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        command_line.main(
            [*arguments, "--help"],
            prog_name="ratedispatch",
            standalone_mode=False,
            terminal_width=_WIDTH,
        )
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines()).strip()


def _commands() -> Iterator[tuple[str, ...]]:
    """Yield the words of each command, and of those in it."""
    ctx = click.Context(command_line)
    for name in command_line.list_commands(ctx):
        yield (name,)
        command = command_line.get_command(ctx, name)
        if isinstance(command, click.Group):
            for inner in command.list_commands(ctx):
                yield name, inner


def page() -> str:
    """Return the page as a whole."""
    parts = [_HEAD, f"## ratedispatch\n\n```text\n{help_text()}\n```\n"]
    for words in _commands():
        title = " ".join(words)
        parts.append(f"## ratedispatch {title}\n\n```text\n{help_text(*words)}\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
