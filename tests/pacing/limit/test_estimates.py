"""What a reading says of the provider's bucket now."""

from __future__ import annotations

import pytest

from ratedispatch.pacing.limit.level import (
    SharingTuning,
    pace_from,
    surplus_from,
)


@pytest.mark.parametrize(
    ("others", "expected"),
    [(0, 1), (2, 1), (2.5, 1), (3, 0.94), (25, 0.5), (47, 0.06), (50, 0.05), (500, 0.05)],
)
def test_the_pace_beside_others(others: float, expected: float) -> None:
    """Of fifty a second; from a twentieth on they count, and a twentieth stays ours."""
    assert pace_from(others, 50, SharingTuning()) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("age", "others", "since", "overtaken", "reserve", "expected"),
    [
        (0, 0, 0, 0, 0, 100),
        (2, 0, 0, 0, 0, 100),  # no refill: it may have been full
        (2, 4, 0, 0, 0, 92),
        (2, 4, 30, 5, 20, 37),
    ],
)
def test_what_is_proven(
    age: float, others: float, since: float, overtaken: float, reserve: float, expected: float
) -> None:
    assert surplus_from(100, age, others, since, overtaken, reserve) == expected
