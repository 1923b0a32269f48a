"""
Decides how fast a queue may send after a refusal.

Decides how long a pause lasts, which refusals belong to it, and the speed at which the queue
resumes. Pure arithmetic on instants, in seconds; the source of randomness is a parameter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import random


@dataclass(frozen=True, slots=True)
class CooldownTuning:
    """
    The constants of a cooldown.

    Args:
        pauses_seconds: Pauses after refusals in a row that do not say how long to wait: a short
            one for a refusal that stays alone, less than a second while it may be a short
            episode, and 5 s for the five minutes that a restart may take.
        longest_pause_seconds: All after these. So a quarter of an hour takes fewer than a
            hundred refusals, after which a request would fail.
        strikes_of_the_living: Refusals in a row that count at most while answers still come.
        ramp_start: The share of the rate at which the ramp after a pause begins.
        longest_ramp_seconds: The ramp is as long as the pause, and at most this long.
        overload_share: After an overload the queue resumes at most at this share of its speed,
            and no faster than in the last seconds on average ...
        least_overload_share: ... but at no less than this share of its limit.
        recovery_per_second: From there it rises by this share of the limit each second. OpenAI's
            error guide asks to return to the former rate, to hold it for 15 minutes and to rise
            gradually. That is meant for a sudden growth of load; one such answer may be a
            server's bad moment, so the rise is quicker, and each further overload slows it again.
    """

    pauses_seconds: tuple[float, ...] = (0.2, 0.4, 0.6, *[0.8] * 12, 2.0, *[5.0] * 58)
    longest_pause_seconds: float = 30.0
    strikes_of_the_living: int = 2
    ramp_start: float = 0.1
    longest_ramp_seconds: float = 2.0
    overload_share: float = 0.7
    least_overload_share: float = 0.4
    recovery_per_second: float = 0.02


DEFAULT_TUNING = CooldownTuning()

#: Refusals in a row beyond which counting them changes nothing.
_MOST_STRIKES = 99


class Episode(NamedTuple):
    """What a refusal came to: whether it began an episode, and the seconds of its pause."""

    is_new: bool
    seconds: float


@dataclass(frozen=True, slots=True)
class _Rise:
    """A speed that grows from *start* by *slope* a second, up to 1."""

    start: float
    slope: float
    since: float

    def speed(self, now: float) -> float:
        return min(1.0, self.start + self.slope * max(0.0, now - self.since))


_FULL = _Rise(1.0, 0.0, 0.0)


def jittered(delay: float, rng: random.Random) -> float:
    """Return *delay* plus up to a tenth and 50 ms: never less than the server asked for."""
    return delay + rng.uniform(0.0, 0.05 + 0.1 * delay)


class Cooldown:
    """
    The pauses of one queue; all instants in seconds.

    Attributes:
        until: When the pause ends; in the past if there is none.
        began: When the last episode of refusals began.
        slow_until: From here on the speed is 1.
        strikes: Refusals in a row, without an answer in between.
        struck_at: When the last of them came.
    """

    __slots__ = (
        "_ramp",
        "_ramp_ends",
        "_recovery",
        "_tuning",
        "began",
        "slow_until",
        "strikes",
        "struck_at",
        "until",
    )

    def __init__(self, tuning: CooldownTuning = DEFAULT_TUNING) -> None:
        self.until = 0.0
        self.began = -1.0
        self.slow_until = 0.0
        self._tuning = tuning
        self._ramp = _FULL
        self._ramp_ends = 0.0
        self._recovery = _FULL
        self.strikes = 0
        self.struck_at = -1.0

    def on_answer(self, sent_at: float) -> None:
        """
        Forget earlier refusals if what was sent after them, at *sent_at*, is answered.

        An answer to what was sent before them is a sign of life too: pauses stay short. Where
        refusals come at once and answers take their time, there may be no other answers.
        """
        if sent_at > self.struck_at:
            self.strikes = 0
        else:
            self.strikes = min(self.strikes, self._tuning.strikes_of_the_living)

    def on_queue_full(self, now: float, *, has_answered: bool) -> bool:
        """
        Count a server without room; return whether a pause is needed.

        It needs fewer requests at once rather than a pause, unless it has answered nothing since
        it last said so.

        Args:
            now: The instant.
            has_answered: Whether an answer has come since the last refusal that counted.
        """
        if self.strikes and not has_answered:
            return True
        self.strikes, self.struck_at = 1, now
        return False

    def on_refusal(
        self, now: float, sent_at: float, delay: float | None, rng: random.Random
    ) -> Episode:
        """
        Pause once for all the refusals of one episode.

        Args:
            now: The instant.
            sent_at: When the refused attempt left.
            delay: Seconds that the refusal asks to wait; None if it does not say.
            rng: The source of jitter.
        """
        pauses, strikes = self._tuning.pauses_seconds, self.strikes
        is_long = strikes >= len(pauses)
        own = self._tuning.longest_pause_seconds if is_long else pauses[strikes]
        if delay is None:
            delay = own
        elif self.strikes:  # "0" again and again is no advice
            delay = max(delay, own)
        delay = jittered(delay, rng)
        is_new = self.begin(now, delay, sent_at)
        if is_new:
            self.strikes = min(self.strikes + 1, _MOST_STRIKES)
            self.struck_at = now
        return Episode(is_new, delay)

    def begin(self, now: float, delay: float, sent_at: float) -> bool:
        """
        Pause for *delay* seconds because of a refusal of what was sent at *sent_at*.

        A refusal of something that was sent before the running episode began belongs to it and
        changes nothing, except that it may ask to wait longer.

        Returns:
            Whether this refusal began a new episode.
        """
        is_new = sent_at > self.began
        if is_new:
            self.began = now
        if is_new or now + delay > self.until > now:
            self._pause(now, delay)
        return is_new

    def join(self, began: float, until: float) -> bool:
        """
        Pause until *until* with others on the account, one of whom was refused when it *began*.

        Returns:
            Whether this is news.
        """
        if began <= self.began:
            return False
        self.began = self.struck_at = began
        self.strikes = min(self.strikes + 1, _MOST_STRIKES)
        self._pause(began, max(0.0, until - began))
        return True

    def _pause(self, now: float, delay: float) -> None:
        """Pause for *delay* seconds from *now* on, and set the ramp that follows."""
        self.until = max(self.until, now + delay)
        length = min(self._tuning.longest_ramp_seconds, delay)
        start = self._tuning.ramp_start
        self._ramp = _Rise(start, (1 - start) / max(length, 1e-6), self.until)
        self._ramp_ends = self.until + length
        self.slow_until = max(self.slow_until, self._ramp_ends)

    def on_overload(self, now: float, recent: float) -> float:
        """
        Return to a lower speed and rise slowly.

        Args:
            now: The instant.
            recent: The share of the limit that was used lately.

        Returns:
            When the queue has its full speed again.
        """
        tuning = self._tuning
        start = max(
            tuning.least_overload_share,
            min(tuning.overload_share * self._recovery.speed(now), recent),
        )
        self._recovery = _Rise(start, tuning.recovery_per_second, now)
        recovered_at = now + (1 - start) / tuning.recovery_per_second
        self.slow_until = max(self.slow_until, recovered_at)
        return recovered_at

    def is_ramping(self, now: float) -> bool:
        """Whether the ramp after the last pause is not over yet."""
        return now < self._ramp_ends

    def speed(self, now: float) -> float:
        """Return the share of the rate that may be used at *now*, above 0 and up to 1."""
        return min(self._ramp.speed(now), self._recovery.speed(now))
