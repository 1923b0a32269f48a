"""
Fits the rate of each fault, by the names of the fake server. Pure.

A row that is rejected for its content is not a fault of the provider, and neither is a refusal for
the rate. Faults that break a connection can be distinguished only by the moment at which it broke.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ratedispatch.simulate.fit.estimate import Estimate, share_of
from ratedispatch.simulate.provider.faults import FAULTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ratedispatch.simulate.fit.observation import Observation

_REFUSALS = frozenset({"rate_limit", "queue_full", "day_limit", "unreachable"})

#: Shares of a usual latency after which a connection that broke was reset, or closed half-way.
_AT_ONCE, _HALF_WAY = 0.1, 0.75


def fit_faults(
    outcomes: Mapping[tuple[str, int | None, str], int],
    attempts: Sequence[Observation],
    latency: float,
) -> dict[str, Estimate]:
    """
    Return the rates of faults by name, those that were seen.

    Args:
        outcomes: How many attempts came to what, by decision, status and code.
        attempts: Some of them.
        latency: Seconds of a usual answer; 0 if not known.
    """
    admitted = sum(
        count for (decision, _, _), count in outcomes.items() if decision not in _REFUSALS
    )
    counts: dict[str, float] = {}
    for (decision, status, code), count in outcomes.items():
        for name, part in _named(decision, status, code, attempts, latency):
            counts[name] = counts.get(name, 0) + count * part
    return {name: share_of(round(counts[name]), admitted) for name in FAULTS if name in counts}


def _named(
    decision: str,
    status: int | None,
    code: str,
    attempts: Sequence[Observation],
    latency: float,
) -> Iterable[tuple[str, float]]:
    """Yield the names of the faults that an outcome may be, each with its share."""
    if decision == "overloaded":
        yield ("slow_down" if code == "slow_down" else "503"), 1.0
    elif decision != "transient":
        return
    elif status is None:
        if code == "timeout":
            yield "hang", 1.0
        elif code != "process_lost":
            yield from _broken(code, attempts, latency)
    elif status == 200:
        yield "html200", 1.0
    else:
        yield ("html" if status == 502 else "500"), 1.0


def _broken(
    code: str, attempts: Sequence[Observation], latency: float
) -> Iterable[tuple[str, float]]:
    """Yield what breaks connections, by when the attempts with *code* broke off."""
    times = [
        one.latency
        for one in attempts
        if one.status is None and one.code == code and one.latency is not None
    ]
    if not times or latency <= 0:
        yield "disconnect", 1.0
        return
    early = sum(time < _AT_ONCE * latency for time in times) / len(times)
    late = sum(time >= _HALF_WAY * latency for time in times) / len(times)
    for name, share in (("reset", early), ("disconnect", 1 - early - late), ("truncate", late)):
        if share > 0:
            yield name, share
