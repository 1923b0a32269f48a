"""One bucket: its level, its wait, its debts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratedispatch.limits import Rate
from ratedispatch.pacing.bucket import Bucket

# 60 per minute with a burst of 10: one a second
RATE = Rate("tokens", 60, 10)


def play(steps: list[tuple[str, float]], rate: Rate = RATE) -> list[float]:
    """Do *steps* on a new bucket; return the results of the asks."""
    bucket, now, results = Bucket(rate), 5.0, []
    for step, value in steps:
        match step:
            case "sleep":
                now += value
            case "wait":
                results.append(bucket.wait(value, now))
            case "available":
                results.append(bucket.available(now))
            case "rate":
                bucket.set_rate(Rate("tokens", value, rate.burst), now)
            case "raise_to":
                bucket.raise_to(value, value, now)
            case "forget_surplus":
                bucket.forget_surplus()
            case "take":
                results.append(bucket.take(value, now))
            case other:
                getattr(bucket, other)(value, now)
    return results


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([("wait", 10)], [0]),
        ([("debit", 10), ("wait", 1)], [1]),
        ([("debit", 10), ("wait", 4), ("sleep", 3), ("wait", 4)], [4, 1]),
        ([("debit", 10), ("sleep", 4), ("wait", 4), ("available", 0)], [0, 4]),
        ([("sleep", 100), ("available", 0)], [10]),
        # larger than the burst: when full, and then into debt
        ([("wait", 25)], [0]),
        ([("debit", 1), ("wait", 25)], [1]),
        ([("debit", 25), ("available", 0), ("wait", 1)], [-15, 16]),
        ([("debit", 25), ("sleep", 16), ("wait", 1), ("wait", 10)], [0, 9]),
        # credit, up to full
        ([("debit", 10), ("credit", 4), ("wait", 4)], [0]),
        ([("debit", 3), ("credit", 50), ("available", 0)], [10]),
        # a lower level is imposed, a higher one is not
        ([("lower_to", 2), ("available", 0), ("wait", 5)], [2, 3]),
        ([("debit", 9), ("lower_to", 5), ("available", 0)], [1]),
        # surplus: once, only for what the bucket cannot pay, and never above its ceiling
        ([("raise_to", 30), ("available", 0), ("wait", 30)], [30, 0]),
        ([("raise_to", 5), ("available", 0)], [10]),
        ([("raise_to", 30), ("debit", 15), ("available", 0), ("sleep", 9)], [15]),
        ([("raise_to", 30), ("debit", 15), ("sleep", 9), ("available", 0)], [24]),
        ([("raise_to", 30), ("debit", 15), ("sleep", 99), ("available", 0)], [25]),
        ([("debit", 10), ("raise_to", 12), ("sleep", 99), ("available", 0)], [12]),
        ([("raise_to", 15), ("debit", 25), ("sleep", 99), ("available", 0)], [10]),
        ([("raise_to", 15), ("lower_to", 3), ("available", 0)], [3]),
        ([("raise_to", 15), ("forget_surplus", 0), ("available", 0)], [10]),
        # larger than the burst, where the provider's bucket is known to hold as much
        ([("raise_to", 30), ("debit", 30), ("wait", 25), ("sleep", 25), ("wait", 25)], [25, 0]),
        ([("raise_to", 30), ("debit", 30), ("wait", 25), ("sleep", 99), ("wait", 5)], [25, 0]),
        ([("raise_to", 30), ("debit", 30), ("sleep", 99), ("wait", 31)], [0]),
        (
            [
                ("raise_to", 30),
                ("debit", 30),
                ("wait", 25),
                ("sleep", 25),
                ("wait", 25),
                ("debit", 25),
                ("available", 0),
                ("sleep", 99),
                ("available", 0),
            ],
            [25, 0, 0, 10],
        ),
        # taking tells what was missing before, with a surplus and without
        ([("debit", 4), ("take", 5), ("available", 0)], [4, 1]),
        ([("debit", 4), ("sleep", 1), ("wait", 5), ("take", 5), ("available", 0)], [0, 3, 2]),
        ([("raise_to", 30), ("take", 15), ("available", 0)], [-20, 15]),
        # speed and rate: what flowed in before flowed in at the old one
        ([("debit", 10), ("sleep", 2), ("set_speed", 0.5), ("sleep", 2), ("available", 0)], [3]),
        ([("debit", 10), ("set_speed", 0.1), ("wait", 1)], [10]),
        ([("debit", 10), ("sleep", 2), ("rate", 120), ("sleep", 2), ("available", 0)], [6]),
        # a clock that goes back, as that of another loop may, adds no refill and takes none away
        ([("debit", 10), ("sleep", 3), ("wait", 4), ("sleep", -2), ("wait", 4)], [1, 1]),
        ([("debit", 10), ("sleep", 3), ("wait", 4), ("sleep", -2), ("available", 0)], [1, 3]),
    ],
)
def test_arithmetic(steps: list[tuple[str, float]], expected: list[float]) -> None:
    """Levels and waits, each computed by hand for one unit a second and a burst of ten."""
    assert play(steps) == pytest.approx(expected)


@given(
    amounts=st.lists(st.floats(0.01, 40), min_size=1, max_size=40),
    rate=st.floats(1, 1e6),
    burst=st.floats(1, 30),
)
def test_spending_whenever_it_fits_keeps_to_the_rate(
    amounts: list[float], rate: float, burst: float
) -> None:
    """A law: no window spends more than burst (or the one amount above it) plus rate × width."""

    bucket, now, spent = Bucket(Rate("tokens", rate, burst)), 0.0, []
    for amount in amounts:
        now += bucket.wait(amount, now)
        bucket.debit(amount, now)
        spent.append((now, amount))
    deepest = max(burst, *amounts)
    for first in range(len(spent)):
        total = 0.0
        for when, amount in spent[first:]:
            total += amount
            assert total <= (deepest + rate / 60 * (when - spent[first][0])) * (1 + 1e-6)


@given(debit=st.floats(0, 50), amount=st.floats(0.01, 50))
def test_the_wait_is_exact(debit: float, amount: float) -> None:
    """A law: after the wait the amount fits; a hundredth before it does not."""

    bucket = Bucket(RATE)
    bucket.debit(debit, 0)
    wait = bucket.wait(amount, 0)
    if wait > 0.01:
        assert bucket.wait(amount, wait - 0.01) > 0
    assert bucket.wait(amount, wait) == 0
