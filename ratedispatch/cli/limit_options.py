"""
The flags that ``run`` and ``plan`` share: limits, and how the provider charges.

Decides their names, which flags exclude each other, and their values. Knows nothing of what a
command does with them.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import click

from ratedispatch.cli.command import collect, option
from ratedispatch.cli.param_types import AMOUNT, LIMIT, NONE, FiniteRange
from ratedispatch.dimension import STANDARD
from ratedispatch.limits import BURST_SECONDS

if TYPE_CHECKING:
    from ratedispatch.cli.command import Decorator
    from ratedispatch.cli.pool_file import MemberTables
    from ratedispatch.groups import LimitGroups
    from ratedispatch.jobs.plan.prices import Price
    from ratedispatch.limits import Limits
    from ratedispatch.tokens import ChargePolicy

PerMinute: TypeAlias = float | Literal["auto", "none"] | None


#: The fields of `Limits`, by the flags that set them and the keys of a limits file.
AMOUNTS = {
    "rpm": "requests_per_minute",
    "tpm": "tokens_per_minute",
    "rpd": "requests_per_day",
    "tpd": "tokens_per_day",
    "input_tpm": "input_tokens_per_minute",
    "output_tpm": "output_tokens_per_minute",
}


def is_learnable(field: str) -> bool:
    """Return whether *field* of `Limits` can be learned from answers."""
    return any(one.setting == field and one.start is not None for one in STANDARD)


@dataclass(frozen=True, slots=True)
class LimitFlags:
    """
    The limits as they were given; None for a flag that was not.

    Args:
        rpm: Requests per minute, or ``"auto"`` or ``"none"``.
        tpm: Tokens per minute, or ``"auto"`` or ``"none"``.
        rpd: Requests per day.
        tpd: Tokens per day.
        input_tpm: Input tokens per minute.
        output_tpm: Output tokens per minute.
        burst_seconds: Seconds of rate that may go at once.
        limits: A file with a group of limits for each group of models.
    """

    rpm: PerMinute = None
    tpm: PerMinute = None
    rpd: float | None = None
    tpd: float | None = None
    input_tpm: float | None = None
    output_tpm: float | None = None
    burst_seconds: float | None = None
    limits: Path | None = None

    def given(self) -> tuple[str, ...]:
        """Return the flags that were given, but for ``--limits``."""
        names = (field.name for field in fields(self) if field.name != "limits")
        return tuple(_flag(name) for name in names if getattr(self, name) is not None)

    def read(self, *, missing: Literal["auto"] | None) -> Limits | LimitGroups | MemberTables:
        """
        Return the limits that the flags set, or those in the file: groups, or a pool.

        Args:
            missing: What a missing ``--rpm`` or ``--tpm`` stands for: a limit to be learned, or
                none that is known.

        Raises:
            click.UsageError: A flag excludes ``--limits``, or something is wrong with the file.
        """
        from ratedispatch.limits import Limits

        if self.limits is not None:
            return _read_file(self.limits, self.given())
        amounts: dict[str, Any] = {
            field: _limit(getattr(self, flag), missing if is_learnable(field) else None)
            for flag, field in AMOUNTS.items()
        }
        if self.burst_seconds is not None:
            amounts["burst_seconds"] = self.burst_seconds
        return Limits(**amounts)


def _limit(given: PerMinute, missing: Literal["auto"] | None) -> float | Literal["auto"] | None:
    if given is None:
        return missing
    return None if given == NONE else given


def _read_file(path: Path, excluded: tuple[str, ...]) -> LimitGroups | MemberTables:
    from ratedispatch.cli.limits_file import read_limits
    from ratedispatch.errors import JobError

    if excluded:
        raise click.UsageError(
            f"--limits and {', '.join(excluded)} cannot be used together; write these limits "
            f"into the file, under each group, [default] for all other models, or each member "
            f"of a pool"
        )
    try:
        return read_limits(path)
    except JobError as error:
        raise click.UsageError(str(error)) from error


def limit_options(missing: str) -> Decorator:
    """
    Return a decorator that adds the flags of limits; the command gets `LimitFlags` as ``limits``.

    Args:
        missing: The default that the help names for a missing ``--rpm`` or ``--tpm``.
    """
    return collect(LimitFlags, "limits", _limit_options(missing))


def _limit_options(missing: str) -> list[Decorator]:
    unless = f"  [default: {missing}]"
    amounts = (
        ("--rpm", LIMIT, "N|auto|none", "Requests per minute, such as 3000 or 30k." + unless),
        ("--tpm", LIMIT, "N|auto|none", "Tokens per minute, such as 200k or 1.5M." + unless),
        ("--rpd", AMOUNT, "N", "Requests per day, if the account limits them."),
        ("--tpd", AMOUNT, "N", "Tokens per day, if the account limits them."),
        ("--input-tpm", AMOUNT, "N", "Input tokens per minute, if they have a separate limit."),
        ("--output-tpm", AMOUNT, "N", "Output tokens per minute, if they have a separate limit."),
    )
    beaten = ("limits",)
    return [
        *(
            option(flag, group="Limits", rivals=beaten, type=kind, metavar=what, help=text)
            for flag, kind, what, text in amounts
        ),
        option(
            "--burst-seconds",
            group="Limits",
            rivals=beaten,
            type=FiniteRange(0, 60),
            metavar="SECONDS",
            help="Burst after an idle period, in seconds of the rate.  "
            f"[default: {BURST_SECONDS:g}]",
        ),
        option(
            "--limits",
            group="Limits",
            rivals=tuple(field.name for field in fields(LimitFlags) if field.name != "limits"),
            type=click.Path(path_type=Path),
            metavar="FILE.toml",
            help="Limits for groups of models, or the members of a pool, instead of the flags "
            "above.",
        ),
    ]


@dataclass(frozen=True, slots=True)
class ProviderFlags:
    """
    The provider, and how it charges a request.

    Args:
        base_url: The API; None for that of the environment, or OpenAI's.
        charge_policy: How it charges; None for what the base URL says.
        model_alias: The known model that each name is counted like.
        default_output_tokens: Tokens reserved for the output of a row without a cap.
    """

    base_url: str | None
    charge_policy: ChargePolicy | None
    model_alias: dict[str, str]
    default_output_tokens: int


def _charge_policy(
    _context: click.Context, _option: click.Parameter, name: str | None
) -> ChargePolicy | None:
    """Return the policy called *name*, or fail as a usage error that lists them."""
    if name is None:
        return None
    from ratedispatch.tokens import POLICIES

    if name not in POLICIES:
        raise click.UsageError(f"--charge-policy {name} is not one of {', '.join(POLICIES)}")
    return POLICIES[name]


def _model_alias(
    _context: click.Context, _option: click.Parameter, texts: tuple[str, ...]
) -> dict[str, str]:
    """Return the model that each name is counted like, or fail as a usage error."""
    if not texts:
        return {}
    from ratedispatch.tokens.vocabulary import is_known

    models = {}
    for text in texts:
        name, equals, known = text.partition("=")
        if not (name and equals and known):
            raise click.UsageError(
                f"--model-alias {text!r} is not NAME=MODEL, such as my-deployment=gpt-4o-mini"
            )
        if not is_known(known):
            raise click.UsageError(
                f"--model-alias {text!r}: {known!r:.80} is neither a known model, such as "
                f"gpt-4o-mini, nor an encoding, such as o200k_base"
            )
        models[name] = known
    return models


_PROVIDER_OPTIONS = (
    option(
        "--base-url",
        group="Provider",
        rivals=("fake",),
        metavar="URL",
        help="URL of the API, including its version; it also determines the charge policy.  "
        "[default: OPENAI_BASE_URL, or OpenAI]",
    ),
    option(
        "--charge-policy",
        group="Provider",
        metavar="NAME",
        callback=_charge_policy,
        help="How the provider charges a request: openai, azure, anthropic, tokens, …  "
        "[default: by the base URL]",
    ),
    option(
        "--model-alias",
        group="Provider",
        multiple=True,
        metavar="NAME=MODEL",
        callback=_model_alias,
        help="Count the tokens of model NAME as those of a known model or with a named encoding, "
        "such as my-deployment=gpt-4o-mini; repeatable.",
    ),
    option(
        "--default-output-tokens",
        group="Provider",
        type=click.IntRange(min=0),
        default=16,
        show_default=True,
        metavar="N",
        help="Tokens reserved for the output of a row without a cap, until enough answers are "
        "known.",
    ),
)

#: Adds the flags of the provider; the command gets `ProviderFlags` as ``provider``.
provider_options = collect(ProviderFlags, "provider", _PROVIDER_OPTIONS)


@dataclass(frozen=True, slots=True)
class PriceFlags:
    """
    The price of all models, in USD per million tokens.

    Args:
        price_in: The price of input tokens.
        price_out: The price of output tokens.
    """

    price_in: float | None
    price_out: float | None

    @property
    def price(self) -> Price | None:
        """
        The price of all models; None if none is given.

        Raises:
            click.UsageError: Only one of the two is given.
        """
        return given_price(self.price_in, self.price_out)


def price_flags(group: str) -> list[Decorator]:
    """Return the flags of prices under the heading *group*."""
    return [
        option(
            f"--price-{direction}",
            group=group,
            type=FiniteRange(min=0),
            metavar="USD",
            help=f"Price of a million {direction}put tokens, for all models; needs "
            f"--price-{other}.  [default: the list price, if it is known]",
        )
        for direction, other in (("in", "out"), ("out", "in"))
    ]


def given_price(ingoing: float | None, outgoing: float | None) -> Price | None:
    """Return the price of all models in USD per million tokens; None if none is given."""
    from ratedispatch.jobs.plan.prices import Price

    if ingoing is None and outgoing is None:
        return None
    if ingoing is None or outgoing is None:
        raise click.UsageError("--price-in and --price-out must be given together; either may be 0")
    return Price("all models", ingoing, outgoing)


def url_of(base_url: str | None) -> str | None:
    """
    Return the base URL to use: *base_url*, or that of the environment; None for OpenAI's.

    An empty *base_url* stays one, and is refused: it is a variable that is not set.
    """
    if base_url is not None:
        return base_url
    return os.environ.get("OPENAI_BASE_URL", "").strip() or None


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")
