"""
Troubles that a job meets on a bad day.

Each is one that a constant of the program is made for: an address that is wrong, a server that
restarts, a key without credit, requests that are not taken. Decides what the server says and when.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.sim.troubles import IN_TURN, OK, SINGLE, Call, Trouble, error
from ratedispatch.errors import TransportError
from ratedispatch.limits import Limits
from ratedispatch.outcome import Response

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE = Response(200, {"content-type": "text/html"}, "<html>gateway</html>", is_json=False)
NO_CREDIT = error(403, "Top up your account: the balance is too low.")


def _unreached(_: Call) -> Exception:
    return TransportError("connection refused", reached=False)


def _always(what: Response) -> Callable[[Call], Response]:
    return lambda _: what


def _within(
    start: float, end: float, what: Callable[[Call], Response | Exception]
) -> Callable[[Call], Response | Exception]:
    """Return the answers of a server that says *what* from *start* to *end*."""
    return lambda call: what(call) if start <= call.at < end else OK


def _flapping(call: Call) -> Response:
    """Say 502 but for 6 s in each 40."""
    return OK if call.at % 40 < 6 else error(502)


def _said_apart(call: Call) -> Response:
    """Refuse each row in other words."""
    word = "".join(chr(ord("a") + int(digit)) for digit in str(call.row))
    return error(400, f"the field {word} is not known")


def _half(call: Call) -> Response:
    """Answer one in four."""
    return OK if call.number % 4 == 3 else error(500)


def _slow_but_for_one_in_five(call: Call) -> float:
    return 0.2 if call.number % 5 == 2 else 20.0


SITUATIONS: tuple[Trouble, ...] = (
    Trouble("wrong address", _unreached, latency=lambda _: 0.001),
    Trouble("address that is silent", _unreached, latency=lambda _: 1.5),
    Trouble("server that comes up in 3 s", _within(0, 3, _unreached)),
    Trouble("pages from the start", _always(PAGE)),
    Trouble("pages for 6 s from the start", _within(0, 6, _always(PAGE))),
    Trouble("500 from the start", _always(error(500))),
    Trouble("500 for 20 s from the start", _within(0, 20, _always(error(500)))),
    Trouble("no row is taken", _always(error(400, "no such field"))),
    Trouble("no row is taken for 7 s", _within(0, 7, _always(error(400, "no such field")))),
    Trouble("no row is taken, each in other words", _said_apart),
    Trouble("credit ends", _within(2, 1e9, _always(NO_CREDIT))),
    Trouble("credit ends for 3 s", _within(2, 5, _always(NO_CREDIT))),
    Trouble("502 for 290 s", _within(2, 292, _always(error(502)))),
    Trouble("502 for 400 s", _within(2, 402, _always(error(502)))),
    Trouble("502 for good", _within(2, 1e9, _always(error(502)))),
    Trouble("502 for 800 s", _within(2, 802, _always(error(502)))),
    Trouble("502 but for moments", _flapping, rows=1_200),
    Trouble(
        "a few rows and 500 for 60 s",
        _within(0.5, 60, _always(error(500))),
        rows=5,
        limits=Limits(60, burst_seconds=1.0),
    ),
    Trouble(
        "two rows and 500 for 20 s",
        _within(0.5, 20, _always(error(500))),
        rows=2,
        limits=Limits(60, burst_seconds=1.0),
    ),
    Trouble("one row that breaks the server", lambda call: error(500) if call.row == 7 else OK),
    Trouble(
        "last row breaks the server", lambda call: error(500) if call.row == 19 else OK, rows=20
    ),
    Trouble(
        "last two rows break the server", lambda call: error(500) if call.row >= 18 else OK, rows=20
    ),
    Trouble("a single bad request", _always(error(400)), rows=3, way=SINGLE),
    Trouble(
        "bad requests of one who waits for each outcome",
        lambda call: error(400) if call.row % 2 else OK,
        rows=6,
        way=IN_TURN,
    ),
    Trouble(
        "three 503 in a row with advice",
        lambda call: error(503, retry_after="5") if call.number in {10, 11, 12} else OK,
    ),
    Trouble(
        "503 for 200 s at a low rate",
        _within(2, 200, _always(error(503))),
        rows=10,
        limits=Limits(20, burst_seconds=1.0),
    ),
    Trouble(
        "three 503 with advice",
        lambda call: error(503, retry_after="5") if call.number in {10, 40, 70} else OK,
    ),
    Trouble("three in four get a 500", _half, rows=400),
    Trouble(
        "slow answers beside quick faults",
        lambda call: error(500) if call.number % 5 == 2 else OK,
        latency=_slow_but_for_one_in_five,
        rows=1000,
    ),
    Trouble("503 from the start", _always(error(503))),
    Trouble("503 for 10 s", _within(2, 12, _always(error(503))), rows=400),
    Trouble("529 with advice", _within(2, 12, _always(error(529, retry_after="2"))), rows=400),
    Trouble("bare 429 for good", _within(2, 1e9, _always(error(429)))),
    Trouble("bare 429 for 600 s", _within(2, 602, _always(error(429)))),
    Trouble(
        "last row is always refused", lambda call: error(429) if call.row == 49 else OK, rows=50
    ),
    Trouble(
        "3 % bare 429s", lambda call: error(429) if call.number * 7 % 100 < 3 else OK, rows=600
    ),
    Trouble(
        "10 % bare 429s", lambda call: error(429) if call.number * 37 % 100 < 10 else OK, rows=600
    ),
    Trouble("8 at once", lambda call: error(429) if call.in_flight > 8 else OK, rows=300),
    Trouble(
        "8 at once, slow",
        lambda call: error(429) if call.in_flight > 8 else OK,
        rows=100,
        latency=lambda call: 0.02 if call.in_flight > 8 else 5.0,
    ),
)
