"""
The command ``ratedispatch fake-server``.

Turns flags into the settings of a fake provider and runs it until a signal comes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ratedispatch.cli.help import HELP
from ratedispatch.cli.param_types import AMOUNT, parse_amount

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Mapping

    from ratedispatch.simulate.provider.provider import ProviderSettings


@click.command(name="fake-server", context_settings=HELP)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    default=8000,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Port; 0 picks one.",
)
@click.option("--rpm", type=AMOUNT, help="Requests per minute; unlimited if omitted.")
@click.option("--tpm", type=AMOUNT, help="Tokens per minute; unlimited if omitted.")
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="NAME=RPM:TPM",
    help="Limits of one model, or of all whose names begin so if NAME ends with *; "
    "`none` for none; repeatable.",
)
@click.option("--rpd", type=AMOUNT, help="Requests per day; unlimited if omitted.")
@click.option("--tpd", type=AMOUNT, help="Tokens per day; unlimited if omitted.")
@click.option(
    "--day-used",
    default=0.0,
    show_default=True,
    help="Share of the limits per day that is spent at the start.",
)
@click.option(
    "--change",
    "changes",
    multiple=True,
    metavar="AT:RPM:TPM",
    help="Limits from AT seconds after the start on; `-` keeps one, `none` lifts it; repeatable.",
)
@click.option(
    "--other",
    "others",
    multiple=True,
    metavar="START:RPM",
    help="Another client of the account sends RPM requests per minute from START seconds on, "
    "until the next --other; repeatable.",
)
@click.option(
    "--other-tokens",
    "others_tokens",
    default=50,
    show_default=True,
    type=click.IntRange(min=1),
    help="Tokens of each request of the other client.",
)
@click.option(
    "--burst-seconds",
    default=60.0,
    show_default=True,
    help="Depth of both buckets, in seconds of their rate; at most 60.",
)
@click.option(
    "--start",
    type=click.Choice(["full", "empty"]),
    default="full",
    show_default=True,
    help="What the buckets hold at the start.",
)
@click.option(
    "--window",
    type=click.Choice(["bucket", "sliding", "fixed"]),
    default="bucket",
    show_default=True,
    help="How limits are kept: continuous buckets, a log of 60 s, or counters of a minute.",
)
@click.option(
    "--charge",
    type=click.Choice(["tokens", "characters"]),
    default="tokens",
    show_default=True,
    help="How a prompt is counted.",
)
@click.option("--settle", is_flag=True, help="Give back what an answer did not use.")
@click.option("--refusals-count", is_flag=True, help="Refused requests count against --rpm.")
@click.option("--latency", default=0.2, show_default=True, help="Median seconds until an answer.")
@click.option(
    "--latency-sigma",
    default=0.3,
    show_default=True,
    help="Sigma of the log-normal spread of the latency; 0 for none.",
)
@click.option(
    "--token-time", default=0.0, show_default=True, help="Further seconds per token of output."
)
@click.option(
    "--slots", type=click.IntRange(min=1), help="Requests served at once; the others queue."
)
@click.option(
    "--queue",
    type=click.IntRange(min=0),
    help="The most that may queue for a slot; more get a 503.",
)
@click.option(
    "--batching",
    default=0.0,
    show_default=True,
    help="Growth of the latency with the share of slots then taken by others.",
)
@click.option(
    "--output-share",
    default=0.5,
    show_default=True,
    help="Real length of an output as a share of its cap.",
)
@click.option(
    "--output-tokens",
    type=click.IntRange(min=1),
    help="Real length of an output in tokens, at most its cap; overrides --output-share.",
)
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="NAME=RATE",
    help="Share of admitted requests struck by a fault; repeatable. Names: 500, 503, "
    "slow_down, 429, html, html200, reset, disconnect, hang, truncate.",
)
@click.option("--no-headers", is_flag=True, help="Send no x-ratelimit headers.")
@click.option(
    "--header-factor",
    default=1.0,
    show_default=True,
    help="What the x-ratelimit headers multiply limits and remaining amounts by.",
)
@click.option("--no-numbers", is_flag=True, help="Refuse without amounts and waits in the text.")
@click.option(
    "--retry-after",
    type=click.Choice(["ms", "seconds", "none"]),
    default="ms",
    show_default=True,
    help="Advice of a refusal: in seconds and milliseconds, in whole seconds, or none.",
)
@click.option("--api-key", help="The only key accepted; any key, and none, if omitted.")
@click.option(
    "--quota",
    type=click.IntRange(min=0),
    help="Admitted requests after which the account's quota is exhausted.",
)
@click.option(
    "--outage",
    metavar="START:SECONDS[:MODEL]",
    help="Refuse everything, or one MODEL, for SECONDS, from START seconds after the start.",
)
@click.option("--seed", default=0, show_default=True, help="Seed of latencies and faults.")
@click.option("--exit-with-parent", is_flag=True, help="End when standard input is closed.")
def fake_server(
    host: str,
    port: int,
    rpm: float | None,
    tpm: float | None,
    faults: tuple[str, ...],
    models: tuple[str, ...],
    changes: tuple[str, ...],
    others: tuple[str, ...],
    rpd: float | None,
    tpd: float | None,
    no_headers: bool,
    no_numbers: bool,
    outage: str | None,
    seed: int,
    exit_with_parent: bool,
    **options: Any,
) -> None:
    """
    Serve a fake LLM provider that enforces rate limits as the real one does.

    Point any OpenAI client at the URL that it prints. Its judge is at /_stats.
    """
    import asyncio  # the imports stand here because --help must not wait for them

    from ratedispatch.simulate.provider.provider import ProviderSettings

    try:
        period, outage_model = _parse_outage(outage)
        settings = ProviderSettings(
            requests_per_minute=rpm,
            tokens_per_minute=tpm,
            faults=_parse_faults(faults),
            models=_parse_models(models),
            requests_per_day=rpd,
            tokens_per_day=tpd,
            changes=_parse_changes(changes, rpm, tpm),
            others=_parse_others(others),
            headers=not no_headers,
            numbers=not no_numbers,
            outage=period,
            outage_model=outage_model,
            **options,
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    try:
        asyncio.run(_serve(settings, host, port, seed, exit_with_parent))
    except OSError as error:
        message = error.strerror or str(error)
        click.echo(f"cannot listen on {host}:{port}: {message}; choose another --port", err=True)
        raise click.exceptions.Exit(2) from None


def _parse_faults(texts: tuple[str, ...]) -> Mapping[str, float]:
    faults: dict[str, float] = {}
    for text in texts:
        name, _, rate = text.partition("=")
        try:
            faults[name] = float(rate)
        except ValueError:
            raise ValueError(f"--fault {text!r} is not NAME=RATE, such as 500=0.01") from None
    return faults


def _parse_limit(text: str) -> float | None:
    return None if text == "none" else parse_amount(text)


def _parse_models(texts: tuple[str, ...]) -> Mapping[str, tuple[float | None, float | None]]:
    models: dict[str, tuple[float | None, float | None]] = {}
    for text in texts:
        name, _, limits = text.rpartition("=")
        try:
            requests, tokens = limits.split(":")
            models[name] = _parse_limit(requests), _parse_limit(tokens)
        except ValueError as error:
            raise ValueError(
                f"--model {text!r} is not NAME=RPM:TPM, such as gpt-4o*=500:none: {error}"
            ) from None
    return models


def _parse_changes(
    texts: tuple[str, ...], requests: float | None, tokens: float | None
) -> tuple[tuple[float, float | None, float | None], ...]:
    """Return the changes in order of time; `-` keeps what the flags before it in time say."""
    parsed = []
    for text in texts:
        try:
            at, *limits = text.split(":")
            first, second = (part if part == "-" else _parse_limit(part) for part in limits)
            parsed.append((float(at), first, second))
        except ValueError as error:
            raise ValueError(
                f"--change {text!r} is not AT:RPM:TPM, such as 60:1.5k:-: {error}"
            ) from None
    changes = []
    for instant, new_requests, new_tokens in sorted(parsed, key=lambda change: change[0]):
        requests = requests if isinstance(new_requests, str) else new_requests
        tokens = tokens if isinstance(new_tokens, str) else new_tokens
        changes.append((instant, requests, tokens))
    return tuple(changes)


def _parse_others(texts: tuple[str, ...]) -> tuple[tuple[float, float], ...]:
    others = []
    for text in texts:
        start, _, rate = text.partition(":")
        try:
            others.append((float(start), 0.0 if rate == "0" else parse_amount(rate)))
        except ValueError as error:
            raise ValueError(
                f"--other {text!r} is not START:RPM, such as 30:600: {error}"
            ) from None
    return tuple(sorted(others, key=lambda other: other[0]))


def _parse_outage(text: str | None) -> tuple[tuple[float, float] | None, str | None]:
    """Return start and length, and the only model that is struck."""
    if text is None:
        return None, None
    start, _, rest = text.partition(":")
    length, _, model = rest.partition(":")  # a model's name may have colons of its own
    try:
        return (float(start), float(length)), model or None
    except ValueError:
        raise ValueError(f"--outage {text!r} is not START:SECONDS[:MODEL], such as 10:30") from None


async def _serve(
    settings: ProviderSettings, host: str, port: int, seed: int, exit_with_parent: bool
) -> None:
    import asyncio
    import gc
    import signal
    import warnings

    from ratedispatch.simulate.server.server import FakeServer, raise_file_limit
    from ratedispatch.tokens import CountingWarning, count_tokens

    # the provider counts as it counts: what it says about it is for the client's own counting
    warnings.simplefilter("ignore", CountingWarning)
    if settings.charge == "tokens":
        # half a second for the vocabulary: now, rather than while the first requests wait
        count_tokens({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "a"}]})
    raise_file_limit()
    # what is alive now lives on, and requests leave no cycles: look for them a tenth as often
    gc.freeze()
    gc.set_threshold(7000, 10, 10)
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    server = FakeServer(settings, seed=seed)
    found = await server.start(host, port)
    if exit_with_parent:
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
