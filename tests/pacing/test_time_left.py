"""How long the rest of a job takes, by the limits and by the answers in flight."""

from __future__ import annotations

import math
import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratedispatch.pacing.time_left import Latencies, Stock, seconds_to_send

AMOUNTS = st.floats(0, 1e6)
STOCKS = st.builds(Stock, st.floats(-1e3, 1e6), st.floats(0.1, 1e4), st.floats(0.1, 1e4))


def test_what_is_there_goes_at_once_and_the_rest_as_it_flows_in() -> None:
    requests = Stock(50.0, 10.0, 5.0)
    assert seconds_to_send([[40.0]], [requests]) == 0
    assert seconds_to_send([[150.0]], [requests]) == 10
    assert seconds_to_send([[150.0]], [Stock(-50.0, 10.0, 5.0)]) == 20
    assert seconds_to_send([], [requests]) == seconds_to_send([[]], []) == 0


def test_a_sorted_job_waits_for_one_limit_after_the_other() -> None:
    """Mixed, both limits take 10 s at once; short rows first, then long ones, take 10 s each."""
    stocks = [Stock(0.0, 10.0, 1.0), Stock(0.0, 100.0, 10.0)]
    assert seconds_to_send([[100.0, 1_000.0]], stocks) == 10
    apart = seconds_to_send([[100.0, 10.0], [1.0, 990.0]], stocks)
    assert apart == pytest.approx(10 + 9.8)  # what flowed in meanwhile is kept up to the depth


@given(st.lists(st.tuples(AMOUNTS, AMOUNTS), max_size=6), STOCKS, STOCKS)
def test_no_limit_is_outrun_and_none_is_waited_for_in_vain(
    parts: list[tuple[float, float]], one: Stock, other: Stock
) -> None:
    """At least what the slowest needs for all, at most what they need one after the other."""
    stocks = [one, other]
    sums = [sum(part[index] for part in parts) for index in (0, 1)]
    alone = [
        max(0.0, (total - stock.available) / stock.per_second)
        for total, stock in zip(sums, stocks, strict=True)
        if parts
    ]
    least = max((one for one in alone if one), default=0.0) if any(sums) else 0.0
    most = sum(
        max(0.0, total - stock.available) / stock.per_second
        for total, stock in zip(sums, stocks, strict=True)
    )
    waited = sum(
        max(0.0, part[index] - min(0.0, stocks[index].available)) / stocks[index].per_second
        for part in parts
        for index in (0, 1)
    )
    found = seconds_to_send(parts, stocks)
    assert found >= least * (1 - 1e-9) - 1e-6
    assert found <= max(most, waited) * (1 + 1e-9) + 1e-6


@pytest.mark.parametrize("deviation", [0.0, 0.2, 1.0])
@pytest.mark.parametrize("again", [0.0, 0.1])
def test_the_last_answer_is_as_late_as_the_largest_of_many(deviation: float, again: float) -> None:
    """As often as not; 50 a second, by three hundred draws of the last ten seconds."""
    latencies = Latencies(2.0, deviation, again, 3.0)
    sigma = math.sqrt(math.log1p((deviation / 2) ** 2))
    rng = random.Random(1)

    def drawn() -> float:
        once = 2.0 * math.exp(rng.gauss(-sigma * sigma / 2, sigma))
        return once + (3.0 if rng.random() < again else 0.0)

    lasts = [max(drawn() - number / 50 for number in range(500)) for _ in range(300)]
    assert latencies.last_of(50.0) == pytest.approx(statistics.median(lasts), rel=0.05)


def test_a_single_answer_takes_the_mean() -> None:
    assert Latencies(2.0, 0.5).last_of(0.01) == 2.0
    assert Latencies(0.0).last_of(100.0) == pytest.approx(0.0, abs=1e-6)
    assert Latencies(2.0, 0.5).rest_of(1, 0.0) == 2.0


def test_when_all_have_left_the_rest_gets_shorter() -> None:
    """At first, and with each answer; it ends at nothing, not below."""
    latencies = Latencies(2.0, 0.8)
    assert latencies.rest_of(20, 1.0) < latencies.rest_of(20, 0.0)
    assert latencies.rest_of(40, 1.0) > latencies.rest_of(20, 1.0) > latencies.rest_of(1, 1.0) > 0
    assert latencies.rest_of(0, 1.0) == 0
    assert Latencies(2.0).rest_of(3, 5.0) == 0
    assert latencies.rest_of(3, 1e6) == 0
