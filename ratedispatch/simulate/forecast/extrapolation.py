"""
Forecasts a long job from its beginning and its end.

The engine simulates both in one. The rows between take as long as the same amount took towards the
end of the beginning, but never less than the limits need, piece by piece. The beginning is long
enough to use up what the provider's buckets hold at the start.
"""

from __future__ import annotations

import itertools
import math
from bisect import bisect_left
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from ratedispatch.limits import MINUTE, Limits
from ratedispatch.pacing.bottleneck import NOTHING
from ratedispatch.simulate.forecast.engine_play import Played, play_in_order
from ratedispatch.simulate.forecast.reading_order import reading_order

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ratedispatch.pacing.snapshot import Level
    from ratedispatch.simulate.forecast.course import Course
    from ratedispatch.simulate.forecast.scene import Scene
    from ratedispatch.simulate.forecast.workload import Workload

#: Pieces that the rows between are cut into, since longer ones may be bound by another limit.
_PIECES = 128

#: Limits that what is known of each row is charged to.
_KNOWN = frozenset({"requests", "tokens", "input_tokens", "output_tokens"})

#: Rows of the beginning, at least and at most, and of the end: a quarter of a millisecond each.
LEAST_HEAD = 3_000
MOST_HEAD = 24_000
TAIL = 1_000

#: How many times the rows that the buckets can pay at once the beginning has, and from where on it
#: shows what follows.
_TIMES_STORED = 1.6
_MARGIN = 1.15


class _Ends(NamedTuple):
    """
    The numbers of the rows at the beginning, between, and at the end of a job.

    Args:
        workload: With all rows.
        head, middle, tail: Their numbers.
        charge: Tokens that the provider charges for each that is expected.
    """

    workload: Workload
    head: Sequence[int]
    middle: Sequence[int]
    tail: Sequence[int]
    charge: float = 1.0

    @property
    def first(self) -> int:
        """How many rows the beginning has."""
        return len(self.head)

    def sums(self, rows: Iterable[int]) -> _Sums:
        """Return what *rows* come to."""
        prompts, outputs = self.workload.prompt, self.workload.output
        count = prompt = output = 0
        for row in rows:
            count += 1
            prompt += prompts[row]
            output += outputs[row]
        return _Sums(count, prompt, output, self.charge)


class _Piece(NamedTuple):
    """Some rows, how long they take, and what holds them back."""

    rows: int
    seconds: float
    cause: str


class _Sums(NamedTuple):
    """What some rows come to, in what limits count; *charge* is the part of their tokens."""

    requests: int
    prompt: int
    output: int
    charge: float

    def of(self, dimension: str) -> float:
        """Return what a limit on *dimension* is charged for them; of an unknown one, the tokens."""
        amounts = {
            "requests": self.requests,
            "input_tokens": self.prompt,
            "output_tokens": self.output,
        }
        tokens = (self.prompt + self.output) * self.charge
        return amounts.get(dimension.removesuffix("_per_day"), tokens)


def head_of(workload: Workload, scene: Scene) -> int:
    """Return how many rows are played from the beginning."""
    return round(min(max(LEAST_HEAD, _TIMES_STORED * _stored(workload, scene)), MOST_HEAD))


def _stored(workload: Workload, scene: Scene) -> float:
    """Return about how many rows the provider's buckets can pay at once."""
    account = scene.provider
    depth = account.burst_seconds if account.window == "bucket" else MINUTE
    each = max(1.0, workload.tokens / max(1, len(workload)))
    rates = [(account.requests_per_minute, account.tokens_per_minute), *account.models.values()]
    return math.fsum(
        min((requests or math.inf), (tokens or math.inf) / each) / MINUTE * depth
        for requests, tokens in rates
        if requests or tokens
    )


def play_ends(workload: Workload, scene: Scene, *, seed: int, row_seconds: float = 0.0) -> Course:
    """Return the result of a *workload* with more rows than are simulated; see `play_engine`."""
    order, first = reading_order(len(workload), scene.order), head_of(workload, scene)
    if first + TAIL >= len(workload):
        return play_in_order(workload, scene, order, seed=seed, row_seconds=row_seconds).course
    ends = _Ends(workload, order[:first], order[first:-TAIL], order[-TAIL:])
    chosen = workload.chosen([*ends.head, *ends.tail])
    played = play_in_order(chosen, scene, range(first + TAIL), seed=seed, row_seconds=row_seconds)
    course, ended = played.course, played.tally.ended
    if course.stop_code or len(ended) < first + TAIL:
        return course  # it would have stopped as early
    if scene.provider.headers:  # which tell the engine how it is charged
        ends = ends._replace(charge=played.charged / max(1, chosen.tokens))
    begin = round(min(max(first / 4, _MARGIN * _stored(workload, scene)), first * 3 / 4))
    pace = ended[first - 1] - ended[begin - 1], ends.sums(ends.head[begin:])
    return _stretched(ends, played, _pieces_of(ends, scene, played, pace))


class _Store:
    """
    What the limits still hold while the rows between are paid.

    Args:
        scene: With the limits.
        played: The beginning and the end, which has drawn from the same store.
        tail: What the end has drawn.
    """

    def __init__(self, scene: Scene, played: Played, tail: _Sums) -> None:
        ended = played.tally.ended
        self.tail_seconds = ended[-1] - ended[-TAIL - 1]
        # which rows draw from which of several groups of limits, the beginning has shown
        self._levels = [
            level
            for level in played.state.levels
            if isinstance(scene.limits, Limits)
            and math.isfinite(level.per_minute)
            and level.dimension in _KNOWN
        ]
        self._stored = [
            max(0.0, level.available + tail.of(level.dimension) - self._flow(level))
            for level in self._levels
        ]

    def _flow(self, level: Level) -> float:
        return level.per_second * self.tail_seconds

    def pay(self, sums: _Sums, seconds: float, cause: str) -> tuple[float, str]:
        """Pay *sums*, in no less than *seconds* for *cause*; return its time, and why."""
        for level, store in zip(self._levels, self._stored, strict=True):
            needed = (sums.of(level.dimension) - store) / level.per_second
            if needed > seconds:
                seconds, cause = needed, level.dimension
        for index, level in enumerate(self._levels):
            before = self._stored[index]
            left = before + level.per_second * seconds - sums.of(level.dimension)
            self._stored[index] = min(max(level.burst, before), left)
        return seconds, cause


def _pieces_of(
    ends: _Ends, scene: Scene, played: Played, pace: tuple[float, _Sums]
) -> list[_Piece]:
    """Return how long each piece of the middle takes, and why; *pace* is that of the beginning."""
    middle = ends.middle
    cause = played.course.binding or NOTHING
    seconds, measured = pace
    last = ends.sums(ends.tail)
    store = _Store(scene, played, last)
    pieces: list[_Piece] = []
    size = -(-len(middle) // _PIECES)
    for begin in range(0, len(middle), size):
        sums = ends.sums(middle[begin : begin + size])
        paid = store.pay(sums, seconds * sums.of(cause) / max(1, measured.of(cause)), cause)
        pieces.append(_Piece(sums.requests, *paid))
    # what the end has drawn from a store that is empty by then
    needed, cause = store.pay(last, store.tail_seconds, cause)
    pieces.append(_Piece(0, needed - store.tail_seconds, cause))
    return pieces


def _stretched(ends: _Ends, played: Played, pieces: Sequence[_Piece]) -> Course:
    """Return the course with the rows of the middle, which come in *pieces*, in its midst."""
    course, workload, middle = played.course, ends.workload, ends.middle
    rows = len(workload)
    factor = rows / (ends.first + TAIL)
    seconds = math.fsum(piece.seconds for piece in pieces)
    total = course.seconds + seconds
    sums = ends.sums(middle)
    held = dict(course.held)
    for piece in pieces:
        held[piece.cause] = held.get(piece.cause, 0.0) + piece.seconds
    used = {
        level.dimension: sums.of(level.dimension) / level.per_second
        for level in played.state.levels
        if math.isfinite(level.per_minute)
    }
    return replace(
        course,
        seconds=total,
        tenths=_tenths(ends, played, pieces),
        answered=rows - round(course.failed * factor),
        failed=round(course.failed * factor),
        attempts=round(course.attempts * factor),
        refused=round(course.refused * factor),
        # a request is as long in flight, in the middle too
        in_flight_mean=course.in_flight_mean * course.seconds * factor / total if total else 0.0,
        held=held,
        shares={
            name: min(1.0, (share * course.seconds + used.get(name, share * seconds)) / total)
            for name, share in course.shares.items()
        },
        waits=tuple(wait._replace(rows=round(wait.rows * factor)) for wait in course.waits),
        prompt_tokens=_scaled(course.prompt_tokens, workload, middle, workload.billed),
        output_tokens=_scaled(course.output_tokens, workload, middle, workload.output),
    )


def _tenths(ends: _Ends, played: Played, pieces: Sequence[_Piece]) -> tuple[float, ...]:
    ended, start = played.tally.ended, played.tally.first_sent
    rows, first = len(ends.workload), ends.first
    counts = list(itertools.accumulate((piece.rows for piece in pieces), initial=first))
    times = list(itertools.accumulate((one.seconds for one in pieces), initial=ended[first - 1]))
    found = []
    for tenth in range(1, 11):
        count = -(-rows * tenth // 10)
        if count <= first:
            at = ended[count - 1]
        elif count <= counts[-1]:
            place = bisect_left(counts, count)
            share = (count - counts[place - 1]) / pieces[place - 1].rows
            at = times[place - 1] + pieces[place - 1].seconds * share
        else:
            at = ended[count - rows - 1] + times[-1] - times[0]
        found.append(at - start)
    return tuple(found)


def _scaled(
    played: Sequence[int], workload: Workload, middle: Iterable[int], weights: Sequence[int]
) -> tuple[int, ...]:
    """Return the tokens *played* of each kind, and as many for as much of the *middle*."""
    kinds = workload.kind
    inside = [0] * len(workload.kinds)
    for row in middle:
        inside[kinds[row]] += weights[row]
    every = [0] * len(workload.kinds)
    for kind, weight in zip(kinds, weights, strict=True):
        every[kind] += weight
    return tuple(
        round(tokens * whole / (whole - part)) if whole > part else tokens
        for tokens, whole, part in zip(played, every, inside, strict=True)
    )
