"""
Adds the flags that describe the modelled provider: those of `fake-server` that a forecast needs.

Decides their names, and makes provider settings of them and the limits of the job. A flag that was
not given leaves the fit to an earlier run as it is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import click

from ratedispatch.cli.command import collect, option
from ratedispatch.cli.fake_answer_options import parse_faults, parse_outage
from ratedispatch.cli.fake_server_options import parse_changes, parse_competitors
from ratedispatch.cli.param_types import AMOUNT, DISTRIBUTION, FiniteRange

if TYPE_CHECKING:
    from ratedispatch.groups import LimitGroups
    from ratedispatch.limits import Limits
    from ratedispatch.simulate.forecast.lengths import Lengths
    from ratedispatch.simulate.settings import ProviderSettings


#: The limits of an account, as its settings call them.
_LIMITS = (
    "requests_per_minute",
    "tokens_per_minute",
    "requests_per_day",
    "tokens_per_day",
)


@dataclass(frozen=True, slots=True)
class ModelledProviderFlags:
    """
    How the provider behaves, by the flags; None or empty for a flag that was not given.

    Args:
        account_rpm: Requests per minute that the account really has.
        account_tpm: Tokens per minute that it really has.
        depth: Seconds of the rate that its buckets hold.
        start: Whether they are ``full`` or ``empty`` at the start.
        window: How limits are kept.
        charge: How a prompt is counted.
        refund: Whether what an answer did not use is given back.
        latency: Median seconds until an answer, without its tokens.
        latency_sigma: Its spread.
        token_time: Seconds for each token of output.
        output_share: Length of an output as a share of its cap.
        output_tokens: Length of an output in tokens.
        slots: Requests that are served at once.
        queue: The most that may wait for a slot.
        batching: How much the others slow each one down.
        faults: Rates of faults, as they were written.
        outage: A time of refusals.
        changes: Limits from an instant on.
        competitors: Another client of the account.
        competitor_tokens: Tokens of each of its requests.
        no_headers: Whether answers say nothing about the limits.
        travel: Seconds from here to the provider.
    """

    account_rpm: float | None = None
    account_tpm: float | None = None
    depth: float | None = None
    start: str | None = None
    window: str | None = None
    charge: str | None = None
    refund: bool = False
    latency: float | None = None
    latency_sigma: float | None = None
    token_time: float | None = None
    output_share: float | None = None
    output_tokens: int | Lengths | None = None
    slots: int | None = None
    queue: int | None = None
    batching: float | None = None
    faults: tuple[str, ...] = ()
    outage: str | None = None
    changes: tuple[str, ...] = ()
    competitors: tuple[str, ...] = ()
    competitor_tokens: int | None = None
    no_headers: bool = False
    travel: float = 0.0

    def settings(
        self, limits: Limits | LimitGroups, fitted: ProviderSettings | None = None
    ) -> ProviderSettings:
        """
        Return the provider's behaviour; its account has *limits*, unless the flags say otherwise.

        Args:
            limits: The limits of the job; the flags give those that it has to learn.
            fitted: The fit to an earlier run, which the flags override.

        Raises:
            click.UsageError: A value makes no sense, or contradicts another one.
        """
        from ratedispatch.groups import LimitGroups
        from ratedispatch.simulate.settings import ProviderSettings

        account: dict[str, Any] = _without_none(
            {"requests_per_minute": self.account_rpm, "tokens_per_minute": self.account_tpm}
        )
        if account and isinstance(limits, LimitGroups):
            raise click.UsageError(
                "--account-rpm and --account-tpm are for one account, and --limits has groups"
            )
        try:
            base = ProviderSettings.like(limits)
            if fitted is not None:
                told: dict[str, Any] = {name: getattr(base, name) for name in _LIMITS}
                base = replace(fitted, **_without_none(told), models=base.models or fitted.models)
            base = replace(base, **account)
            return replace(base, **self._changes(base))
        except ValueError as error:
            raise click.UsageError(str(error)) from None

    @property
    def given(self) -> frozenset[str]:
        """The settings of a provider that the flags say, by their names."""
        from ratedispatch.simulate.settings import ProviderSettings

        return frozenset(self._changes(ProviderSettings())) | {
            name
            for name, rate in zip(_LIMITS, (self.account_rpm, self.account_tpm), strict=False)
            if rate is not None
        }

    def _changes(self, account: ProviderSettings) -> dict[str, Any]:
        """Return the settings that were given, by their names."""
        period, model = parse_outage(self.outage)
        rates = account.requests_per_minute, account.tokens_per_minute
        found: dict[str, Any] = {
            "burst_seconds": self.depth,
            "start": self.start,
            "window": self.window,
            "charge": self.charge,
            "refund": self.refund or None,
            "latency": self.latency,
            "latency_sigma": self.latency_sigma,
            "token_time": self.token_time,
            "output_share": self.output_share,
            "output_tokens": self.output_tokens,
            "engine_slots": self.slots,
            "queue": self.queue,
            "engine_batching": self.batching,
            "faults": parse_faults(self.faults) or None,
            "outage": period,
            "outage_model": model,
            "changes": parse_changes(self.changes, *rates) or None,
            "competitor": parse_competitors(self.competitors) or None,
            "competitor_tokens": self.competitor_tokens,
            "headers": False if self.no_headers else None,
        }
        if self.output_tokens is not None or self.output_share is not None:
            # what is said of all outputs replaces what a run has shown of a model's
            found["output_lengths"] = {}
            if self.output_tokens is None:
                return {**_without_none(found), "output_tokens": None}
        return _without_none(found)


def _without_none(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


_GROUP = "Modelled provider"

_NOT_NEGATIVE = FiniteRange(min=0)

_OPTIONS = (
    option(
        "--account-rpm",
        group=_GROUP,
        type=AMOUNT,
        metavar="N",
        help="The account's limit on requests per minute.  [default: --rpm, or no limit]",
    ),
    option(
        "--account-tpm",
        group=_GROUP,
        type=AMOUNT,
        metavar="N",
        help="The account's limit on tokens per minute.  [default: --tpm, or no limit]",
    ),
    option(
        "--depth",
        group=_GROUP,
        type=FiniteRange(0, 60, min_open=True),
        metavar="SECONDS",
        help="Size of the provider's token buckets, in seconds of their rate.  [default: 60]",
    ),
    option(
        "--start",
        group=_GROUP,
        type=click.Choice(["full", "empty"]),
        help="Whether the buckets are full or empty at the start.  [default: full]",
    ),
    option(
        "--window",
        group=_GROUP,
        type=click.Choice(["bucket", "sliding", "fixed"]),
        help="How the provider enforces limits: buckets, a sliding log of 60 s, or counters for "
        "each minute.  [default: bucket]",
    ),
    option(
        "--charge",
        group=_GROUP,
        type=click.Choice(["tokens", "characters"]),
        help="How the provider counts a prompt.  [default: tokens]",
    ),
    option(
        "--refund",
        group=_GROUP,
        is_flag=True,
        help="The provider gives back reserved tokens that an answer did not use.",
    ),
    option(
        "--latency",
        group=_GROUP,
        type=_NOT_NEGATIVE,
        metavar="SECONDS",
        help="Median latency of an answer, without --token-time.  [default: 0.2]",
    ),
    option(
        "--latency-sigma",
        group=_GROUP,
        type=_NOT_NEGATIVE,
        metavar="X",
        help="Sigma of the log-normal spread of the latency; 0 for none.  [default: 0.3]",
    ),
    option(
        "--token-time",
        group=_GROUP,
        type=_NOT_NEGATIVE,
        metavar="SECONDS",
        help="Seconds added for each output token.  [default: 0]",
    ),
    option(
        "--output-share",
        group=_GROUP,
        type=FiniteRange(0, 1),
        metavar="X",
        help="Length of an output, as a share of its cap.  [default: 0.5]",
    ),
    option(
        "--output-tokens",
        group=_GROUP,
        type=DISTRIBUTION,
        metavar="DIST",
        help="Length of an output in tokens, never above its cap: N, uniform:LOW:HIGH, "
        "normal:MEAN:SIGMA, lognormal:MEDIAN:SIGMA or exponential:MEAN; overrides --output-share.",
    ),
    option(
        "--slots",
        group=_GROUP,
        type=click.IntRange(min=1),
        metavar="N",
        help="Requests that the server works on at the same time; the others queue.",
    ),
    option(
        "--queue",
        group=_GROUP,
        type=click.IntRange(min=0),
        metavar="N",
        help="With --slots: maximum number of requests that may queue; more are refused.",
    ),
    option(
        "--batching",
        group=_GROUP,
        type=_NOT_NEGATIVE,
        metavar="X",
        help="With --slots: growth of the latency as slots fill; 1 doubles it when all are in use.",
    ),
    option(
        "--fault",
        "faults",
        group=_GROUP,
        multiple=True,
        metavar="NAME=RATE",
        help="Share of the admitted requests that meet a fault, such as 500=0.01; fake-server "
        "--help lists the names; repeatable.",
    ),
    option(
        "--outage",
        group=_GROUP,
        metavar="START:SECONDS[:MODEL]",
        help="Refuse every request, or every request for MODEL, for SECONDS from START on.",
    ),
    option(
        "--change",
        "changes",
        group=_GROUP,
        multiple=True,
        metavar="AT:RPM:TPM",
        help="Limits from AT seconds after the start; `-` keeps a limit, `none` lifts it; "
        "repeatable.",
    ),
    option(
        "--competitor",
        "competitors",
        group=_GROUP,
        multiple=True,
        metavar="START:RPM",
        help="Another client of the account, which sends RPM requests per minute from START "
        "seconds on, until the next --competitor; repeatable.",
    ),
    option(
        "--competitor-tokens",
        group=_GROUP,
        type=click.IntRange(min=1),
        metavar="N",
        help="Tokens of each request of the competitor.  [default: 50]",
    ),
    option(
        "--no-headers",
        group=_GROUP,
        is_flag=True,
        help="Answers have no rate-limit headers.",
    ),
    option(
        "--travel",
        group=_GROUP,
        type=_NOT_NEGATIVE,
        default=0.0,
        show_default=True,
        metavar="SECONDS",
        help="Seconds that a request takes to reach the provider; the return is part of --latency.",
    ),
)

#: Adds the flags; the command gets `ModelledProviderFlags` as ``modelled``.
modelled_provider = collect(ModelledProviderFlags, "modelled", _OPTIONS)
