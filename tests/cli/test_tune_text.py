"""What tune says of a setting where the provider is otherwise."""

from __future__ import annotations

import pytest

from ratedispatch.cli.tune_text import _cost, _doubts
from ratedispatch.simulate.tune.sensitivity import Doubt


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.001, "the same"),
        (0.21, "+21%"),
        (-0.05, "-5%"),
        (716.05, "717 times as long"),
        (float("inf"), "never ends"),
    ],
)
def test_a_time_is_longer_by_percents_or_by_times(share: float, text: str) -> None:
    assert _cost(share) == text


def test_rows_that_are_not_answered_then_are_counted() -> None:
    text = _doubts([Doubt("latency", 12.0, 0.5, refused=3, unanswered=1_200)])
    assert "double, 12 s: +50%  1,200 rows not answered, 3 refused" in text
