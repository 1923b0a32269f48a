"""``ratedispatch run``: a file of requests in, a file of answers out."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

import click

from ratedispatch.cli.help import HELP
from ratedispatch.cli.input_options import InputFlags, input_options
from ratedispatch.cli.limit_options import (
    LimitFlags,
    given_price,
    limit_options,
    price_options,
    provider_options,
    url_of,
)
from ratedispatch.cli.loop import LOOPS, runner, seldom_collecting
from ratedispatch.cli.notes import plain_warnings
from ratedispatch.cli.param_types import COUNT_OR_AUTO, FiniteRange
from ratedispatch.limits import AUTO

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from ratedispatch.groups import LimitGroups
    from ratedispatch.jobs.job import Job
    from ratedispatch.jobs.options import JobOptions
    from ratedispatch.jobs.outputs.table import OutputFormat
    from ratedispatch.jobs.state.paths import JobFiles
    from ratedispatch.limits import Limits
    from ratedispatch.observe.eventlog import EventLog
    from ratedispatch.observe.report import Report
    from ratedispatch.tokens import ChargePolicy

#: What to do about a stop, by its code.
_ADVICE = {
    "authentication": "check the key in {key_env} (--api-key-env names another variable)",
    "not_found": "check the model names in the input, and --base-url",
    "unreachable": "check --base-url ({base_url}) and the network",
    "quota": "add credit or raise the account's limit, then run the same command again",
    "day_limit": "run the same command again when the day's limit is reset, or give it "
    "--wait-for-reset",
    "drained": "run the same command again to go on",
    "input": "see to the input, then run the same command again",
    "output": "make room, or repair the output folder, then run the same command again",
    "max_rows": "run the same command again for as many more, or without --max-rows for the rest",
    "max_cost": "run the same command again to spend as much once more, or raise --max-cost",
    "no_price": "give --price-in and --price-out, or leave --max-cost out",
}

#: Stops that, before anything was answered, mean a mistake in the command.
_MISTAKES = frozenset({"authentication", "not_found", "unreachable", "no_price"})

#: How requests may travel.
_BULK = "bulk"
_SDK = "sdk"

#: What the server of --fake has where a limit is to be learned.
_FAKE_RPM = 3_000
_FAKE_TPM = 2_000_000
_FAKE_KEY = "fake-key-of-the-fake-server"

#: Bytes of an input that takes seconds to be looked through.
_LARGE_INPUT = 50_000_000

#: Connections in the pool when no number is given: it is only a bound, and is never filled by
#: more than is in flight.
_MOST_CONNECTIONS = 10_000


@click.command(context_settings=HELP)
@input_options
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Where answers go, in Batch output format; or a table (.csv, .parquet), made at the end.",
)
@click.option(
    "--output-format",
    type=click.Choice(["jsonl", "csv", "parquet"]),
    help="How answers are written: lines as they come, or a table of the input's columns and what "
    "was answered.  [default: by the name of the output]",
)
@click.option(
    "--errors",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Where failed rows go, in the same format.  [default: OUT.errors.jsonl]",
)
@limit_options(missing="auto: learned from the answers")
@click.option(
    "--wait-for-reset",
    is_flag=True,
    help="Wait when a day's limit is used up, instead of stopping.",
)
@click.option(
    "--max-in-flight",
    type=COUNT_OR_AUTO,
    metavar="N|auto",
    help="The most requests unanswered at once; auto finds how many the server takes well.  "
    "[default: what the limits and the file descriptors allow]",
)
@provider_options
@click.option(
    "--api-key-env",
    default="OPENAI_API_KEY",
    show_default=True,
    metavar="NAME",
    help="The environment variable that holds the key.",
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
    "--transport",
    type=click.Choice([_BULK, _SDK]),
    default=_BULK,
    show_default=True,
    help="How requests travel: bulk takes a quarter of the processor time of the openai SDK's own "
    "calls.",
)
@click.option(
    "--loop",
    type=click.Choice(LOOPS),
    default=AUTO,
    show_default=True,
    help="The event loop; auto is uvloop where it is installed.",
)
@click.option(
    "--fake",
    is_flag=True,
    help=f"Run against a fake server with these limits, with {_FAKE_RPM:,} RPM and "
    f"{_FAKE_TPM // 1_000_000}M TPM unless told; needs no key.",
)
@click.option(
    "--max-rows",
    type=click.IntRange(min=1),
    metavar="N",
    help="Send at most N rows in this run, then stop; the same command sends as many more.",
)
@click.option(
    "--max-cost",
    type=FiniteRange(min=0, min_open=True),
    metavar="USD",
    help="Stop before this run could cost more: what was billed and what is in flight at most are "
    "counted, what earlier runs of the job spent is not.",
)
@price_options
@click.option(
    "--log-json",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Append a JSON line to FILE for each attempt, pause, change of a limit, and stop.",
)
@click.option(
    "--retry-failed", is_flag=True, help="Send the rows that failed in an earlier run once more."
)
@click.option(
    "--force",
    is_flag=True,
    help="Go on although the input or the template has changed: rows whose content is the same "
    "stay done, results of others are moved to OUT.stale.",
)
@click.option(
    "--order",
    type=click.Choice(["auto", "spread", "file"]),
    default="auto",
    show_default=True,
    help="Send rows in the order of the file, or from many places of it in turn; auto does so if "
    "the file is sorted such that the limits would be used one after the other.",
)
@click.option(
    "--fsync",
    type=click.Choice(["always", "interval", "never"]),
    default="interval",
    show_default=True,
    help="When what was written survives a power cut: before it counts as done, within the "
    "flush interval, or when the system likes.",
)
@click.option(
    "--flush-interval",
    type=FiniteRange(min=0.01),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="Seconds within which it does, with --fsync interval.",
)
@click.option(
    "--drain-timeout",
    type=FiniteRange(min=0),
    default=120.0,
    show_default=True,
    metavar="SECONDS",
    help="Seconds to wait for what is in flight after the first Ctrl-C or SIGTERM.",
)
@click.option("--quiet", is_flag=True, help="Show no progress.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def run(
    source: InputFlags,
    output: Path,
    output_format: str | None,
    errors: Path | None,
    limits: LimitFlags,
    max_in_flight: int | Literal["auto"] | None,
    base_url: str | None,
    policy: ChargePolicy | None,
    models: dict[str, str],
    default_output_tokens: int,
    api_key_env: str,
    timeout: float | None,
    max_attempts: int,
    transport: str,
    loop: str,
    max_rows: int | None,
    max_cost: float | None,
    price_in: float | None,
    price_out: float | None,
    log_json: Path | None,
    order: str,
    fsync: str,
    flush_interval: float,
    drain_timeout: float,
    *,
    retry_failed: bool,
    force: bool,
    wait_for_reset: bool,
    fake: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """
    Send every row of IN, at the limits of the account, and write one line for each.

    IN is a JSONL file in OpenAI's Batch format, plain, .gz or .zst; or with --prompt a table; or -
    for standard input. Rows that fail go to the errors file. The same command again does what is
    left.

    \b
    Exit codes: 0 all rows answered; 1 finished, some rows failed; 2 wrong usage or
    configuration; 3 stopped early, the same command goes on; 130 interrupted twice, or before
    anything was sent.
    """
    with _interruptible():
        from ratedispatch.dispatch.retry import RetryPolicy
        from ratedispatch.errors import JobError
        from ratedispatch.jobs.options import JobOptions
        from ratedispatch.jobs.plan.spending import Caps
        from ratedispatch.jobs.state.paths import files_of
        from ratedispatch.tokens import Counter

    if fake and base_url is not None:
        raise click.UsageError("--fake and --base-url exclude each other")
    account = limits.read(missing=AUTO)
    caps = Caps(max_rows, max_cost, given_price(price_in, price_out))
    key = _FAKE_KEY if fake else _key_in(api_key_env)
    url = None if fake else _checked(url_of(base_url))
    options = JobOptions(
        template=source.template(),
        input_format=source.format,
        retry_failed=retry_failed,
        force=force,
        order=order,
        output_format=output_format,
        fsync=fsync,
        flush_interval=flush_interval,
    )
    try:
        files = files_of(source.source, output, errors, _output_format(output, output_format))
    except JobError as error:
        raise click.UsageError(str(error)) from error
    with contextlib.ExitStack() as stack:
        stack.enter_context(_interruptible())
        log = None if log_json is None else stack.enter_context(_open_log(log_json, files, key))
        if not quiet:
            _announce(files)
        job = _open(files, account, options)
        stack.callback(job.close)
        for note in job.notes:
            click.echo(note, err=True)
        shown = len(job.notes)
        connections = _connections(max_in_flight)
        stack.enter_context(plain_warnings())
        url = stack.enter_context(_endpoint(account, url, fake=fake))
        runs = stack.enter_context(_runner(loop))
        stack.enter_context(seldom_collecting())
        report = runs.run(
            _run(
                job,
                base_url=url,
                key=key,
                quiet=quiet,
                drain_timeout=drain_timeout,
                connections=connections,
                transport=transport,
                max_in_flight=connections if isinstance(max_in_flight, int) else max_in_flight,
                wait_for_reset=wait_for_reset,
                default_output_tokens=default_output_tokens,
                counter=Counter(models=models) if models else None,
                retry=RetryPolicy(max_attempts=max_attempts),
                timeout=timeout,
                policy=policy,
                caps=caps,
                log=log,
            )
        )
    if report is None:
        doubt = f"; {job.in_doubt:,} rows in flight may have been billed" if job.in_doubt else ""
        click.echo(f"cancelled; the files are whole, and the same command goes on{doubt}", err=True)
        sys.exit(130)
    for note in report.notes[shown:]:
        click.echo(note, err=True)
    if report.failed and not quiet:
        rows = "1 row" if report.failed == 1 else f"{report.failed:,} rows"
        click.echo(f"{rows} failed; the reasons are in {files.errors}", err=True)
    _print_report(
        report,
        as_json=as_json,
        with_cost=caps.max_cost is not None or caps.price is not None,
        key=key,
        key_env=api_key_env,
        base_url=url,
    )
    sys.exit(_exit_code(report))


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Before and after the loop, which has handlers of its own: one interruption ends it all."""

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before: dict[signal.Signals, Any] = {}
    with contextlib.suppress(ValueError):  # elsewhere than in the main thread there is none
        for number in (signal.SIGINT, signal.SIGTERM):
            before[number] = signal.signal(number, interrupt)
    try:
        yield
    except KeyboardInterrupt:
        click.echo("cancelled; the same command starts anew, or goes on", err=True)
        sys.exit(130)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _output_format(output: Path, name: str | None) -> OutputFormat:
    """Return how answers are written; a name that means another format is a usage error."""
    from ratedispatch.errors import JobError
    from ratedispatch.jobs.outputs.table import output_format_of

    try:
        return output_format_of(output, name)
    except JobError as error:
        raise click.UsageError(str(error)) from error


def _key_in(variable: str) -> str:
    """Return the API key in the environment *variable*; refuse none, and what cannot be one."""
    key = os.environ.get(variable, "").strip()
    if not key:
        raise click.UsageError(
            f"no API key: set the environment variable {variable}, name another one with "
            f"--api-key-env, or use --fake to try without"
        )
    if not key.isascii() or not key.isprintable():
        raise click.UsageError(
            f"the API key in {variable} holds a character that no key has (a line end, a dash "
            f"or quotes from a text program?); set it anew"
        )
    return key


def _checked(url: str | None) -> str | None:
    """Return *url*; refuse what is no URL before anything is touched."""
    if url is None:
        return None
    try:
        parts = urlsplit(url)
        is_url = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        has_secret = parts.username is not None or parts.password is not None
    except ValueError:  # a bracket that is not closed, a port that is no number
        is_url = has_secret = False
    if has_secret:
        raise click.UsageError(
            "--base-url holds a user or a password, which do not go with an API key; leave them "
            "out, and set the key in the environment"
        )
    if not is_url:
        raise click.UsageError(
            f"--base-url {url!r} is no URL; it looks like https://api.openai.com/v1"
        )
    return url


def _open_log(path: Path, files: JobFiles, key: str) -> EventLog:
    """Return the log on *path*; one that cannot be opened, or is a file of the job, is refused."""
    from ratedispatch.observe.eventlog import EventLog

    for name in ("input", "output", "errors", "job", "table"):
        other = getattr(files, name)
        if not isinstance(other, Path):  # standard input, or no table
            continue
        if path.resolve() == other.resolve() or (path.exists() and _is_file(path, other)):
            raise click.UsageError(
                f"--log-json {path} is the {name} file of the job; give a file of its own"
            )
    try:
        return EventLog(
            path,
            clock=functools.partial(datetime.now, UTC),
            key=key,
            on_failure=functools.partial(click.echo, err=True),
        )
    except OSError as error:
        raise click.UsageError(
            f"--log-json {path} cannot be opened: {error.strerror}; give another file"
        ) from error


def _announce(files: JobFiles) -> None:
    """Say that a large input is looked through before anything is sent, which takes a while."""
    path = files.input
    if isinstance(path, Path) and path.is_file() and path.stat().st_size > _LARGE_INPUT:
        size = path.stat().st_size / 1e6
        click.echo(f"looking through {path} ({size:,.0f} MB) before anything is sent", err=True)


def _is_file(path: Path, other: Path) -> bool:
    return other.exists() and path.samefile(other)


def _open(files: JobFiles, limits: Limits | LimitGroups, options: JobOptions) -> Job:
    """Return the job on *files*; one that cannot start is a usage error."""
    from ratedispatch.errors import JobError
    from ratedispatch.jobs.job import Job

    try:
        return Job(files, limits, options)
    except JobError as error:
        raise click.UsageError(str(error)) from error


def _connections(max_in_flight: int | Literal["auto"] | None) -> int:
    """Return how many connections the pool may hold: as many as asked for, or as can be open."""
    from ratedispatch.pacing.concurrency.slots import most_in_flight, open_descriptors

    wanted = max_in_flight if isinstance(max_in_flight, int) else _MOST_CONNECTIONS
    return min(wanted, most_in_flight(open_descriptors(raise_limit=True)))


@contextlib.contextmanager
def _endpoint(
    limits: Limits | LimitGroups, base_url: str | None, *, fake: bool
) -> Iterator[str | None]:
    """The base URL to use; with *fake*, that of a fake server that runs as long as the block."""
    if not fake:
        yield base_url
        return
    from ratedispatch.simulate.server.child import FakeServerProcess

    with FakeServerProcess(*_fake_flags(limits)) as server:
        yield server.base_url


def _fake_flags(limits: Limits | LimitGroups) -> list[str]:
    """
    Return the flags of a fake server with *limits*.

    It knows limits of models but not of groups, so each name in a group has all of its limits.
    """
    from ratedispatch.groups import LimitGroups

    if not isinstance(limits, LimitGroups):
        return _fake_account(limits)
    flags = [] if limits.others is None else _fake_account(limits.others)
    for group in limits.groups:
        rates = "{}:{}".format(*_fake_rates(group.limits))
        for pattern in group.models:
            flags += ["--model", f"{pattern}={rates}"]
    return flags


def _fake_account(limits: Limits) -> list[str]:
    rpm, tpm = _fake_rates(limits)
    flags = ["--rpm", rpm, "--tpm", tpm]
    for flag, dimension in (("--rpd", "requests_per_day"), ("--tpd", "tokens_per_day")):
        known = limits.known(dimension)
        if known is not None:
            flags += [flag, f"{known:.6f}"]
    return flags


def _fake_rates(limits: Limits) -> tuple[str, str]:
    rpm = limits.known("requests") or _FAKE_RPM
    tpm = limits.known("tokens") or _FAKE_TPM
    return f"{rpm:.6f}", f"{tpm:.6f}"


def _runner(name: str) -> asyncio.Runner:
    """Return what runs the job; a loop that is not installed is a usage error."""
    from ratedispatch.errors import JobError

    try:
        return runner(name)
    except JobError as error:
        raise click.UsageError(f"--loop {name}: {error}") from error


async def _run(
    job: Job,
    *,
    base_url: str | None,
    key: str,
    quiet: bool,
    drain_timeout: float,
    connections: int,
    transport: str,
    **options: Any,
) -> Report | None:
    """Run *job*; ``None`` if it was cancelled by a second interruption."""
    from ratedispatch.errors import JobError

    task = asyncio.current_task()
    assert task is not None
    with _interruptions(job, task, drain_timeout) as interruptions:
        try:
            async with contextlib.AsyncExitStack() as stack:
                client = await stack.enter_async_context(
                    _client(base_url, key, connections, transport)
                )
                listeners = []
                if not quiet:
                    from ratedispatch.observe.progress import show_progress

                    notes = await stack.enter_async_context(show_progress(job, sys.stderr))
                    listeners.append(notes)
                    interruptions.say = notes.say
                    stack.callback(interruptions.say_plainly)
                return await job.run(
                    client, connections=connections, listeners=listeners, **options
                )
        except asyncio.CancelledError:
            return None
        except JobError as error:
            raise click.UsageError(str(error)) from error


@contextlib.asynccontextmanager
async def _client(
    base_url: str | None, key: str, connections: int, transport: str
) -> AsyncIterator[Any]:
    """What sends: the bulk transport as far as it can stand for the client, else that itself."""
    if transport == _BULK:
        from ratedispatch.dispatch.transports.bulk import plain_bulk

        plain = plain_bulk(base_url, key, connections, os.environ)
        if plain is not None:
            async with plain:
                yield plain
            return
    from ratedispatch.dispatch.transports.bulk import bulk_for
    from ratedispatch.dispatch.transports.read_client import hindrance
    from ratedispatch.dispatch.transports.sdk import make_client

    async with make_client(base_url=base_url, api_key=key, max_connections=connections) as client:
        bulk = bulk_for(client, connections) if transport == _BULK else None
        if bulk is None:
            if transport == _BULK:
                click.echo(f"sending through the openai SDK: {hindrance(client)}", err=True)
            yield client
            return
        async with bulk:
            yield bulk


class _Interruptions:
    """
    The first Ctrl-C or SIGTERM drains, the second cancels.

    Attributes:
        say: Where to say so; a progress display has a way of its own, which it does not wipe out.
    """

    def __init__(self, job: Job, task: asyncio.Task[object], drain_timeout: float) -> None:
        self._job = job
        self._task = task
        self._drain_timeout = drain_timeout
        self._count = 0
        self.say: Callable[[str], None]
        self.say_plainly()

    def say_plainly(self) -> None:
        """Say so without a progress display."""
        self.say = functools.partial(click.echo, err=True)

    def interrupt(self) -> None:
        """Take note of one."""
        self._count += 1
        if self._count > 1:
            self._task.cancel()
            return
        self._job.drain(self._drain_timeout)
        snapshot = self._job.snapshot()
        waiting = snapshot.in_flight if snapshot is not None else 0
        self.say(
            f"stopping: waiting for {waiting:,} requests in flight, {self._drain_timeout:g} s at "
            f"most; interrupt again to cancel them"
        )


@contextlib.contextmanager
def _interruptions(
    job: Job, task: asyncio.Task[object], drain_timeout: float
) -> Iterator[_Interruptions]:
    """Heed interruptions as long as the block runs."""
    loop = asyncio.get_running_loop()
    interruptions = _Interruptions(job, task, drain_timeout)
    signals = (signal.SIGINT, signal.SIGTERM)
    for number in signals:
        with contextlib.suppress(NotImplementedError):  # Windows has no signal handlers in loops
            loop.add_signal_handler(number, interruptions.interrupt)
    try:
        yield interruptions
    finally:
        for number in signals:
            with contextlib.suppress(NotImplementedError):
                loop.remove_signal_handler(number)


def _print_report(
    report: Report,
    *,
    as_json: bool,
    with_cost: bool,
    key: str,
    key_env: str,
    base_url: str | None,
) -> None:
    from ratedispatch.jobs.plan.spending import usd
    from ratedispatch.observe.redact import hide_key

    if report.stop_code is not None:
        advice = _ADVICE.get(report.stop_code, "run the same command again to go on")
        advice = advice.format(key_env=key_env, base_url=base_url or "https://api.openai.com/v1")
        message = hide_key(report.stop_message or report.stop_code, key).rstrip(". ")
        click.echo(f"stopped: {message}; {advice}", err=True)
    text = report.sentence()
    if with_cost and report.cost_usd is not None:
        cost = report.cost_usd
        # from a dollar on, cents tell enough
        text = f"{text.removesuffix('.')}; cost {usd(round(cost, 2) if cost >= 1 else cost)}."
    click.echo(hide_key(json.dumps(report.as_dict()) if as_json else text, key))


def _exit_code(report: Report) -> int:
    if report.stop_code is None:
        return 1 if report.failed else 0
    return 2 if report.stop_code in _MISTAKES and not report.started else 3
