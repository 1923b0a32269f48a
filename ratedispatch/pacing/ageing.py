"""
What a priority gets while a higher one takes everything.

With strict priorities, lower ones could wait forever. Here, priorities that have got nothing for a
long time get a small share of the tokens, one after another. Knows no order among requests.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ratedispatch.pacing.turn_line import Level


@dataclass(frozen=True, slots=True)
class AgeingTuning:
    """
    What a priority gets while a higher one takes everything.

    Args:
        after_seconds: For how long it gets nothing at first. Longer than a burst of interactive
            requests, shorter than the patience of who waits for a job.
        share: Of the tokens of the others, what it gets from then on. So little that the higher
            priority hardly notices, and enough for a job to come to its end.
    """

    after_seconds: float = 30.0
    share: float = 0.05


DEFAULT_AGEING = AgeingTuning()


class Ageing:
    """
    Which of the lower priorities have aged, and what they may have.

    Args:
        tuning: When, and how much.
    """

    __slots__ = ("_aged", "_credit", "_starving", "_tuning")

    def __init__(self, tuning: AgeingTuning) -> None:
        self._tuning = tuning
        self._starving: dict[Level, None] = {}  # in the order of the instants they were touched
        self._aged: deque[Level] = deque()
        self._credit = 0.0  # tokens that those that have aged may have

    def begin(self, level: Level, now: float) -> None:
        """Note that something waits in *level* from *now* on."""
        if not level.is_aged:
            level.touched = now
            self._starving.pop(level, None)
            self._starving[level] = None

    def end(self, level: Level) -> None:
        """Note that nothing waits in *level* any more."""
        self._starving.pop(level, None)

    def sweep(self) -> None:
        """Forget the levels in which nothing waits."""
        self._starving = {level: None for level in self._starving if level.requests}
        self._aged = deque(level for level in self._aged if level.requests)

    def ages_in(self, level: Level | None, now: float) -> float:
        """Return the seconds until *level* may get a share for its age; None for a new one."""
        after = self._tuning.after_seconds
        if level is None or not level.requests:
            return after
        return 0.0 if level.is_aged else max(0.0, level.touched + after - now)

    def first(self, top: Level, now: float) -> Level | None:
        """Return the level, other than *top*, whose next request goes for its age; or None."""
        starving, aged = self._starving, self._aged
        while starving:
            level = next(iter(starving))
            if level.touched + self._tuning.after_seconds > now:
                break
            del starving[level]
            level.is_aged = True
            aged.append(level)
        while aged:
            level = aged[0]
            entry = None if level is top else level.first()
            if entry is not None:
                return level if self._credit >= entry.tokens else None
            aged.popleft()
            level.is_aged = False
            if level.requests:
                self.begin(level, now)
        return None

    def went(self, level: Level, tokens: int, now: float, *, by_age: bool) -> None:
        """Note that a request of *level* went."""
        if by_age:
            self._credit -= tokens
            self._aged.rotate(-1)
            return
        # kept for those that have aged alone: it is no savings for those that come to it later
        self._credit = self._credit + tokens * self._tuning.share if self._aged else 0.0
        self.begin(level, now)
