"""
The command line: one module for each command.

Commands import what they need when they run, so that ``--help`` answers at once.
"""

from __future__ import annotations

import gc
import importlib
import os
import signal
import traceback
from typing import NoReturn

import click

from ratedispatch.cli.console import fitted, install, say, tell_loss
from ratedispatch.cli.help import HELP
from ratedispatch.cli.interrupt import RESUMABLE, code_of, interrupt_once

#: Where the commands are, by their names.
COMMANDS = {
    "run": "ratedispatch.cli.run:run",
    "plan": "ratedispatch.cli.plan:plan",
    "status": "ratedispatch.cli.status_command:status",
    "simulate": "ratedispatch.cli.simulate:simulate",
    "tune": "ratedispatch.cli.tune:tune",
    "report": "ratedispatch.cli.report_page:report",
    "merge": "ratedispatch.cli.merge:merge",
    "memory": "ratedispatch.cli.memory_command:memory",
    "fake-server": "ratedispatch.cli.fake_server:fake_server",
}


class _LazyGroup(click.Group):
    """A group that imports a command's module only when that command is requested."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def invoke(self, ctx: click.Context) -> object:
        """Exit with the code of an interruption, and make error messages fit for display."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            say("cancelled before anything was sent")
            ctx.exit(code_of(error))
        except click.UsageError as error:
            if type(error).show is not click.UsageError.show:  # it shows the help
                raise
            message = fitted(error.format_message(), len("Error: "))
            raise click.UsageError(message, error.ctx) from error

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Return the command, whose module is imported only now."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].partition(":")
        command = getattr(importlib.import_module(module), name)
        if signal.getsignal(signal.SIGINT) is _end_early:
            signal.signal(signal.SIGINT, interrupt_once)
            is_resumable = cmd_name == "run"
            signal.signal(signal.SIGTERM, interrupt_once if is_resumable else signal.SIG_DFL)
        assert isinstance(command, click.Command)
        return command


def _end_early(number: int, _frame: object) -> None:
    """End the process when it is interrupted while modules are still being imported."""
    os.write(2, b"cancelled before anything was sent\n")
    os._exit(RESUMABLE if number == signal.SIGTERM else 130)


#: Number of new objects after which the garbage collector looks for cycles.
_YOUNG = 50_000


def entry() -> NoReturn:
    """
    Run the command of this process, and end it at once.

    A normal exit of Python frees every object first, which takes as long as some hundred requests.
    The system frees the memory of a process at once.
    """
    install()
    code: object = 0
    # importing makes little garbage, and frequent collections take a twentieth of the start-up time
    gc.set_threshold(_YOUNG, *gc.get_threshold()[1:])
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end_early)
    try:
        main(prog_name="ratedispatch")
    except SystemExit as error:
        code = error.code
        if isinstance(code, str):
            say(code)
    except BaseException:
        traceback.print_exc()
        code = 1
    tell_loss()
    os._exit(code if isinstance(code, int) else 0 if code is None else 1)


@click.group(
    cls=_LazyGroup,
    context_settings=HELP,
    epilog="""\b
Examples:
  ratedispatch plan in.jsonl --rpm 3000 --tpm 2M
  ratedispatch run in.jsonl -o out.jsonl --rpm 3000 --tpm 2M
  ratedispatch run in.jsonl -o trial.jsonl --fake

\b
Tab completion in bash (zsh and fish: use zsh_source and fish_source):
  eval "$(_RATEDISPATCH_COMPLETE=bash_source ratedispatch)"

Documentation: the project's docs folder; start with docs/tutorial.md.""",
)
@click.version_option(
    None, "-V", "--version", package_name="ratedispatch", message="%(prog)s %(version)s"
)
def main() -> None:
    """Send many requests to an LLM API at its rate limits, without being refused."""
