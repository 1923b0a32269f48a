"""
What is played in virtual time.

Decides files, servers and what the dispatcher is told. Knows nothing of how a run goes or of
what it is to come to. Those that `benchmarks.live` has too are the same here, so that what
virtual time says can be held against real time.
"""

from __future__ import annotations

import dataclasses
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmarks.frame.bounds import Step, mean_service, tpm_for
from benchmarks.frame.workload import OUTPUT_CAP, Workload, mixed, short, with_large
from benchmarks.sim.play import Need, Setup
from ratedispatch.groups import LimitGroup, LimitGroups
from ratedispatch.limits import Limits
from ratedispatch.request import CHAT, Request
from ratedispatch.simulate.provider.faults import FAULTS
from ratedispatch.simulate.settings import ProviderSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

#: Limits of OpenAI's middle tiers, of which short rows use all requests and few of the tokens.
_RPM = 3_000
_TPM = 2_000_000

_LATENCY = 0.2
_SIGMA = 0.3

#: Rows where nothing else is said: for half a minute, most of which is after a change.
_ROWS = 900

#: When a limit changes or a server begins to refuse, and when it stops, in seconds.
_CHANGE = 8.0
_OUTAGE_END = 13.0
_PAUSE_END = 38.0

#: Seconds that tokens are to bind a file of mixed lengths, and the depth of its buckets.
_BOUND = 40.0
_DEPTH = 5.0

_SLOTS = 32

#: Two of which neither name is the beginning of the other.
_MODELS = ("gpt-4o", "gpt-4.1")


@dataclass(frozen=True, slots=True)
class Scenario:
    """
    What is played.

    Args:
        name: As on the command line and in ``expected.json``.
        summary: What is special about it.
        make: Returns files, server and limits from a seed.
    """

    name: str
    summary: str
    make: Callable[[int], Setup]


def _requests(rows: Workload) -> list[Request]:
    return [
        Request(row.body, CHAT, row.custom_id, number)
        for number, row in enumerate(rows.rows, start=1)
    ]


def _server(**settings: Any) -> ProviderSettings:
    usual: dict[str, Any] = {
        "requests_per_minute": _RPM,
        "tokens_per_minute": _TPM,
        "burst_seconds": 1.0,
        "latency": _LATENCY,
        "latency_sigma": _SIGMA,
    }
    return ProviderSettings(**{**usual, **settings})


def _steps(per_minute: float, depth: float, *later: Step) -> tuple[Step, ...]:
    """Return the steps of a bucket that starts full."""
    return (Step(0.0, per_minute / 60, per_minute / 60 * depth), *later)


def _short(
    *later: Step,
    rows: int = _ROWS,
    limits: Limits | None = None,
    is_empty: bool = False,
    options: dict[str, Any] | None = None,
    **settings: Any,
) -> Callable[[int], Setup]:
    """Return the maker of short rows, which 3,000 requests per minute bind."""
    server = _server(**settings)
    assert server.requests_per_minute is not None
    depth = 0.0 if is_empty else server.burst_seconds
    need = Need(rows, _steps(server.requests_per_minute, depth, *later))

    def make(seed: int) -> Setup:
        requests = _requests(short(rows, seed))
        return Setup(requests, server, limits or Limits(_RPM, _TPM), (need,), options or {})

    return make


def _by_tokens(
    workload: Callable[[int], Workload],
    order: Callable[[Iterable[Any], int], list[Any]] | None = None,
    rpm: Callable[[int], int] | None = None,
) -> Callable[[int], Setup]:
    """
    Return the maker of rows that tokens bind for 40 s.

    Args:
        workload: Makes the rows from a seed.
        order: Puts them into another order; gets the seed too.
        rpm: The limit on requests for so many rows; by default one that does not bind.
    """

    def make(seed: int) -> Setup:
        rows = workload(seed)
        if order is not None:
            rows = dataclasses.replace(rows, rows=tuple(order(rows.rows, seed)))
        requests = _RPM if rpm is None else rpm(len(rows.rows))
        tokens = tpm_for(_BOUND, rows.tokens, _DEPTH, _LATENCY)
        server = _server(
            requests_per_minute=requests, tokens_per_minute=tokens, burst_seconds=_DEPTH
        )
        needs = (
            Need(len(rows.rows), _steps(requests, _DEPTH)),
            Need(rows.tokens, _steps(tokens, _DEPTH)),
        )
        return Setup(_requests(rows), server, Limits(requests, tokens), needs)

    return make


def _mixed(seed: int) -> Workload:
    return mixed(600, seed)


def _with_large(seed: int) -> Workload:
    return with_large(600, seed)


def _as_tight(rows: int) -> int:
    """Return the requests per minute that bind *rows* just as long as tokens do."""
    return tpm_for(_BOUND, rows, _DEPTH, _LATENCY)


def _ascending(rows: Iterable[Any], _: int) -> list[Any]:
    return sorted(rows, key=lambda row: row.tokens)


def _shuffled(rows: Iterable[Any], seed: int) -> list[Any]:
    found = list(rows)
    random.Random(f"order {seed}").shuffle(found)
    return found


def _settles(seed: int) -> Setup:
    """Return rows that reserve 1,000 tokens for an answer and get 200."""
    cap, output, count, depth = 1_000, 200, _ROWS, 5.0
    rpm, tpm = 30_000, 300_000
    rows = mixed(count, seed, median=100 + OUTPUT_CAP, sigma=0.0)
    capped = tuple(
        dataclasses.replace(row, body={**row.body, "max_tokens": cap}) for row in rows.rows
    )
    server = _server(
        requests_per_minute=rpm,
        tokens_per_minute=tpm,
        burst_seconds=depth,
        refund=True,
        output_tokens=output,
        latency=2.0,
    )
    used = rows.tokens + (output - OUTPUT_CAP) * count
    needs = (Need(count, _steps(rpm, depth)), Need(used, _steps(tpm, depth)))
    requests = _requests(dataclasses.replace(rows, rows=capped))
    return Setup(requests, server, Limits(rpm, tpm), needs)


def _groups(seed: int, *, outage: bool = False) -> Setup:
    """Return two models in turn, each with half of the usual limits."""
    half = _RPM / 2
    limits = Limits(half, _TPM / 2)
    struck: dict[str, Any] = {}
    later: tuple[Step, ...] = ()
    if outage:
        struck = {"outage": (_CHANGE, _PAUSE_END - _CHANGE), "outage_model": _MODELS[0]}
        later = _outage(_PAUSE_END, half)
    server = ProviderSettings(
        models=dict.fromkeys(_MODELS, (half, _TPM / 2)),
        burst_seconds=1.0,
        latency=_LATENCY,
        latency_sigma=_SIGMA,
        **struck,
    )
    rows = short(_ROWS, seed)
    named = tuple(
        dataclasses.replace(row, body={**row.body, "model": _MODELS[number % 2]})
        for number, row in enumerate(rows.rows)
    )
    each = _ROWS / len(_MODELS)
    needs = (Need(each, _steps(half, 1.0, *later)), Need(each, _steps(half, 1.0)))
    groups = LimitGroups(tuple(LimitGroup(model, (model,), limits) for model in _MODELS))
    return Setup(_requests(dataclasses.replace(rows, rows=named)), server, groups, needs)


def _groups_outage(seed: int) -> Setup:
    return _groups(seed, outage=True)


def _outage(end: float, per_minute: float) -> tuple[Step, Step]:
    """Return the steps of an outage to *end* s, in which a bucket 1 s deep fills."""
    return Step(_CHANGE, 0.0), Step(end, per_minute / 60, per_minute / 60)


def _queue(seed: int) -> Setup:
    """Return a server without limits that serves 32 at once, which nobody says."""
    rows = 1_500
    server = ProviderSettings(engine_slots=_SLOTS, latency=1.0, latency_sigma=_SIGMA)
    need = Need(rows, (Step(0.0, _SLOTS / mean_service(1.0, _SIGMA)),))
    requests = _requests(short(rows, seed))
    return Setup(requests, server, Limits(), (need,), {"max_in_flight": "auto"})


def _full(seed: int) -> Setup:
    """Return a server without limits that serves 16 at once, and refuses beyond 8 that wait."""
    rows = 1_500
    server = ProviderSettings(engine_slots=16, queue=8, latency=0.5, latency_sigma=_SIGMA)
    need = Need(rows, (Step(0.0, 16 / mean_service(0.5, _SIGMA)),))
    return Setup(_requests(short(rows, seed)), server, Limits(), (need,))


_HALF = Step(_CHANGE, _RPM / 2 / 60)
_HALVES: dict[str, Any] = {"changes": ((_CHANGE, _RPM / 2, _TPM / 2),)}
#: Another client of the account takes half of it from 8 to 16 s.
_OTHERS: dict[str, Any] = {"competitor": ((_CHANGE, _RPM / 2), (2 * _CHANGE, 0.0))}
_SHARED = (_HALF, Step(2 * _CHANGE, _RPM / 60))

#: The limit falls twice, and nothing but refusals tells it.
_QUARTER = Step(2 * _CHANGE, _RPM / 4 / 60)
_SILENT: dict[str, Any] = {
    "changes": ((_CHANGE, _RPM / 2, None), (2 * _CHANGE, _RPM / 4, None)),
    "headers": False,
    "numbers": False,
    "retry_after": "none",
}

_FAULTS: dict[str, Any] = {"faults": dict.fromkeys(FAULTS, 0.02), "options": {"timeout": 5.0}}

#: Five that a server on a bad day shows, and a minute in which it shows one only.
_FIVE = dict.fromkeys(("500", "slow_down", "reset", "html", "truncate"), 0.02)
_MINUTE = 60.0


def _away(fault: str) -> Callable[[int], Setup]:
    """Return the maker of 4,000 rows in the midst of which *fault* strikes all for a minute."""
    end = _CHANGE + _MINUTE
    return _short(*_outage(end, _RPM), rows=4_000, fault_times=((_CHANGE, _MINUTE, fault),))


#: In the order in which they are played.
SCENARIOS: tuple[Scenario, ...] = (
    Scenario("paced", "short rows against a bucket one second deep", _short(rows=1_500)),
    Scenario("slow", "the same, every answer takes 10 s", _short(latency=10.0, latency_sigma=0.0)),
    Scenario(
        "deep", "3,300 rows, a full minute has piled up", _short(rows=3_300, burst_seconds=60)
    ),
    Scenario(
        "empty",
        "a bucket a minute deep that starts empty",
        _short(burst_seconds=60, start="empty", is_empty=True),
    ),
    Scenario("mixed", "log-normal lengths, tokens bind", _by_tokens(_mixed)),
    Scenario("large", "one row in ten of 3,000 tokens, tokens bind", _by_tokens(_with_large)),
    Scenario(
        "shuffled",
        "the rows of mixed, both limits equally tight",
        _by_tokens(_mixed, _shuffled, _as_tight),
    ),
    Scenario("sorted", "the same, the shortest first", _by_tokens(_mixed, _ascending, _as_tight)),
    Scenario("halved", "half of both limits after 8 s", _short(_HALF, **_HALVES)),
    Scenario("halved-silent", "the same, and no headers", _short(_HALF, headers=False, **_HALVES)),
    Scenario("competitor", "another client takes half from 8 to 16 s", _short(*_SHARED, **_OTHERS)),
    Scenario(
        "refused-silent",
        "the limit falls twice, and only bare refusals tell it",
        _short(_HALF, _QUARTER, **_SILENT),
    ),
    Scenario(
        "refusing",
        "everything is refused from 8 to 13 s",
        _short(*_outage(_OUTAGE_END, _RPM), outage=(_CHANGE, _OUTAGE_END - _CHANGE)),
    ),
    Scenario("faults", "each of ten faults strikes 2 % of the admitted", _short(**_FAULTS)),
    Scenario("faults-five", "each of five faults strikes 2 %", _short(rows=1_500, faults=_FIVE)),
    Scenario("away-500", "4,000 rows, everything gets a 500 for 60 s from 8 s on", _away("500")),
    Scenario("away-502", "the same with a page and 502", _away("html")),
    Scenario("away-503", "the same with a server that is overloaded", _away("503")),
    Scenario("away-reset", "the same with connections that are reset", _away("reset")),
    Scenario("auto", "paced, and nobody tells the limits", _short(limits=Limits("auto", "auto"))),
    Scenario(
        "auto-silent",
        "the same, and no headers",
        _short(limits=Limits("auto", "auto"), headers=False),
    ),
    Scenario("settles", "rows reserve 1,000 tokens for an answer, and get 200", _settles),
    Scenario("groups", "two models with limits of their own", _groups),
    Scenario("groups-outage", "the same, one is refused from 8 to 38 s", _groups_outage),
    Scenario("queue", "32 places and no limits, in flight to be found", _queue),
    Scenario("full", "16 places, the rest is refused once 8 wait", _full),
)
