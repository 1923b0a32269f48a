"""
Adds up what happens by time, in at most 600 bins, however long it takes.

A bin is a second wide at first. When the bins are full, each two become one of twice the width,
so that memory stays bounded for a job of a week. Knows seconds and amounts; nothing of requests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Bins at most; between half of them and all are in use once a job is longer than five minutes.
MOST_BINS = 600

#: Seconds of a bin at first.
FIRST_WIDTH = 1.0

#: The years 2000 and 2200 in Unix time: what a file tells of other times is no time of a job.
_EARLIEST, _LATEST = 946_684_800.0, 7_258_118_400.0


def is_sound(at: float) -> bool:
    """Whether the Unix time *at* can be one of a job."""
    return _EARLIEST <= at < _LATEST


class TimeBins:
    """
    Amounts by time.

    Args:
        start: Unix time of the first one, in seconds; what is earlier counts there.

    Attributes:
        width: Seconds of a bin.
        end: Unix time of the last thing that happened.
        requests: Requests sent, by bin.
        tokens: Tokens reserved for them.
        prompt_tokens: Of these the tokens of prompts, as far as that is known.
        billed: Tokens that answers report, by the bin in which they came.
        waited: Seconds that they had waited, together.
        longest_wait: Seconds of the longest of these waits.
        answers: Requests answered.
        refusals: Answers that said the rate was too high.
        broken: Attempts that ended in another way.
        paused: Seconds for which the queue paused, without the last pause.
    """

    __slots__ = (
        *("_ahead", "_inside", "_pause", "answers", "billed", "broken", "end", "longest_wait"),
        *("paused", "prompt_tokens", "refusals", "requests", "start", "tokens", "waited", "width"),
    )

    def __init__(self, start: float) -> None:
        self.start = self.end = start
        self.width = FIRST_WIDTH
        self.requests = [0.0] * MOST_BINS
        self.tokens = [0.0] * MOST_BINS
        self.prompt_tokens = [0.0] * MOST_BINS
        self.billed = [0.0] * MOST_BINS
        self.waited = [0.0] * MOST_BINS
        self.longest_wait = [0.0] * MOST_BINS
        self.answers = [0.0] * MOST_BINS
        self.refusals = [0.0] * MOST_BINS
        self.broken = [0.0] * MOST_BINS
        self.paused = [0.0] * MOST_BINS
        self._pause = start, start  # the last one, which may continue
        # seconds in flight: within a bin, and the number of those in flight through whole bins as
        # differences, so that an answer of a minute costs what one of a second does
        self._inside = [0.0] * MOST_BINS
        self._ahead = [0.0] * MOST_BINS

    @property
    def used(self) -> int:
        """How many bins there are up to the end."""
        return min(MOST_BINS, int((self.end - self.start) / self.width) + 1)

    @property
    def seconds(self) -> float:
        """From the first thing that happened to the last."""
        return self.end - self.start

    def bin_of(self, at: float) -> int:
        """Return the number of the bin of the Unix time *at*, for which there is room then."""
        number = int((at - self.start) / self.width)
        if number >= MOST_BINS:
            self._widen(at)
            number = int((at - self.start) / self.width)
        self.end = max(self.end, at)
        return max(0, number)

    def in_flight(self) -> list[float]:
        """Return how many requests were in flight, on average over each bin."""
        found, through = [], 0.0
        for inside, ahead in zip(self._inside, self._ahead, strict=True):
            through += ahead
            found.append(inside / self.width + through)
        return found

    def add_answers(self, since: float, until: float, count: float) -> None:
        """Count answers that came from *since* until *until*, evenly."""
        self.bin_of(until)
        for number, share in self._shares(since, until):
            self.answers[number] += count * share

    def add_flight(self, since: float, until: float, count: float = 1) -> None:
        """Count *count* requests that were in flight from *since* until *until*."""
        last = self.bin_of(until)
        first = self.bin_of(since)
        if first == last:
            self._inside[first] += max(0.0, until - since) * count
            return
        start, width = self.start, self.width
        self._inside[first] += (start + (first + 1) * width - max(since, start)) * count
        self._inside[last] += (until - start - last * width) * count
        self._ahead[first + 1] += count
        self._ahead[last] -= count

    def add_pause(self, at: float, seconds: float) -> None:
        """Count a pause of *seconds* from *at* on; what two pauses share counts once."""
        self.bin_of(at)
        until = at + seconds
        since, before = self._pause
        if at <= before:
            self._pause = since, max(before, until)
        else:  # the former one is over: there is a bin for its end
            self._put_pause(self.paused, since, before)
            self._pause = at, until

    def paused_seconds(self) -> list[float]:
        """Return the seconds for which the queue paused, by bin."""
        found = self.paused.copy()
        since, until = self._pause
        self._put_pause(found, since, min(until, self.end))  # it may last beyond the end
        return found

    def _put_pause(self, sums: list[float], since: float, until: float) -> None:
        for number, share in self._shares(since, until):
            sums[number] += (until - since) * share

    def _shares(self, since: float, until: float) -> Iterator[tuple[int, float]]:
        """Yield the bins from *since* until *until*, with the share of that time in each."""
        if until <= since:
            return
        for number in range(self.bin_of(since), self.bin_of(until) + 1):
            lower = max(since, self.start + number * self.width)
            upper = min(until, self.start + (number + 1) * self.width)
            yield number, max(0.0, upper - lower) / (until - since)

    def _widen(self, at: float) -> None:
        """Make each two bins one, until there is room for *at*."""
        while at - self.start >= MOST_BINS * self.width:
            self._inside = [share * self.width for share in self.in_flight()]
            self._ahead = [0.0] * MOST_BINS
            self.width *= 2
            for name in ("requests", "tokens", "prompt_tokens", "waited", "answers"):
                setattr(self, name, _halved(getattr(self, name)))
            for name in ("refusals", "broken", "billed", "paused", "_inside"):
                setattr(self, name, _halved(getattr(self, name)))
            pairs = zip(self.longest_wait[::2], self.longest_wait[1::2], strict=True)
            self.longest_wait = [max(pair) for pair in pairs] + [0.0] * (MOST_BINS // 2)


def _halved(amounts: list[float]) -> list[float]:
    pairs = zip(amounts[::2], amounts[1::2], strict=True)
    return [one + other for one, other in pairs] + [0.0] * (MOST_BINS // 2)
