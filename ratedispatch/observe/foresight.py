"""
Estimates how long the rest of a run takes, from what it has done so far.

`ratedispatch.pacing.time_left` computes queue and buckets; this module collects its inputs.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from ratedispatch.dimension import dimension_named
from ratedispatch.pacing.bottleneck import IN_FLIGHT
from ratedispatch.pacing.time_left import Latencies, Stock, seconds_to_send

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ratedispatch.observe.report import Tally
    from ratedispatch.pacing.snapshot import Level, Snapshot

#: Others on the account are believed to leave at least this share of a limit.
_LEAST_SHARE = 0.05

#: Latencies in which the most that may be in flight doubles, while it does.
_TRIPS_TO_DOUBLE = 2.0

#: Seconds before a row is sent again, on average, while most are answered.
_BEFORE_AGAIN = 0.06


class Part(NamedTuple):
    """
    A part of what is still to be sent.

    Args:
        rows: By the number of rows.
        tokens: By their tokens.
    """

    rows: float
    tokens: float


class Ahead(NamedTuple):
    """
    What is still to be sent in this run, as a multiple of what was sent.

    Args:
        rows: By the number of rows.
        tokens: By their tokens.
        parts: The same in pieces, in the order in which they are sent; empty if all are alike.
    """

    rows: float
    tokens: float
    parts: tuple[Part, ...] = ()


class Lately(NamedTuple):
    """
    What the last seconds were like.

    Args:
        binding: What holds the queue back.
        speed: Rows sent per second; 0 if that is not known.
        since_last: Seconds since the last row left, where none is still to be sent.
        flows: What flowed in of each limit per second, by group and dimension, as far as known.
        full_since: Seconds for which as many have been in flight as may be.
    """

    binding: str
    speed: float = 0.0
    since_last: float = 0.0
    flows: Mapping[tuple[str, str], float] = {}
    full_since: float = 0.0


def seconds_left(state: Snapshot, tally: Tally, ahead: Ahead, lately: Lately) -> float | None:
    """
    Return the seconds to the end of a run; None if that is not known.

    What the limits, the number in flight and a pause need for the rest, and where they are not
    what holds the job back, at least what the rest takes at the speed of the last seconds; then
    what the last answer takes. Where others seem to take a limit whole, that speed alone.

    Args:
        state: The queue now.
        tally: What was counted so far.
        ahead: What is still to be sent.
        lately: What the last seconds were like.
    """
    rows = ahead.rows * tally.sent
    latencies = latencies_of(tally)
    if rows <= 0:
        return _until_answered(state, tally, latencies, lately.since_last)
    levels = [level for level in state.levels if _is_known(level)]
    sending = _by_limits(levels, state, tally, ahead, lately.flows)
    at_speed = rows / lately.speed if lately.speed else None
    in_flight = _by_room(rows, state, latencies.mean, lately.full_since)
    if not any(lately.binding == level.dimension for level in levels):
        if at_speed is None and not levels:
            return None
        is_growing = lately.binding == IN_FLIGHT and state.is_doubling
        sending = max(sending, 0.0 if is_growing else at_speed or 0.0)
    elif at_speed is not None and any(map(_is_all_elsewhere, levels)):
        sending = at_speed
    sending = max(sending, in_flight, state.paused)
    rate = min(rows / sending, max(rows, state.in_flight)) if sending > 0 else float(rows)
    return sending + latencies.last_of(rate)


def _until_answered(
    state: Snapshot, tally: Tally, latencies: Latencies, since_last: float
) -> float | None:
    """
    Return the seconds until the last answer, when every row has been sent at least once.

    None if all of them were refused or failed so far: how long that lasts, nobody knows.
    """
    rest = latencies.rest_of(state.in_flight, since_last)
    ended = tally.answered + tally.failed - tally.bad_rows
    if tally.sent - ended <= state.in_flight:
        return rest
    if not tally.answers:
        return None
    return max(rest, state.paused + latencies.mean)  # the others are sent again


def latencies_of(tally: Tally) -> Latencies:
    """Return how long rows take, by the attempts so far."""
    if not tally.answers:
        return Latencies(tally.latency)
    mean = tally.answer_seconds / tally.answers
    variance = max(0.0, tally.answer_squares / tally.answers - mean * mean)
    lost = max(1, tally.retries)
    more = tally.lost_seconds / lost + _BEFORE_AGAIN
    again = min(0.5, tally.retries / max(1, tally.attempts))
    return Latencies(mean, math.sqrt(variance), again, more)


def _by_limits(
    levels: Sequence[Level],
    state: Snapshot,
    tally: Tally,
    ahead: Ahead,
    flows: Mapping[tuple[str, str], float],
) -> float:
    """
    Return the seconds until the limits have let the last row go.

    What the answers in flight will give back can be spent, but for what will be in flight then.
    """
    settled = 1 - state.in_flight / max(1, tally.attempts)
    stocks = [stock_of(level, flows.get((level.group, level.dimension), 0.0)) for level in levels]
    rest = ahead.parts or (Part(ahead.rows, ahead.tokens),)
    needs = [[need_of(level, part, settled) for level in levels] for part in rest]
    back = [_returned(level, settled) / max(1, tally.attempts) for level in levels]
    if not any(back):
        return seconds_to_send(needs, stocks)
    seconds = seconds_to_send(needs, _with_more(stocks, [one * state.in_flight for one in back]))
    rows = ahead.rows * tally.sent
    then = min(rows, state.max_in_flight, rows / max(seconds, 1e-9) * latencies_of(tally).mean)
    more = [one * (state.in_flight - then) for one in back]
    return seconds_to_send(needs, _with_more(stocks, more))


def _with_more(stocks: Sequence[Stock], more: Sequence[float]) -> list[Stock]:
    return [
        stock._replace(available=stock.available + one)
        for stock, one in zip(stocks, more, strict=True)
    ]


def _by_room(rows: float, state: Snapshot, latency: float, full_since: float) -> float:
    """
    Return the seconds until there was room in flight for *rows*.

    Places become free at most / latency a second, and there are as many more when most doubles.
    """
    most = state.max_in_flight
    waiting = rows - max(0, most - state.in_flight)
    if waiting <= 0 or most <= 0 or latency <= 0 or not math.isfinite(most):
        return 0.0
    if not state.is_doubling:
        return waiting * latency / most
    trip, total = _TRIPS_TO_DOUBLE * latency, 0.0
    span = max(trip / 4, trip - full_since)
    while waiting > most / latency * span:
        waiting -= most / latency * span + most  # the new places are free at once
        total, span, most = total + span, trip, 2 * most
    return total + max(0.0, waiting) * latency / most


def stock_of(level: Level, flow: float = 0.0) -> Stock:
    """
    Return what there is of a limit for this process, without what others take.

    Args:
        level: The limit.
        flow: What was seen to flow in per second lately: what others are believed to take is an
            estimate, which is late where a pile was spent.
    """
    left = max(level.per_second - level.others / 60, min(flow, level.per_second)) - level.elsewhere
    return Stock(
        max(level.available, level.piled), max(left, _LEAST_SHARE * level.per_second), level.burst
    )


def need_of(level: Level, part: Part, settled: float) -> float:
    """
    Return what *part* of the rest needs of a limit: as much for each row or token as so far.

    What comes back, because answers were shorter than reserved, goes by rows: they have caps of
    one length more often than prompts.

    Args:
        level: The limit, and what was spent of it.
        part: Of the rest.
        settled: The share of what was sent that has an answer; only of that it is known what
            came back.
    """
    if level.dimension.startswith("requests"):
        return level.spent * part.rows
    returned = _returned(level, settled)
    least = (level.spent - returned) * part.tokens * _LEAST_SHARE
    return max(least, level.spent * part.tokens - returned * part.rows)


def _returned(level: Level, settled: float) -> float:
    """Return what comes back of all that was spent so far."""
    return min(level.spent, level.returned / max(settled, _LEAST_SHARE))


def _is_all_elsewhere(level: Level) -> bool:
    """Whether others seem to leave nothing: together all are quicker than the limit says."""
    # while the store is gone, headers tell again what those take that shared it
    taken = level.elsewhere + level.others / 60
    return level.elsewhere > 0 and taken > (1 - _LEAST_SHARE) * level.per_second


def _is_known(level: Level) -> bool:
    return math.isfinite(level.per_minute) and not dimension_named(level.dimension).is_daily
