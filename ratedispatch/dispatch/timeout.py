"""
Decides how long an attempt may take, from the answers so far.

Knows no requests and does not wait.

A server that has answered a hundred requests within six seconds and leaves one open for minutes
will not answer it any more; waiting for it only delays the end. But an answer that is cut off
although it would have come is billed twice, and quick answers say nothing about a row that may
produce more output: so the output cap of the row counts as well.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ratedispatch.outcome import Usage
    from ratedispatch.request import Cost

#: The openai SDK's own default, in seconds.
LONGEST_SECONDS = 600.0

#: Answers from which on the time is learned, and from which on only a slower one changes it.
_ENOUGH = 20
_SETTLED = 100

#: What is learned is never less than this, and never less than ten times the slowest answer: of
#: rows that are alike, one may be hard enough to be thought about for minutes.
_SHORTEST_SECONDS = 180.0
_TIMES_SLOWEST = 10.0

#: Seconds for a token of output, until slower ones are seen. Anthropic's SDKs expect 128,000 in an
#: hour (``_calculate_nonstreaming_timeout``).
_SECONDS_PER_TOKEN = 3600 / 128_000

#: What a row may produce is given twice its time, but no more than an hour.
_TIMES_EXPECTED = 2.0
_MOST_SECONDS = 3600.0

#: Tokens of an answer from which on its speed is that of producing them.
_LONG_ANSWER = 100


class AdaptiveTimeout:
    """
    The longest an attempt may take.

    Args:
        fixed: Seconds, if the user has said a number; otherwise it is learned.

    Attributes:
        usual: What `allowed` returns for a request without timeouts that is capped at *covered*.
        covered: Output tokens up to which `usual` is long enough.
        settled_up_to: Latencies up to this many seconds change nothing and need no `record`.
    """

    __slots__ = (
        "_before", "_count", "_fixed", "_per_token", "_slowest", "_told",
        "covered", "settled_up_to", "usual",
    )  # fmt: skip

    def __init__(self, fixed: float | None = None) -> None:
        self._fixed = fixed
        self._count = 0
        self._slowest = 0.0
        self._per_token = _SECONDS_PER_TOKEN
        self._before: float | None = None  # the slowest of an earlier run
        self._told = self.usual = self._learned()
        self.covered = self._covered()
        self.settled_up_to = -1.0 if fixed is None else math.inf

    def recall(self, slowest: float, per_token: float | None = None) -> None:
        """
        Begin with what an earlier run has learned; after a hundred answers it is forgotten.

        Args:
            slowest: Seconds of its slowest answer.
            per_token: Seconds that a token took it at most.
        """
        if self._fixed is not None:
            return
        self._before = slowest
        self._per_token = max(self._per_token, per_token or 0.0)
        self._told = self.usual = self._learned()
        self.covered = self._covered()

    def found(self) -> tuple[float, float] | None:
        """Return what :meth:`recall` takes; None while too little was seen."""
        if self._fixed is not None or self._count < _ENOUGH:
            return None
        return max(self._slowest, self._before or 0.0), self._per_token

    def record(self, latency: float, usage: Usage | None = None) -> bool:
        """
        Count an answer that took *latency* seconds, and produced what *usage* says.

        Returns:
            Whether the bound has moved so far that what is in flight should be held to the new
            one: down, or up by a tenth. With thousands in flight that is dear.
        """
        self._count += 1
        self._slowest = max(self._slowest, latency)
        if usage is not None and usage.output_tokens >= _LONG_ANSWER:
            self._per_token = max(self._per_token, latency / usage.output_tokens)
        if self._count >= _SETTLED:
            self._before = None
        bound = self.usual = self._learned()
        self.covered = self._covered()
        if self._count >= _SETTLED:
            self.settled_up_to = self._slowest
        if self._told <= bound <= 1.1 * self._told:
            return False
        self._told = bound
        return True

    def allowed(self, timeouts: int, cost: Cost) -> float:
        """
        Return the seconds an attempt may take.

        Args:
            timeouts: Attempts of the same request that have timed out already. Each doubles
                what it is given, in case it really is that much slower than the others.
            cost: Of the request. Without a cap on its output nobody knows what it may produce.
        """
        if self._fixed is not None:
            return self._fixed
        bound = self.usual if cost.is_capped else LONGEST_SECONDS
        needed = min(_MOST_SECONDS, cost.expected_output_tokens * self._time_of_a_token())
        return max(min(LONGEST_SECONDS, bound * 2.0**timeouts), needed)

    def _learned(self) -> float:
        if self._fixed is not None:
            return self._fixed
        if self._count < _ENOUGH and self._before is None:
            return LONGEST_SECONDS
        slowest = max(self._slowest, self._before or 0.0)
        return min(LONGEST_SECONDS, max(_SHORTEST_SECONDS, _TIMES_SLOWEST * slowest))

    def _covered(self) -> float:
        return math.inf if self._fixed is not None else self.usual / self._time_of_a_token()

    def _time_of_a_token(self) -> float:
        return _TIMES_EXPECTED * self._per_token
