"""Durations are written as Go writes them, cut to milliseconds."""

from __future__ import annotations

import pytest

from ratedispatch.simulate.provider.go_durations import go_duration

# of published headers and messages of OpenAI, and of Go's own documentation
ROWS = [
    (0.0, "0s"),
    (-3.0, "0s"),
    (0.0004, "0s"),
    (0.041, "41ms"),
    (0.0843, "84ms"),
    (5527 / 500, "11.054s"),
    (955 / (50000 / 60), "1.146s"),
    (1.0, "1s"),
    (2.081, "2.081s"),
    (7.66, "7.66s"),
    (8.64, "8.64s"),
    (20.0, "20s"),
    (59.9999, "59.999s"),
    (179.56, "2m59.56s"),
    (252.172, "4m12.172s"),
    (360.0, "6m0s"),
    (3723.0, "1h2m3s"),
    (21000.03, "5h50m0.03s"),
    (83909.144, "23h18m29.144s"),
]


@pytest.mark.parametrize(("delay", "text"), ROWS)
def test_a_duration_is_written_as_the_provider_writes_it(delay: float, text: str) -> None:
    """Every published duration comes out letter by letter."""
    assert go_duration(delay) == text
