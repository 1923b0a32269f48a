"""Whether a request is attempted again, and when."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratedispatch.dispatch.retry import RETRYABLE, RETRYABLE_WITH_DAYS, RetryPolicy, RetryWaits
from ratedispatch.outcome import Decision, Interpretation
from ratedispatch.pacing.feedback import Verdict

POLICY = RetryPolicy(max_attempts=4, max_refusals=5, first_delay=1, max_delay=8)

BROKEN = Interpretation(Decision.TRANSIENT)
REFUSED = Interpretation(Decision.RATE_LIMIT)


class Chance(random.Random):
    """Chance that always falls at the same share of its range."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def uniform(self, a: float, b: float) -> float:
        return a + self.share * (b - a)


def waits(
    results: list[Interpretation], policy: RetryPolicy = POLICY, rng: random.Random | None = None
) -> list[float | None]:
    """Return the wait after each of *results*."""
    retry = RetryWaits(policy, rng or random.Random(1))
    return [retry.next(result) for result in results]


def test_what_is_final_is_not_attempted_again() -> None:
    """Neither an answer nor a request that can never succeed; a day only if it is waited for."""
    final = {Decision.ANSWERED, Decision.FAIL, Decision.MISSING, Decision.STOP, Decision.UNPAID}
    assert set(Decision) - RETRYABLE_WITH_DAYS == final
    assert {Decision.DAY_LIMIT} == RETRYABLE_WITH_DAYS - RETRYABLE


@pytest.mark.parametrize(("share", "expected"), [(0, [0.5, 1, 2]), (1, [1, 2, 4])])
def test_waits_double_within_their_jitter(share: float, expected: list[float]) -> None:
    """Between half and the whole of 1, 2, 4 seconds."""
    assert waits([BROKEN] * 3, rng=Chance(share)) == expected


def test_the_first_four_waits_are_short_while_others_are_answered() -> None:
    """15 % of 1, 2, 4 and 8 seconds; what is at fault for the fifth time needs time."""
    retry = RetryWaits(RetryPolicy(max_attempts=6, first_delay=1), Chance(1))
    found = [retry.next(BROKEN, is_calm=True) for _ in range(5)]
    assert found == pytest.approx([0.15, 0.3, 0.6, 1.2, 16])


def test_no_wait_is_longer_than_the_longest() -> None:
    """At most 8 s, also after a thousand failures and more."""
    policy = RetryPolicy(max_attempts=2_000, first_delay=1, max_delay=8)
    assert waits([BROKEN] * 1_500, policy, Chance(1))[3:] == [8] * 1_497


def test_attempts_are_used_up() -> None:
    """The fourth failure is the last."""
    assert waits([BROKEN] * 4, rng=Chance(1)) == [1, 2, 4, None]


def test_refusals_for_the_rate_use_up_no_attempts_and_wait_in_the_queue() -> None:
    """Five refusals and three failures are within both bounds; a refused one does not sleep."""
    results = [*[REFUSED] * 5, *[BROKEN] * 3]
    assert waits(results, rng=Chance(1)) == [0, 0, 0, 0, 0, 1, 2, 4]


@pytest.mark.parametrize(
    "decision", [Decision.RATE_LIMIT, Decision.OVERLOADED, Decision.QUEUE_FULL]
)
def test_a_request_that_is_always_refused_ends(decision: Decision) -> None:
    """After max_refusals, whatever it is refused for."""
    assert waits([Interpretation(decision)] * 6) == [0, 0, 0, 0, 0, None]


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ([Verdict.ALONE] * 5, [1, 2, 4, 8, None]),
        # what is refused with all others says nothing about the request, however often it is
        ([*[Verdict.UNTESTED] * 5, *[Verdict.ALONE] * 5], [1, 2, 4, 8, 8, 1, 2, 4, 8, None]),
        # unless nothing else is left that could tell
        ([*[Verdict.UNTESTED] * 4, Verdict.LEFT], [1, 2, 4, 8, None]),
        ([*[Verdict.ALONE] * 4, Verdict.LINE, Verdict.ALONE], [1, 2, 4, 8, 0, 1]),
    ],
)
def test_a_request_is_given_up_when_it_is_refused_while_others_are_answered(
    verdicts: list[Verdict], expected: list[float | None]
) -> None:
    """Five times; until then it steps aside for 1, 2, 4 and 8 s."""
    retry = RetryWaits(RetryPolicy(max_refusals=10, max_delay=8), Chance(1))
    assert [retry.next(REFUSED, verdict) for verdict in verdicts] == expected


def test_a_request_steps_aside_for_16_s_at_most() -> None:
    """So much later does an outage end for it at most, if nothing else is left to be sent."""
    retry = RetryWaits(RetryPolicy(), Chance(1))
    waited = [retry.next(REFUSED, Verdict.UNTESTED) for _ in range(7)]
    assert waited == [1, 2, 4, 8, 16, 16, 16]


@pytest.mark.parametrize("decision", [Decision.UNREACHABLE, Decision.DAY_LIMIT])
def test_a_server_that_cannot_be_reached_and_a_day_use_up_nothing(decision: Decision) -> None:
    """The queue holds and probes, or pauses; the request only waits."""
    assert waits([Interpretation(decision)] * 50) == [0] * 50


@pytest.mark.parametrize(("share", "expected"), [(0, 30), (1, 33.05)])
def test_retry_after_is_a_floor(share: float, expected: float) -> None:
    """A 503 that asks for 30 s is not asked again sooner, though backoff alone would wait 1."""
    asked = Interpretation(Decision.TRANSIENT, delay=30)
    assert waits([asked], rng=Chance(share)) == [pytest.approx(expected)]


def test_a_retry_after_below_the_own_wait_does_not_shorten_it() -> None:
    """A server that asks for nothing is not asked again at once."""
    asked = Interpretation(Decision.TRANSIENT, delay=0.1)
    assert waits([asked], rng=Chance(1)) == [1]


def test_no_request_waits_longer_than_ten_minutes_for_its_server() -> None:
    """A Retry-After of a day is a mistake, or a day's limit that was not said."""
    asked = Interpretation(Decision.TRANSIENT, delay=86_400)
    assert waits([asked], rng=Chance(0)) == [600]


def test_the_same_seed_waits_the_same() -> None:
    """Chance is an argument."""
    seven = waits([BROKEN] * 3, rng=random.Random(7))
    assert seven == pytest.approx([0.6619163824, 1.650934473, 3.0717640086])
    assert seven == waits([BROKEN] * 3, rng=random.Random(7))
    assert seven != waits([BROKEN] * 3, rng=random.Random(8))


@given(
    results=st.lists(st.builds(Interpretation, st.sampled_from(sorted(RETRYABLE, key=str)))),
    seed=st.integers(0, 99),
)
def test_every_request_comes_to_an_end_or_goes_on(results: list[Interpretation], seed: int) -> None:
    """A law for every seed, so it has bounds: no wait is negative or above the longest."""
    for wait in waits(results, rng=random.Random(seed)):
        assert wait is None or 0 <= wait <= POLICY.max_delay


@pytest.mark.parametrize(
    "arguments", [{"max_attempts": 0}, {"max_refusals": -1}, {"first_delay": 0}, {"max_delay": 0.1}]
)
def test_a_policy_that_means_nothing_is_refused(arguments: dict[str, float]) -> None:
    """At the constructor, not in the night."""
    with pytest.raises(ValueError, match="must be"):
        RetryPolicy(**arguments)  # type: ignore[arg-type]
