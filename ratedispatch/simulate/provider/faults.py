"""
What can go wrong at a provider, by name, and how often.

Decides which fault a request meets. Knows nothing of sockets: the owner of the connection carries
out faults that are not a response.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ratedispatch.simulate.provider.answers import error_body

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping, Sequence

#: Faults that a connection has to act out, with what each does.
WIRE_FAULTS: Mapping[str, str] = {
    "reset": "the connection is reset at once, without an answer",
    "disconnect": "the connection is closed half-way through the waiting time",
    "hang": "nothing is ever answered",
    "truncate": "the answer stops in the middle, then the connection is closed",
}

_HTML = b"<html><head><title>502 Bad Gateway</title></head><body>502 Bad Gateway</body></html>"
_JSON = "application/json"


class FaultAnswer(NamedTuple):
    """A fault that looks like an answer; *bare* ones carry none of the provider's headers."""

    status: int
    content_type: str
    body: bytes
    bare: bool


#: Faults that are answers.
ANSWER_FAULTS: Mapping[str, FaultAnswer] = {
    "500": FaultAnswer(
        500,
        _JSON,
        error_body(
            "The server had an error while processing your request. Sorry about that!",
            kind="server_error",
        ),
        bare=False,
    ),
    "503": FaultAnswer(
        503,
        _JSON,
        error_body(
            "The engine is currently overloaded, please try again later", kind="server_error"
        ),
        bare=False,
    ),
    "slow_down": FaultAnswer(
        503, _JSON, error_body("Slow Down", kind="server_error", code="slow_down"), bare=False
    ),
    "429": FaultAnswer(429, _JSON, b'{"error": "too many requests"}', bare=True),
    "html": FaultAnswer(502, "text/html", _HTML, bare=True),
    "html200": FaultAnswer(200, "text/html", _HTML, bare=True),
}

FAULTS: tuple[str, ...] = (*ANSWER_FAULTS, *WIRE_FAULTS)

#: Faults that strike an answer in parts, in the middle of its output; one that is sent whole is
#: never struck by them. On a stream ``truncate`` is what ``stream_cut`` is.
STREAM_FAULTS: Mapping[str, str] = {
    "stream_cut": "the connection is closed in the middle of the stream",
    "stream_error": "an event says that there was an error, and the stream ends",
    "stream_stall": "no further event ever comes",
}


def draw_fault(rates: Mapping[str, float], rng: random.Random) -> str | None:
    """
    Return the name of the fault that strikes, or None.

    One draw of *rng* for each name, in the order given, until one strikes: the rates are
    shares of 0..1, and the first named wins when two would strike at once.
    """
    for name, rate in rates.items():
        if rng.random() < rate:
            return name
    return None


def fault_at(times: Sequence[tuple[float, float, str]], at: float, number: int) -> str | None:
    """
    Return the fault that strikes everything at the second *at*, or None.

    Args:
        times: Start, length and name of each.
        at: Seconds since the provider's start.
        number: The number of the request; faults at the same time alternate.
    """
    struck = [name for start, length, name in times if start <= at < start + length]
    return struck[number % len(struck)] if struck else None
