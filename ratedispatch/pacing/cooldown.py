"""
How fast the line may go after it was told to stop.

Decides when a pause ends, which refusals belong to it, and the speed at which the line starts
again. Pure arithmetic on instants; knows no bucket, no requests, no loop.
"""

from __future__ import annotations

from dataclasses import dataclass

#: The ramp after a pause starts at this share of the rate and lasts as long as the pause,
#: within these bounds in seconds.
_RAMP_START = 0.1
_RAMP_LONGEST = 2.0

#: After a "Slow Down" the line goes on at most at seven tenths of its speed, and not faster than in
#: the last seconds on average, but at no less than this share of its limit; it rises by a fiftieth
#: of the limit a second. OpenAI's error guide asks to return to the former rate, to hold it for 15
#: minutes and to rise gradually; that is meant for a sudden growth of load, while a single such
#: answer may be a server's bad moment, so the rise is quicker, and each further answer of the kind
#: slows the line again.
_SLOWER = 0.7
_SLOWEST = 0.4
_RISE = 0.02


@dataclass(frozen=True, slots=True)
class _Rise:
    """A speed that grows from *start* by *slope* a second, up to 1."""

    start: float
    slope: float
    since: float

    def speed(self, now: float) -> float:
        return min(1.0, self.start + self.slope * max(0.0, now - self.since))


_FULL = _Rise(1.0, 0.0, 0.0)


class Pauses:
    """
    The pauses of a line; all instants in seconds of the loop.

    Attributes:
        until: When the pause ends; in the past if there is none.
        began: When the last episode of refusals began.
    """

    __slots__ = ("_calm", "_ramp", "_ramp_ends", "began", "until")

    def __init__(self) -> None:
        self.until = 0.0
        self.began = -1.0
        self._ramp = _FULL
        self._ramp_ends = 0.0
        self._calm = _FULL

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
            self.until = max(self.until, now + delay)
            length = min(_RAMP_LONGEST, delay)
            self._ramp = _Rise(_RAMP_START, (1 - _RAMP_START) / max(length, 1e-6), self.until)
            self._ramp_ends = self.until + length
        return is_new

    def calm_down(self, now: float, recent: float) -> float:
        """
        Return to a lower speed and rise slowly.

        Args:
            now: The instant.
            recent: The share of the limit that was used lately.

        Returns:
            When the line has its full speed again.
        """
        start = max(_SLOWEST, min(_SLOWER * self._calm.speed(now), recent))
        self._calm = _Rise(start, _RISE, now)
        return now + (1 - start) / _RISE

    def is_ramping(self, now: float) -> bool:
        """Whether the ramp after the last pause is not over yet."""
        return now < self._ramp_ends

    def speed(self, now: float) -> float:
        """The share of the rate at which the line may go at *now*, above 0 and up to 1."""
        if self._calm is _FULL and now >= self._ramp_ends:  # nearly always
            return 1.0
        return min(self._ramp.speed(now), self._calm.speed(now))
