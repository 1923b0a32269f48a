"""
Accounts whose limits are other than they were told, counted otherwise, or not told at all.

Decides rows, server and limits; `ratedispatch.simulate.play` sends them in virtual time.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ratedispatch.events import AttemptSent
from ratedispatch.limits import Limits
from ratedispatch.request import CHAT, Request
from ratedispatch.simulate.play import play
from ratedispatch.simulate.settings import ProviderSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

_RPM, _TPM = 3_000, 2_000_000

_AUTO = Limits("auto", "auto")

#: The text of a row: always the same, or as long as chance will have it.
_EQUAL, _VARIED = "equal", "varied"


@dataclass(frozen=True, slots=True)
class Mismatch:
    """
    What is played.

    Args:
        name: As in the table of constants.
        settings: Of the server, beside a bucket one second deep and the usual limits.
        limits: What the dispatcher is told.
        rows: How many there are.
        lengths: Whether rows are ``equal`` or ``varied``.
        cap: Of the output of each.
        options: Further arguments of `play`.
    """

    name: str
    settings: Mapping[str, Any]
    limits: Limits = field(default_factory=lambda: Limits(_RPM, _TPM))
    rows: int = 600
    lengths: str = _EQUAL
    cap: int = 16
    options: Mapping[str, Any] = field(default_factory=dict)


#: A fifth of the usual limits, of which a minute is soon over.
_FEW: dict[str, Any] = {"requests_per_minute": 600.0, "tokens_per_minute": 400_000.0}
_LOW = Limits(600, 400_000)

_MUTE: dict[str, Any] = {"headers": False, "numbers": False, "retry_after": "none"}
_HALF: dict[str, Any] = {"changes": ((4.0, _RPM / 2, _TPM / 2),)}
_TOKENS: dict[str, Any] = {
    "requests_per_minute": 6_000,
    "tokens_per_minute": 347_025,
    "burst_seconds": 5.0,
}
_BY_TOKENS = Limits(6_000, 347_025)
_REFUND: dict[str, Any] = {
    "requests_per_minute": 30_000,
    "tokens_per_minute": 300_000,
    "output_tokens": 100,
    "refund": True,
}
_REFUNDED = Limits(30_000, 300_000)

MISMATCHES: tuple[Mismatch, ...] = (
    Mismatch("halved, no headers, no numbers", {**_HALF, "headers": False, "numbers": False}),
    Mismatch("halved, whole seconds", {**_HALF, **_MUTE, "retry_after": "seconds"}),
    Mismatch("halved, no word", {**_HALF, **_MUTE}),
    Mismatch(
        "halved and lifted, no word",
        {**_MUTE, **_FEW, "changes": ((4.0, 300.0, None), (12.0, 600.0, None))},
        _LOW,
        1_300,
    ),
    Mismatch("lowered and lifted", {"changes": ((4.0, 1500.0, 1e6), (12.0, 3000.0, 2e6))}),
    Mismatch(
        "twice what was told",
        {"requests_per_minute": 1_200.0, "burst_seconds": 60.0},
        Limits(600),
        800,
    ),
    Mismatch("a minute has piled up", {**_FEW, "burst_seconds": 60.0}, _LOW, 700),
    Mismatch("a minute deep and empty", {"burst_seconds": 60.0, "start": "empty"}),
    Mismatch("an empty bucket, no advice", {"burst_seconds": 60.0, "start": "empty", **_MUTE}),
    Mismatch("a sliding minute", {**_FEW, "window": "sliding"}, _LOW, 800),
    Mismatch(
        "a sliding minute, no headers", {**_FEW, "window": "sliding", "headers": False}, _LOW, 800
    ),
    Mismatch("a fixed minute", {**_FEW, "window": "fixed"}, _LOW, 800),
    Mismatch("a fixed minute, no word", {**_FEW, "window": "fixed", **_MUTE}, _LOW, 800),
    Mismatch("headers say a tenth", {"header_factor": 0.1}),
    Mismatch("headers say a tenth, to be learned", {"header_factor": 0.1}, _AUTO),
    Mismatch("headers say tenfold", {"header_factor": 10.0}),
    Mismatch(
        "headers say tenfold, to be learned",
        {"header_factor": 10.0, **_FEW, "burst_seconds": 60.0},
        _AUTO,
        rows=700,
    ),
    Mismatch("headers say a third", {"header_factor": 0.34, "burst_seconds": 5.0}, rows=800),
    Mismatch("another client", {"competitor": ((5.0, 1_500.0),)}, rows=900),
    Mismatch(
        "another client, no headers", {"competitor": ((5.0, 1_500.0),), "headers": False}, rows=900
    ),
    Mismatch(
        "another client, a minute deep",
        {**_FEW, "competitor": ((5.0, 300.0),), "burst_seconds": 60.0},
        _LOW,
        800,
    ),
    Mismatch("another client takes a little", {"competitor": ((2.0, 200.0),)}, rows=900),
    Mismatch("to be learned", {}, _AUTO),
    Mismatch("to be learned, slow", {"latency": 5.0}, _AUTO),
    Mismatch("to be learned, no word", _MUTE, _AUTO),
    Mismatch(
        "to be learned, no word, lifted",
        {**_MUTE, **_FEW, "changes": ((10.0, 1_200.0, None),)},
        _AUTO,
        rows=1_500,
    ),
    Mismatch(
        "to be learned, no word, low",
        {**_MUTE, "requests_per_minute": 120.0, "burst_seconds": 5.0},
        _AUTO,
        rows=200,
    ),
    Mismatch(
        "to be learned, a fixed minute, no word",
        {"window": "fixed", **_MUTE, "requests_per_minute": 300.0},
        _AUTO,
    ),
    Mismatch(
        "to be learned, a sliding minute, no word",
        {"window": "sliding", **_MUTE, "requests_per_minute": 300.0},
        _AUTO,
    ),
    Mismatch(
        "charged by tokens, a minute deep",
        {**_TOKENS, "burst_seconds": 60.0},
        _BY_TOKENS,
        1_200,
        lengths=_VARIED,
        cap=64,
    ),
    Mismatch(
        "a lower limit, headers say half",
        {**_TOKENS, "tokens_per_minute": 250_000, "header_factor": 0.5},
        _BY_TOKENS,
        300,
        lengths=_VARIED,
        cap=64,
    ),
    Mismatch(
        "charged by characters",
        {**_TOKENS, "charge": "characters"},
        _BY_TOKENS,
        lengths=_VARIED,
        cap=64,
    ),
    Mismatch("charged by tokens", _TOKENS, _BY_TOKENS, lengths=_VARIED, cap=64),
    Mismatch("answers below their caps", {**_REFUND}, _REFUNDED, rows=500, cap=800),
    Mismatch(
        "answers below their caps, slow",
        {**_REFUND, "latency": 5.0, "burst_seconds": 5.0},
        _REFUNDED,
        rows=500,
        cap=800,
    ),
    Mismatch(
        "answers below their caps, a minute deep",
        {**_REFUND, "burst_seconds": 60.0},
        _REFUNDED,
        rows=1_000,
        cap=800,
    ),
    Mismatch(
        "tokens and another client",
        {**_TOKENS, "competitor": ((2.0, 300.0),), "competitor_tokens": 500},
        _BY_TOKENS,
        lengths=_VARIED,
        cap=64,
    ),
    Mismatch(
        "characters and another client",
        {
            **_TOKENS,
            "charge": "characters",
            "competitor": ((2.0, 300.0),),
            "competitor_tokens": 500,
        },
        _BY_TOKENS,
        lengths=_VARIED,
        cap=64,
    ),
    Mismatch(
        "characters, learned from a proxy that is far",
        {**_TOKENS, "charge": "characters"},
        _BY_TOKENS,
        lengths=_VARIED,
        cap=64,
        options={"travel": 0.1},
    ),
    Mismatch(
        "answers that take ten seconds",
        {"latency": 10.0, "latency_sigma": 0.0},
        rows=1_000,
        options={"travel": 0.001, "max_in_flight": 1_000},
    ),
    Mismatch("overloaded now and then", {"faults": {"slow_down": 0.05}}, rows=900),
    Mismatch("overloaded for 5 s", {"fault_times": ((4.0, 5.0, "slow_down"),)}, rows=900),
    Mismatch("refused for 5 s, whole seconds", {"outage": (4.0, 5.0), "retry_after": "seconds"}),
    Mismatch("refused for 5 s, no word", {"outage": (4.0, 5.0), **_MUTE}),
    Mismatch("refused for 200 s, no word", {"outage": (4.0, 200.0), **_MUTE}),
)


def _row(number: int, mismatch: Mismatch, rng: random.Random) -> Request:
    count = 1
    if mismatch.lengths == _VARIED:
        count = max(1, min(4_000, round(rng.lognormvariate(0.0, 1.1) * 200)))
    content = f"{number} " + " ".join(["hello"] * count)
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": content}]}
    return Request({**body, "max_tokens": mismatch.cap}, CHAT, f"r{number}")


def play_mismatch(mismatch: Mismatch, seed: int) -> dict[str, float]:
    """Send the rows; return what a user feels."""
    rng = random.Random(f"lengths {seed}")
    rows = [_row(number, mismatch, rng) for number in range(mismatch.rows)]
    usual: dict[str, Any] = {
        "requests_per_minute": _RPM,
        "tokens_per_minute": _TPM,
        "burst_seconds": 1.0,
        "latency": 0.2,
        "latency_sigma": 0.3,
    }
    server = ProviderSettings(**{**usual, **mismatch.settings})
    attempts = 0

    def listen(event: object) -> None:
        nonlocal attempts
        attempts += isinstance(event, AttemptSent)

    options = {"max_in_flight": 10_000, **mismatch.options}
    played = play(rows, mismatch.limits, server, seed=seed, listeners=[listen], **options)
    answered = len(played.answered)
    return {
        "seconds": played.stats["makespan"] or played.seconds,
        "unanswered": len(rows) - answered,
        "in vain": attempts - answered,
    }
