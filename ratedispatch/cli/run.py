"""``ratedispatch run``: a file of requests in, a file of answers out."""

from __future__ import annotations

import contextlib
import functools
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from ratedispatch.cli.beginning import announce, open_job, open_runner
from ratedispatch.cli.client import (
    DEFAULT_URL,
    check_descriptors,
    connections_for,
    open_client,
)
from ratedispatch.cli.closing import exit_code, is_priced, print_notes, print_report
from ratedispatch.cli.command import SettingsCommand, words_given
from ratedispatch.cli.console import painter, say
from ratedispatch.cli.crew_of_run import crew_of, prepare
from ratedispatch.cli.fake_account import endpoint
from ratedispatch.cli.help import HELP
from ratedispatch.cli.input_options import InputFlags, input_options
from ratedispatch.cli.interrupt import end_if_interrupted, interruptible, interruptions, outlast
from ratedispatch.cli.limit_options import (
    LimitFlags,
    ProviderFlags,
    limit_options,
    provider_options,
)
from ratedispatch.cli.log_file import open_log
from ratedispatch.cli.loop import seldom_collecting
from ratedispatch.cli.notes import plain_warnings
from ratedispatch.cli.own_memory import remembering
from ratedispatch.cli.page_of_run import page_of_run, tell_begin
from ratedispatch.cli.run_options import (
    CapFlags,
    DisplayFlags,
    DurabilityFlags,
    OutputFlags,
    cap_options,
    display_options,
    durability_options,
    output_options,
)
from ratedispatch.cli.sending_options import SendingFlags, sending_options
from ratedispatch.cli.target import target_of
from ratedispatch.limits import AUTO

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from ratedispatch.cli.page_of_run import PageOfRun
    from ratedispatch.cli.pool_client import PoolTargets
    from ratedispatch.cli.pool_file import MemberTables
    from ratedispatch.dispatch.options import DispatcherOptions
    from ratedispatch.events import Listener
    from ratedispatch.groups import LimitGroups
    from ratedispatch.jobs.job import Job
    from ratedispatch.jobs.job_options import JobOptions
    from ratedispatch.jobs.plan.spending import Caps
    from ratedispatch.jobs.processes.crew import Crew
    from ratedispatch.jobs.state.paths import JobFiles
    from ratedispatch.limits import Limits
    from ratedispatch.observe.eventlog import EventLog
    from ratedispatch.observe.report import Report


@click.command(
    cls=SettingsCommand,
    context_settings=HELP,
    short_help="Send the rows of a file as fast as the account's limits allow.",
)
@input_options
@output_options
@limit_options(missing="auto, learned from the answers")
@provider_options
@sending_options
@durability_options
@cap_options
@display_options
def run(
    source: InputFlags,
    output: OutputFlags,
    limits: LimitFlags,
    provider: ProviderFlags,
    sending: SendingFlags,
    durability: DurabilityFlags,
    caps: CapFlags,
    display: DisplayFlags,
) -> None:
    """
    Send every row of IN as fast as the account's limits allow, and write one line for each.

    IN is a JSONL file in OpenAI's Batch format (plain, .gz or .zst), a table (with --prompt), or -
    for standard input. Rows that fail go to the errors file. Run the same command again to resume:
    it sends only the rows that are not done.

    \b
    Examples:
      ratedispatch run in.jsonl -o out.jsonl --rpm 3000 --tpm 2M
      ratedispatch run texts.csv -o out.csv --model gpt-4.1-mini \\
        --prompt 'Translate to French: {text}'

    \b
    Exit codes:
      0    all rows are answered
      1    the job is finished, and some rows failed
      2    wrong usage or configuration
      3    the run stopped early; run the same command again to resume
      130  interrupted twice, or by Ctrl-C before the job began
    """
    settings = RunSettings(source, output, limits, provider, sending, durability, caps, display)
    start, report = carry_out(settings)
    close(settings, start, report)


@dataclass(frozen=True, slots=True)
class RunSettings:
    """All flags of a run, by what they are about; and the lines that it sends, if not all."""

    source: InputFlags
    output: OutputFlags
    limits: LimitFlags
    provider: ProviderFlags
    sending: SendingFlags
    durability: DurabilityFlags
    caps: CapFlags
    display: DisplayFlags
    only: Collection[int] | None = None


@dataclass(slots=True)
class Start:
    """
    The values that the flags come to, and the job once it is open.

    Args:
        account: The limits, or the members of a pool.
        pool: Where the members are; None without a pool.
        caps: The caps at which the run stops.
        key: The API key, or those of the members.
        base_url: The API; None for OpenAI's. With ``--fake`` it is known once the server runs.
        options: The options of the job.
        files: The files of the job.
        job: The job, once it is open.
        shown: How many notes of the job are printed already.
        crew: The processes that send; None for this one.
        page: The page that is made of the run; None for none.
    """

    account: Limits | LimitGroups | MemberTables
    pool: PoolTargets | None
    caps: Caps
    key: str | tuple[str, ...]
    base_url: str | None
    options: JobOptions
    files: JobFiles
    job: Job | None = None
    shown: int = 0
    crew: Crew | None = None
    page: PageOfRun | None = None


def carry_out(settings: RunSettings) -> tuple[Start, Report | None]:
    """Run the job that *settings* describe; no report if it was cancelled."""
    with interruptible():  # the modules that a run needs take most of the time until it begins
        import ratedispatch.dispatch.retry
        import ratedispatch.jobs.job  # noqa: F401

    start = _check(settings)
    with contextlib.ExitStack() as stack:
        report = _send(settings, start, stack)
    outlast()
    return start, report


def _check(settings: RunSettings) -> Start:
    """Return the values that *settings* come to; a mistake in them is a usage error."""
    from ratedispatch.errors import JobError
    from ratedispatch.jobs.job_options import JobOptions
    from ratedispatch.jobs.state.origin import FAKE, origin_of
    from ratedispatch.jobs.state.paths import files_of

    sending, durability = settings.sending, settings.durability
    if sending.fake and settings.provider.base_url is not None:
        raise click.UsageError("--fake and --base-url cannot be used together")
    check_descriptors()
    account = settings.limits.read(missing=AUTO)
    caps = settings.caps.caps()
    key, url, pool = target_of(settings.provider.base_url, sending, account)
    origin = origin_of(url or DEFAULT_URL) if pool is None else pool.origin
    options = JobOptions(
        template=settings.source.template(),
        input_format=settings.source.format,
        endpoint=settings.source.endpoint,
        max_tokens=settings.source.row_cap,
        retry_failed=durability.retry_failed,
        allow_changed_input=durability.allow_changed_input,
        allow_other_server=durability.allow_other_server,
        origin=FAKE if sending.fake else origin,
        order=durability.order,
        output_format=settings.output.output_format,
        fsync=durability.fsync,
        flush_interval=durability.flush_interval,
        caps=caps,
        shard=settings.source.shard,
        command=words_given(),
        only=settings.only,
    )
    output, shard = settings.output, settings.source.shard
    where = settings.source.source, output.output, output.errors_file, output.format
    try:
        files = files_of(*where, shard)
    except JobError as error:
        raise click.UsageError(str(error)) from error
    return Start(account, pool, caps, key, url, options, files)


def _send(settings: RunSettings, start: Start, stack: contextlib.ExitStack) -> Report | None:
    """Open the job and run it; ``None`` if it was cancelled by a second interruption."""
    from ratedispatch.dispatch.options import DispatcherOptions
    from ratedispatch.dispatch.retry import RetryPolicy
    from ratedispatch.tokens import Counter

    sending, provider = settings.sending, settings.provider
    stack.enter_context(interruptible())
    log_path = settings.display.log_json
    log = (
        None
        if log_path is None
        else stack.enter_context(open_log(log_path, start.files, start.key, settings.source.shard))
    )
    start.page = page_of_run(settings, start.files, log)
    if not settings.display.quiet:
        announce(start.files)
    stack.enter_context(plain_warnings())
    start.crew = stack.enter_context(crew_of(sending))
    limits = start.account if start.pool is None else start.pool.tables.limits
    start.job = job = open_job(start.files, limits, start.options)
    stack.callback(job.close)
    for note in job.notes:
        say(note)
    start.shown = len(job.notes)
    tell_begin(start, log, rows=job.total, done=job.done)
    connections = connections_for(sending.max_in_flight)
    start.base_url = stack.enter_context(endpoint(start.account, start.base_url, fake=sending.fake))
    runs = stack.enter_context(open_runner(sending.loop))
    stack.push(end_if_interrupted)  # called before the loop is closed
    stack.enter_context(seldom_collecting())
    is_bounded = isinstance(sending.max_in_flight, int)
    report = runs.run(
        _run(
            job,
            settings,
            start,
            log,
            DispatcherOptions(
                max_in_flight=connections if is_bounded else sending.max_in_flight,
                connections=connections,
                retry=RetryPolicy(max_attempts=sending.max_attempts),
                timeout=sending.timeout,
                tolerate_failures=sending.tolerate_failures,
                wait_for_reset=sending.wait_for_reset,
                default_output_tokens=provider.default_output_tokens,
                policy=provider.charge_policy,
                counter=Counter(models=provider.model_alias) if provider.model_alias else None,
                share=sending.share,
            ),
        )
    )
    if log is not None and report is not None:
        log.end(report)
    return report


async def _run(
    job: Job,
    settings: RunSettings,
    start: Start,
    log: EventLog | None,
    options: DispatcherOptions,
) -> Report | None:
    """Run *job* in the loop; ``None`` if it was cancelled by a second interruption."""
    import asyncio

    from ratedispatch.errors import JobError, SharingError

    task = asyncio.current_task()
    assert task is not None
    with interruptions(job, task, settings.durability.drain_timeout) as handler:
        try:
            async with contextlib.AsyncExitStack() as stack:
                sending = settings.sending
                rest = options.connections, sending.transport, sending.max_answer_mb * 2**20
                opening: Callable[[], contextlib.AbstractAsyncContextManager[Any]]
                if start.pool is None:
                    opening = functools.partial(open_client, start.base_url, str(start.key), *rest)
                else:
                    opening = functools.partial(start.pool.open, start.base_url, *rest)
                client = await stack.enter_async_context(opening())
                prepare(start.crew, opening, settings, handler.say_now)
                listeners: list[Listener] = []
                if not settings.display.quiet:
                    from ratedispatch.observe.progress import show_progress

                    notes = await stack.enter_async_context(show_progress(job, painter()))
                    listeners.append(notes)
                    handler.say = notes.say
                    stack.callback(handler.say_plainly)
                listeners += [log] if log is not None else []
                listeners += [start.page.recorder] if start.page is not None else []
                quiet = settings.display.quiet
                options = remembering(options, sending, start.account, handler, quiet=quiet)
                return await job.run(
                    client, listeners=listeners, dispatcher_options=options, crew=start.crew
                )
        except asyncio.CancelledError:
            return None
        except (JobError, SharingError) as error:
            raise click.UsageError(str(error)) from error


def close(settings: RunSettings, start: Start, report: Report | None) -> None:
    """Print how the run ended, write its page, and exit with its code."""
    if start.page is not None:
        start.page.write(report, start, is_priced=is_priced(settings.sending, start.caps))
    if report is None:
        assert start.job is not None
        rows = start.job.in_doubt
        noun = "row" if rows == 1 else "rows"
        doubt = f"; {rows:,} {noun} in flight may have been billed" if rows else ""
        say(f"cancelled; the files are intact; run the same command again to resume{doubt}")
        sys.exit(130)
    quiet, pool = settings.display.quiet, start.pool
    print_notes(report, shown=start.shown, quiet=quiet, errors=start.files.errors)
    print_report(
        report,
        as_json=settings.display.as_json,
        with_cost=is_priced(settings.sending, start.caps),
        key=start.key,
        key_env=" and ".join(pool.variables) if pool else settings.sending.api_key_env,
        base_url=", ".join(pool.urls.values()) if pool else start.base_url,
    )
    sys.exit(exit_code(report))
