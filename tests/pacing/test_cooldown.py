"""Pauses, ramps, and going on more slowly."""

from __future__ import annotations

import pytest

from ratedispatch.pacing.cooldown import Pauses


def test_refusals_of_one_episode_are_one_pause() -> None:
    """What was sent before the pause began belongs to it, whenever its refusal comes."""
    pauses = Pauses()
    assert pauses.begin(10, 2, sent_at=9.9)
    assert not pauses.begin(10.1, 1, sent_at=9.95)
    assert pauses.until == 12


def test_a_refusal_that_asks_for_more_prolongs_the_pause() -> None:
    pauses = Pauses()
    pauses.begin(10, 2, sent_at=9.9)
    assert not pauses.begin(11, 5, sent_at=9.95)
    assert pauses.until == 16


def test_news_from_before_the_pause_do_not_start_another_when_it_is_over() -> None:
    pauses = Pauses()
    pauses.begin(10, 1, sent_at=9.9)
    assert not pauses.begin(14, 3, sent_at=9.95)
    assert pauses.until == 11


def test_the_line_starts_again_gently() -> None:
    """From a tenth to the whole in the time that the pause took."""
    pauses = Pauses()
    pauses.begin(10, 2, sent_at=9.9)
    assert pauses.speed(12) == pytest.approx(0.1)
    assert pauses.speed(13) == pytest.approx(0.55)
    assert pauses.is_ramping(13)
    assert pauses.speed(14) == pytest.approx(1)
    assert not pauses.is_ramping(14)


def test_slow_down_lowers_the_speed_which_rises_by_itself() -> None:
    pauses = Pauses()
    pauses.calm_down(10, recent=1.0)
    assert pauses.speed(10) == pytest.approx(0.7)
    assert pauses.speed(15) == pytest.approx(0.8)
    assert pauses.speed(60) == 1


def test_slow_down_goes_back_to_what_was_used_before() -> None:
    """A line that had just begun to use half of its limit goes on with that."""
    pauses = Pauses()
    pauses.calm_down(10, recent=0.5)
    assert pauses.speed(10) == pytest.approx(0.5)


def test_slow_down_again_and_again_has_a_floor() -> None:
    pauses = Pauses()
    for now in range(20):
        pauses.calm_down(now, recent=0.01)
    assert pauses.speed(19) == pytest.approx(0.4)
