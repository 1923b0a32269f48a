"""Figures as a person reads them."""

from __future__ import annotations

import pytest

from ratedispatch.observe.human import about_usd, clock_text, duration_text, usd


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0.0 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min"),
        (725.0, "12 min 5 s"),
        (3599.6, "1 h"),
        (11_520.0, "3 h 12 min"),
        (190_800.0, "2 d 5 h"),
        (172_800.0, "2 d"),
    ],
)
def test_a_time_has_two_units_at_most(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "--:--"), (0.4, "00:00"), (125.0, "02:05"), (3725.0, "1:02:05")],
)
def test_a_clock_shows_hours_only_if_there_are_any(seconds: float | None, text: str) -> None:
    assert clock_text(seconds) == text


@pytest.mark.parametrize(
    ("amount", "exact", "about"),
    [
        (0.0, "$0.00", "$0.00"),
        (0.00006, "$0.00006", "$0.00006"),
        (0.012345, "$0.012345", "$0.012"),
        (0.5, "$0.50", "$0.50"),
        (1_234.567, "$1,234.567", "$1,234.57"),
    ],
)
def test_dollars_have_no_exponent(amount: float, exact: str, about: str) -> None:
    assert (usd(amount), about_usd(amount)) == (exact, about)
