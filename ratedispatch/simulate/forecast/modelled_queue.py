"""
The queue of a job in the model: what is sent when, from one instant of change to the next.

Rows go in their order, each when all limits can pay for it and there is room in flight. Knows the
limits, the server and the brake by what they tell; nothing of files and of HTTP.
"""

from __future__ import annotations

import heapq
import math
from typing import TYPE_CHECKING, Any

from ratedispatch.outcome import Decision, Interpretation
from ratedispatch.pacing import bottleneck
from ratedispatch.simulate.forecast.modelled_brake import Attempt, refusal
from ratedispatch.simulate.forecast.modelled_room import ModelledRoom
from ratedispatch.simulate.forecast.modelled_server import BROKEN, REFUSING, TELLING, UNUSED
from ratedispatch.simulate.forecast.open_requests import OpenRequests

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ratedispatch.pacing.feedback import Feedback, Verdict
    from ratedispatch.pacing.limit.charge_rule import ChargeRule
    from ratedispatch.simulate.forecast.modelled_brake import ModelledBrake
    from ratedispatch.simulate.forecast.modelled_readings import Mark
    from ratedispatch.simulate.forecast.modelled_retries import Sending
    from ratedispatch.simulate.forecast.modelled_server import ModelledServer
    from ratedispatch.simulate.forecast.modelled_tally import ModelledTally
    from ratedispatch.simulate.forecast.row_costs import RowCosts

#: How often the speed is set while it rises after a pause, in seconds.
_RAMP_STEP_SECONDS = 0.02

#: What is refused comes back after all that leaves at the same instant, in seconds.
_AT_ONCE = 1e-9

_NO_PARTS = (0, 0, 0)
_FAULT = Interpretation(Decision.TRANSIENT)


class ModelledQueue:
    """
    The queue, what is in flight, and the clock.

    Args:
        costs: What the rows cost.
        order: The numbers of the rows in the order in which they are read.
        brake: What refusals do, and how many may be in flight.
        server: What lies behind the limits.
        tally: Adds up what comes of it.
        sending: How the rows are sent.
    """

    def __init__(
        self,
        costs: RowCosts,
        order: Sequence[int],
        brake: ModelledBrake,
        server: ModelledServer,
        tally: ModelledTally,
        sending: Sending,
    ) -> None:
        self._costs, self._order = costs, order
        self._brake, self._server, self._tally, self._sending = brake, server, tally, sending
        self._rule: ChargeRule | None = None  # by which the provider charges, as far as is known
        self._is_credited = False  # whether an answer gives back what it did not use
        self._size, self._charges = costs.sizes_by(None), costs.charges
        self._travel, self._row_seconds = sending.travel, sending.row_seconds
        self._kind, self._caps = costs.kind, costs.caps
        self._budget = brake.modelled
        self._limits = limits = self._budget.limits
        found = {limit.dimension: limit for limit in limits}
        self._requests, self._tokens = found.get("requests"), found.get("tokens")
        self._most_tokens = math.inf if self._tokens is None else self._tokens.most
        self._room = ModelledRoom(brake.concurrency)
        self._open = OpenRequests()
        self._flight: list[tuple[Any, ...]] = []  # a heap
        self._late: list[int] = []  # a heap: the places of rows that come again
        self._place = 0
        self._amount = 0  # tokens of the head
        self._entered = 0.0  # when the row at that place came to the head
        self._at = 0.0  # when the head may go, or is to be examined again
        self._may_go = False  # whether it may go then
        self._is_slow = False  # whether less than the rate flows in
        self._free_at = 0.0  # when the processor is
        self._sent_at = 0.0  # when something went last
        for limit in limits:
            limit.overtaken = self._open.overtaken(is_counted=limit.is_exact)

    def run(self) -> int:
        """Play to the end; return the most that were in flight at once."""
        flight, pop = self._flight, heapq.heappop
        self._take_head(0.0)
        for limit in self._limits:
            limit.open(1 if limit.is_exact else self._amount)
        self._look(0.0)
        while True:
            at = self._at
            if at < self._free_at and at > self._sent_at:  # what goes at once goes all at once
                at = self._free_at
            if flight and flight[0][0] <= at:
                self._end(pop(flight))
            elif self._may_go:
                self._go(at)
            elif at < math.inf:
                self._look(at)
            else:
                return self._open.peak

    # -- the head of the queue ---------------------------------------------------------------

    def _take_head(self, now: float) -> None:
        """Let the next row that can be sent at all come to the head."""
        size, order = self._size, self._order
        if self._late:
            self._amount = size(order[self._late[0]])
            return
        while self._place < len(order):
            self._amount = amount = size(order[self._place])
            if amount <= self._most_tokens:
                return
            self._place += 1
            self._tally.fail(now)

    def _look(self, now: float) -> None:
        """Find out when the head may go, and what holds it back."""
        self._may_go = False
        brake = self._brake
        cause, wait = bottleneck.NOTHING, 0.0
        if self._place >= len(self._order) and not self._late:
            wait = math.inf
        elif self._open.in_flight >= self._room.limit and (
            wait := self._room.wait(self._open.in_flight, now)
        ):
            cause = bottleneck.IN_FLIGHT
        elif now < brake.cooldown.until:
            self._room.is_short = False
            cause, wait = bottleneck.PAUSE, brake.cooldown.until - now
        elif brake.throttle is not None and (wait := brake.throttle.wait(now)) > 0:
            self._room.is_short = False
            cause = bottleneck.REFUSALS
        else:
            is_slow = self._is_slow or self._budget.is_resuming or now < brake.cooldown.slow_until
            speed = self._resume(now) if is_slow else 1.0
            wait, cause = self._wait(now)
            if wait:
                self._room.is_short = False
            if speed < 1 and wait:
                wait = min(wait, _RAMP_STEP_SECONDS)
                if brake.cooldown.is_ramping(now):
                    cause = bottleneck.PAUSE
            else:
                self._may_go = True
        self._at = now + wait
        self._tally.hold(cause, now)

    def _wait(self, now: float) -> tuple[float, str]:
        """Return the seconds until all limits can pay for the head, and which takes longest."""
        wait, cause = 0.0, bottleneck.NOTHING
        requests, tokens = self._requests, self._tokens
        if requests is not None:
            wait = requests.wait(1, now)
            if wait:
                cause = requests.dimension
        if tokens is not None:
            longer = tokens.wait(self._amount, now)
            if longer > wait:
                wait, cause = longer, tokens.dimension
        return wait, cause

    def _resume(self, now: float) -> float:
        """Return the share of the rate that flows in after a pause."""
        cooldown, budget = self._brake.cooldown, self._budget
        speed = 1.0 if now >= cooldown.slow_until else cooldown.speed(now)
        for limit in self._limits:
            if budget.is_resuming:
                limit.resume(1 if limit.is_exact else self._amount, now)
            limit.set_speed(speed, now)
        budget.is_resuming, self._is_slow = False, speed < 1
        return speed

    # -- what leaves -------------------------------------------------------------------------

    def _go(self, now: float) -> None:
        """Let the head go."""
        is_late = bool(self._late)
        place = heapq.heappop(self._late) if is_late else self._place
        amount, requests, tokens = self._amount, self._requests, self._tokens
        row, started = self._order[place], now
        self._sent_at = arrived = now
        if self._row_seconds:
            started = max(now, self._free_at)
            self._free_at = arrived = started + self._row_seconds
        arrived += self._travel
        self._tally.busy -= started
        load = self._open.add(now, amount)
        number = self._open.count
        waited = None if is_late else now - self._entered
        self._tally.send(self._costs.sizes[row], waited, now)
        if not is_late:
            self._place, self._entered = place + 1, now
        refused, name, charge = 0.0, "", self._charges[row]
        if requests is not None:
            requests.spend(1, now)
            refused, name = requests.account.wait(1, arrived), requests.dimension
        if tokens is not None:
            tokens.spend(amount, now)
            if (longer := tokens.account.wait(charge, arrived)) > refused:
                refused, name = longer, tokens.dimension
        marks = []
        if requests is not None:
            marks.append(requests.mark(1, 0 if refused else 1))
        if tokens is not None:
            parts = _NO_PARTS if tokens.ledger is None else self._costs.parts(row)
            marks.append(tokens.mark(amount, 0 if refused else charge, parts))
        was_full = self._room.is_short
        token = self._granted(now, load)
        said: Any
        if refused:
            at, said = arrived + _AT_ONCE, (name, self._server.advised(refused), arrived)
        else:
            seconds, said = self._server.answer(self._kind[row], self._caps[row], arrived)
            at = arrived + seconds
        entry = (at, number, place, now, marks, load, was_full, token, said)
        heapq.heappush(self._flight, entry)
        self._take_head(now)
        self._look(now)

    def _granted(self, now: float, load: int) -> Any:
        """Note that a request leaves; return what the search for the number in flight gives."""
        brake = self._brake
        brake.grants.append((now, load))
        if brake.throttle is not None:
            brake.throttle.take(now)
        return self._room.sent(now, load)

    # -- what comes back ---------------------------------------------------------------------

    def _end(self, entry: tuple[Any, ...]) -> None:
        """Let an answer or a refusal come, or a row for another attempt."""
        now, number, place, sent_at, marks, _, _, token, said = entry
        now = max(now, self._free_at)  # what comes meanwhile waits for the processor
        if not number:
            heapq.heappush(self._late, place)
            self._take_head(now)
            self._look(now)
            return
        room, queue = self._room.limit, self._open
        was_full = queue.in_flight >= room
        queue.close(number)
        self._tally.busy += now
        has_changed = True
        if isinstance(said, int):
            has_changed = self._hear(now, number, sent_at, marks)
            self._answer(now, place, marks, said)
            has_changed |= self._is_credited
            self._brake.answered(now, entry[1:8])
            self._room.answered(token, sent_at, now)
        else:
            self._stumble(now, Attempt(*entry[1:8]), said)
        queue.in_flight -= 1
        if has_changed or was_full or room != self._room.limit:
            self._look(now)

    def _stumble(self, now: float, attempt: Attempt, said: Any) -> None:
        """Let a refusal come, or a fault."""
        if isinstance(said, tuple):
            dimension, delay, arrived = said
            now = max(arrived, self._free_at)
            told = refusal(attempt, dimension=dimension, delay=delay)
            self._refuse(now, attempt, told, Decision.RATE_LIMIT)
            return
        if said not in BROKEN:
            for limit in self._limits:
                limit.release()
        if said in REFUSING:
            strain = REFUSING[said]
            told = refusal(attempt, strain=strain, is_telling=strain is not None)
            self._refuse(now, attempt, told, Decision.OVERLOADED if strain else Decision.RATE_LIMIT)
            return
        if said in TELLING:
            self._hear(now, attempt.number, attempt.sent_at, attempt.marks)
        if said in UNUSED and self._tokens is not None:
            self._tokens.settle(attempt.marks[-1], 0, now)
        self._again(now, attempt.place, _FAULT, None)

    def _hear(self, now: float, number: int, sent_at: float, marks: Sequence[Mark]) -> bool:
        """Take in what an answer says is left; return whether the head may go at another time."""
        has_changed = False
        limits = self._limits
        for limit in limits:
            if limit.held:
                has_changed |= limit.release()
        if number < self._budget.newest:
            return has_changed
        self._budget.newest = number
        for limit, mark in zip(limits, marks):  # noqa: B905  # strict takes time
            has_changed |= limit.read(mark, number, sent_at, now)
        ledger = None if self._tokens is None else self._tokens.ledger
        if ledger is not None and ledger.rule is not self._rule:
            self._rule, self._is_credited = ledger.rule, ledger.rule.refunds
            self._size = self._costs.sizes_by(self._rule)
            self._take_head(now)
            return True
        return has_changed

    def _answer(self, now: float, place: int, marks: Sequence[Mark], length: int) -> None:
        """Count the answer to the row at *place*, whose outputs have *length* tokens each."""
        costs, tokens, row = self._costs, self._tokens, self._order[place]
        prompt = costs.prompts[row]
        if costs.has_free:
            costs.learn(row, length)
        if costs.outputs is not None:
            length *= costs.outputs[row]
        if tokens is not None:
            if self._sending.refunds:
                tokens.account.give(self._charges[row] - prompt - length, now)
            tokens.settle(marks[-1], prompt + length, now)
        self._tally.answer(self._kind[row], prompt, length, now)
        self._sending.retries.forget(place)

    def _refuse(self, now: float, attempt: Attempt, told: Feedback, decision: Decision) -> None:
        """Take a refusal into account."""
        self._tally.refused += 1
        brake = self._brake
        brake.granted = self._open.count
        verdict = brake.refuse(attempt, told, now)
        self._room.follow(brake.concurrency)
        self._again(now, attempt.place, Interpretation(decision, delay=told.delay), verdict)

    def _again(
        self, now: float, place: int, result: Interpretation, verdict: Verdict | None
    ) -> None:
        """Let the row at *place* wait for another attempt, or give it up."""
        is_calm = self._tally.answered > 0
        delay = self._sending.retries.wait(place, result, verdict, is_calm=is_calm)
        if delay is None:
            self._tally.fail(now)
        elif delay:
            heapq.heappush(self._flight, (now + delay, 0, place, now, (), 0, False, None, 0))
        else:
            heapq.heappush(self._late, place)
            self._take_head(now)
