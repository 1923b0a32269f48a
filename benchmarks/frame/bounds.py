"""
The least time that limits allow, and the shares and targets that a run is held against.

Limits may stand still (`Account`) or move (`Step`, `Allowance`). Arithmetic only: no server, no
process, no file and no clock.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Step(NamedTuple):
    """From second *at* on *rate* per second are allowed, and *pile* at once."""

    at: float
    rate: float
    pile: float = 0.0


def least_instant(work: float, steps: Sequence[Step]) -> float:
    """
    Return the second at which *steps* have allowed *work*.

    Nothing is allowed before the first step, and each holds until the next.

    Raises:
        ValueError: The steps never allow so much.
    """
    left = work
    for index, (at, rate, pile) in enumerate(steps):
        left -= pile
        if left <= 0:
            return at
        end = steps[index + 1].at if index + 1 < len(steps) else math.inf
        if left <= rate * (end - at) and rate > 0:
            return at + left / rate
        left -= rate * (end - at) if rate > 0 else 0.0
    raise ValueError(f"{left:g} of {work:g} are never allowed")


def amount_by(instant: float, steps: Sequence[Step]) -> float:
    """Return what *steps* have allowed by second *instant*: the inverse of `least_instant`."""
    total = 0.0
    for index, (at, rate, pile) in enumerate(steps):
        if at > instant:
            break
        end = steps[index + 1].at if index + 1 < len(steps) else math.inf
        total += pile + rate * (min(end, instant) - at)
    return total


@dataclass(frozen=True, slots=True)
class Allowance:
    """
    What a server admits over time, in one unit: requests or tokens.

    Args:
        rate: Per second, at the start.
        burst: What may go at once at the start.
        is_empty: Whether it starts empty instead, and what refills before the first arrival is
            all that may go at once.
        later: What changes, in seconds since the server's start.
        latency: Median seconds of an answer; 0 where it is not part of the bound.
    """

    rate: float
    burst: float = 0.0
    is_empty: bool = False
    later: tuple[Step, ...] = ()
    latency: float = 0.0

    def lower_bound(self, work: float, first: float) -> float:
        """
        Return the seconds from the first arrival to the last answer that *work* needs.

        Args:
            work: Requests or tokens.
            first: Seconds from the server's start to the first arrival; before all that changes.
        """
        start = Step(0.0, self.rate) if self.is_empty else Step(first, self.rate, self.burst)
        return max(0.0, least_instant(work, (start, *self.later)) - first) + self.latency


def mean_service(median: float, sigma: float) -> float:
    """Return the mean in seconds of log-normal times with this median and sigma."""
    return median * math.exp(sigma * sigma / 2)


def end_of(amounts: Sequence[float]) -> int:
    """Return the index after the last second in which there was anything; 0 if there is none."""
    return max((second + 1 for second, amount in enumerate(amounts) if amount), default=0)


def share_of_rate(
    amounts: Sequence[float], begin: int, end: int, rate: float, *, more: float = 0.0
) -> float | None:
    """
    Return how much of *rate* was used from second *begin* to before *end*.

    Args:
        amounts: One for each second.
        begin: The first second that counts.
        end: The first that no longer does.
        rate: What was allowed in each second.
        more: What else was used in the same time.

    Returns:
        The share; ``None`` if there is no such second.
    """
    if end <= begin:
        return None
    return (sum(amounts[begin:end]) + more) / (rate * (end - begin))


def quiet_seconds(amounts: Sequence[float], begin: int) -> int | None:
    """Return how many whole seconds from *begin* on had nothing; ``None`` if all of them."""
    after = (second for second, amount in enumerate(amounts) if second >= begin and amount)
    found = next(after, None)
    return None if found is None else found - begin


def spent_at(amounts: Sequence[float], pile: float) -> int:
    """Return the first second in which the sum of *amounts* exceeds *pile*, or their number."""
    total = 0.0
    for second, amount in enumerate(amounts):
        total += amount
        if total > pile:
            return second
    return len(amounts)


@dataclass(frozen=True, slots=True)
class Target:
    """
    What a figure is to be.

    Args:
        figure: Its name.
        most: The most that it may be, if not ``None``.
        least: The least.
    """

    figure: str
    most: float | None = None
    least: float | None = None

    def is_met(self, run: Mapping[str, Any]) -> bool:
        """Whether *run* has the figure and reaches the target."""
        value = run[self.figure]
        if value is None:
            return False
        return (self.most is None or value <= self.most) and (
            self.least is None or value >= self.least
        )

    def miss(self, run: Mapping[str, Any]) -> str | None:
        """Return a sentence if *run* misses the target."""
        if self.is_met(run):
            return None
        value = run[self.figure]
        return f"{self.figure} {'unknown' if value is None else f'{value:g}'}, not {self}"

    def __str__(self) -> str:
        bounds = (("<=", self.most), (">=", self.least))
        return " and ".join(f"{sign} {bound:g}" for sign, bound in bounds if bound is not None)


@dataclass(frozen=True, slots=True)
class Account:
    """
    What a server allows.

    Args:
        rpm: Requests per minute.
        tpm: Tokens per minute.
        burst_seconds: Depth of both buckets, which start full, in seconds of their rate.
        latency: Median seconds from the arrival of a request to its answer.
    """

    rpm: int
    tpm: int
    burst_seconds: float
    latency: float

    def token_seconds(self, tokens: float) -> float:
        """Return the seconds until *tokens* have been admitted; 0.0 while the burst lasts."""
        return _seconds(tokens, self.tpm, self.burst_seconds)

    def lower_bound(self, requests: int, tokens: int) -> float:
        """
        Return the seconds from the first arrival to the last answer that nobody can go below.

        For each bucket (work - burst) / rate, the larger of the two, plus one median latency:
        what is admitted last is still to be answered.
        """
        admitted = max(_seconds(requests, self.rpm, self.burst_seconds), self.token_seconds(tokens))
        return admitted + self.latency


def tpm_for(bound: float, tokens: int, burst_seconds: float, latency: float) -> int:
    """Return the tokens per minute that *tokens* need to be bound to *bound* seconds."""
    return round(60 * tokens / (bound - latency + burst_seconds))


def _seconds(work: float, per_minute: float, burst_seconds: float) -> float:
    rate = per_minute / 60
    return max(0.0, (work - rate * burst_seconds) / rate)


@dataclass(frozen=True, slots=True)
class Wait:
    """
    How long a row waited for its admission, beside what its place in the line explains.

    Args:
        custom_id: The row.
        waited: Seconds from the first arrival of any row to its admission.
        explained: Seconds that the tokens of all rows before it take.
    """

    custom_id: str
    waited: float
    explained: float

    def ratio(self, floor: float) -> float:
        """Return ``waited / explained``, with *floor* for what is explained by less."""
        return self.waited / max(self.explained, floor)

    @property
    def lateness(self) -> float:
        """Seconds waited beyond what is explained; below zero if it came early."""
        return self.waited - self.explained
