"""
One limit in the model of a queue: what the engine may spend of it.

The same arithmetic as in `ratedispatch.pacing.limit`, for a provider whose bucket refills all the
time and that nobody else spends from: then what its answers say is exact, and of all that a limit
tracks only this is left. Knows instants and amounts; no requests and no chance.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ratedispatch.pacing.limit.level import SharingTuning, pace_from
from ratedispatch.pacing.limit.limit_source import SourceTuning
from ratedispatch.pacing.limit.opening import OpeningTuning
from ratedispatch.pacing.limit.reading_filter import MAX_CREDIBLE_RATIO, FilterTuning
from ratedispatch.pacing.limit.surplus import Surplus
from ratedispatch.simulate.forecast.modelled_readings import Mark, ModelledReadings

if TYPE_CHECKING:
    from collections.abc import Callable

    from ratedispatch.limits import Rate
    from ratedispatch.simulate.forecast.modelled_account import ModelledAccount
    from ratedispatch.simulate.forecast.modelled_readings import ModelledLedger

_OPENING = OpeningTuning()
_READINGS = FilterTuning()
_SHARING = SharingTuning()
_SOURCE = SourceTuning()

#: Shares of the burst by which rounding may miss, and below which nothing is held back.
_ROUNDING = 1e-9
_LEAST_HELD_SHARE = 1e-6


def _nothing(number: int, sent_at: float) -> float:  # noqa: ARG001 - as others take it
    return 0.0


class ModelledLimit:
    """
    A bucket of the engine before a bucket of the provider.

    Args:
        rate: The limit that the engine is told.
        account: The bucket of the provider.
        says: Whether answers say what is left there.
        burst_of: Returns what may go at once of another limit per minute.
        ledger: Finds how the provider charges; None where it goes as the engine expects.

    Attributes:
        dimension: As `Rate` names it.
        most: The most that a request may cost.
        account: The argument of this name.
        ledger: The argument of this name.
        surplus: How much may go of what has piled up at the provider.
        held: What is held back until something was admitted.
        charged: What was sent and not refused.
        overtaken: Returns how much may have been charged after a request that left later.
        is_exact: Whether what a request is charged is known from the beginning.
    """

    def __init__(
        self,
        rate: Rate,
        account: ModelledAccount,
        *,
        says: bool,
        burst_of: Callable[[float], float],
        ledger: ModelledLedger | None = None,
    ) -> None:
        self.dimension, self.most = rate.dimension, rate.limit
        self.account, self.ledger = account, ledger
        self.is_exact = rate.dimension == "requests"
        self._burst = self._depth = self._own = rate.burst
        self._per_second = self._flow = rate.per_second
        self._surplus = self._ceiling = self._at = 0.0
        self.surplus = Surplus(rate.burst)
        self.overtaken: Callable[[int, float], float] = _nothing
        self.held = 0.0
        self._quiet_at = math.inf
        self._says, self._burst_of = says, burst_of
        self._speed = self._pace = 1.0
        self._room, self._closeness = math.inf, 1.0
        self._is_paced, self._paced_until, self._doubted = False, 0.0, 0.0
        self._readings = ModelledReadings(is_exact=self.is_exact)
        self.charged = self._voided = self._returned = 0.0
        self._last_at = self._last = 0.0

    # -- what the engine may spend -----------------------------------------------------------

    def open(self, amount: float) -> None:
        """Let *amount* go at the instant 0, and hold back most of the burst until it was let in."""
        first = max(amount, min(self._burst, self._per_second * _OPENING.opening_seconds))
        self.held = max(0.0, self._burst - first)
        self._quiet_at = _OPENING.quiet_seconds
        self._lower(first)

    def release(self) -> bool:
        """Let go what was held back; return whether that was anything."""
        if not self.held:
            return False
        self._own = min(self._depth, self._own + self.held)
        self.held = 0.0
        return True

    def resume(self, amount: float, now: float) -> None:
        """Go on after a pause with *amount*."""
        self._refill(now)
        self._lower(amount)

    def wait(self, amount: float, now: float) -> float:
        """Return the seconds until *amount* may be spent; 0 if it may now."""
        if now >= self._quiet_at:
            self._quiet_at = math.inf
            self.release()
        if self._pace < 1 or self._is_paced:
            if now >= self._paced_until:
                self._pace = 1.0  # nothing has been seen of others since
            self._is_paced = self._pace < 1
            self.set_speed(self._speed, now)
        burst = self._burst
        depth = amount if burst < amount <= self._ceiling else burst
        if now > self._at or depth != self._depth:
            self._refill(now)
            if depth != self._depth:
                self._depth = depth
                self._own = min(self._own, depth)
        missing = (amount if amount < depth else depth) - self._own - self._surplus  # noqa: FURB136
        if missing <= depth * _ROUNDING:
            return 0.0
        return missing / self._flow

    def spend(self, amount: float, now: float) -> None:
        """Spend *amount*, for which `wait` is 0 *now*."""
        if now > self._at:
            self._refill(now)
        own, burst = self._own, self._burst
        if self.held:
            held = min(self.held, burst - own - self._surplus)
            self.held = held if held > _LEAST_HELD_SHARE * burst else 0.0
        if self._surplus > 0:
            used = min(self._surplus, max(0.0, amount - own))
            self._surplus -= used
            own += used
        own -= amount
        self._depth = burst
        self._own = own if own < burst else burst  # noqa: FURB136  # min() takes longer
        self.charged += amount
        self._last_at, self._last = now, amount

    def set_speed(self, speed: float, now: float) -> None:
        """Let *speed* times the rate flow in from now on."""
        self._speed = speed
        flow = self._per_second * speed * self._pace
        if flow != self._flow:
            self._refill(now)
            self._flow = flow

    # -- what comes back ---------------------------------------------------------------------

    def mark(self, amount: float, charge: float, parts: tuple[int, int, int] = (0, 0, 0)) -> Mark:
        """
        Charge a request at the provider, and return where it stands.

        Args:
            amount: What it is expected to be charged.
            charge: What it is.
            parts: As `Mark` has them.
        """
        account, ledger = self.account, self.ledger
        account.left = left = account.left - charge
        if left < 0:
            left = 0.0
        if ledger is None:
            return amount, self.charged, left, None, parts
        ledger.charge(*parts)
        return amount, self.charged, left, ledger.position, parts

    def settle(self, mark: Mark, used: float, now: float) -> None:
        """Count what a request used; the rest comes back if the provider is seen to do that."""
        unused = mark[0] - used
        self._returned += unused
        ledger = self.ledger
        if ledger is not None:
            ledger.settle(*mark[4], used)
            if ledger.rule.refunds:
                self._refill(now)
                self._own = min(self._depth, self._own + unused)

    def void(self, mark: Mark, now: float) -> None:
        """Count a request as refused *now*, and so, most likely, not charged."""
        amount, _, _, _, (billed, prompt, output) = mark
        self.charged -= amount
        self._voided += amount
        if self.ledger is not None:
            self.ledger.charge(-billed, -prompt, -output)
            self.ledger.finder.doubt(now)

    def drop_surplus_until(self, until: float, now: float) -> None:
        """Spend nothing that has piled up at the provider before *until*."""
        self._surplus = 0.0
        self.surplus.restart(self._burst, not_before=max(until, now))

    def refuse(self, mark: Mark, now: float) -> None:
        """Start slowly again after a refusal, and more slowly if there should have been room."""
        self._surplus = self.held = 0.0
        self._quiet_at = math.inf
        self.surplus.restart(self._burst, last=now)
        readings = self._readings
        if self._room <= 2 * mark[0] or (readings.ratio or 0.0) < _READINGS.least_ratio:
            return
        self.surplus.distrust(now)
        readings.forget()
        self._refill(now)
        before = self._closeness
        self._closeness = max(_SOURCE.closest_share, before * _SOURCE.closer_factor)
        self._per_second *= self._closeness / before
        self._burst = self._burst_of(self._per_second * 60)
        self._depth = self._burst
        self._own = min(self._own, self._burst)
        self._flow = self._per_second * self._speed * self._pace

    def read(
        self, mark: Mark, number: int, sent_at: float, now: float, *, is_refused: bool = False
    ) -> bool:
        """
        Correct the bucket by what an answer says is left; return whether that is less or more.

        Args:
            mark: Where the request stands that it answers.
            number: The number of that request among all that were sent.
            sent_at: When it left.
            now: The instant.
            is_refused: Whether it was refused.
        """
        if not self._says:
            return False
        readings, ledger = self._readings, self.ledger
        amount, charged, left, position, _ = mark
        remaining = math.floor(left + 1e-6)
        by_then, by_now = (charged, 0.0), (self.charged, 0.0)
        if position is not None and ledger is not None:
            if ledger.read(remaining, number, sent_at, position, is_refused=is_refused):
                readings.forget()
            by_then, by_now = ledger.sums(position), ledger.sums(ledger.position)
        if not is_refused:
            readings.add(
                remaining,
                self.account.told,
                sent_at=sent_at,
                charged=by_then[0],
                returned=by_then[1],
                number=number,
            )
        if position is not None and ledger is not None:
            readings.is_sure = ledger.finder.is_settled
        since = by_now[0] - by_then[0] - (by_now[1] - by_then[1])
        if is_refused:
            since += amount
        if now > self._at:
            self._refill(now)
        if self.is_exact and readings.unit_ratio < 1:
            self._room, self._pace = math.inf, 1.0
            self._own = min(self._depth, self._own + self._doubted)
            self._doubted = 0.0
            return True
        return self._correct(left, since, number, sent_at, now)

    def _correct(self, left: float, since: float, number: int, sent_at: float, now: float) -> bool:
        """Lower or raise what may be spent to what is *left* at the provider."""
        remaining = math.floor(left + 1e-6)
        ratio, others, per_second = self._readings.ratio, self._readings.others, self._per_second
        level = remaining + (now - sent_at) * max(0.0, per_second - others) - since
        self._pace = 1.0
        if others and level < self._burst:
            pace = pace_from(others, per_second, _SHARING)
            if pace < 1:
                level -= per_second * _SHARING.reserve_seconds
                self._pace, self._paced_until = pace, now + _READINGS.memory_seconds
        self._room = remaining
        before = self._own + self._surplus
        has_changed = self._lower(level if level > 0 else 0.0)
        if ratio is None:
            self._doubted += before - self._own - self._surplus
            return has_changed
        self._doubted = 0.0
        if ratio > MAX_CREDIBLE_RATIO or remaining - since <= self._own + self._surplus:
            return has_changed
        if not self.account.is_minute(left):
            return has_changed
        return self._raise(remaining - since, number, sent_at, now) or has_changed

    def _raise(self, proven: float, number: int, sent_at: float, now: float) -> bool:
        """Allow the next step of what has piled up; return whether that is anything."""
        surplus, others = self.surplus, self._readings.others
        if now < surplus.not_before or (sent_at < surplus.last and now < surplus.quiet_at):
            return False
        net = self.charged + self._voided - self._returned
        allowance = surplus.allowance(now, limit=self.most, net=net)
        surplus.is_sure = self._readings.is_sure
        if self.is_exact:
            surplus.is_sure = others <= self._per_second * _SHARING.noticeable_share
        proven -= min(self._burst, self._per_second * surplus.reserve_seconds)
        available = self._own + self._surplus
        if min(proven, allowance) <= available:
            return False
        proven -= self.overtaken(number, sent_at) + (now - sent_at) * others
        proven = min(proven, allowance)
        lacking = min(proven, available + surplus.step) - available
        if lacking <= 0:
            return False
        self._surplus += lacking
        self._ceiling = max(self._ceiling, proven)
        surplus.advance(now)
        return True

    @property
    def used(self) -> float:
        """The share used of what flowed in from the instant 0 to the last request."""
        if not self._last_at:
            return 0.0
        flowed = self._last_at * self.most / 60
        return min(1.0, max(0.0, self.charged + self._voided - self._last) / flowed)

    def _refill(self, now: float) -> None:
        """Let flow in what does until *now*; what is above the ceiling then runs over."""
        elapsed = now - self._at
        if elapsed <= 0:
            return
        self._at = now
        depth = self._depth
        own = self._own + elapsed * self._flow
        self._own = own = own if own < depth else depth  # noqa: FURB136
        if self._surplus > 0:
            excess = own + self._surplus - max(depth, self._ceiling)
            if excess > 0:
                self._surplus = max(0.0, self._surplus - excess)

    def _lower(self, available: float) -> bool:
        """Allow at most *available* to be spent now; return whether that is less."""
        excess = self._own + self._surplus - available
        if excess <= 0:
            return False
        used = min(self._surplus, excess)
        self._surplus -= used
        self._own -= excess - used
        return True
