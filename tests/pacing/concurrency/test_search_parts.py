"""
The parts of the search for a number in flight: silence, ceiling and steps.
"""

from __future__ import annotations

import pytest

from ratedispatch.pacing.concurrency.adaptive_tuning import AdaptiveTuning
from ratedispatch.pacing.concurrency.ceiling import Ceiling
from ratedispatch.pacing.concurrency.silence import Silence
from ratedispatch.pacing.concurrency.steps import Steps

TUNING = AdaptiveTuning()


def test_a_silence_lasts_until_patience_is_over_and_begins_anew() -> None:
    """A quarter of a second, from when room was short."""
    silence = Silence(0.25, 0.0)
    assert silence.left(10.0) == 0.25
    assert silence.left(10.125) == 0.125
    assert silence.left(10.25) == 0.0
    assert silence.since == 10.25


def test_a_silence_is_explained_by_how_long_the_newest_answer_took() -> None:
    """Three seconds are no silence where an answer took four."""
    silence = Silence(0.25, 4.0)
    silence.left(10.0)
    assert silence.left(13.0) == 1.0


def test_a_process_that_stood_still_waits_once_more() -> None:
    """Answers may lie unread."""
    silence = Silence(0.25, 0.0)
    silence.left(10.0)
    assert silence.left(70.0) == 0.25
    assert silence.left(70.25) == 0.0


def test_a_ceiling_holds_for_so_many_pairs() -> None:
    """One less than what was refused, within the bounds."""
    ceiling = Ceiling(pairs=2)
    assert ceiling.within(1, 100) == 100
    ceiling.refused(17)
    assert ceiling.within(1, 100) == 16
    assert ceiling.within(20, 100) == 20
    assert ceiling.within(1, 9) == 9
    for below in (16, 16, 100):
        ceiling.count_pair()
        assert ceiling.within(1, 100) == below


def test_a_ceiling_is_lifted() -> None:
    """By what another search has found."""
    ceiling = Ceiling(pairs=2)
    ceiling.refused(1)
    assert ceiling.within(1, 100) == 1
    ceiling.lift()
    assert ceiling.within(1, 100) == 100


def test_steps_in_one_direction_are_twice_as_long_and_rest_no_longer() -> None:
    """The first only turns."""
    steps = Steps(TUNING)
    lengths = [steps.next(1.12, is_bound=False) for _ in range(3)]
    assert lengths == pytest.approx([0.25, 0.5, 0.5])
    assert steps.rest == 2


def test_steps_that_turn_back_rest_longer() -> None:
    """Twice as long each time, up to eight readings."""
    steps = Steps(TUNING)
    rests = []
    for elasticity in (1.0, 0.0, 1.0, 0.0):
        steps.next(elasticity, is_bound=False)
        rests.append(steps.rest)
    assert rests == [4, 8, 8, 8]
    steps.look_soon()
    assert steps.rest == 2


def test_a_step_that_is_bound_rests_longer_and_one_after_a_turn_is_a_first() -> None:
    """Down is never bound."""
    steps = Steps(TUNING)
    steps.next(1.12, is_bound=False)
    assert steps.next(1.12, is_bound=True) == pytest.approx(0.5)
    assert steps.rest == 8
    steps.turn()
    assert steps.next(1.12, is_bound=False) == pytest.approx(0.25)
