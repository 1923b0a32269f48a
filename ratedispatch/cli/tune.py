"""``ratedispatch tune``: finds the best settings for a job before anything is sent."""

from __future__ import annotations

import math
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ratedispatch.cli.command_line import words_for
from ratedispatch.cli.console import columns, json_text, say
from ratedispatch.cli.earlier_run import EarlierRun, earlier_run
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
from ratedispatch.cli.repeated_limits import ComparingCommand
from ratedispatch.cli.run_options import (
    CapFlags,
    DurabilityFlags,
    cap_options,
    durability_options,
)
from ratedispatch.cli.sending_options import SendingFlags, sending_options
from ratedispatch.cli.simulate import JobFlags, Told, read, scene_of
from ratedispatch.cli.simulate_options import check_playable
from ratedispatch.cli.tune_options import (
    SearchFlags,
    ShownFlags,
    search_options,
    shown_options,
)
from ratedispatch.limits import Limits
from ratedispatch.observe.command_text import shell_line
from ratedispatch.observe.redact import without_login

if TYPE_CHECKING:
    from ratedispatch.cli.tune_verify import Checked
    from ratedispatch.jobs.tuning.tuner import Tuning
    from ratedispatch.simulate.forecast.scene import Scene
    from ratedispatch.simulate.forecast.workload import Workload
    from ratedispatch.simulate.tune.setting import Setting

#: Where the services are that prices are known of; the API by default.
_OPENAI = "https://api.openai.com"


@click.command(
    cls=ComparingCommand,
    context_settings=HELP,
    short_help="Find the best settings for a job; nothing is sent.",
)
@input_options
@limit_options(missing="auto, learned from the answers")
@search_options
@modelled_provider
@provider_options
@sending_options
@durability_options
@cap_options
@shown_options
def tune(  # noqa: PLR0913, PLR0917 - one argument for each group of flags
    source: InputFlags,
    limits: LimitFlags,
    search: SearchFlags,
    modelled: ModelledProviderFlags,
    provider: ProviderFlags,
    sending: SendingFlags,
    durability: DurabilityFlags,
    caps: CapFlags,
    shown: ShownFlags,
) -> None:
    """
    Find the best settings for the job of IN, and print the command that uses them.

    Takes the flags of run and flags that describe the provider, as simulate does. Searches over
    --max-in-flight, --burst-seconds, --max-tokens, --order and --processes. Prints what each
    setting saves, what a wrong guess costs, which higher limit would make the job faster, and the
    time on other accounts: name them by --tier or --account, or give --rpm and --tpm again. Sends
    nothing to the provider, except with --verify --spend USD.

    \b
    Examples:
      ratedispatch tune in.jsonl --rpm 3000 --tpm 2M --output-tokens lognormal:200:0.5
      ratedispatch tune in.jsonl --tier openai-tier-1 --tier openai-tier-2
      ratedispatch tune in.jsonl --rpm none --tpm none --slots 32 --latency 0.25

    \b
    Exit codes:
      0    a command is recommended
      1    a command is recommended, but some rows are malformed or can never fit
      2    wrong usage
      3    the job would stop before its end with any settings
      130  interrupted
    """
    check_playable(sending)
    _check(shown)
    flags = JobFlags(source, provider, sending, durability)
    try:
        bad_rows, job, found = _found(limits, search, modelled, flags, caps, quiet=shown.quiet)
    except KeyboardInterrupt:
        say("interrupted: nothing was sent, and nothing was written")
        sys.exit(130)
    words = _command(found, job.default, source, shown)
    is_endless = found.advice.best.seconds == math.inf
    checked = _verified(found, job, source, shown) if shown.verify and not is_endless else []
    _show(found, [without_login(word) for word in words], checked, shown, job.seen)
    sys.exit(3 if is_endless else 1 if bad_rows else 0)


def _check(shown: ShownFlags) -> None:
    """Refuse what cannot be shown, before anything takes time."""
    if shown.spend is not None and not shown.verify:
        raise click.UsageError("--spend limits what --verify may cost; give --verify too")
    if shown.plot is not None:
        from ratedispatch.cli.tune_plot import check_plot

        check_plot(shown.plot)


def _verified(found: Tuning, job: _Job, source: InputFlags, shown: ShownFlags) -> list[Checked]:
    """Run the recommended settings and those beside them."""
    from ratedispatch.cli.tune_verify import verify
    from ratedispatch.simulate.forecast.engine_play import play_engine

    if str(source.input) == "-":
        raise click.UsageError(
            "--verify reads the input again and cannot use standard input; give a file"
        )
    try:
        return verify(
            found.advice,
            job.workload,
            job.scene,
            spend=shown.spend,
            play=play_engine,
            tell=(lambda _: None) if shown.quiet else say,
        )
    except KeyboardInterrupt:
        say("interrupted: the runs of --verify left no files")
        sys.exit(130)


def _show(
    found: Tuning,
    words: list[str],
    checked: list[Checked],
    shown: ShownFlags,
    seen: EarlierRun | None,
) -> None:
    """Draw and print what was *found*, *checked* and *seen*, and the *words* of the command."""
    if shown.plot is not None:
        from ratedispatch.cli.tune_plot import draw

        draw(found, shown.plot)
    if shown.as_json:
        from ratedispatch.jobs.tuning.plain_values import tuning_values

        runs = [{**asdict(one), "error": one.error} for one in checked]
        fit = None if seen is None else seen.fit.as_dict()
        values = {**tuning_values(found), "command": words, "verified": runs, "fit": fit}
        click.echo(json_text(values))
    else:
        from ratedispatch.cli.tune_text import describe_tuning

        if seen is not None:
            click.echo(f"{seen.text(columns(sys.stdout))}\n")
        click.echo(describe_tuning(found, shell_line(words), checked, width=columns(sys.stdout)))


class _Job:
    """The rows of a job, what they are played with, and how the job is run as it is."""

    def __init__(
        self, workload: Workload, scene: Scene, default: Setting, seen: EarlierRun | None
    ) -> None:
        self.seen = seen
        self.workload = workload
        self.scene = scene
        self.default = default


def _found(
    limits: LimitFlags,
    search: SearchFlags,
    modelled: ModelledProviderFlags,
    flags: JobFlags,
    caps: CapFlags,
    *,
    quiet: bool,
) -> tuple[int, _Job, Tuning]:
    """Return how many rows cannot be sent, the job, and what is to be changed about it."""
    from ratedispatch.jobs.tuning.other_accounts import OWN, Account
    from ratedispatch.jobs.tuning.services import models_of
    from ratedispatch.jobs.tuning.tuner import tune as tune_job
    from ratedispatch.limits import BURST_SECONDS
    from ratedispatch.simulate.tune.setting import Setting

    told = Told.of(limits, flags.provider, caps)
    counted = read(told, flags, quiet=quiet)
    if not len(counted.workload):
        from ratedispatch.cli.forecast_notes import unsendable

        raise click.UsageError(
            f"the input {flags.source.input} has no row that can be sent. {unsendable(counted)}"
        )
    others = search.accounts(models_of(counted.workload))
    own = Account(OWN, told.limits)
    seen = None
    if search.like is not None:
        url = url_of(told.base_url)
        source = flags.source.source
        seen = earlier_run(search.like, source=source, counted=counted, base_url=url)
    if search.tier and _is_unknown(told.limits) and _is_unknown_to(modelled):
        own, others = others[0], others[1:]
        told = replace(told, limits=own.limits)
    workload, scene = scene_of(counted.workload, told, flags, modelled, caps.max_rows, seen)
    default = Setting(
        max_in_flight=flags.sending.max_in_flight,
        burst_seconds=(BURST_SECONDS if limits.burst_seconds is None else limits.burst_seconds),
        max_tokens=flags.source.max_tokens,
        order=scene.order,
        processes=flags.sending.processes,
    )
    without = search.kept
    if limits.limits is not None:  # the file says it of each group
        without |= {"burst_seconds"}
    found = tune_job(
        workload,
        scene,
        default,
        accounts=[own, *others],
        price=caps.price,
        without=without,
        has_services=modelled.slots is None
        and (url_of(told.base_url) or _OPENAI).startswith(_OPENAI),
    )
    job = _Job(workload, scene, default, seen)
    return sum((counted.counts or {}).values()), job, found


def _is_unknown(limits: object) -> bool:
    return isinstance(limits, Limits) and all(rate.is_auto for rate in limits.rates())


def _is_unknown_to(modelled: ModelledProviderFlags) -> bool:
    given = (modelled.account_rpm, modelled.account_tpm, modelled.slots)
    return all(value is None for value in given)


def _command(found: Tuning, default: Setting, source: InputFlags, shown: ShownFlags) -> list[str]:
    """Return the words of the recommended command."""
    from ratedispatch.cli.run import run

    best = found.advice.best.setting
    changes: dict[str, Any] = {name: getattr(best, name) for name in default.changes(best)}
    account = found.accounts[0].account
    if account.tier is not None and isinstance(account.limits, Limits):
        changes |= {
            "rpm": account.limits.known("requests"),
            "tpm": account.limits.known("tokens"),
            "rpd": account.limits.known("requests_per_day"),
        }
    changes["output"] = shown.output or _output_beside(source.input)
    return words_for(click.get_current_context(), run, changes)


def _output_beside(path: Path) -> Path:
    """Return where the answers to *path* go if nothing is said of that."""
    if str(path) == "-":
        return Path("out.jsonl")
    name = path.name
    for suffix in (".gz", ".zst", ".jsonl", ".csv", ".tsv", ".parquet"):
        name = name.removesuffix(suffix)
    return path.with_name(f"{name or path.name}.out.jsonl")
