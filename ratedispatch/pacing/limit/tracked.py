"""
One bucket, kept equal to the provider's.

Decides what one limit lets through: from the user's setting, from what the provider says of its
own bucket, and from its refusals. Knows one dimension; nothing of the line, of other limits or
of HTTP. Belongs to one event loop.
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from ratedispatch.pacing.bucket import Bucket
from ratedispatch.pacing.limit.rate_search import Bracket
from ratedispatch.pacing.limit.reading_filter import MOST_HONEST, Evidence

if TYPE_CHECKING:
    from collections.abc import Callable

    from ratedispatch.limits import Rate, Reading

#: Seconds of rate that are left in the provider's bucket however much it is proven to hold:
#: requests that leave our machine apart may arrive together.
_RESERVE = 0.25

#: Seconds of rate that are spent before the first answer. A provider's bucket may be empty when
#: we come, and what has left can no more be held back.
_OPENING = 0.1

#: Seconds without a refusal after which what was sent has been admitted.
_QUIET = 0.5

#: Others are taken into account from this share of the rate on, and as far as to leave us the
#: least share of it; while they are, this many seconds of rate are kept.
_NOTICEABLE = 0.05
_SLOWEST = 0.05
_SHARED_RESERVE = 0.04

#: Seconds for which it is believed that others go on as they did.
_PACED = 2.0

#: A limit below or above these, per minute (or per day, if it is one of a day), is no limit that
#: anybody has.
_LEAST_LIMIT = 1.0
_MOST_LIMIT = 1e12

#: Seconds after a refusal in spite of a header that promised room, during which no header is
#: believed to prove budget beyond the burst. Doubles with each.
_DISTRUST = 60.0

#: After such a refusal the limit is enforced over less time than it is told for, as Azure's over
#: seconds: each makes the pace slower by a hundredth, down to this share.
_CLOSER = 0.99
_CLOSEST = 0.95

#: Shares by which a limit has to differ before it is news.
_NEWS = 0.01

#: A limit that is to be learned, and of which so many answers say nothing, is raised until there
#: is a refusal: it doubles in this many seconds.
_AUTO_SILENCE = 3
_AUTO_DOUBLING = 0.5

#: A limit that the provider counts in another unit than we (it charges less than we reserve) is
#: adopted if it is below this share of the user's own; nearer ones are within the error.
_CLEARLY_LOWER = 0.8


class Sighting(NamedTuple):
    """
    An answer's place in the account of one dimension.

    Args:
        sent_at: When the request left, in seconds of the loop.
        number: How many requests had left by then, this one included.
        mark: What had been charged by then, this one included.
        returned: What of that had turned out unused by then.
        amount: What it asked for.
        overtaken: Tells what may have been charged after it though it left shortly before.
        refused: Whether the answer was a refusal, which is not charged.
    """

    sent_at: float
    number: int
    mark: float
    returned: float
    amount: float
    overtaken: Callable[[], float]
    refused: bool = False


@dataclass(slots=True)
class _SlowStart:
    """
    How much of a piled-up budget is spent at once: each time twice as much as the last.

    As TCP does (RFC 5681, slow start), because a header may promise what the server does not
    keep: one that enforces its limit over a second may report what is left of the minute. The
    next step needs an answer to what was sent since the last, or half a second without a
    refusal, which would not have waited for a model; that is as good as two round trips.
    """

    step: float
    not_before: float = 0.0
    last: float = -math.inf

    def allows(self, sent_at: float, now: float) -> bool:
        """Whether an answer to what was sent at *sent_at* may raise the surplus *now*."""
        if now < self.not_before:
            return False
        return sent_at >= self.last or now >= self.last + _QUIET

    def advance(self, now: float) -> None:
        """Take note that a step was made."""
        self.step *= 4 if now >= self.last + _QUIET > -math.inf else 2
        self.last = now


#: Share of the burst that is worth holding back.
_LEAST_HELD = 1e-6


class Mirror:
    """
    The bucket of one dimension.

    Args:
        rate: As the user set it.
        burst_of: What may go at once of another limit per minute.
        settles: Whether the provider is known to give back what a request did not use. Otherwise
            it is found out from what it says.

    Attributes:
        bucket: What it lets through.
        spent: What went through since the start, less what was taken back.
        given_back: What was taken back.
        refused: What of that was refused, and so not charged.
        returned: What of that turned out unused.
        settles: Whether the provider gives that back.
        pace: The share of the rate that flows in for us: less than 1 while others use the limit.
    """

    __slots__ = (
        "_allowed",
        "_allowed_at",
        "_allowed_net",
        "_begun_at",
        "_bracket",
        "_burst_of",
        "_closeness",
        "_distrust",
        "_doubted",
        "_evidence",
        "_flowed",
        "_guess",
        "_guessed_at",
        "_held_back",
        "_held_until",
        "_is_daily",
        "_is_named",
        "_is_settled_by_policy",
        "_last_amount",
        "_last_at",
        "_newest",
        "_paced_until",
        "_room",
        "_set",
        "_silent",
        "_slow_start",
        "_told",
        "_told_span",
        "bucket",
        "given_back",
        "pace",
        "refused",
        "returned",
        "settles",
        "spent",
    )

    def __init__(
        self, rate: Rate, burst_of: Callable[[float], float], *, settles: bool = False
    ) -> None:
        self.bucket = Bucket(rate)
        self.spent = 0.0
        self.given_back = 0.0
        self.returned = 0.0
        self.settles = self._is_settled_by_policy = settles
        self.refused = 0.0
        self.pace = 1.0
        self._set = rate
        self._is_daily = rate.is_daily  # whatever becomes of the limit
        self._burst_of = burst_of
        self._evidence = Evidence()
        self._bracket = Bracket()
        self._slow_start = _SlowStart(rate.burst)
        self._newest = 0
        self._told: float | None = None  # the limit per minute that the provider says
        self._told_span = rate.window  # seconds that it is given for
        self._closeness = 1.0
        self._distrust = _DISTRUST
        self._held_back = 0.0
        self._held_until = 0.0
        self._begun_at: float | None = None
        self._doubted = 0.0  # lowered by readings that had not been seen to be honest
        self._room = math.inf  # what the newest reading left
        self._is_named = False  # by a refusal
        self._silent = 0
        self._flowed = 0.0  # at the rate in force, between the first request and the last
        self._last_at: float | None = None
        self._last_amount = 0.0
        self._paced_until = 0.0
        self._allowed = 0.0
        self._allowed_at: float | None = None
        self._allowed_net = 0.0
        self._guess = rate.per_minute  # of a limit that is to be learned
        self._guessed_at: float | None = None

    @property
    def rate(self) -> Rate:
        """The rate in force."""
        return self.bucket.rate

    @property
    def is_known(self) -> bool:
        """Whether the limit was set, or has been learned."""
        return not self._set.is_auto or self._told is not None

    @property
    def most(self) -> float:
        """The most that a single request may cost: a whole minute (or day) of the limit."""
        if self._set.is_auto:
            return math.inf if self._told is None else self._told
        return self._set.limit

    @property
    def others(self) -> float:
        """What others use of the limit, in units per second, as far as can be seen."""
        return self._evidence.others

    def begin(self, now: float, amount: float) -> None:
        """Let *amount* go, and hold back most of the burst until something was admitted."""
        rate = self.rate
        if not rate.is_daily:
            opening = max(amount, min(rate.burst, rate.per_second * _OPENING))
            self._held_back = max(0.0, self.bucket.available - opening)
            self._begun_at = now
            self.bucket.lower_to(opening)

    @property
    def used(self) -> float | None:
        """
        The share used of what flowed in between the first request and the last, at most 1.

        The last request opens a stretch that is not used up, so it is left out.
        """
        if not self._flowed or not self.is_known:
            return None
        return min(1.0, max(0.0, self.spent - self._last_amount) / self._flowed)

    def _allowance(self, now: float) -> float:
        """
        What a bucket of the user's own, a minute deep and full at the start, would hold.

        However much the provider has, no minute uses more than twice the user's limit, and no
        hour more than one minute's worth more than sixty. What turned out unused, because it was
        reserved with caution, is not held against it.
        """
        limit = self.most if math.isfinite(self.most) else self.rate.per_minute
        net = self.spent - self.returned
        if self._allowed_at is None:
            self._allowed = limit
        else:
            flowed = limit / 60 * (now - self._allowed_at)
            self._allowed = min(limit, self._allowed + flowed - net + self._allowed_net)
        self._allowed_at, self._allowed_net = now, net
        return self._allowed

    def wait(self, amount: float, now: float, speed: float) -> float:
        """Return the seconds until *amount* may be spent, at *speed* times the rate."""
        self._update(now)
        bucket = self.bucket
        if not self._is_daily:
            bucket.set_speed(speed * self.pace)
        return bucket.wait(amount)

    def spend(self, amount: float, now: float) -> tuple[float, float]:
        """
        Let *amount* through, for which the bucket does not wait *now*.

        Returns:
            What has been charged, this amount included, and what of it has turned out unused.
        """
        bucket = self.bucket
        missing = bucket.take(amount)
        if self._held_back:
            # what has flowed in since fills the place of what was held back
            held = min(self._held_back, missing)
            # less than this is what rounding has left
            self._held_back = held if held > _LEAST_HELD * bucket.rate.burst else 0.0
        self.spent += amount
        last = self._last_at
        if last is not None and now > last:
            self._flowed += (now - last) * bucket.rate.per_second
        self._last_at, self._last_amount = now, amount
        return self.spent - self.refused, self.returned

    @property
    def charged(self) -> float:
        """What the provider has charged: what went through and was not refused."""
        return self.spent - self.refused

    def settle(self, unused: float) -> None:
        """Take note that *unused* of what was let through was not used; below zero, more was."""
        self.returned += unused
        if self.settles:
            self.bucket.credit(unused) if unused >= 0 else self.bucket.debit(-unused)

    def give(self, amount: float) -> None:
        """Take back *amount*, which was let through but not sent."""
        self.bucket.credit(amount)
        self.spent -= amount
        self.given_back += amount

    def confirm(self, sent_at: float) -> None:
        """Let go what was held back: the provider has answered what was sent at *sent_at*."""
        if self._held_back and sent_at >= self._held_until:
            self.bucket.credit(self._held_back)
            self._held_back = 0.0

    def observe(self, reading: Reading | None, seen: Sighting) -> float | None:
        """
        Correct the bucket by what an answer says.

        Returns:
            The limit per minute that is in force from now on, if that is news.
        """
        if seen.refused:
            self.refused += seen.amount
        if reading is None:
            self._silent += 1
            return None
        if seen.number < self._newest:  # older news than we have
            return None
        self._newest = seen.number
        now = asyncio.get_running_loop().time()
        if _is_nonsense(reading):
            return None
        if reading.remaining is not None:
            self._weigh(reading, reading.remaining, seen, now)
        if reading.limit is None or not self._is_to_be_adopted(reading, reading.limit, seen):
            return None
        return self._resize(now)

    def overhear(self, sent_at: float) -> None:
        """Take note that what was sent at *sent_at* was answered, without a word on this limit."""
        self.confirm(sent_at)
        self._silent += 1

    def refuse(self, now: float, *, amount: float, resumes_at: float) -> None:
        """
        Take in the first refusal of an episode that is about this limit, or about any.

        What piled up is not ours to spend any more. A refusal in spite of a reading that left
        room says that the limit is enforced more closely than the reading shows; where there
        are no readings, refusals are all there is to learn the limit from.
        """
        self.bucket.forget_surplus()
        self._held_back, self._begun_at = 0.0, None
        if self._is_daily:  # enforced over a day, and nobody learns one by trying
            return
        if self._set.is_auto and self._told is None:  # what was guessed has turned out too much
            self._guess, self._guessed_at = math.inf, math.inf
            self._bracket.suppose(min(self.rate.per_second, self._bracket.rate(now)), resumes_at)
        evidence = self._evidence
        self._slow_start = _SlowStart(self.rate.burst, last=now)
        if self._room > 2 * amount and evidence.is_ours:
            self._slow_start.not_before = now + self._distrust
            self._distrust *= 2
            self._closeness = max(_CLOSEST, self._closeness * _CLOSER)
            evidence.forget()
        elif not evidence.seen and not self._is_named:
            self._bracket.refuse(now, amount=amount, admitted=self.charged, resumes_at=resumes_at)
            if self._bracket.is_set:  # the provider's bucket fills meanwhile
                self._held_back = min(self.rate.burst, (resumes_at - now) * self.rate.per_second)
                self._held_until = resumes_at
        self._resize(now)

    def keep_to_rate(self, until: float) -> None:
        """Spend nothing that has piled up at the provider before *until*."""
        self.bucket.forget_surplus()
        self._slow_start = _SlowStart(self.rate.burst, until)

    def _update(self, now: float) -> None:
        """Let a limit that nobody says rise with time."""
        if self.pace < 1 and now >= self._paced_until:
            self.pace = 1.0  # nothing has been seen of them since
        if self._begun_at is not None and now >= self._begun_at + _QUIET:
            self._begun_at = None
            self.confirm(now)  # no refusal has come
        is_guessed = self._set.is_auto and self._told is None
        if is_guessed and self._guessed_at is None and self._silent >= _AUTO_SILENCE:
            self._guessed_at = now
        if self._bracket.is_set:
            if not is_guessed and self._bracket.rate(now) >= self._set.per_second:
                self._bracket.forget()  # it has been lifted
            self._resize(now)
        elif is_guessed:
            self._resize(now)

    def resume(self, amount: float) -> None:
        """Go on after a pause with *amount*: what piled up meanwhile is not ours to burst."""
        if not self.rate.is_daily:
            self.bucket.lower_to(amount)

    def _weigh(self, reading: Reading, remaining: float, seen: Sighting, now: float) -> None:
        """
        Correct the level by what is left at the provider.

        The reading is as old as the answer took. Since then the bucket has refilled, less what
        others took, and what was sent after that request has been charged; what left just
        before it may have been charged after it. Down at once, to the best estimate; up only as
        far as the reading proves, and no faster than doubling with every round trip.
        """
        bucket, evidence, rate = self.bucket, self._evidence, self.rate
        refill = rate.per_second
        if reading.limit is not None and not rate.is_daily:
            refill = reading.limit / reading.period
        if not seen.refused:
            evidence.add(
                remaining,
                refill,
                at=seen.sent_at,
                mark=seen.mark,
                returned=seen.returned,
                number=seen.number,
            )
            self.settles = self._is_settled_by_policy or evidence.settles
        is_exact = rate.dimension.startswith("requests")  # every provider counts them as we do
        if is_exact and evidence.exchange < 1:
            self._room, self.pace = math.inf, 1.0
            bucket.credit(self._doubted)
            self._doubted = 0.0
            return
        self._room = remaining
        age = now - seen.sent_at
        since = self.charged - seen.mark
        if self.settles:
            since -= self.returned - seen.returned
        gained = age * max(0.0, rate.per_second - evidence.others)
        estimate = remaining + gained - since
        taken = min(evidence.others / rate.per_second, 1.0 - _SLOWEST)
        if taken > _NOTICEABLE and estimate < rate.burst:  # others drink from a shallow bucket
            estimate -= rate.per_second * _SHARED_RESERVE
            self.pace, self._paced_until = 1.0 - taken, now + _PACED
        else:
            self.pace = 1.0
        share = evidence.share
        before = bucket.available
        bucket.lower_to(max(0.0, estimate))
        self._doubted = self._doubted + before - bucket.available if share is None else 0.0
        is_believed = share is not None and share <= MOST_HONEST
        if rate.is_daily:
            # The day may have begun anew. Where the user wants less of it than the provider allows,
            # it is the user's day that counts.
            is_all_ours = reading.limit is not None and reading.limit <= (
                self._set.per_second * reading.span * (1 + _NEWS)
            )
            if is_all_ours and is_believed and evidence.is_ours and not seen.refused:
                bucket.credit(max(0.0, estimate - seen.overtaken() - bucket.available))
            return
        slow_start = self._slow_start
        if is_believed and reading.proves_surplus and slow_start.allows(seen.sent_at, now):
            reserve = min(rate.burst, rate.per_second * _RESERVE)
            proven = remaining - since - seen.overtaken() - reserve - age * evidence.others
            proven = min(proven, self._allowance(now))
            available = bucket.available
            if proven > available:
                bucket.raise_to(min(proven, available + slow_start.step), proven)
                slow_start.advance(now)

    def _is_to_be_adopted(self, reading: Reading, limit: float, seen: Sighting) -> bool:
        """Take note of the limit that the provider says, if it is to be believed."""
        rate, evidence = self._set, self._evidence
        if reading.is_daily != rate.is_daily:
            return False
        told = limit * 60 / reading.span
        if not _LEAST_LIMIT <= (limit if rate.is_daily else told) <= _MOST_LIMIT:
            return False
        if seen.refused and not evidence.seen:  # the text of a refusal, and no headers
            self._is_named = True
            if not rate.is_auto and not rate.is_daily:  # of a day there is nothing to try out
                self._bracket.suppose(told / 60, seen.sent_at)
                return True
        elif rate.is_auto:
            if reading.window is not None and not reading.proves_surplus:
                return False
        elif evidence.exchange < 1:
            told /= evidence.exchange
            if rate.dimension.startswith("requests") or told > _CLEARLY_LOWER * rate.per_minute:
                return False
        elif not evidence.is_ours:
            return False
        if self._told is not None and abs(told - self._told) > _NEWS * self._told:
            evidence.forget()  # what fell with the limit was not taken by anybody
            self.pace = 1.0
        self._told, self._told_span = told, reading.span
        return True

    def _resize(self, now: float) -> float | None:
        """Put the limit in force that follows from all that is known; return it if it is news."""
        if self._told is not None:
            limit = self._told if self._set.is_auto else min(self._set.per_minute, self._told)
        elif self._guessed_at is not None and now > self._guessed_at:
            doublings = min(40.0, (now - self._guessed_at) / _AUTO_DOUBLING)
            limit = self._set.per_minute * 2.0**doublings
        else:
            limit = self._guess
        limit = min(limit, self._bracket.rate(now) * 60) * self._closeness
        rate = self.rate
        if rate.is_auto == (not self.is_known) and abs(limit - rate.per_minute) <= (
            _NEWS * rate.per_minute
        ):
            return None
        # of a day the whole budget may go at once
        burst = limit / 60 * self._told_span if rate.is_daily else self._burst_of(limit)
        self.bucket.set_rate(
            replace(rate, per_minute=limit, burst=max(1.0, burst), is_auto=not self.is_known)
        )
        return limit


def _is_nonsense(reading: Reading) -> bool:
    """Whether more is left than the bucket can hold."""
    if reading.remaining is None or reading.limit is None:
        return False
    return reading.remaining > reading.limit + 1
