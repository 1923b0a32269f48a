"""
The flags of ``fake-server`` that set up the server and its account.

Decides their names, how their values are written, and which settings of the fake provider they set.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from ratedispatch.cli.command import collect, option
from ratedispatch.cli.fake_server_keys import parse_limit, parse_time
from ratedispatch.cli.param_types import AMOUNT, parse_amount

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class ServerFlags:
    """Where the server listens, which key it accepts, and how it ends."""

    host: str
    port: int
    api_key: str | None
    keys: tuple[str, ...]
    seed: int
    exit_with_parent: bool


_SERVER_OPTIONS = (
    option(
        "--host",
        group="Server",
        default="127.0.0.1",
        show_default=True,
        help="Address to listen on.",
    ),
    option(
        "--port",
        group="Server",
        default=8000,
        show_default=True,
        type=click.IntRange(0, 65535),
        help="Port to listen on; 0 picks a free one.",
    ),
    option(
        "--api-key",
        group="Server",
        help="The only key that is accepted; without this flag any key is accepted, and none is "
        "needed.",
    ),
    option(
        "--key",
        "keys",
        group="Server",
        multiple=True,
        metavar="NAME=RPM:TPM[,WHAT=…]",
        help="A key with its own account; repeatable; all other keys are refused. WHAT happens "
        "to it: quota=N, quota-at=START[:SECONDS], revoked-at=START[:SECONDS], "
        "outage=START:SECONDS, or FAULT=START:SECONDS.",
    ),
    option(
        "--seed", group="Server", default=0, show_default=True, help="Seed of latencies and faults."
    ),
    option(
        "--exit-with-parent",
        group="Server",
        is_flag=True,
        help="Exit when standard input is closed.",
    ),
)

server_options = collect(ServerFlags, "server", _SERVER_OPTIONS)


@dataclass(frozen=True, slots=True)
class AccountFlags:
    """The limits of the account, and how a request is charged against them."""

    rpm: float | None
    tpm: float | None
    models: tuple[str, ...]
    rpd: float | None
    tpd: float | None
    day_used: float
    changes: tuple[str, ...]
    competitors: tuple[str, ...]
    competitor_tokens: int
    burst_seconds: float
    start: str
    window: str
    quota: int | None
    quota_at: str | None
    revoked_at: str | None
    charge: str
    refund: bool
    refusals_count: bool

    def settings(self) -> dict[str, Any]:
        """
        Return the settings of the provider that the flags come to.

        Raises:
            ValueError: A value does not have the form that its flag requires.
        """
        return {
            "requests_per_minute": self.rpm,
            "tokens_per_minute": self.tpm,
            "models": _parse_models(self.models),
            "requests_per_day": self.rpd,
            "tokens_per_day": self.tpd,
            "day_used": self.day_used,
            "changes": parse_changes(self.changes, self.rpm, self.tpm),
            "competitor": parse_competitors(self.competitors),
            "competitor_tokens": self.competitor_tokens,
            "burst_seconds": self.burst_seconds,
            "start": self.start,
            "window": self.window,
            "quota": self.quota,
            "quota_time": _time(self.quota_at, "--quota-at"),
            "revoked_time": _time(self.revoked_at, "--revoked-at"),
            "charge": self.charge,
            "refund": self.refund,
            "refusals_count": self.refusals_count,
        }


_ACCOUNT_OPTIONS = (
    option("--rpm", group="Limits", type=AMOUNT, help="Requests per minute; unlimited if omitted."),
    option("--tpm", group="Limits", type=AMOUNT, help="Tokens per minute; unlimited if omitted."),
    option(
        "--model",
        "models",
        group="Limits",
        multiple=True,
        metavar="NAME=RPM:TPM",
        help="Limits for one model, or, if NAME ends with *, for all models whose names begin "
        "with it; `none` for no limit; repeatable.",
    ),
    option("--rpd", group="Limits", type=AMOUNT, help="Requests per day; unlimited if omitted."),
    option("--tpd", group="Limits", type=AMOUNT, help="Tokens per day; unlimited if omitted."),
    option(
        "--day-used",
        group="Limits",
        default=0.0,
        show_default=True,
        help="Share of the daily limits that is already used up at the start.",
    ),
    option(
        "--change",
        "changes",
        group="Limits",
        multiple=True,
        metavar="AT:RPM:TPM",
        help="Limits from AT seconds after the start; `-` keeps a limit, `none` lifts it; "
        "repeatable.",
    ),
    option(
        "--competitor",
        "competitors",
        group="Limits",
        multiple=True,
        metavar="START:RPM",
        help="Another client of the account, which sends RPM requests per minute from START "
        "seconds on, until the next --competitor; repeatable.",
    ),
    option(
        "--competitor-tokens",
        "competitor_tokens",
        group="Limits",
        default=50,
        show_default=True,
        type=click.IntRange(min=1),
        help="Tokens of each request of the competitor.",
    ),
    option(
        "--burst-seconds",
        group="Limits",
        default=60.0,
        show_default=True,
        help="Depth of both buckets, in seconds of their rate; at most 60.",
    ),
    option(
        "--start",
        group="Limits",
        type=click.Choice(["full", "empty"]),
        default="full",
        show_default=True,
        help="Whether the buckets are full or empty at the start.",
    ),
    option(
        "--window",
        group="Limits",
        type=click.Choice(["bucket", "sliding", "fixed"]),
        default="bucket",
        show_default=True,
        help="How limits are enforced: continuous buckets, a sliding log of 60 s, or counters for "
        "each minute.",
    ),
    option(
        "--quota",
        group="Limits",
        type=click.IntRange(min=0),
        help="Admitted requests after which the account's quota is exhausted.",
    ),
    option(
        "--quota-at",
        group="Limits",
        metavar="START[:SECONDS]",
        help="Exhaust the account's quota START seconds after the start, for SECONDS or forever.",
    ),
    option(
        "--revoked-at",
        group="Limits",
        metavar="START[:SECONDS]",
        help="Accept no key from START seconds after the start on, for SECONDS or forever.",
    ),
    option(
        "--charge",
        group="Charging",
        type=click.Choice(["tokens", "characters"]),
        default="tokens",
        show_default=True,
        help="How a prompt is counted.",
    ),
    option(
        "--refund",
        group="Charging",
        is_flag=True,
        help="Give back reserved tokens that an answer did not use.",
    ),
    option(
        "--refusals-count",
        group="Charging",
        is_flag=True,
        help="Count refused requests against --rpm.",
    ),
)

account_options = collect(AccountFlags, "account", _ACCOUNT_OPTIONS)


def _time(text: str | None, flag: str) -> tuple[float, float] | None:
    return None if text is None else parse_time(text, flag)


def _parse_models(texts: tuple[str, ...]) -> Mapping[str, tuple[float | None, float | None]]:
    models: dict[str, tuple[float | None, float | None]] = {}
    for text in texts:
        name, _, limits = text.rpartition("=")
        try:
            requests, tokens = limits.split(":")
            models[name] = parse_limit(requests), parse_limit(tokens)
        except ValueError as error:
            raise ValueError(
                f"--model {text!r} is not NAME=RPM:TPM, such as gpt-4o*=500:none: {error}"
            ) from None
    return models


def parse_changes(
    texts: tuple[str, ...], requests: float | None, tokens: float | None
) -> tuple[tuple[float, float | None, float | None], ...]:
    """Return the changes in order of time; `-` keeps the value of the change before."""
    parsed = []
    for text in texts:
        try:
            at, *limits = text.split(":")
            first, second = (part if part == "-" else parse_limit(part) for part in limits)
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


def parse_competitors(texts: tuple[str, ...]) -> tuple[tuple[float, float], ...]:
    """Return the instants and rates of another client, in order of time."""
    competitors = []
    for text in texts:
        start, _, rate = text.partition(":")
        try:
            competitors.append((float(start), 0.0 if rate == "0" else parse_amount(rate)))
        except ValueError as error:
            raise ValueError(
                f"--competitor {text!r} is not START:RPM, such as 30:600: {error}"
            ) from None
    return tuple(sorted(competitors, key=lambda competitor: competitor[0]))
