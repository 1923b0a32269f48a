"""
How long a circuit breaker waits before each probe, and before it gives up.

Pure arithmetic, in seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from ratedispatch.dispatch.streak import Kind

#: HTTP statuses from here on are faults of a server.
_SERVER_ERROR = 500


@dataclass(frozen=True, slots=True)
class BreakerTuning:
    """
    The constants of a breaker.

    Args:
        probe_seconds: Before the first probes; the last one is repeated ...
        early_seconds: ... for so long, which a restart takes ...
        late_probe_seconds: ... and then this one.
        request_probe_seconds: Before each probe where requests are not taken: time changes
            nothing about those, and other rows have to be tried.
        patience_seconds: To go on probing a server that has answered before: long enough for a
            router or a server to restart, short enough that the reason stands in the log when
            somebody looks.
        starting_seconds: The same for one that never answered but says itself, with a 5xx, that
            it is not well: its start may not be over.
        unanswered_seconds: For one that never answered, and does not say so.
        unreached_seconds: For one that was never reached: its address is wrong.
        unreached_probes: At most so many of those, 0.5 + 1 + 2 = 3.5 s in all. One that does not
            even refuse takes longer over each.
        request_seconds: For one that takes no request: its verdict does not change.
        unpaid_probes: Probes of one that speaks of money.
        dark_seconds: For which no attempt counts, while nothing is answered and too few have
            failed to tell.
        reopening_seconds: An outage that begins so soon after the last is the same one.
        settling_seconds: How long nothing else must be there before failures stand as they are,
            where more requests may come.
    """

    probe_seconds: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0, 5.0)
    early_seconds: float = 300.0
    late_probe_seconds: float = 30.0
    request_probe_seconds: float = 0.25
    patience_seconds: float = 900.0
    starting_seconds: float = 25.0
    unanswered_seconds: float = 7.0
    unreached_seconds: float = 4.0
    unreached_probes: int = 3
    request_seconds: float = 7.5
    unpaid_probes: int = 3
    dark_seconds: float = 180.0
    reopening_seconds: float = 5.0
    settling_seconds: float = 1.0


DEFAULT_TUNING = BreakerTuning()


class Past(NamedTuple):
    """
    What is known of an outage when a probe has failed.

    Args:
        waited: Seconds since the first failure of its kind.
        probes: Probes so far.
        status: The HTTP status of the last failure; 0 if no answer came.
        has_answered: Whether anything was ever answered.
        is_reached: Whether the server was ever reached.
    """

    waited: float
    probes: int
    status: int
    has_answered: bool
    is_reached: bool


def delay_before(probes: int, kind: Kind, waited: float, tuning: BreakerTuning) -> float:
    """Return the seconds before the next probe, after so many *probes* and seconds."""
    if kind is Kind.REQUEST:
        return tuning.request_probe_seconds
    if waited > tuning.early_seconds:
        return tuning.late_probe_seconds
    return tuning.probe_seconds[min(probes, len(tuning.probe_seconds) - 1)]


def is_over(kind: Kind, past: Past, tuning: BreakerTuning) -> bool:
    """Return whether to give up after a failure of *kind*."""
    match kind:
        case Kind.ACCOUNT:
            return True
        case Kind.UNPAID:
            return past.probes >= tuning.unpaid_probes
        case Kind.REQUEST:
            return past.waited >= tuning.request_seconds
    if past.has_answered or (kind is Kind.UNREACHABLE and past.is_reached):
        return past.waited > tuning.patience_seconds
    if kind is Kind.UNREACHABLE:
        is_far = past.waited > tuning.unreached_seconds
        return is_far or past.probes >= tuning.unreached_probes
    is_starting = past.status >= _SERVER_ERROR
    return past.waited > (tuning.starting_seconds if is_starting else tuning.unanswered_seconds)
