"""
Fits the account: its limits, bucket depth, charge policy and window.

Uses what the provider reported as remaining, or else which attempts it refused. Values that neither
shows are left out. Pure.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from itertools import accumulate
from statistics import median
from typing import TYPE_CHECKING, Literal, TypeAlias

from ratedispatch.simulate.fit.estimate import Estimate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ratedispatch.simulate.fit.observation import Observation

Charge: TypeAlias = Literal["reserved", "refunded", "prompt"]

#: A way to charge, and whether prompts are counted by their characters.
_Rule: TypeAlias = tuple[Charge, bool]

#: The dimensions whose buckets are examined, by the limit per minute.
_DIMENSIONS = ("requests", "tokens")

#: Seconds of a bucket that is as deep as its limit.
_MINUTE = 60.0

#: Seconds and attempts between two readings that tell what was charged between them.
_SPAN, _LEAST_CHARGED = 5.0, 30

#: The share of the deepest that a reading stays below while nothing runs over.
_NEVER_FULL = 0.999

#: How closely a charge rule tells what was charged, and how much closer than the next.
_CLOSE, _CLOSER = 0.05, 3.0

#: Spans that a rule is judged by, and refusals that a depth is judged by.
_ENOUGH = 3

#: The share of the limit by which what is left has to jump for a counter that starts over.
_JUMP = 0.3

#: The share of the limit that can be missing where a counter has just started over.
_NEARLY_FULL = 0.9


@dataclass(frozen=True, slots=True)
class AccountFit:
    """
    What an account is like.

    Args:
        limits: Per minute, as told or found, by dimension.
        depth: Seconds of rate that its buckets hold; None if that was not seen.
        charge: What a request is charged for its output: what it ``reserved``, what it used, as
            the rest is ``refunded``, or nothing but its ``prompt``; None if not seen.
        by_characters: Whether prompts are counted by their characters.
        spans: Stretches of time that the charge was seen in.
        window: ``bucket`` or ``fixed``; None if not seen.
    """

    limits: Mapping[str, float] = field(default_factory=dict)
    depth: Estimate | None = None
    charge: Charge | None = None
    by_characters: bool = False
    spans: int = 0
    window: Literal["bucket", "fixed"] | None = None


def fit_account(limits: Mapping[str, float], attempts: Sequence[Observation]) -> AccountFit:
    """Return what the account with *limits* is like that these *attempts* were sent to."""
    sent = sorted(
        (one for one in attempts if one.sent is not None), key=lambda one: one.sent or 0.0
    )
    known = {name: limits[name] for name in _DIMENSIONS if limits.get(name, 0) > 0}
    depth: Estimate | None = None
    is_fixed = is_bucket = False
    for name, limit in known.items():
        found = _read_depth(sent, name, limit) or _refused_depth(sent, name, limit)
        if found is not None and (depth is None or found.value > depth.value):
            depth = found
        jumps, readings = _jumps(sent, name, limit)
        is_fixed |= jumps >= 2
        is_bucket |= readings > 100 and not jumps
    charge, by_characters, spans = (
        _charge(sent, known["tokens"]) if "tokens" in known else (None, False, 0)
    )
    window: Literal["bucket", "fixed"] | None = None
    if is_fixed:
        window, depth = "fixed", None  # a counter has no depth
    elif is_bucket and _seconds(sent) > 2 * _MINUTE:
        window = "bucket"
    return AccountFit(dict(limits), depth, charge, by_characters, spans, window)


def _seconds(sent: Sequence[Observation]) -> float:
    return (sent[-1].sent or 0.0) - (sent[0].sent or 0.0) if sent else 0.0


def _left(one: Observation, name: str) -> float | None:
    return None if one.remaining is None else one.remaining.get(name)


def _amount(one: Observation, name: str) -> int:
    return 1 if name == "requests" else one.tokens


def _read_depth(sent: Sequence[Observation], name: str, limit: float) -> Estimate | None:
    """Return the depth that readings show: what was left before a request, at most."""
    peaks = [left + _amount(one, name) for one in sent if (left := _left(one, name)) is not None]
    deepest = max(peaks, default=0.0)
    if deepest <= 0:  # nothing was left, of requests that cost nothing
        return None
    seconds = min(_MINUTE, deepest * _MINUTE / limit)
    # a bucket that is full is so at the first request, or for several in a row
    is_full = peaks[0] >= deepest * 0.99 or sum(p >= deepest * 0.99 for p in peaks) >= _ENOUGH
    return Estimate(seconds, seconds, seconds if is_full else _MINUTE, len(peaks))


def _refused_depth(sent: Sequence[Observation], name: str, limit: float) -> Estimate | None:
    """Return the depth by which the same requests are admitted and refused."""
    level = at = deepest = 0.0
    refused = []
    for one in sent:
        now = one.sent or 0.0
        level = max(0.0, level - (now - at) * limit / _MINUTE)
        at = now
        amount = _amount(one, name)
        if one.decision == "rate_limit":
            refused.append(level + amount)
        else:
            level += amount
            deepest = max(deepest, level)
    if len(refused) < _ENOUGH or median(refused) < 0.8 * deepest:
        return None  # it was another limit that refused
    if deepest <= 0:  # nothing was ever let in
        return None
    low = min(_MINUTE, deepest * _MINUTE / limit)
    high = min(_MINUTE, max(median(refused), deepest) * _MINUTE / limit)
    return Estimate(low, min(low, high), high, len(refused))


def _jumps(sent: Sequence[Observation], name: str, limit: float) -> tuple[int, int]:
    """Return how often what is left of *limit* started over, and how many readings there are."""
    jumps = readings = 0
    before: tuple[float, float] | None = None
    for one in sent:
        left = _left(one, name)
        if left is None:
            continue
        readings += 1
        now = one.sent or 0.0
        if before is not None:
            grown = (now - before[0]) * limit / _MINUTE
            is_over = left + _amount(one, name) > _NEARLY_FULL * limit
            jumps += is_over and left - before[1] > grown + _JUMP * limit
        before = now, left
    return jumps, readings


def _charge(sent: Sequence[Observation], limit: float) -> tuple[Charge | None, bool, int]:
    """Return what tokens are charged, whether by characters, and in how many spans that showed."""
    votes: dict[_Rule | None, int] = {}
    books = [_Books(sent, by_characters=False), _Books(sent, by_characters=True)]
    for first, last in _spans(sent):
        vote = _vote(books, first, last, limit)
        votes[vote] = votes.get(vote, 0) + 1
    clear = {rule: count for rule, count in votes.items() if rule is not None}
    if not clear:
        return None, False, 0
    best = max(clear, key=clear.__getitem__)
    if clear[best] < _ENOUGH or clear[best] * 2 <= sum(votes.values()):
        return None, False, 0
    return *best, clear[best]


def _spans(sent: Sequence[Observation]) -> list[tuple[int, int]]:
    """Return the first and the last place of stretches in which the bucket was never full."""
    # before each request: while that is below the deepest, nothing has run over
    before = [None if (left := _left(one, "tokens")) is None else left + one.tokens for one in sent]
    deepest = max((one for one in before if one is not None), default=0.0)
    found, first = [], None
    for place, (one, known) in enumerate(zip(sent, before, strict=True)):
        if known is None:
            continue
        if known > _NEVER_FULL * deepest or known <= one.tokens:
            first = None
            continue
        if first is None:
            first = place
        elif place - first >= _LEAST_CHARGED and (one.sent or 0) - (sent[first].sent or 0) > _SPAN:
            found.append((first, place))
            first = place
    return found


class _Books:
    """
    What was charged and given back up to each attempt, by one count of prompts.

    Args:
        sent: The attempts.
        by_characters: Whether prompts are counted as they were reserved, which is by the larger of
            characters and tokens, rather than by tokens alone.
    """

    def __init__(self, sent: Sequence[Observation], *, by_characters: bool) -> None:
        self.sent, self.by_characters = sent, by_characters
        amounts = [self._amount(one) for one in sent]
        self.reserved = list(accumulate(amounts, initial=0))
        self.prompts = list(accumulate(map(self._prompt, sent), initial=0))
        back = sorted(
            ((one.sent or 0.0) + one.latency, amount - one.billed - one.output)
            for one, amount in zip(sent, amounts, strict=True)
            if one.output is not None and one.latency is not None
        )
        self._ends = [at for at, _ in back]
        self._back = list(accumulate((amount for _, amount in back), initial=0))

    def _prompt(self, one: Observation) -> int:
        if one.decision == "rate_limit":
            return 0
        return one.tokens - (one.cap or 0) if self.by_characters else one.prompt

    def _amount(self, one: Observation) -> int:
        if one.decision == "rate_limit":
            return 0
        return one.tokens if self.by_characters or not one.cap else one.prompt + one.cap

    def explained(self, first: int, last: int) -> dict[Charge, float]:
        """Return what each way to charge comes to between the places *first* and *last*."""
        begin, end = self.sent[first].sent or 0.0, self.sent[last].sent or 0.0
        ends = bisect_right(self._ends, begin), bisect_right(self._ends, end)
        reserved = self.reserved[last + 1] - self.reserved[first + 1]
        return {
            "reserved": reserved,
            "refunded": reserved - (self._back[ends[1]] - self._back[ends[0]]),
            "prompt": self.prompts[last + 1] - self.prompts[first + 1],
        }


def _vote(books: Sequence[_Books], first: int, last: int, limit: float) -> _Rule | None:
    """Return the rule that explains how much less is left at *last* than at *first*."""
    begin, end = books[0].sent[first], books[0].sent[last]
    lost = (_left(begin, "tokens") or 0.0) - (_left(end, "tokens") or 0.0)
    charged = lost + ((end.sent or 0.0) - (begin.sent or 0.0)) * limit / _MINUTE
    if charged <= 0:
        return None
    errors = {
        (name, one.by_characters): abs(charged - amount) / charged
        for one in books
        for name, amount in one.explained(first, last).items()
    }
    ranked = sorted(errors, key=errors.__getitem__)  # of two alike, by tokens
    best = ranked[0]
    # what tokens and characters agree on is no rival
    others = [errors[rule] for rule in ranked if rule[0] != best[0]]
    if errors[best] > _CLOSE or min(others) < max(_CLOSER * errors[best], 0.5 * _CLOSE):
        return None
    return best
