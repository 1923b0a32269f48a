"""
Computes how long the rest of a job takes: until the last request is sent, and until its answer.

Arithmetic only. Rows leave in their order, each as soon as every limit can pay for it, as in the
queue: what flows in while one limit is waited for is kept by the others, up to their depth. Answers
take times of a log-normal distribution, of which the largest of many is what the end waits for.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: Halvings of the time that the last answer may take.
_HALVINGS = 30

#: The last answer is as likely to come before as after: the number of answers that are expected
#: after it, of those that come independently of one another.
_MEDIAN = math.log(2)

#: A spread below this share of the mean counts as none.
_NO_SPREAD = 1e-3


class Stock(NamedTuple):
    """
    What there is of one limit.

    Args:
        available: What may be spent now; below zero while in debt.
        per_second: What flows in.
        most: What it holds at most.
    """

    available: float
    per_second: float
    most: float


def seconds_to_send(parts: Iterable[Sequence[float]], stocks: Sequence[Stock]) -> float:
    """
    Return the seconds until the last of *parts* has left.

    Args:
        parts: In the order in which they leave; of each, what it needs of every stock.
        stocks: The limits.
    """
    held = [stock.available for stock in stocks]
    total = 0.0
    for needs in parts:
        seconds = 0.0
        for need, has, stock in zip(needs, held, stocks, strict=True):
            if need > has:
                seconds = max(seconds, (need - has) / stock.per_second)
        total += seconds
        # what flows in beyond the depth is lost, unless a part needs it at the same time
        held = [
            min(has + seconds * stock.per_second - need, max(has, stock.most))
            for need, has, stock in zip(needs, held, stocks, strict=True)
        ]
    return total


class Latencies(NamedTuple):
    """
    How long rows take from their first request to their answer, log-normally distributed.

    Args:
        mean: In seconds.
        deviation: The deviation of an answer from the mean, in seconds.
        again: The share of rows that are sent again.
        more: What these take longer, in seconds.
    """

    mean: float
    deviation: float = 0.0
    again: float = 0.0
    more: float = 0.0

    def beyond(self, seconds: float) -> float:
        """Return by how much a row exceeds *seconds* on average, those that do not by nothing."""
        once = self._beyond(seconds)
        if not self.again:
            return once
        return (1 - self.again) * once + self.again * self._beyond(seconds - self.more)

    def last_of(self, rate: float) -> float:
        """
        Return the seconds from the last request of many to the last answer, as likely as not.

        Args:
            rate: Requests per second that left until then.
        """
        # with a request at the very end, one answer takes its whole time
        low, high = self._mean_of_all, self._farthest
        if rate * self.beyond(low) <= _MEDIAN:
            return low
        return self._solved(_MEDIAN / rate, low, high)

    def rest_of(self, count: int, since: float) -> float:
        """
        Return the seconds until the last answer, as likely as not, when all requests have left.

        Args:
            count: Requests without an answer.
            since: Seconds since the last of them left.
        """
        expected = self.beyond(since)
        if count <= 0 or expected <= 0:
            return 0.0
        low = max(since, self._mean_of_all)  # the last of them takes its whole time
        wanted = expected * _MEDIAN / count
        if self.beyond(low) <= wanted:
            return low - since
        return self._solved(wanted, low, max(low, self._farthest)) - since

    @property
    def _mean_of_all(self) -> float:
        return self.mean + self.again * self.more

    @property
    def _farthest(self) -> float:
        """Where no answer is expected any more."""
        spread = self._sigma
        return self.mean * math.exp(6 * spread) + (self.more if self.again else 0.0)

    @property
    def _sigma(self) -> float:
        share = self.deviation / self.mean if self.mean > 0 else 0.0
        return math.sqrt(math.log1p(share * share)) if share > _NO_SPREAD else 0.0

    def _solved(self, wanted: float, low: float, high: float) -> float:
        """Return where `beyond` is *wanted*, between *low* and *high*."""
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            if self.beyond(middle) > wanted:
                low = middle
            else:
                high = middle
        return high

    def _beyond(self, seconds: float) -> float:
        if seconds <= 0:
            return self.mean - seconds
        sigma = self._sigma
        if not sigma:
            return max(0.0, self.mean - seconds)
        # the price of a call by Black and Scholes is this mean
        distance = (math.log(self.mean / seconds) + sigma * sigma / 2) / sigma
        return max(0.0, self.mean * _below(distance) - seconds * _below(distance - sigma))


def _below(value: float) -> float:
    """Return the share of a normal distribution that is below *value* deviations."""
    return 0.5 * math.erfc(-value / math.sqrt(2))
