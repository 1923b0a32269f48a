"""
Decides whether and when a request is attempted again.

`RetryPolicy` holds the settings; `RetryWaits` turns each result into the seconds to wait before the
next attempt. ``backoff.expo`` supplies the exponential part.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import backoff

from ratedispatch.outcome import Decision
from ratedispatch.pacing.cooldown import jittered
from ratedispatch.pacing.feedback import Verdict

if TYPE_CHECKING:
    import random
    from collections.abc import Generator

    from ratedispatch.outcome import Interpretation

#: Maximum seconds that one request waits because its server asks for it.
_LONGEST_ASKED_SECONDS = 600.0

#: Refusals for the rate: they say nothing about the request itself.
REFUSALS = frozenset({Decision.RATE_LIMIT, Decision.OVERLOADED, Decision.QUEUE_FULL})

#: For these the queue as a whole waits; the request only takes its old rank in it.
_QUEUE_WAITS = REFUSALS | {Decision.UNREACHABLE, Decision.DAY_LIMIT}

#: After these a request lets others go first.
_STEPS_ASIDE = frozenset({Verdict.ALONE, Verdict.UNTESTED, Verdict.LEFT})

#: Seconds for which it does at first; doubled each time, up to the longest. Where few rows are
#: left, all of them step aside, and an outage ends for them so much later; ``max_refusals`` of
#: the longest last longer than the patience with a server that only refuses.
_FIRST_ASIDE_SECONDS = 1.0
_LONGEST_ASIDE_SECONDS = 16.0

#: What is left of so many waits while others are answered. A fault that strikes by chance seldom
#: strikes a request again, and at its end a job waits for nothing else: where one answer in ten is
#: a fault, a file of 1,500 rows has one or two that meet three in a row. The fifth wait stays as it
#: is: what is still at fault then needs time.
_CALM_SHARE = 0.15
_CALM_WAITS = 4

#: What is attempted again, where a day's limit is waited for and where it is not.
RETRYABLE = REFUSALS | {Decision.UNREACHABLE, Decision.TRANSIENT}
RETRYABLE_WITH_DAYS = RETRYABLE | {Decision.DAY_LIMIT}


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """
    How often and how patiently to retry.

    Args:
        max_attempts: Maximum attempts that end in a server error, a broken connection or a timeout.
            Refusals do not count, because they say nothing about the request. The same number of
            responses from a server that is overloaded at any speed is tolerated in addition.
        max_refusals: Number of refusals after which a request fails, so that a request which the
            server always refuses cannot keep a job from ending.
        max_alone: Number of refusals after which a request fails that is refused while others are
            answered. Refusals while nothing is answered say nothing about the request.
        first_delay: Seconds before the second attempt; doubled for each further one. Before each of
            the first four retries it is 15 % of that while nearly all other requests are answered.
        max_delay: The longest backoff in seconds.
    """

    max_attempts: int = 6
    max_refusals: int = 100
    max_alone: int = 5
    first_delay: float = 0.5
    max_delay: float = 60.0

    def __post_init__(self) -> None:
        if self.max_attempts < 1 or self.max_refusals < 0 or self.max_alone < 0:
            raise ValueError(
                "max_attempts must be at least 1, and max_refusals and max_alone at least 0"
            )
        if not 0 < self.first_delay <= self.max_delay:
            raise ValueError("first_delay must be above 0 and at most max_delay, in seconds")


class RetryWaits:
    """
    The backoff of one request.

    The exponential part is shortened by up to half (equal jitter), so that requests which failed
    together do not return together. The wait is never shorter than the server asks for.

    Args:
        policy: How often and how patiently.
        rng: The source of jitter.
    """

    __slots__ = (
        "_alone",
        "_attempts",
        "_exponential",
        "_odd",
        "_policy",
        "_refusals",
        "_rng",
        "_untested",
        "_waits",
        "_was_odd",
    )

    def __init__(self, policy: RetryPolicy, rng: random.Random) -> None:
        self._policy = policy
        self._rng = rng
        self._attempts = 0
        self._refusals = 0
        self._untested = 0
        self._alone = 0
        self._odd = 0
        self._was_odd = False
        self._waits = 0
        # max_value, because expo overflows without it after 1,024 attempts
        self._exponential: Generator[float, None, None] = backoff.expo(
            base=2, factor=policy.first_delay, max_value=policy.max_delay
        )
        next(self._exponential)

    def forgive(self) -> None:
        """Count one attempt less: the request did not cause its failure."""
        if self._was_odd:
            self._odd -= 1
        else:
            self._attempts -= 1

    def next(
        self,
        result: Interpretation,
        verdict: Verdict | None = None,
        *,
        is_calm: bool = False,
    ) -> float | None:
        """
        Return the seconds before the next attempt after *result*; None if there is none.

        Args:
            result: The interpretation of the last attempt.
            verdict: What its refusal is about; None if it was not refused.
            is_calm: Whether nearly all other requests are answered.
        """
        is_odd = verdict is Verdict.ODD
        if result.decision in _QUEUE_WAITS and not is_odd:
            # a day may take many refusals: waiting for its end was requested
            self._refusals += result.decision in REFUSALS
            if self._refusals > self._policy.max_refusals:
                return None
            return self._after_refusal(result, verdict)
        self._was_odd = is_odd
        self._odd += is_odd
        self._attempts += not is_odd
        if max(self._attempts, self._odd) >= self._policy.max_attempts:
            return None
        own = next(self._exponential)
        if is_calm and self._waits < _CALM_WAITS:
            own *= _CALM_SHARE
        self._waits += 1
        return self._longer(own, result)

    def _after_refusal(self, result: Interpretation, verdict: Verdict | None) -> float | None:
        if verdict is Verdict.ROOM:  # a place may be free at once
            return self._longer(0.0, result) if result.delay else 0.0
        if verdict not in _STEPS_ASIDE:
            self._untested = self._alone = 0
            return 0.0
        if verdict is Verdict.UNTESTED:
            self._untested += 1
            return self._aside(self._untested)
        self._alone += 1
        said = self._alone + (self._untested if verdict is Verdict.LEFT else 0)
        if said >= self._policy.max_alone:
            return None
        return self._longer(self._aside(self._alone), result)

    def _aside(self, times: int) -> float:
        """Return the seconds for which the request lets others go first."""
        longest = min(self._policy.max_delay, _LONGEST_ASIDE_SECONDS)
        return min(longest, _FIRST_ASIDE_SECONDS * 2.0 ** (times - 1))

    def _longer(self, own: float, result: Interpretation) -> float:
        """Return *own* with jitter, but no less than *result* asks for."""
        own *= self._rng.uniform(0.5, 1.0)
        asked = jittered(min(result.delay or 0.0, _LONGEST_ASKED_SECONDS), self._rng)
        return max(own, asked) if result.delay else own
