"""
Turns the bins of a run into the frames that charts and tables show: rates, means and shares. Pure.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ratedispatch.observe.history import LimitStep, PlayedRun

#: Requests of a frame, on average, below which rates are more noise than news; and the frames
#: that a chart has even then.
_ENOUGH = 12
_FEWEST = 24

#: A last frame that is shorter than this share of the others is part of the one before.
_SHORTEST = 0.5

#: The share of a limit from which on it is taken for used up.
NEAR = 0.9


@dataclass(frozen=True, slots=True)
class Frames:
    """
    A run in equal spans of time; each list has one number for each span.

    Args:
        edges: Unix times at which they begin, and that at which the last one ends.
        requests: Sent per minute.
        tokens: Reserved per minute.
        prompt_tokens: Of these those of prompts.
        billed: Tokens per minute that answers report.
        answers: How many.
        in_flight: On average.
        mean_wait: Seconds that requests had waited which left; 0 where none left.
        longest_wait: The longest of them.
        refusals: How many.
        broken: Attempts that ended in another way without an answer.
        paused: The share of the span for which the queue paused.
    """

    edges: Sequence[float]
    requests: Sequence[float]
    tokens: Sequence[float]
    prompt_tokens: Sequence[float]
    billed: Sequence[float]
    answers: Sequence[float]
    in_flight: Sequence[float]
    mean_wait: Sequence[float]
    longest_wait: Sequence[float]
    refusals: Sequence[float]
    broken: Sequence[float]
    paused: Sequence[float]

    @property
    def answers_per_minute(self) -> list[float]:
        """Answers that came."""
        return [count * 60 / width for count, width in zip(self.answers, self.widths, strict=True)]

    @property
    def widths(self) -> list[float]:
        """Seconds of each span."""
        return [after - before for before, after in zip(self.edges, self.edges[1:], strict=False)]


def frames_of(run: PlayedRun, most: int) -> Frames:
    """Return *run* in at most *most* frames."""
    bins, used = run.bins, run.bins.used
    step = max(1, math.ceil(used / most))
    total = sum(bins.requests[:used])
    while total * step / used < _ENOUGH and used / (step + 1) >= _FEWEST:
        step += 1
    starts = list(range(0, used, step))
    end = max(bins.end, bins.start + bins.width * _SHORTEST)
    edges = [bins.start + number * bins.width for number in starts]
    if len(starts) > 1 and end - edges[-1] < _SHORTEST * step * bins.width:
        del starts[-1], edges[-1]
    edges.append(end)
    cuts = [*starts, used]

    def sums(values: Sequence[float]) -> list[float]:
        return [sum(values[a:b]) for a, b in itertools.pairwise(cuts)]

    widths = [after - before for before, after in itertools.pairwise(edges)]

    def per_second(values: Sequence[float], factor: float = 1.0) -> list[float]:
        return [amount * factor / width for amount, width in zip(sums(values), widths, strict=True)]

    sent = sums(bins.requests)
    waited = zip(sums(bins.waited), sent, strict=True)
    pauses = per_second(bins.paused_seconds())
    return Frames(
        edges=edges,
        requests=per_second(bins.requests, 60),
        tokens=per_second(bins.tokens, 60),
        prompt_tokens=per_second(bins.prompt_tokens, 60),
        billed=per_second(bins.billed, 60),
        answers=sums(bins.answers),
        in_flight=per_second([mean * bins.width for mean in bins.in_flight()]),
        mean_wait=[seconds / count if count else 0.0 for seconds, count in waited],
        longest_wait=[max(bins.longest_wait[a:b]) for a, b in itertools.pairwise(cuts)],
        refusals=sums(bins.refusals),
        broken=sums(bins.broken),
        paused=[min(1.0, share) for share in pauses],
    )


def ceiling_of(steps: Sequence[LimitStep], dimension: str, end: float) -> list[tuple[float, float]]:
    """
    Return the limit on *dimension* as (Unix time, per minute), all groups together.

    Empty where it was never known; infinite for as long as it was not. The last point is at *end*.
    """
    now: dict[str, float] = {}
    found: list[tuple[float, float]] = []
    for step in steps:
        if step.dimension == dimension:
            now[step.group] = step.per_minute
            if found and found[-1][0] >= step.at:
                found.pop()
            found.append((step.at, sum(now.values())))
    if not any(math.isfinite(value) for _, value in found):
        return []
    return [*found, (max(end, found[-1][0]), found[-1][1])]


def limits_over(frames: Frames, ceiling: Sequence[tuple[float, float]]) -> list[float]:
    """Return the limit that was in force at the end of each frame; infinite where none was."""
    found, number, now = [], 0, math.inf
    for edge in frames.edges[1:]:
        while number < len(ceiling) and ceiling[number][0] <= edge:
            now = ceiling[number][1]
            number += 1
        found.append(now)
    return found


def share_near(rates: Sequence[float], limits: Sequence[float], widths: Sequence[float]) -> float:
    """Return the share of the time for which at least 90 % of the limit was used."""
    near = sum(
        width
        for rate, limit, width in zip(rates, limits, widths, strict=True)
        if math.isfinite(limit) and rate >= NEAR * limit
    )
    return near / max(sum(widths), 1e-9)
