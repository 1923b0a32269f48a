"""Writes the flags of a fake server for given provider settings. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ratedispatch.simulate.settings import ProviderSettings

#: Flags that take a number or a word, by the settings.
_VALUES = {
    "requests_per_minute": "--rpm",
    "tokens_per_minute": "--tpm",
    "requests_per_day": "--rpd",
    "tokens_per_day": "--tpd",
    "burst_seconds": "--burst-seconds",
    "start": "--start",
    "window": "--window",
    "charge": "--charge",
    "latency": "--latency",
    "latency_sigma": "--latency-sigma",
    "token_time": "--token-time",
    "output_share": "--output-share",
    "engine_slots": "--engine-slots",
    "queue": "--queue",
    "day_used": "--day-used",
}

_SWITCHES = {"refund": "--refund", "refusals_count": "--refusals-count"}


def fake_words(settings: ProviderSettings) -> list[str]:
    """
    Return the flags of ``fake-server`` for *settings*.

    A fitted distribution of output lengths cannot be written as a flag; its mean is used instead.
    """
    words: list[str] = []
    for name, flag in _VALUES.items():
        value = getattr(settings, name)
        if value is not None:
            words += [flag, f"{value:.6f}" if isinstance(value, float) else str(value)]
    words += [flag for name, flag in _SWITCHES.items() if getattr(settings, name)]
    if not settings.headers:
        words.append("--no-headers")
    if settings.engine_batching:
        words += ["--engine-batching", f"{settings.engine_batching}"]
    return [*words, *_repeated(settings), *_lengths(settings), *_times(settings)]


def _repeated(settings: ProviderSettings) -> Iterator[str]:
    for name, rate in settings.faults.items():
        yield from ("--fault", f"{name}={rate}")
    for name, (requests, tokens) in settings.models.items():
        yield from ("--model", f"{name}={_rate(requests)}:{_rate(tokens)}")
    for at, requests, tokens in settings.changes:
        yield from ("--change", f"{at}:{_rate(requests)}:{_rate(tokens)}")
    for start, rate in settings.competitor:
        yield from ("--competitor", f"{start}:{rate}")
    if settings.competitor:
        yield from ("--competitor-tokens", str(settings.competitor_tokens))


def _lengths(settings: ProviderSettings) -> Iterator[str]:
    lengths = settings.output_tokens
    if lengths is None:
        return
    if isinstance(lengths, int):
        yield from ("--output-tokens", str(lengths))
    elif lengths.text:
        yield from ("--output-tokens", lengths.text)
    elif not lengths.are_shares:
        yield from ("--output-tokens", f"{max(1.0, lengths.mean):.0f}")


def _times(settings: ProviderSettings) -> Iterator[str]:
    if settings.outage is not None:
        start, length = settings.outage
        model = f":{settings.outage_model}" if settings.outage_model else ""
        yield from ("--outage", f"{start}:{length}{model}")


def _rate(rate: float | None) -> str:
    return "none" if rate is None else f"{rate:.6f}"
