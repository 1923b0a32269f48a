"""What is held back before anything was admitted."""

from __future__ import annotations

import pytest

from ratedispatch.limits import Rate
from ratedispatch.pacing.limit.opening import Opening, OpeningTuning

# 100 a second, a burst of 70: a tenth of a second is 10
RATE = Rate("requests", 6000, 70)


@pytest.mark.parametrize(
    ("available", "amount", "goes", "held"),
    [
        (70, 1, 10, 60),
        (70, 25, 25, 45),
        (70, 90, 90, 0),  # larger than all there is
        (4, 1, 10, 0),
    ],
)
def test_a_tenth_of_a_second_goes_first(
    available: float, amount: float, goes: float, held: float
) -> None:
    opening = Opening()
    assert opening.start(3.0, amount, available=available, rate=RATE) == goes
    assert opening.held == held
    assert opening.quiet_at == 3.5


def test_never_more_than_the_burst_goes_first() -> None:
    shallow = Rate("requests", 6000, 2)
    assert Opening().start(0, 1, available=2, rate=shallow) == 2


def test_how_much_goes_can_be_tuned() -> None:
    tuning = OpeningTuning(opening_seconds=0.2, quiet_seconds=2)
    opening = Opening(tuning)
    assert opening.start(1, 1, available=70, rate=RATE) == 20
    assert (opening.held, opening.quiet_at) == (50, 3)


@pytest.mark.parametrize(
    ("missing", "held"),
    [(80, 60), (60, 60), (20, 20), (0.0001, 0.0001), (0.00007, 0), (0, 0)],
)
def test_what_flows_in_takes_the_place_of_what_is_held(missing: float, held: float) -> None:
    """Less than a millionth of the burst is rounding."""
    opening = Opening()
    opening.hold(60, 0)
    opening.fill(missing, 70)
    assert opening.held == held


@pytest.mark.parametrize(("sent_at", "released", "left"), [(8, 0, 30), (9, 30, 0), (10, 30, 0)])
def test_an_answer_lets_go_what_was_held(sent_at: float, released: float, left: float) -> None:
    """Only one to what was sent after the provider's bucket had filled again."""
    opening = Opening()
    opening.hold(30, 9)
    assert opening.release(sent_at) == released
    assert opening.held == left


def test_a_refusal_lets_nothing_go() -> None:
    opening = Opening()
    opening.start(0, 1, available=70, rate=RATE)
    opening.drop()
    assert (opening.held, opening.quiet_at, opening.release(1)) == (0, None, 0)
