"""``ratedispatch simulate``: forecasts a job before anything is sent."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from ratedispatch.cli.client import connections_for
from ratedispatch.cli.command import SettingsCommand
from ratedispatch.cli.console import columns, json_text, say
from ratedispatch.cli.earlier_run import earlier_run
from ratedispatch.cli.forecast_notes import caps_met, notes_of
from ratedispatch.cli.help import HELP
from ratedispatch.cli.input_options import InputFlags, input_options
from ratedispatch.cli.limit_options import (
    LimitFlags,
    ProviderFlags,
    limit_options,
    provider_options,
    url_of,
)
from ratedispatch.cli.modelled_provider import ModelledProviderFlags, modelled_provider
from ratedispatch.cli.notes import plain_warnings
from ratedispatch.cli.own_counts import counts_folder
from ratedispatch.cli.pool_file import MemberTables
from ratedispatch.cli.probe import probe, probe_settings
from ratedispatch.cli.reading_progress import reading_progress
from ratedispatch.cli.run_options import (
    CapFlags,
    DurabilityFlags,
    cap_options,
    durability_options,
)
from ratedispatch.cli.sending_options import SendingFlags, sending_options
from ratedispatch.cli.simulate_options import (
    SimulateFlags,
    check_playable,
    simulate_options,
)
from ratedispatch.limits import AUTO, Limits

if TYPE_CHECKING:
    from ratedispatch.cli.earlier_run import EarlierRun
    from ratedispatch.cli.run import RunSettings
    from ratedispatch.groups import LimitGroups
    from ratedispatch.jobs.plan.foretold_cost import ForetoldCost
    from ratedispatch.jobs.workload.counted import Counted
    from ratedispatch.simulate.forecast.forecast import Forecast
    from ratedispatch.simulate.forecast.scene import Scene
    from ratedispatch.simulate.forecast.workload import Workload

_INTERRUPTED = "interrupted: nothing was sent, and nothing was written"

#: Where a fake server listens: what it counts is not known by its address.
_FAKE_URL = "http://127.0.0.1"


@click.command(
    cls=SettingsCommand,
    context_settings=HELP,
    short_help="Forecast time, cost and refusals of a job; nothing is sent.",
)
@input_options
@limit_options(missing="auto, learned from the answers")
@modelled_provider
@simulate_options
@provider_options
@sending_options
@durability_options
@cap_options
def simulate(
    source: InputFlags,
    limits: LimitFlags,
    modelled: ModelledProviderFlags,
    playing: SimulateFlags,
    provider: ProviderFlags,
    sending: SendingFlags,
    durability: DurabilityFlags,
    caps: CapFlags,
) -> None:
    """
    Forecast the job of IN by simulating it against a modelled provider in virtual time.

    Takes the flags of run, and flags that describe the provider. Prints the time, when each tenth
    of the rows is done, the bottleneck, refusals, requests in flight, waits, the cost, and how many
    rows would be billed twice if the run were killed. Sends nothing and needs no API key, except
    with --probe N, which sends N rows.

    \b
    Examples:
      ratedispatch simulate in.jsonl --rpm 3000 --tpm 2M --latency 1.5
      ratedispatch simulate in.jsonl --tpm 2M --output-tokens lognormal:200:0.5
      ratedispatch simulate in.jsonl --rpm none --tpm none --slots 32
      ratedispatch simulate in.jsonl -o out.jsonl --rpm 3000 --tpm 2M --probe 200
      ratedispatch simulate in.jsonl --rpm 3000 --tpm 2M --like earlier.log

    \b
    Exit codes:
      0    all rows can be sent
      1    some rows are malformed or can never fit
      2    wrong usage
      3    the job would stop before its end
      130  interrupted
    """
    check_playable(sending)
    told = Told.of(limits, provider, caps)
    flags = JobFlags(source, provider, sending, durability)
    settings = None if playing.probe is None else probe_settings(playing, flags, limits, caps)
    if settings is not None and playing.like is not None:
        raise click.UsageError(
            "--probe and --like cannot be used together, because each fits the provider; omit one"
        )
    try:
        counted = read(told, flags, quiet=playing.quiet)
        seen = _seen(settings, playing, told, flags, counted)
        left = counted.workload if seen is None else seen.left(counted)
        workload, scene = scene_of(left, told, flags, modelled, caps.max_rows, seen)
        from ratedispatch.jobs.plan.foretold_cost import cost_of
        from ratedispatch.jobs.plan.price_book import PriceBook

        found = _foretold(workload, scene, playing)
        cost = cost_of(found, PriceBook(told.caps.price))
        if seen is not None:
            cost = seen.priced(cost, counted, caps)
    except KeyboardInterrupt:
        say("interrupted: nothing more was sent or written" if settings else _INTERRUPTED)
        sys.exit(130)
    notes = notes_of(told, counted, scene, found, cost)
    if seen is not None:
        notes += seen.notes(counted, told.caps)
    if playing.as_json:
        values = _values(counted, scene, found, cost, notes)
        fitted = {} if seen is None else seen.as_dict(counted, told.caps)
        click.echo(json_text(values | fitted))
    else:
        click.echo(_text(found, cost, notes, seen))
    if found.stop or caps_met(told, cost):
        sys.exit(3)
    sys.exit(1 if any((counted.counts or {}).values()) else 0)


@dataclass(frozen=True, slots=True)
class JobFlags:
    """The flags of a job that decide its result."""

    source: InputFlags
    provider: ProviderFlags
    sending: SendingFlags
    durability: DurabilityFlags


@dataclass(frozen=True, slots=True)
class Told:
    """
    What the flags say of the account.

    Args:
        limits: What the job is told.
        base_url: The API; None for OpenAI's.
        caps: The caps at which a run would stop, and the prices.
        is_pool: Whether the limits are those of several members together.
    """

    limits: Limits | LimitGroups
    base_url: str | None
    caps: CapFlags
    is_pool: bool = False

    @classmethod
    def of(cls, limits: LimitFlags, provider: ProviderFlags, caps: CapFlags) -> Told:
        """Return what the flags come to."""
        account = limits.read(missing=AUTO)
        caps.caps()  # a single price is a mistake
        if not isinstance(account, MemberTables):
            return cls(account, provider.base_url, caps)
        first = next(iter(account))
        url = provider.base_url or first.base_url or None
        return cls(account.limits, url, caps, is_pool=True)


def read(told: Told, flags: JobFlags, *, quiet: bool) -> Counted:
    """
    Return the rows of the input and what they cost.

    Raises:
        click.UsageError: It cannot be read.
    """
    from ratedispatch.errors import JobError
    from ratedispatch.jobs.workload.file_workload import read_workload
    from ratedispatch.jobs.workload.row_reading import Reading
    from ratedispatch.jobs.workload.several_cores import cores
    from ratedispatch.tokens import policy_for

    source, provider = flags.source, flags.provider
    url = _FAKE_URL if flags.sending.fake else url_of(told.base_url)
    reading = Reading(
        template=source.template(),
        input_format=source.format,
        endpoint=source.endpoint,
        shard=source.shard,
        max_tokens=source.row_cap,
        policy=provider.charge_policy or policy_for(url),
        default_output_tokens=provider.default_output_tokens,
        models=provider.model_alias,
    )
    folder = counts_folder(no_memory=flags.sending.no_memory)
    try:
        with plain_warnings(), reading_progress(quiet=quiet) as show:
            return read_workload(
                source.source,
                told.limits,
                reading=reading,
                on_progress=show,
                folder=folder,
                processes=cores(),
            )
    except JobError as error:
        raise click.UsageError(str(error)) from error
    except OSError as error:
        reason = error.strerror or error
        raise click.UsageError(f"the input {source.input} cannot be read: {reason}") from error


def _foretold(workload: Workload, scene: Scene, playing: SimulateFlags) -> Forecast:
    from ratedispatch.simulate.forecast.forecaster import forecast

    try:
        return forecast(workload, scene, seeds=playing.seeds, method=playing.method)
    except ValueError as error:
        raise click.UsageError(f"--method {playing.method}: {error}") from None


def _seen(
    settings: RunSettings | None,
    playing: SimulateFlags,
    told: Told,
    flags: JobFlags,
    counted: Counted,
) -> EarlierRun | None:
    """Return what a probe or an earlier run shows of the provider; None without either."""
    if settings is not None:
        return probe(settings, counted, playing.probe or 0)
    if playing.like is None:
        return None
    url = url_of(told.base_url)
    return earlier_run(playing.like, source=flags.source.source, counted=counted, base_url=url)


def scene_of(
    workload: Workload,
    told: Told,
    flags: JobFlags,
    modelled: ModelledProviderFlags,
    max_rows: int | None,
    seen: EarlierRun | None = None,
) -> tuple[Workload, Scene]:
    """
    Return what a run with these flags plays: the rows that it sends, and how.

    Raises:
        click.UsageError: The flags of the provider make no sense, or nothing bounds the job.
    """
    from ratedispatch.jobs.order import order_of
    from ratedispatch.simulate.forecast.reading_order import reading_order
    from ratedispatch.simulate.forecast.scene import Scene

    fitted = None if seen is None else seen.fitted(told.limits, modelled.given)
    settings = modelled.settings(told.limits, fitted)
    sending = flags.sending
    _check_bound(settings.requests_per_minute, settings.tokens_per_minute, told, modelled)
    order = order_of(flags.durability.order, workload, told.limits)
    if max_rows is not None and max_rows < len(workload):
        workload = workload.chosen(reading_order(len(workload), order)[:max_rows])
        order = "file"
    connections = connections_for(sending.max_in_flight)
    is_bounded = isinstance(sending.max_in_flight, int)
    return workload, Scene(
        limits=told.limits,
        provider=settings,
        max_in_flight=connections if is_bounded else sending.max_in_flight,
        max_attempts=sending.max_attempts,
        order=order,
        processes=sending.processes,
        travel=modelled.travel or (seen.fit.travel if seen is not None else 0.0),
        connections=connections,
        timeout=sending.timeout,
        wait_for_reset=sending.wait_for_reset,
        tolerate_failures=sending.tolerate_failures,
        default_output_tokens=flags.provider.default_output_tokens,
    )


def _check_bound(
    requests: float | None, tokens: float | None, told: Told, modelled: ModelledProviderFlags
) -> None:
    """Refuse an account of which nothing is known: the forecast would be that of no account."""
    is_learnt = isinstance(told.limits, Limits) and any(r.is_auto for r in told.limits.rates())
    if is_learnt and requests is None and tokens is None and modelled.slots is None:
        raise click.UsageError(
            "no limit of the account is known; give the limits of the job (--rpm, --tpm), the "
            "limits of the account that the job would learn (--account-rpm, --account-tpm), or the "
            "slots of your own server (--slots)"
        )


def _text(found: Forecast, cost: ForetoldCost, notes: list[str], seen: EarlierRun | None) -> str:
    """Return everything as text for a person."""
    from ratedispatch.cli.forecast_text import describe

    width = columns(sys.stdout)
    text = describe(found, cost, notes=notes, width=width)
    return text if seen is None else f"{seen.text(width)}\n\n{text}"


def _values(
    counted: Counted, scene: Scene, found: Forecast, cost: ForetoldCost, notes: list[str]
) -> dict[str, object]:
    """Return everything as values of JSON."""
    return {
        **found.as_dict(),
        **cost.as_dict(),
        "order": scene.order,
        "rows_read": counted.rows,
        "unsendable": dict(counted.counts or {}),
        "notes": notes,
    }
