"""Limits and amounts."""

from __future__ import annotations

import pytest

from ratedispatch.cli.param_types import parse_amount
from ratedispatch.errors import InvalidLimits
from ratedispatch.limits import Limits


@pytest.mark.parametrize(
    ("text", "amount"),
    [("3000", 3000), ("30k", 30_000), ("2M", 2e6), ("1.5M", 1.5e6), ("1G", 1e9), ("3,000", 3000),
     ("3_000", 3000), (" 10K ", 10_000), (".5", 0.5)],
)  # fmt: skip
def test_amounts_as_people_write_them(text: str, amount: float) -> None:
    """k, M and G are powers of a thousand."""
    assert parse_amount(text) == amount


@pytest.mark.parametrize("text", ["0", "-5", "nan", "inf", "1e400", "", "12x", "k", "1.5.2", "0k"])
def test_what_is_no_amount_is_refused(text: str) -> None:
    """Zero, negative, not a number: the message repeats what was given."""
    with pytest.raises(ValueError, match="is not"):
        parse_amount(text)


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), True, "3000"])
def test_limits_that_mean_nothing_name_the_field(value: float) -> None:
    """The library says which of its arguments is wrong."""
    with pytest.raises(InvalidLimits, match="tokens_per_minute"):
        Limits(3000, value)
    with pytest.raises(InvalidLimits, match="requests_per_minute"):
        Limits(requests_per_minute=value)


@pytest.mark.parametrize("burst", [-1, 61, float("nan")])
def test_the_burst_is_at_most_a_minute(burst: float) -> None:
    """A bucket deeper than the limit's own minute cannot exist."""
    with pytest.raises(InvalidLimits, match="burst_seconds"):
        Limits(3000, burst_seconds=burst)


def test_a_burst_holds_at_least_one_and_at_most_a_minute() -> None:
    """One request a minute with a burst of half a second still holds one request."""
    rates = Limits(1, 600_000, burst_seconds=0.5).rates()
    assert [(rate.dimension, rate.burst) for rate in rates] == [("requests", 1), ("tokens", 5000)]
    assert Limits(None, None).rates() == ()
