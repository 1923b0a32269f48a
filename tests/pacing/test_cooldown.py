"""Pauses, ramps, and going on more slowly."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratedispatch.pacing.cooldown import Cooldown, jittered


class NoJitter(random.Random):
    """Chance that never adds anything."""

    def uniform(self, a: float, b: float) -> float:
        del b
        return a


EXACT = NoJitter()


def test_refusals_of_one_episode_are_one_pause() -> None:
    """What was sent before the pause began belongs to it, whenever its refusal comes."""
    cooldown = Cooldown()
    assert cooldown.begin(10, 2, sent_at=9.9)
    assert not cooldown.begin(10.1, 1, sent_at=9.95)
    assert cooldown.until == 12


def test_a_refusal_that_asks_for_more_prolongs_the_pause() -> None:
    """It begins no episode, but the queue waits as long as it asks."""
    cooldown = Cooldown()
    cooldown.begin(10, 2, sent_at=9.9)
    assert not cooldown.begin(11, 5, sent_at=9.95)
    assert cooldown.until == 16


def test_a_late_refusal_does_not_start_another_pause_when_its_own_is_over() -> None:
    """It was sent before that pause began, so it says nothing about the time since."""
    cooldown = Cooldown()
    cooldown.begin(10, 1, sent_at=9.9)
    assert not cooldown.begin(14, 3, sent_at=9.95)
    assert cooldown.until == 11


def test_the_queue_starts_again_gently() -> None:
    """From a tenth to the whole in the time that the pause took."""
    cooldown = Cooldown()
    cooldown.begin(10, 2, sent_at=9.9)
    assert cooldown.speed(12) == pytest.approx(0.1)
    assert cooldown.speed(13) == pytest.approx(0.55)
    assert cooldown.is_ramping(13)
    assert cooldown.speed(14) == 1
    assert not cooldown.is_ramping(14)


def test_the_ramp_takes_two_seconds_at_most() -> None:
    """Also after a pause of a minute."""
    cooldown = Cooldown()
    cooldown.begin(10, 60, sent_at=9.9)
    assert cooldown.speed(71) == pytest.approx(0.55)
    assert cooldown.speed(72) == 1


def test_pauses_without_advice_grow_from_refusal_to_refusal() -> None:
    """0.2, 0.4, 0.6 s, then twelve of 0.8 s; 5 s for the rest of five minutes, then 30 s."""
    cooldown, now, seconds = Cooldown(), 10.0, []
    for _ in range(77):
        episode = cooldown.on_refusal(now, now, None, EXACT)
        assert episode.is_new
        seconds.append(episode.seconds)
        now = cooldown.until + 1
    assert seconds == [0.2, 0.4, 0.6, *[0.8] * 12, 2, *[5] * 58, 30, 30, 30]
    assert sum(seconds[:-3]) == pytest.approx(302.8)


def test_an_answer_to_what_was_sent_since_ends_the_row_of_refusals() -> None:
    """An answer to something older proves nothing."""
    cooldown = Cooldown()
    cooldown.on_refusal(10, 9.9, None, EXACT)
    cooldown.on_answer(9.95)
    assert cooldown.on_refusal(11, 10.9, None, EXACT).seconds == 0.4
    cooldown.on_answer(11.5)
    assert cooldown.on_refusal(12, 11.9, None, EXACT).seconds == 0.2


def test_advice_is_followed_but_zero_again_and_again_is_none() -> None:
    """The first refusal may say 0 s; a further one in a row waits as if nothing were said."""
    cooldown = Cooldown()
    assert cooldown.on_refusal(10, 9.9, 0.0, EXACT).seconds == 0
    assert cooldown.on_refusal(11, 10.9, 0.0, EXACT).seconds == 0.4
    assert cooldown.on_refusal(12, 11.9, 7.0, EXACT).seconds == 7


def test_a_server_without_room_needs_a_pause_only_when_it_says_so_again() -> None:
    """The first time fewer at once are enough; an answer in between starts over."""
    cooldown = Cooldown()
    assert not cooldown.on_queue_full(10, has_answered=False)
    assert cooldown.on_queue_full(11, has_answered=False)
    assert not cooldown.on_queue_full(12, has_answered=True)
    cooldown.on_answer(12.5)
    assert not cooldown.on_queue_full(13, has_answered=False)


def test_an_overload_lowers_the_speed_which_rises_by_itself() -> None:
    """To 70 %, and up again by 2 % a second, for 15 s."""
    cooldown = Cooldown()
    assert cooldown.on_overload(10, recent=1.0) == pytest.approx(25)
    assert cooldown.speed(10) == pytest.approx(0.7)
    assert cooldown.speed(15) == pytest.approx(0.8)
    assert cooldown.speed(60) == 1


def test_after_an_overload_the_queue_goes_back_to_what_it_used_before() -> None:
    """A queue that had just begun to use half of its limit goes on with that."""
    cooldown = Cooldown()
    cooldown.on_overload(10, recent=0.5)
    assert cooldown.speed(10) == pytest.approx(0.5)


def test_overloads_again_and_again_have_a_floor() -> None:
    """40 % of the limit."""
    cooldown = Cooldown()
    for now in range(20):
        cooldown.on_overload(now, recent=0.01)
    assert cooldown.speed(19) == pytest.approx(0.4)


@given(delay=st.floats(0, 1e4), seed=st.integers(0, 99))
def test_jitter_is_only_ever_added(delay: float, seed: int) -> None:
    """Below Retry-After a request is refused again. A law for every seed, so it has bounds."""
    assert delay <= jittered(delay, random.Random(seed)) <= 1.1 * delay + 0.05
