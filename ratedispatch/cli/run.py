"""``ratedispatch run``: a file of requests in, a file of answers out."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from ratedispatch.cli.amounts import AMOUNT, FiniteRange
from ratedispatch.cli.help import HELP
from ratedispatch.cli.notes import plain_warnings
from ratedispatch.limits import BURST_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ratedispatch.jobs.job import Job
    from ratedispatch.jobs.report import Report
    from ratedispatch.limits import Limits

#: What to do about a stop, by its code.
_ADVICE = {
    "authentication": "check the key in {key_env} (--api-key-env names another variable)",
    "not_found": "check the model names in the input, and --base-url",
    "unreachable": "check --base-url ({base_url}) and the network",
    "quota": "add credit or raise the account's limit, then run the same command again",
    "day_limit": "run the same command again when the day's limit is reset",
    "drained": "run the same command again to go on",
    "output": "make room, or repair the output folder, then run the same command again",
}

#: Stops that, before anything was answered, mean a mistake in the command.
_MISTAKES = frozenset({"authentication", "not_found", "unreachable"})


@click.command(context_settings=HELP)
@click.argument("input", metavar="IN.jsonl", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Where answers go, in Batch output format.",
)
@click.option(
    "--errors",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Where failed rows go, in the same format.  [default: OUT.errors.jsonl]",
)
@click.option(
    "--rpm",
    type=AMOUNT,
    required=True,
    metavar="N",
    help="Requests per minute of the account, such as 3000 or 30k.",
)
@click.option(
    "--tpm",
    type=AMOUNT,
    required=True,
    metavar="N",
    help="Tokens per minute of the account, such as 200k or 1.5M.",
)
@click.option(
    "--burst-seconds",
    type=FiniteRange(0, 60),
    default=BURST_SECONDS,
    show_default=True,
    help="Seconds of rate that may go at once after idleness.",
)
@click.option(
    "--base-url",
    metavar="URL",
    help="The API to use, with its version.  [default: OPENAI_BASE_URL, or OpenAI]",
)
@click.option(
    "--api-key-env",
    default="OPENAI_API_KEY",
    show_default=True,
    metavar="NAME",
    help="The environment variable that holds the key.",
)
@click.option(
    "--max-in-flight",
    type=click.IntRange(min=1),
    metavar="N",
    help="The most requests unanswered at once.  [default: what the limits and the "
    "file descriptors allow]",
)
@click.option(
    "--timeout",
    type=FiniteRange(min=0, min_open=True),
    metavar="SECONDS",
    help="Seconds for one attempt.  [default: 600, or ten times the slowest of the "
    "first answers, at least 60]",
)
@click.option(
    "--max-attempts",
    type=click.IntRange(min=1),
    default=6,
    show_default=True,
    help="Attempts for a row that meets server errors, broken connections or timeouts.",
)
@click.option(
    "--policy",
    metavar="NAME",
    help="How the provider charges a request: openai, azure, anthropic, tokens, …  "
    "[default: by the base URL]",
)
@click.option(
    "--fake", is_flag=True, help="Run against a fake server with these limits; needs no key."
)
@click.option("--quiet", is_flag=True, help="Show no progress.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def run(
    input: Path,  # noqa: A002
    output: Path,
    errors: Path | None,
    rpm: float,
    tpm: float,
    burst_seconds: float,
    base_url: str | None,
    api_key_env: str,
    max_in_flight: int | None,
    timeout: float | None,
    max_attempts: int,
    policy: str | None,
    *,
    fake: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """
    Send every row of IN.jsonl, at the limits of the account, and write one line for each.

    IN.jsonl is in OpenAI's Batch format. Rows that fail go to the errors file. The same command
    again does what is left.

    \b
    Exit codes: 0 all rows answered; 1 finished, some rows failed; 2 wrong usage or
    configuration; 3 stopped early, the same command goes on; 130 interrupted twice.
    """
    from ratedispatch.concurrency import default_in_flight, most_in_flight, open_descriptors
    from ratedispatch.errors import JobError
    from ratedispatch.jobs.job import Job, default_errors_path
    from ratedispatch.jobs.ledger import JobFiles
    from ratedispatch.limits import Limits
    from ratedispatch.retry import RetryPolicy
    from ratedispatch.tokens.policy import POLICIES

    limits = Limits(rpm, tpm, burst_seconds)
    key = "fake-key-of-the-fake-server" if fake else os.environ.get(api_key_env, "").strip()
    if not key:
        raise click.UsageError(
            f"no API key: set the environment variable {api_key_env}, name another one with "
            f"--api-key-env, or use --fake to try without"
        )
    if fake and base_url is not None:
        raise click.UsageError("--fake and --base-url exclude each other")
    if policy is not None and policy not in POLICIES:
        known = ", ".join(POLICIES)
        raise click.UsageError(f"--policy {policy} is not one of {known}")
    files = JobFiles(input, output, errors or default_errors_path(output))
    if not key.isascii() or not key.isprintable():
        raise click.UsageError(
            f"the API key in {api_key_env} holds a character that no key has (a line end, a dash "
            f"or quotes from a text program?); set it anew"
        )
    url = None if fake else base_url or os.environ.get("OPENAI_BASE_URL") or None
    _check_url(url)
    try:
        job = Job(files, limits)
    except JobError as error:
        raise click.UsageError(str(error)) from error
    except KeyboardInterrupt:
        click.echo("cancelled before anything was sent", err=True)
        sys.exit(130)
    descriptors = open_descriptors(raise_limit=True)
    possible = default_in_flight(limits, descriptors)
    max_in_flight = min(max_in_flight or possible, most_in_flight(descriptors))
    with plain_warnings(), _endpoint(limits, url, fake=fake) as url:
        report = asyncio.run(
            _run(
                job,
                limits,
                base_url=url,
                key=key,
                quiet=quiet,
                max_in_flight=max_in_flight,
                retry=RetryPolicy(max_attempts=max_attempts),
                timeout=timeout,
                policy=POLICIES[policy] if policy is not None else None,
            )
        )
    if report is None:
        click.echo("cancelled; the files are whole, and the same command goes on", err=True)
        sys.exit(130)
    _print_report(report, as_json=as_json, key=key, key_env=api_key_env, base_url=url)
    sys.exit(_exit_code(report))


def _check_url(url: str | None) -> None:
    """Refuse what is no URL before anything is touched."""
    if url is None:
        return
    try:
        parts = urlsplit(url)
        is_url = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a bracket that is not closed, a port that is no number
        is_url = False
    if not is_url:
        raise click.UsageError(
            f"--base-url {url!r} is no URL; it looks like https://api.openai.com/v1"
        )


@contextlib.contextmanager
def _endpoint(limits: Limits, base_url: str | None, *, fake: bool) -> Iterator[str | None]:
    """The base URL to use; with *fake*, that of a fake server that runs as long as the block."""
    if not fake:
        yield base_url
        return
    from ratedispatch.testing.child import FakeServerProcess

    rates = [
        "--rpm",
        f"{limits.requests_per_minute:.6f}",
        "--tpm",
        f"{limits.tokens_per_minute:.6f}",
    ]
    with FakeServerProcess(*rates) as server:
        yield server.base_url


async def _run(
    job: Job,
    limits: Limits,
    *,
    base_url: str | None,
    key: str,
    quiet: bool,
    max_in_flight: int,
    **options: Any,
) -> Report | None:
    """Run *job*; ``None`` if it was cancelled by a second interruption."""
    from ratedispatch.jobs.progress import show_progress
    from ratedispatch.transports.sdk import make_client

    task = asyncio.current_task()
    assert task is not None
    with _interruptions(job, task):
        try:
            async with contextlib.AsyncExitStack() as stack:
                client = make_client(base_url=base_url, api_key=key, max_connections=max_in_flight)
                await stack.enter_async_context(client)
                if not quiet:
                    await stack.enter_async_context(show_progress(job, limits, sys.stderr))
                return await job.run(client, max_in_flight=max_in_flight, **options)
        except asyncio.CancelledError:
            return None


@contextlib.contextmanager
def _interruptions(job: Job, task: asyncio.Task[object]) -> Iterator[None]:
    """The first Ctrl-C or SIGTERM drains, the second cancels."""
    loop = asyncio.get_running_loop()
    count = 0

    def interrupt() -> None:
        nonlocal count
        count += 1
        if count > 1:
            task.cancel()
            return
        job.drain()
        snapshot = job.snapshot()
        waiting = snapshot.in_flight if snapshot is not None else 0
        click.echo(
            f"stopping: waiting for {waiting:,} requests in flight; interrupt again to cancel them",
            err=True,
        )

    signals = (signal.SIGINT, signal.SIGTERM)
    for number in signals:
        with contextlib.suppress(NotImplementedError):  # Windows has no signal handlers in loops
            loop.add_signal_handler(number, interrupt)
    try:
        yield
    finally:
        for number in signals:
            with contextlib.suppress(NotImplementedError):
                loop.remove_signal_handler(number)


def _print_report(
    report: Report, *, as_json: bool, key: str, key_env: str, base_url: str | None
) -> None:
    from ratedispatch.jobs.secrets import hide_key

    if report.stop_code is not None:
        advice = _ADVICE.get(report.stop_code, "run the same command again to go on")
        advice = advice.format(key_env=key_env, base_url=base_url or "https://api.openai.com/v1")
        message = hide_key(report.stop_message or report.stop_code, key).rstrip(". ")
        click.echo(f"stopped: {message}; {advice}", err=True)
    text = json.dumps(report.as_dict()) if as_json else report.sentence()
    click.echo(hide_key(text, key))


def _exit_code(report: Report) -> int:
    if report.stop_code is None:
        return 1 if report.failed else 0
    return 2 if report.stop_code in _MISTAKES and not report.started else 3
