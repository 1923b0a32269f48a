"""
The level of one bucket, kept equal to the provider's.

Corrects the bucket by what responses say is left: down immediately to the best estimate, up only as
far as a reading proves, and in steps. Knows one dimension, and reads no clock.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ratedispatch.limits import SHORT_WINDOW
from ratedispatch.pacing.limit.reading_filter import MAX_CREDIBLE_RATIO, ReadingFilter
from ratedispatch.pacing.limit.surplus import Surplus

if TYPE_CHECKING:
    from ratedispatch.limits import Reading
    from ratedispatch.pacing.bucket import Bucket
    from ratedispatch.pacing.limit.account import Account, SpendMark
    from ratedispatch.pacing.limit.limit_source import LimitSource
    from ratedispatch.pacing.limit.tuning import LimitTuning


@dataclass(frozen=True, slots=True)
class SharingTuning:
    """
    How a limit is shared with others.

    Args:
        noticeable_share: Others are taken into account from this share of the rate on, and as far
            as to leave us this share of it.
        reserve_seconds: Seconds of rate that are kept while they are: others drink from a
            shallow bucket.
    """

    noticeable_share: float = 0.05
    reserve_seconds: float = 0.04


def pace_from(others: float, per_second: float, tuning: SharingTuning) -> float:
    """Return the share of the rate that is left for us: 1 − others / rate, 1 if few are seen."""
    taken = min(others / per_second, 1.0 - tuning.noticeable_share)
    return 1.0 - taken if taken > tuning.noticeable_share else 1.0


def surplus_from(
    remaining: float, age: float, others: float, since: float, overtaken: float, reserve: float
) -> float:
    """
    Return what a reading proves to be left at the provider.

    Unlike the level it counts no refill, all that others took, what may have been charged after
    the request though it left before, and a reserve:
    remaining − since − overtaken − reserve − age × others.
    """
    return remaining - since - overtaken - reserve - age * others


class LevelTracker:
    """
    Corrects a bucket by readings.

    Args:
        bucket: The bucket to correct.
        account: What went through it.
        source: Tells the limit.
        refunds: Whether the provider gives back what a request did not use.
        tuning: The constants.

    Attributes:
        readings: What the readings are worth.
        surplus: How much of what has piled up may go.
        pace: The share of the rate that flows in for us: less than 1 while others use the limit.
        paced_until: When it is believed that the others have gone.
        refunds: Whether the provider gives back what a request did not use.
    """

    __slots__ = (
        "_account",
        "_bucket",
        "_doubted",
        "_is_daily",
        "_is_exact",
        "_left",
        "_left_at",
        "_left_charged",
        "_memory_seconds",
        "_room",
        "_sharing",
        "_source",
        "pace",
        "paced_until",
        "readings",
        "refunds",
        "surplus",
    )

    def __init__(
        self,
        bucket: Bucket,
        account: Account,
        source: LimitSource,
        *,
        refunds: bool,
        tuning: LimitTuning,
    ) -> None:
        rate = bucket.rate
        self.readings = ReadingFilter(tuning.readings)
        self.surplus = Surplus(rate.burst, tuning.surplus)
        self.pace = 1.0
        self.paced_until = 0.0
        self.refunds = refunds
        self._bucket = bucket
        self._account = account
        self._source = source
        self._sharing = tuning.sharing
        self._memory_seconds = tuning.readings.memory_seconds  # others go on as they did so long
        self._is_daily = rate.is_daily
        self._is_exact = rate.dimension.startswith("requests")  # every provider counts them alike
        self._room = math.inf  # what the newest reading left
        self._left = -math.inf  # the same, less what was charged since; how old, and at what sum
        self._left_at = self._left_charged = 0.0
        self._doubted = 0.0  # lowered by readings that had not been seen to be honest

    def on_refusal(self, amount: float, now: float) -> bool:
        """
        Start slowly again after a refusal of *amount*.

        Returns:
            Whether the newest reading had left room for it: the limit is enforced more closely
            than the readings show. Then they count for nothing until they prove themselves again.
        """
        self.surplus.restart(self._bucket.rate.burst, last=now)
        if self._room <= 2 * amount or not self.readings.is_correlated:
            return False
        self.surplus.distrust(now)
        self.readings.forget()
        return True

    def correct(
        self,
        reading: Reading,
        remaining: float,
        mark: SpendMark,
        now: float,
        by_then: tuple[float, float] | None = None,
        by_now: tuple[float, float] | None = None,
    ) -> None:
        """
        Correct the level by what is left at the provider.

        Args:
            reading: What it says.
            remaining: What it says is left.
            mark: Where the request stands that it answers.
            now: Seconds of the caller's clock.
            by_then: What had been charged when that left; by default what *mark* says.
            by_now: What has been charged by now; by default what the account says.
        """
        bucket, readings, account = self._bucket, self.readings, self._account
        charged, returned = by_then or (mark.charged, mark.returned)
        charged_now, returned_now = by_now or (account.spent - account.refused, account.returned)
        since = charged_now - charged
        if mark.refused:  # it is not among what is charged, then or now
            since += mark.amount
        if self.refunds:
            since -= returned_now - returned
        else:
            returned = 0.0
        per_second = refill = bucket.per_second
        if not mark.refused:
            if reading.limit is not None and not self._is_daily:
                refill = reading.limit / reading.period
            at, number = mark.sent_at, mark.number
            readings.add(
                remaining, refill, at=at, charged=charged, returned=returned, number=number
            )
        if self._is_exact and readings.unit_ratio < 1:
            self._disregard(now)
            return
        self._room = remaining
        is_short = (reading.window or math.inf) <= SHORT_WINDOW
        self._left = remaining - since if is_short else -math.inf
        self._left_at, self._left_charged = now, charged_now - returned_now
        age = now - mark.sent_at
        # the reading is as old as the answer took: since then the bucket has refilled, less what
        # others took, and what was sent after that request has been charged
        level = remaining + age * max(0.0, per_second - readings.others) - since
        self.pace = 1.0
        if level < bucket.rate.burst and readings.others:
            level -= self._reserve(per_second, now)
        ratio = readings.ratio
        if ratio is None:
            before = bucket.available(now)
            self._doubted += before - bucket.lower_to(max(0.0, level), now)
            return
        self._doubted = 0.0
        available = bucket.lower_to(max(0.0, level), now)
        if ratio > MAX_CREDIBLE_RATIO:
            return
        if self._is_daily:
            self._raise_day(reading, level, available, mark, now)
        elif is_short and now >= self.surplus.not_before:
            self._raise(remaining, age, since, available, mark, now)

    def _disregard(self, now: float) -> None:
        """Take back what readings have lowered: they count in units of their own."""
        self._room, self.pace = math.inf, 1.0
        self._bucket.credit(self._doubted, now)
        self._bucket.is_corrected = True
        self._doubted = 0.0

    def _reserve(self, per_second: float, now: float) -> float:
        """Set the pace that others leave; return what is kept back while they use the limit."""
        pace = pace_from(self.readings.others, per_second, self._sharing)
        if pace == 1.0:
            return 0.0
        self.pace, self.paced_until = pace, now + self._memory_seconds
        return per_second * self._sharing.reserve_seconds

    def _raise(
        self,
        remaining: float,
        age: float,
        since: float,
        available: float,
        mark: SpendMark,
        now: float,
    ) -> None:
        """Allow the next step of what has piled up at the provider, as far as it is proven."""
        bucket, surplus = self._bucket, self.surplus
        if mark.sent_at < surplus.last and now < surplus.quiet_at:
            return  # what the last step let go has not been admitted yet
        allowance = self._allowance(now)
        if remaining - since <= available:
            return
        if self._is_exact:  # others may charge between two readings
            noticeable = bucket.per_second * self._sharing.noticeable_share
            surplus.is_sure = self.readings.others <= noticeable
        reserve = min(bucket.rate.burst, bucket.per_second * surplus.reserve_seconds)
        if min(remaining - since - reserve, allowance) <= available:
            return  # a bound of what is proven; to find what has overtaken takes a while
        others = self.readings.others
        proven = surplus_from(remaining, age, others, since, mark.overtaken(), reserve)
        proven = min(proven, allowance)
        if proven > available:
            bucket.raise_to(min(proven, available + surplus.step), proven, now)
            surplus.advance(now)

    def piled(self, now: float) -> float:
        """Return what may be spent step by step of what has piled up, for an observer."""
        ratio, surplus = self.readings.ratio, self.surplus
        if ratio is None or ratio > MAX_CREDIBLE_RATIO or self._is_daily:
            return 0.0
        if now < surplus.not_before or self._left == -math.inf:
            return 0.0
        account, bucket = self._account, self._bucket
        spent = account.spent - account.refused - account.returned - self._left_charged
        flowed = bucket.per_second * (now - self._left_at)
        reserve = min(bucket.rate.burst, bucket.per_second * surplus.reserve_seconds)
        most = self._source.most
        limit = most if math.isfinite(most) else bucket.rate.per_minute
        allowed = surplus.allowed(now, limit=limit, net=account.spent - account.returned)
        return max(0.0, min(self._left + flowed - spent - reserve, allowed))

    def use_window(self, left: float, mark: SpendMark, now: float) -> None:
        """
        Allow the next step of what is *left* of a window that starts over as a whole.

        Only an answer to what the last step let go allows the next one: the counter may have a
        request only when it is answered, so silence confirms nothing.
        """
        bucket, surplus = self._bucket, self.surplus
        if now < surplus.not_before or mark.sent_at < surplus.last:
            return
        available = bucket.available(now)
        proven = min(left, self._allowance(now))
        if proven > available:
            bucket.raise_to(min(proven, available + surplus.step), proven, now)
            surplus.advance(now)

    def _allowance(self, now: float) -> float:
        """Return what a bucket of the user's own limit would hold, a minute deep."""
        most, account = self._source.most, self._account
        limit = most if math.isfinite(most) else self._bucket.rate.per_minute
        return self.surplus.allowance(now, limit=limit, net=account.spent - account.returned)

    def _raise_day(
        self, reading: Reading, level: float, available: float, mark: SpendMark, now: float
    ) -> None:
        """
        Follow the provider's day, which may have begun again.

        Where the user wants less of it than the provider allows, it is the user's day that counts.
        """
        if mark.refused or reading.limit is None or not self.readings.is_correlated:
            return
        if self._source.is_within(reading.limit, reading.span):
            self._bucket.credit(max(0.0, level - mark.overtaken() - available), now)
            self._bucket.is_corrected = True
