"""
Computes when a request could be sent at the earliest, by what its queue knows.

A bound from below: what waits ahead of it, what the buckets hold, what flows into them, and
pauses. Whoever comes later with a higher priority, room in flight and a gate that is shut can only
make it later. Takes the same time whatever waits: sums are kept for each priority and caller, and
where there are many of those, some are left out of the bound.
"""

from __future__ import annotations

import math
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from ratedispatch.errors import DeadlineMissed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ratedispatch.pacing.lane import Lane
    from ratedispatch.pacing.snapshot import Level as Bucket
    from ratedispatch.pacing.turn import Turn
    from ratedispatch.pacing.turn_line import Level, Line
    from ratedispatch.pacing.turn_queue import TurnQueue
    from ratedispatch.request import Cost

#: So many priorities, and so many callers of one, are examined.
_MOST_LOOKED_AT = 32

_ROUNDING = 1e-9


class Ahead(NamedTuple):
    """What goes before a request at least."""

    requests: int = 0
    tokens: float = 0.0

    def plus(self, requests: int, tokens: float) -> Ahead:
        """Return it with so much more."""
        return Ahead(self.requests + requests, self.tokens + tokens)


class Place(NamedTuple):
    """
    The place of a request in a queue.

    Args:
        ahead: What goes before it.
        within: Of that, what has the same priority.
        ages_in: Seconds after which it may go before those of higher priorities.
    """

    ahead: Ahead = Ahead()
    within: Ahead = Ahead()
    ages_in: float = 0.0


def place_of(queue: TurnQueue, turn: Turn, rank: int, now: float) -> Place:
    """Return the place of a request with *turn* and *rank* that comes now."""
    order = queue.order_of(turn)
    if order is None:
        return Place()
    same = order.levels.get(turn.priority)
    within = Ahead() if same is None else _ahead_within(same, turn.caller, rank)
    ahead = within
    for level in islice(order.levels.values(), _MOST_LOOKED_AT):
        if level.priority > turn.priority:
            ahead = ahead.plus(level.requests, level.tokens)
    return Place(ahead, within, order.ages_in(same, now))


def _ahead_within(level: Level, caller: str, rank: int) -> Ahead:
    """Return what goes before it of the same priority: its caller's, and the shares of others."""
    own = level.lines.get(caller)
    account = level.shares.of(caller)
    requests, tokens = 0, 0.0
    start = level.shares.start_of(account)
    if own is not None and own.requests:
        if rank < own.highest_rank:  # it comes again; how many go before it is not known
            return Ahead(0, 0.0)
        requests, tokens = own.requests, float(own.tokens)
        start += tokens / account.weight
    for line in islice(level.lines.values(), _MOST_LOOKED_AT):
        if line is not own and line.requests:
            tokens += _before(line, start)
            if line.account.start + line.tokens / line.account.weight <= start:
                requests += line.requests
    return Ahead(requests, tokens)


def _before(line: Line, start: float) -> float:
    """Return the tokens of *line* that go before what starts at *start*, in virtual time."""
    return min(line.tokens, max(0.0, (start - line.account.start) * line.account.weight))


def earliest(lanes: Sequence[Lane], cost: Cost, ahead: Ahead, now: float) -> float:
    """Return the seconds until *cost* could be paid after *ahead*, on any of *lanes*."""
    soonest = 0.0
    pauses = [_pause(lane, now) for lane in lanes]
    states = [lane.budget.levels(now) for lane in lanes]
    names = {bucket.dimension for state in states for bucket in state}
    for name in names:
        buckets = [_bucket(state, name) for state in states]
        if any(bucket is None for bucket in buckets):  # one lane has no such limit
            continue
        found = zip(buckets, pauses, strict=True)
        known = [(bucket, pause) for bucket, pause in found if bucket is not None]
        soonest = max(soonest, _soonest_in(name, known, cost, ahead))
    return max(soonest, min(pauses, default=0.0))


def _soonest_in(
    name: str, buckets: Iterable[tuple[Bucket, float]], cost: Cost, ahead: Ahead
) -> float:
    """
    Return the seconds until the limits called *name* can pay for it all.

    What comes back of tokens that were reserved and not used lets others go sooner: as large a
    part of what waits is left out as came back of what was spent.
    """
    buckets = list(buckets)
    if any(math.isinf(bucket.per_minute) for bucket, _ in buckets):
        return 0.0  # nobody knows how much that is
    own = min(cost.amount(name), max(bucket.burst for bucket, _ in buckets))
    spent = sum(bucket.spent for bucket, _ in buckets)
    returned = sum(bucket.returned for bucket, _ in buckets)
    kept = 1.0 if not 0 < returned < spent else 1 - returned / spent
    need = own + {"requests": float(ahead.requests), "tokens": ahead.tokens * kept}.get(name, 0.0)
    starts = []
    for bucket, pause in buckets:
        holds = bucket.available + bucket.held  # an answer may let that go at any time
        debt = max(0.0, -holds) / bucket.per_second
        starts.append((max(pause, debt), holds, bucket.per_second))
    starts.sort()
    available = rate = 0.0
    for number, (start, holds, per_second) in enumerate(starts):
        available += holds
        rate += per_second
        when = max(start, (need - available) / rate)
        if number + 1 == len(starts) or when <= starts[number + 1][0]:
            return when
    return 0.0


def _bucket(state: Iterable[Bucket], name: str) -> Bucket | None:
    return next((bucket for bucket in state if bucket.dimension == name), None)


def _pause(lane: Lane, now: float) -> float:
    """Return the seconds for which *lane* sends nothing."""
    brake = lane.brake
    throttled = 0.0 if brake.throttle is None else brake.throttle.wait(now)
    return max(0.0, brake.cooldown.until - now, throttled)


def check_deadline(
    cost: Cost, place: Place, lanes: Sequence[Lane], deadline: float, now: float
) -> None:
    """
    Raise :class:`DeadlineMissed` if *cost* cannot be paid at *place* by the *deadline*.

    Differences by rounding do not make it impossible.
    """
    ahead, allowed = place.ahead, deadline - now
    seconds = earliest(lanes, cost, ahead, now)
    if seconds > place.ages_in and ahead != place.within:
        seconds = min(seconds, max(place.ages_in, earliest(lanes, cost, place.within, now)))
    if seconds * (1 - _ROUNDING) <= allowed:
        return
    if allowed < 0:  # counting it took longer than that, or it was over when it came
        raise DeadlineMissed(
            f"the deadline of {described(cost)} passed {-allowed:.3g} s before it entered the "
            f"queue; allow more time",
            allowed=allowed,
            earliest=seconds,
        )
    raise DeadlineMissed(
        f"{described(cost)} cannot be sent within {in_seconds(allowed)}: the earliest possible "
        f"time is in {in_seconds(seconds)}, because {_before_it(ahead)}; allow more time, give it "
        f"a higher priority, or raise the limits",
        allowed=allowed,
        earliest=seconds,
    )


def _before_it(ahead: Ahead) -> str:
    if not (ahead.requests or ahead.tokens):
        return "the limits or a pause hold it back, not other requests"
    requests = "1 request" if ahead.requests == 1 else f"{ahead.requests:,} requests"
    if ahead.tokens <= ahead.requests:  # nothing limits tokens, and each stands for one
        return f"{requests} {'goes' if ahead.requests == 1 else 'go'} before it"
    return f"{requests} with {ahead.tokens:,.0f} tokens go before it"


def in_seconds(seconds: float) -> str:
    """Return how messages tell a number of *seconds*: to three digits, and never as a power."""
    return f"{seconds:,.0f} s" if seconds >= 999.5 else f"{seconds:.3g} s"


def described(cost: Cost) -> str:
    """Return how messages call a request of *cost*, whose tokens may not have been counted."""
    return f"a request of {cost.tokens:,} tokens" if cost.tokens else "a request"
