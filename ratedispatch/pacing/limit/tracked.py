"""
One limit: how much of one dimension may be spent now.

Joins the user's setting, what the provider says about its own bucket, and its refusals. Knows one
dimension; nothing of the queue, of other limits or of HTTP, and reads no clock.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ratedispatch.pacing.limit.account import NOTHING, SpendMark, sums_at
from ratedispatch.pacing.limit.arrival_window import ArrivalWindow
from ratedispatch.pacing.limit.charge_rule import ChargeRule, amount_by
from ratedispatch.pacing.limit.counted_window import CountedWindow
from ratedispatch.pacing.limit.limit_source import INSTANTS as SOURCE_INSTANTS
from ratedispatch.pacing.limit.limit_state import LimitState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ratedispatch.limits import Reading
    from ratedispatch.pacing.budget import Mark
    from ratedispatch.request import Cost

__all__ = ["SpendMark", "TrackedLimit"]

#: Which of the numbers of `TrackedLimit.learned` are instants.
INSTANTS = (5, 6, 7, *[8 + place for place in SOURCE_INSTANTS])

#: What stands for the rule of a limit that has one only.
NO_RULE = ChargeRule(NOTHING, output=False, refunds=False)


class TrackedLimit(LimitState):
    """
    A bucket that follows the provider's. See :class:`LimitState` for its arguments.

    *now* is always in seconds of one clock of the caller's.
    """

    __slots__ = ()

    @property
    def held(self) -> float:
        """What is held back of the burst until something was admitted."""
        return self._opening.held

    def piled(self, now: float) -> float:
        """Return what may be spent step by step of what has piled up at the provider."""
        return self._level.piled(now)

    def start(self, now: float, amount: float) -> None:
        """Let *amount* go, and hold back most of the burst until something was admitted."""
        bucket, source = self._bucket, self.source
        source.begin(now)
        if self._spent_before:  # not before: a bucket refills from the beginning of the clock on
            bucket.lower_to(max(0.0, bucket.rate.burst - self._spent_before), now)
        if not self.is_daily:
            available = bucket.available(now)
            opening = self._opening.start(now, amount, available=available, rate=bucket.rate)
            bucket.lower_to(opening, now)

    def resume(self, amount: float, now: float) -> None:
        """Resume after a pause with *amount*: what accumulated in it must not go in a burst."""
        if not self.is_daily:
            self._bucket.lower_to(amount, now)

    def wait(self, amount: float, now: float, speed: float) -> float:
        """Return the seconds until *amount* may be spent, at *speed* times the rate."""
        if self._window is not None and (closed := self._window.wait(amount, now)):
            return closed
        self.run(now, speed)
        return self._bucket.wait(amount, now)

    def closed(self, amount: float, now: float) -> float:
        """Return the seconds until a window opens in which *amount* has room; 0 without one."""
        return 0.0 if self._window is None else self._window.wait(amount, now)

    def run(self, now: float, speed: float) -> None:
        """Let everything that changes with time alone be as it is *now*, at *speed*."""
        bucket, level, opening = self._bucket, self._level, self._opening
        if level.pace < 1 and now >= level.paced_until:
            level.pace = 1.0  # nothing has been seen of others since
        if opening.quiet_at is not None and now >= opening.quiet_at:
            opening.quiet_at = None
            self.release_opening(now, now)
        if self.source.is_moving:
            self.source.advance(now)
            self._put_in_force(now)
        if not self.is_daily and speed * level.pace != bucket.speed:
            bucket.set_speed(speed * level.pace, now)

    def spend(self, amount: float, now: float, cost: Cost | None = None) -> Mark:
        """
        Let *amount* through, for which `wait` was 0.0 *now*; return the sums of `SpendMark`.

        *cost* is what it is the amount of.
        """
        bucket = self._bucket
        missing = bucket.take(amount, now)
        if self._window is not None:
            self._window.spend(amount)
        if self._opening.held:
            self._opening.fill(missing, bucket.rate.burst)
        charged, returned = self.account.spend(amount, now, bucket.per_second)
        ledger = self.ledger
        return charged, returned, None if ledger is None or cost is None else ledger.charge(cost)

    def settle(self, amount: float, used: float, now: float, cost: Cost | None = None) -> None:
        """
        Count what of *amount* was not *used* as returned; below zero, more was.

        *cost* is what it is the amount of.
        """
        unused = amount - used
        self.account.returned += unused
        if self.ledger is not None and cost is not None:
            self.ledger.answered.append((cost, used))
        if self._level.refunds:
            if unused >= 0:
                self._bucket.credit(unused, now)
            else:
                self._bucket.debit(-unused, now)

    def refund(self, amount: float, now: float, cost: Cost | None = None) -> None:
        """Take back *amount*, which was let through but not sent."""
        self._bucket.credit(amount, now)
        if self._window is not None:
            self._window.give(amount)
        self.account.refund(amount)
        if self.ledger is not None and cost is not None:
            self.ledger.void(cost)

    def on_uncharged(self, amount: float, now: float, cost: Cost | None = None) -> None:
        """Count *amount*, which was sent, as refused *now*, and so, most likely, not charged."""
        self.account.refused += amount
        if self.ledger is not None and cost is not None:
            self.ledger.void(cost)
        if self._finder is not None:
            self._finder.doubt(now)

    def release_opening(self, sent_at: float, now: float) -> None:
        """Let go what was held back: the provider has answered what was sent at *sent_at*."""
        if self._opening.held:
            self._bucket.credit(self._opening.release(sent_at), now)
            self._bucket.is_corrected = True

    def on_silent_answer(self, sent_at: float, now: float) -> None:
        """Count an answer to what was sent at *sent_at* that does not mention this limit."""
        self.release_opening(sent_at, now)
        self.source.silent_answers += 1

    def observe(self, reading: Reading | None, mark: SpendMark, now: float) -> float | None:
        """Correct the bucket by an answer; return the limit per minute if it is a new one."""
        source, readings = self.source, self._level.readings
        if reading is None:
            source.silent_answers += 1
            return None
        if reading.counts_arrivals:
            return self._read_arrivals(reading, mark, now)
        if reading.ends_in is not None and reading.remaining is not None and not mark.refused:
            return self._read_window(reading, reading.remaining, reading.ends_in, mark, now)
        if mark.number < self._newest:  # newer readings are known
            return None
        self._newest = mark.number
        limit, remaining = reading.limit, reading.remaining
        if remaining is not None:
            if limit is not None and remaining > limit + 1:
                return None  # nonsense: more is left than the bucket can hold
            if mark.position is None or self._finder is None:
                self._level.correct(reading, remaining, mark, now)
            else:
                self._correct_by_rule(reading, remaining, mark, now)
        is_same = (limit, reading.period) == source.adopted and readings.unit_ratio == 1
        if is_same and not (mark.refused or source.is_moving):
            return None
        told = source.told
        if not source.adopt(reading, mark, readings):
            return None
        if source.differs(told):
            readings.forget()  # what fell with the limit was not taken by anybody
            if self._finder is not None:
                self._finder.forget()
            self._level.pace = 1.0
        return self._put_in_force(now)

    def on_refusal(self, now: float, *, amount: float, resumes_at: float) -> None:
        """Learn from the first refusal of an episode that is about this limit, or about any."""
        bucket, source = self._bucket, self.source
        bucket.forget_surplus()  # what piled up is no longer ours to spend
        self._opening.drop()
        if self.is_daily:  # enforced over a day, which is too long to learn by trying
            return
        source.on_refusal(bucket.per_second, resumes_at)
        if self._level.on_refusal(amount, now):
            source.come_closer()
        elif self._window is not None and self._window.close():
            pass
        elif not self._level.readings.seen and not source.is_named:
            admitted = self.account.spent - self.account.refused
            if source.search(now, amount=amount, admitted=admitted, resumes_at=resumes_at):
                # the provider's bucket fills meanwhile
                filled = min(bucket.rate.burst, (resumes_at - now) * bucket.per_second)
                self._opening.hold(filled, resumes_at)
        self._put_in_force(now)

    def _read_window(
        self, reading: Reading, remaining: float, ends_in: float, mark: SpendMark, now: float
    ) -> float | None:
        """Take a reading of a counter into account that does not refill, but starts over."""
        window = self._window
        if not isinstance(window, CountedWindow):
            window = self._window = CountedWindow(self._tuning.window)
        window.read(remaining, mark, now, ends_in=ends_in, period=reading.period)
        if window.is_confirmed:
            self._level.use_window(window.left, mark, now)
        source = self.source
        if (reading.limit, reading.period) == source.adopted:
            return None
        is_adopted = source.adopt(reading, mark, self._level.readings)
        return self._put_in_force(now) if is_adopted else None

    def _read_arrivals(self, reading: Reading, mark: SpendMark, now: float) -> float | None:
        """Take a reading of a counter into account whose window may have to be found out."""
        window, source = self._arrivals, self.source
        if window is None:
            window = self._arrivals = ArrivalWindow(self._tuning.arrivals)
        window.read(reading, mark, now)
        self._window = window if window.is_known else None
        if not (window.is_known and window.is_confirmed):
            source.silent_answers += 1
            return None
        if mark.refused:
            return None
        self._level.use_window(window.left, mark, now)
        period = window.period
        is_set = source.is_known and source.told is None  # by the user: the window is enough
        if is_set or (reading.limit, period) == source.adopted:
            return None
        told = replace(reading, window=period, period=period)
        is_adopted = source.adopt(told, mark, self._level.readings)
        return self._put_in_force(now) if is_adopted else None

    def _correct_by_rule(
        self, reading: Reading, remaining: float, mark: SpendMark, now: float
    ) -> None:
        """Correct the bucket by a reading, and take the rule whose predictions come true."""
        finder, ledger, position, level = self._finder, self.ledger, mark.position, self._level
        assert finder is not None
        assert ledger is not None
        assert position is not None
        refill = self._bucket.per_second
        if reading.limit is not None and not self.is_daily:
            refill = reading.limit / reading.period
        is_new = False
        if finder.left_out:
            finder.left_out -= 1
        elif not mark.refused:
            is_new = finder.add(
                remaining, refill, at=mark.sent_at, position=position, number=mark.number
            )
        rule = finder.rule
        if is_new:
            self._take_rule(rule)
        level.surplus.is_sure = finder.is_settled
        by_then = sums_at(position, rule.prompt, output=rule.output)
        by_now = sums_at(ledger.position(), rule.prompt, output=rule.output)
        level.correct(reading, remaining, mark, now, by_then, by_now)

    def stamp(self) -> tuple[object, ...]:
        """Return what is another one when anything was learned; quicker than that itself."""
        rule = None if self._finder is None else self._finder.rule
        return (rule, self._level.surplus.last, *self.source.stamp())

    def learned(self) -> tuple[float, ...]:
        """Return what was learned, in numbers; instants at the places of `INSTANTS`."""
        rule = NO_RULE if self._finder is None else self._finder.rule
        rules = float(rule.prompt), float(rule.output), float(rule.refunds)
        return (*rules, *self._level.surplus.learned(), *self.source.learned())

    def learn(self, numbers: Sequence[float], now: float) -> float | None:
        """Take over what others have `learned`; return the limit per minute if it is a new one."""
        if self._finder is not None:
            prompt, output, refunds = numbers[:3]
            rule = ChargeRule(int(prompt), bool(output), bool(refunds))
            if rule != self._finder.rule and self._finder.take(rule):
                self._take_rule(rule)
        self._level.surplus.learn(numbers[3:8])
        self.source.learn(numbers[8:])
        return self._put_in_force(now)

    def cap(self, per_minute: float, now: float) -> float | None:
        """Stay within *per_minute*, which others allow; return the limit if it is a new one."""
        self.source.cap = per_minute
        return self._put_in_force(now)

    def forget_refusals(self, now: float) -> None:
        """Drop the rate that refusals taught: they were about something else."""
        if self.source.forget_search():
            self._put_in_force(now)

    def drop_surplus_until(self, until: float, now: float) -> None:
        """Spend nothing that has piled up at the provider before *until*."""
        self._bucket.forget_surplus()
        self._level.surplus.restart(self._bucket.rate.burst, not_before=max(until, now))

    def _take_rule(self, rule: ChargeRule) -> None:
        """Charge by *rule* from now on."""
        self.amount_of = amount_by(rule)
        self._level.refunds = rule.refunds
        self._level.readings.forget()

    def _put_in_force(self, now: float) -> float | None:
        """Put the limit in force that follows from all that is known; return it if it is news."""
        rate = self.source.new_rate(self._bucket.rate, now)
        if rate is None:
            return None
        self._bucket.set_rate(rate, now)
        return rate.per_minute
