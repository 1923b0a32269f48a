"""
The command ``ratedispatch fake-server``.

Turns flags into the settings of a fake provider and runs it until a signal comes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ratedispatch.cli.command import SettingsCommand
from ratedispatch.cli.console import say
from ratedispatch.cli.fake_answer_options import (
    AnswerFlags,
    FaultFlags,
    answer_options,
    fault_options,
)
from ratedispatch.cli.fake_server_keys import parse_keys
from ratedispatch.cli.fake_server_options import (
    AccountFlags,
    ServerFlags,
    account_options,
    server_options,
)
from ratedispatch.cli.help import HELP

if TYPE_CHECKING:
    import asyncio

    from ratedispatch.simulate.provider.provider import ProviderSettings


@click.command(
    name="fake-server",
    cls=SettingsCommand,
    context_settings=HELP,
    short_help="Serve a fake LLM provider that enforces rate limits.",
)
@server_options
@account_options
@answer_options
@fault_options
def fake_server(
    server: ServerFlags, account: AccountFlags, answers: AnswerFlags, trouble: FaultFlags
) -> None:
    """
    Serve a fake LLM provider that enforces rate limits as the real one does.

    Point any OpenAI client at the URL that it prints. GET /_stats shows what it has received.
    """
    import asyncio  # the imports stand here because --help must not wait for them

    from ratedispatch.simulate.provider.provider import ProviderSettings

    try:
        settings = ProviderSettings(
            api_key=server.api_key,
            **account.settings(),
            **answers.settings(),
            **trouble.settings(),
        )
        keys = _keys(server, account, settings)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    host, port = server.host, server.port
    try:
        asyncio.run(_serve(settings, keys, server))
    except OSError as error:
        message = error.strerror or str(error)
        say(f"cannot listen on {host}:{port}: {message}; choose another --port")
        raise click.exceptions.Exit(2) from None


def _keys(
    server: ServerFlags, account: AccountFlags, settings: ProviderSettings
) -> dict[str, ProviderSettings]:
    """Return the settings of each key; ValueError for flags that contradict it."""
    if not server.keys:
        return {}
    rivals = {
        "--api-key": server.api_key,
        "--rpm": account.rpm,
        "--tpm": account.tpm,
        "--change": account.changes,
    }
    for flag, value in rivals.items():
        if value:
            raise ValueError(
                f"--key and {flag} cannot be used together: each key has its own limits"
            )
    return parse_keys(server.keys, settings)


async def _serve(
    settings: ProviderSettings, keys: dict[str, ProviderSettings], flags: ServerFlags
) -> None:
    import asyncio
    import gc
    import signal
    import warnings

    from ratedispatch.simulate.server.server import FakeServer, raise_file_limit
    from ratedispatch.tokens import CountingWarning, count_tokens

    # the provider counts in its own way: warnings about counting are meant for the client
    warnings.simplefilter("ignore", CountingWarning)
    if settings.charge == "tokens":
        # half a second for the vocabulary: now, rather than while the first requests wait
        count_tokens({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "a"}]})
    raise_file_limit()
    # objects that exist now stay, and requests leave no cycles: collect a tenth as often
    gc.freeze()
    gc.set_threshold(7000, 10, 10)
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    server = FakeServer(settings, seed=flags.seed, keys=keys)
    host = flags.host
    found = await server.start(host, flags.port)
    if flags.exit_with_parent:
        _end_with_stdin(loop, ended)
    shown = f"[{host}]" if ":" in host else host
    click.echo(f"fake server ready at http://{shown}:{found}/v1")
    await ended.wait()
    await server.stop()


def _end_with_stdin(loop: asyncio.AbstractEventLoop, ended: asyncio.Event) -> None:
    """Set *ended* when standard input ends; a thread, since it may be a file, pipe or terminal."""
    import contextlib
    import os
    import threading

    def watch() -> None:
        with contextlib.suppress(OSError):
            while os.read(0, 4096):
                pass
        with contextlib.suppress(RuntimeError):  # the loop is closed already
            loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=watch, daemon=True, name="stdin").start()
