"""Whether and when again."""

from __future__ import annotations

import asyncio
import itertools
import random
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratedispatch.dispatch.retry import RetryPolicy, jittered, retrying
from ratedispatch.outcome import Decision, Ruling
from ratedispatch.simulate.clock import run_virtual

POLICY = RetryPolicy(max_attempts=4, max_refusals=5, first_delay=1, max_delay=8)


@dataclass(frozen=True)
class Result:
    ruling: Ruling


def attempts(
    rulings: list[Ruling], policy: RetryPolicy = POLICY, seed: int = 1
) -> tuple[list[float], Decision]:
    """Times of the attempts that end in *rulings* (the last repeats), and the last decision."""

    async def main() -> tuple[list[float], Decision]:
        times: list[float] = []

        async def attempt() -> Result:
            times.append(asyncio.get_running_loop().time())
            return Result(rulings[min(len(times), len(rulings)) - 1])

        result = await retrying(attempt, policy, random.Random(seed))()
        return times, result.ruling.decision

    return run_virtual(main())


BROKEN = Ruling(Decision.TRANSIENT)
REFUSED = Ruling(Decision.RATE_LIMIT)
OK = Ruling(Decision.ANSWERED)


@pytest.mark.parametrize(
    "decision", [Decision.ANSWERED, Decision.FAIL, Decision.MISSING, Decision.STOP]
)
def test_what_is_final_is_not_tried_again(decision: Decision) -> None:
    """Neither an answer nor a request that can never succeed."""
    assert attempts([Ruling(decision)]) == ([0], decision)


def test_waits_double_within_their_jitter() -> None:
    """Between half and the whole of 1, 2, 4 seconds."""
    times, decision = attempts([BROKEN, BROKEN, BROKEN, OK])
    waits = [after - before for before, after in itertools.pairwise(times)]
    assert decision is Decision.ANSWERED
    for wait, longest in zip(waits, (1, 2, 4), strict=True):
        assert longest / 2 <= wait <= longest


def test_attempts_are_used_up() -> None:
    """The fourth failure is the last, and is what is returned."""
    times, decision = attempts([BROKEN])
    assert len(times) == 4
    assert decision is Decision.TRANSIENT


def test_refusals_for_the_rate_use_up_no_attempts_and_wait_in_the_line() -> None:
    """Five refusals and three failures are within both bounds; a refused one does not sleep."""
    times, decision = attempts([REFUSED] * 5 + [BROKEN] * 3 + [OK])
    assert decision is Decision.ANSWERED
    assert times[:6] == [0] * 6


def test_a_request_that_is_always_refused_ends() -> None:
    """After max_refusals."""
    times, decision = attempts([REFUSED])
    assert len(times) == 6
    assert decision is Decision.RATE_LIMIT


def test_a_server_that_cannot_be_reached_uses_up_nothing() -> None:
    """The line holds and probes; the row only waits."""
    times, decision = attempts([Ruling(Decision.UNREACHABLE)] * 50 + [OK])
    assert len(times) == 51
    assert decision is Decision.ANSWERED


def test_retry_after_is_a_floor() -> None:
    """A 503 that asks for 30 s is not asked again sooner, though backoff alone would wait 1."""
    times, _ = attempts([Ruling(Decision.TRANSIENT, delay=30), OK])
    assert 30 <= times[1] <= 33.1


def test_the_same_seed_waits_the_same() -> None:
    """Chance is an argument."""
    assert attempts([BROKEN], seed=7) == attempts([BROKEN], seed=7)
    assert attempts([BROKEN], seed=7) != attempts([BROKEN], seed=8)


@given(delay=st.floats(0, 1e4), seed=st.integers(0, 99))
def test_jitter_is_only_ever_added(delay: float, seed: int) -> None:
    """Below Retry-After a request is refused again."""
    assert delay <= jittered(delay, random.Random(seed)) <= 1.1 * delay + 0.05


@pytest.mark.parametrize(
    "arguments", [{"max_attempts": 0}, {"max_refusals": -1}, {"first_delay": 0}, {"max_delay": 0.1}]
)
def test_a_policy_that_means_nothing_is_refused(arguments: dict[str, float]) -> None:
    """At the constructor, not in the night."""
    with pytest.raises(ValueError, match="must be"):
        RetryPolicy(**arguments)  # type: ignore[arg-type]
