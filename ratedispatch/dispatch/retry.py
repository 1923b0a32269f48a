"""
Whether and when again.

Decides the wait before the next attempt, with backoff as the engine. Knows nothing of buckets
or files. What is wrapped is the whole attempt, its admission included, so that a retry pays
again, keeps its place and holds nothing while it sleeps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import backoff

from ratedispatch.outcome import Decision, Ruling

if TYPE_CHECKING:
    import random
    from collections.abc import Awaitable, Callable, Generator


class Ruled(Protocol):
    """The result of an attempt, which carries what to do about it."""

    @property
    def ruling(self) -> Ruling:
        """What to do about the attempt."""


ResultT = TypeVar("ResultT", bound=Ruled)

#: Seconds that one request waits at most because its server asks for it.
_LONGEST_ASKED = 600.0

#: The code of a refusal that lasts until a day's limit is reset.
DAY_LIMIT = "day_limit"

#: For these the line as a whole waits; the request itself only takes its old place in it.
_LINE_WAITS = frozenset({Decision.RATE_LIMIT, Decision.UNREACHABLE})
RETRYABLE = _LINE_WAITS | {Decision.TRANSIENT}


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """
    How often and how patiently to try again.

    Args:
        max_attempts: Attempts that may end in a server error, a broken connection or a
            timeout. Refusals for the rate do not count: they say nothing about the request.
        max_refusals: Refusals for the rate after which a request fails all the same, so that
            one which a server always refuses cannot keep a job from ending.
        first_delay: Seconds before the second attempt, doubled for each further one.
        max_delay: The longest such wait in seconds.
    """

    max_attempts: int = 6
    max_refusals: int = 100
    first_delay: float = 0.5
    max_delay: float = 60.0

    def __post_init__(self) -> None:
        if self.max_attempts < 1 or self.max_refusals < 0:
            raise ValueError("max_attempts must be at least 1 and max_refusals at least 0")
        if not 0 < self.first_delay <= self.max_delay:
            raise ValueError("first_delay must be above 0 and at most max_delay, in seconds")


def retrying(
    attempt: Callable[..., Awaitable[ResultT]], policy: RetryPolicy, rng: random.Random
) -> Callable[..., Awaitable[ResultT]]:
    """
    Return *attempt* repeated until it is answered, fails for good, or *policy* is used up.

    The last result is returned in every case.

    Args:
        attempt: A coroutine function.
        policy: How often and how patiently.
        rng: The source of jitter.
    """

    async def once_more(first: list[ResultT], *arguments: Any) -> ResultT:
        return first.pop() if first else await attempt(*arguments)

    # One decorator for each function: backoff adds log handlers to a decorator that is reused.
    # No max_time: backoff takes it from the wall clock.
    decorate = backoff.on_predicate(
        _delays,
        predicate=_needs_retry,
        jitter=None,  # backoff's own would go below Retry-After
        logger=None,
        policy=policy,
        rng=rng,
    )
    repeat: Callable[..., Awaitable[ResultT]] = decorate(once_more)

    async def attempts(*arguments: Any) -> ResultT:
        result = await attempt(*arguments)
        # nearly every first attempt is the last: backoff is only asked when there is to be another
        return await repeat([result], *arguments) if _needs_retry(result) else result

    return attempts


def jittered(delay: float, rng: random.Random) -> float:
    """Return *delay* plus up to a tenth and 50 ms: never less than what the server asked."""
    return delay + rng.uniform(0.0, 0.05 + 0.1 * delay)


def _needs_retry(result: Ruled) -> bool:
    return result.ruling.decision in RETRYABLE


def _delays(policy: RetryPolicy, rng: random.Random) -> Generator[float, Any, None]:
    """
    A wait generator for backoff: is sent each result, yields the seconds to wait, and ends
    when the policy is used up.

    The exponential part is halved by up to a half (equal jitter), so that requests which
    failed together do not come back together.
    """
    # max_value, because expo overflows without it after 1,024 tries
    exponential = backoff.expo(base=2, factor=policy.first_delay, max_value=policy.max_delay)
    next(exponential)
    attempts = refusals = 0
    result: Ruled = yield 0.0
    while True:
        ruling = result.ruling
        if ruling.decision in _LINE_WAITS:
            # a day may take many: whoever waits for its end has said so
            refusals += ruling.decision is Decision.RATE_LIMIT and ruling.code != DAY_LIMIT
            if refusals > policy.max_refusals:
                return
            result = yield 0.0
        else:
            attempts += 1
            if attempts >= policy.max_attempts:
                return
            own = next(exponential) * rng.uniform(0.5, 1.0)
            asked = jittered(min(ruling.delay or 0.0, _LONGEST_ASKED), rng)
            result = yield max(own, asked) if ruling.delay else own
