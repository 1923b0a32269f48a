"""
What a number held has shown, and how sure that is.
"""

from __future__ import annotations

from math import log, sqrt

import pytest

from ratedispatch.pacing.concurrency.adaptive_tuning import AdaptiveTuning
from ratedispatch.pacing.concurrency.reading import (
    Phase,
    Reading,
    Sums,
    answers_needed,
    full_between,
)

TUNING = AdaptiveTuning()


def sums(*latencies: float, in_flight: int = 8) -> Sums:
    """What answers that took so long have brought."""
    made = Sums()
    for latency in latencies:
        made.add(latency, in_flight)
    return made


def test_the_noise_of_a_reading_is_the_variance_of_its_mean() -> None:
    """Of 1, 1, 3 and 3 s it is 1 s², by four answers and by the square of the mean, 2 s."""
    assert sums(1.0, 1.0, 3.0, 3.0).reading(0.0).noise == pytest.approx(1.0 / 4 / 4)


def test_answers_that_took_equally_long_have_no_noise() -> None:
    """Nor less than none, whatever is left by rounding."""
    assert sums(*[0.1] * 7).reading(0.0).noise == pytest.approx(0.0, abs=1e-15)
    assert min(sums(*[0.1 * n] * n).reading(0.0).noise for n in range(1, 50)) >= 0.0


def test_the_uncertainty_is_that_of_the_difference_by_the_width() -> None:
    """Both variances add up; between equal numbers nothing is compared."""
    low, high = Reading(log(8), 0.0, noise=0.03), Reading(log(16), 0.0, noise=0.01)
    assert low.uncertainty(high) == pytest.approx(sqrt(0.04) / log(2))
    assert high.uncertainty(low) == low.uncertainty(high)
    assert low.uncertainty(low) == 0.0


@pytest.mark.parametrize(
    ("elasticity", "number"), [(-0.3, 4.0), (0.0, 4.0), (0.5, 8.0), (1.0, 16.0), (1.4, 16.0)]
)
def test_a_server_is_full_between_two_numbers(elasticity: float, number: float) -> None:
    """At the geometric mean where half of the growth was gained; never outside."""
    assert full_between(log(4), log(16), elasticity) == pytest.approx(log(number))


@pytest.mark.parametrize(
    ("phase", "is_first", "limit", "answers"),
    [
        (Phase.CLIMBING, True, 8, 64),
        (Phase.CLIMBING, False, 100, 200),
        (Phase.DOUBLING, False, 16, 10),
        (Phase.DOUBLING, False, 64, 32),
        (Phase.DOUBLING, True, 8, 4),
        (Phase.HALVING, True, 8, 20),
        (Phase.HALVING, False, 64, 32),
    ],
)
def test_how_many_answers_make_a_reading(
    phase: Phase, is_first: bool, limit: int, answers: int
) -> None:
    """So many for each place, and not less than a few."""
    assert answers_needed(phase, limit, TUNING, is_first=is_first) == answers
