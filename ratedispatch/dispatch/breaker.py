"""
The circuit breaker: decides whether sending more on a route makes sense.

Opens when the server cannot be reached, when many requests one after another fail in the same way,
when the server no longer accepts the key, or when its messages are about money. While it is open,
the queue is held and only single probes are sent (half-open); finally it closes again or gives the
route up. Requests that failed meanwhile wait here and are sent again. A request that failed
permanently is held back until an answer shows that others succeed. Knows nothing of buckets or
HTTP.

Without it, a mistyped base URL would be reported once for each of a million rows, and a router that
restarts at night would use up the attempts of every row that is sent meanwhile.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

from ratedispatch.dispatch.breaker_waits import DEFAULT_TUNING, Past, delay_before, is_over
from ratedispatch.dispatch.giving_up import REFUSED, code_of, reason_of, reason_of_refusals
from ratedispatch.dispatch.refusal_streak import RefusalStreak
from ratedispatch.dispatch.retry import REFUSALS
from ratedispatch.dispatch.streak import Kind, Streak, kind_of
from ratedispatch.dispatch.uncounted_failures import UncountedFailures
from ratedispatch.errors import Stopped
from ratedispatch.outcome import Decision, Interpretation

if TYPE_CHECKING:
    from ratedispatch.dispatch.breaker_waits import BreakerTuning
    from ratedispatch.dispatch.inflight import Attempt, InFlight
    from ratedispatch.dispatch.site import Site


class CircuitBreaker:
    """
    The breaker of one route.

    Args:
        is_tolerant: Whether any number of requests may fail in the same way.
        tuning: The constants.

    Attributes:
        place: The route; to be set once it is made.
        sent: Attempts so far, which numbers them.
        streak: What has failed since the last answer.
        is_open: Whether the queue is held, or given up.
        is_watching: Whether it wants to be told of answers and of permits that are closed.
    """

    place: Site

    def __init__(
        self, *, is_tolerant: bool = False, tuning: BreakerTuning = DEFAULT_TUNING
    ) -> None:
        self._is_tolerant = is_tolerant
        self._tuning = tuning
        self.sent = 0
        self.streak = Streak()
        self._uncounted = UncountedFailures(self.streak, tuning)
        self._refusals = RefusalStreak(tuning.patience_seconds)
        self.is_open = False
        self.is_watching = False
        self._has_given_up = self._is_abandoned = False
        self._is_reached = False
        self._opened_after = 0  # the number of the last attempt that left before
        self._first = 0  # the number of the first failure of this outage, or of the last one
        self._final = 0  # the number of the last attempt that may have met it
        self._since: dict[Kind, float] = {}
        self._probes = 0
        self._closed_at = -math.inf
        self._timer: asyncio.TimerHandle | None = None
        self._last: tuple[Kind, Interpretation, int] | None = None
        self._parked: dict[asyncio.Future[None], None] = {}
        self._held: dict[asyncio.Future[None], int] = {}
        self._settling: asyncio.TimerHandle | None = None

    # -- what attempts tell ------------------------------------------------------------------

    def on_answer(self, number: int) -> None:
        """Attempt *number* was really answered."""
        streak = self.streak
        streak.answer(number)
        self._uncounted.answered()
        if self.is_open and (number > self._first or not len(streak)):
            self._close()
        for waiter, failed in self._held.items():
            if failed < streak.answered and not waiter.done():
                waiter.set_result(None)
        self._update()

    def on_failure(self, call: InFlight, attempt: Attempt) -> None:
        """The last attempt of *call* was not answered."""
        result, response = attempt.result, attempt.response
        kind = kind_of(result)
        if response is not None:
            self._is_reached = True
            if self._shows_life(result.decision, kind):
                self._close()
        if kind is None:
            self._last = self._last and (Kind.SERVER, result, self._last[2])
            if result.decision in REFUSALS:
                self._on_refusal(call, result)
        elif self.place.bears(kind, call, is_tolerant=self._is_tolerant):
            kind = None
        else:
            self.streak.fail(call.number, call.rank, result)
            self._uncounted.failed(asyncio.get_running_loop().time())
            self._last = kind, result, response.status if response is not None else 0
        if self.is_open:
            if call.number > self._opened_after and self._timer is None:
                self._after_probe()
        elif kind is not None and call.number > self.streak.answered and self._trips(kind, result):
            self._open(kind)
        self._update()

    def on_ended(self) -> None:
        """
        Something in flight has ended, or will not be sent.

        A probe without a result, because it was cut off or cancelled, is followed by another one.
        """
        self.place.on_ended()
        if self.is_open and self._timer is None and not self._has_given_up:
            if not self.place.admission.in_flight:
                self._schedule()
        elif self._held:
            self.settle()

    # -- what requests ask -------------------------------------------------------------------

    def parks(self, result: Interpretation) -> bool:
        """Whether an attempt that ended with *result* is made again once the outage is over."""
        return self.is_open and kind_of(result) is not Kind.REQUEST

    async def park(self) -> None:
        """Wait until it is closed, or for a turn as a probe."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._parked[future] = None
        try:
            await self.place.wait(future)
        finally:
            self._parked.pop(future, None)

    def clears(self, call: InFlight) -> bool:
        """
        Whether the failure of *call* is not its own, as seen when it is about to come again.

        It fell into an outage; or others failed too, and nothing that left later was answered:
        at a low rate attempts are used up before enough have failed to tell.
        """
        number, streak = call.number, self.streak
        if self._fell_into_outage(number):
            return True
        if number < streak.answered:
            call.outlived += streak.is_calm
            return False
        now = asyncio.get_running_loop().time()
        return not call.is_to_blame and self._uncounted.in_the_dark(now)

    def excuses(self, result: Interpretation) -> bool:
        """Whether an attempt that ended with *result* is not counted, since most others end so."""
        return self._uncounted.in_trouble(result, asyncio.get_running_loop().time())

    async def confirm(self, call: InFlight) -> bool:
        """
        Wait until a later attempt than that of *call*, which has failed, was answered.

        Or until nothing else is left.

        Returns:
            Whether it failed while all did, which is over; otherwise it failed by itself.

        Raises:
            Stopped: All fail, and the route is given up.
        """
        if self._is_tolerant or call.number < self.streak.answered:
            return False
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._held[future] = call.number
        self._update()
        self.settle()
        try:
            await self.place.wait(future)
        except Stopped:
            if self._has_given_up:
                raise
        finally:
            del self._held[future]
            self._update()
        return self._fell_into_outage(call.number) and call.number < self.streak.answered

    def _fell_into_outage(self, number: int) -> bool:
        return 0 < self._first <= number <= self._final

    def settle(self) -> None:
        """Let failures stand as they are if nothing else is left that could be answered."""
        if not self._held or not self._is_alone():
            return
        if not self.place.may_grow():
            self._settle()
        elif self._settling is None:
            loop = asyncio.get_running_loop()
            self._settling = loop.call_later(self._tuning.settling_seconds, self._settle)

    def reopen(self) -> None:
        """The route was given up, and is tried again: what happens to one request decides."""
        self._last = Kind.ACCOUNT, Interpretation(Decision.STOP), 0
        self._since = {Kind.ACCOUNT: asyncio.get_running_loop().time()}
        self._has_given_up, self.is_open, self._probes = False, True, 0
        self._opened_after = self._final = self.sent
        self._update()
        self._cancel_timer()
        self.place.admission.hold()
        self._probe()

    def abandon(self) -> None:
        """Nothing more is sent: stop probing, whatever happens to requests in flight."""
        self._is_abandoned = True
        self._cancel_timer()

    # -- inside ------------------------------------------------------------------------------

    def _shows_life(self, decision: Decision, kind: Kind | None) -> bool:
        """Whether a response that is not an answer ends the outage all the same."""
        if self._is_about(Kind.UNREACHABLE):
            return kind is not Kind.SERVER or self._is_tolerant
        return decision is Decision.RATE_LIMIT and self._is_about(Kind.SERVER)

    def _is_about(self, kind: Kind) -> bool:
        return self.is_open and self._last is not None and self._last[0] is kind

    def _trips(self, kind: Kind, result: Interpretation) -> bool:
        if kind in {Kind.SERVER, Kind.REQUEST}:
            undecided = self.place.undecided(self.streak.start)
            dark = self._uncounted.dark(asyncio.get_running_loop().time())
            return self.streak.is_outage(result, undecided, dark)
        return kind is not Kind.ACCOUNT or self.streak.answered > 0

    def _open(self, kind: Kind) -> None:
        now = asyncio.get_running_loop().time()
        self.is_open = True
        self._opened_after = self._final = self.sent
        self._first = self.streak.start
        self._since = {kind: now}
        is_new = now - self._closed_at > self._tuning.reopening_seconds
        self._probes = 0 if is_new else max(0, self._probes - 1)
        self.place.admission.hold()
        self._schedule()

    def _close(self) -> None:
        self.is_open = False
        self._final = self.sent
        self._closed_at = asyncio.get_running_loop().time()
        self._cancel_timer()
        if not self.place.is_held():
            self.place.admission.release()
        for waiter in self._parked:
            if not waiter.done():
                waiter.set_result(None)

    def _after_probe(self) -> None:
        """A probe has failed: let another one follow, or give up."""
        assert self._last is not None
        kind, result, status = self._last
        now = asyncio.get_running_loop().time()
        waited = now - self._since.setdefault(kind, now)
        past = Past(waited, self._probes, status, self.streak.answered > 0, self._is_reached)
        # what left before may still be answered: one place may be taken, and all others refused
        is_waiting = kind is Kind.SERVER and self.place.admission.in_flight > 1
        if is_over(kind, past, self._tuning) and not is_waiting:
            self._cancel_timer()
            self._give_up(kind, result, waited)
        else:
            self._schedule()

    def _on_refusal(self, call: InFlight, result: Interpretation) -> None:
        """Give up if the server has only refused for too long, and nothing is on its way."""
        if self._is_tolerant or not call.is_mapped:
            return
        now = asyncio.get_running_loop().time()
        waited = self._refusals.refused(now, self.streak.answered, result.delay or 0.0)
        if waited is not None and not self._has_given_up and self.place.admission.in_flight <= 1:
            self._has_given_up = True
            self.place.give_up(REFUSED, reason_of_refusals(result, waited))

    def _give_up(self, kind: Kind, result: Interpretation, waited: float) -> None:
        self._has_given_up = True
        rows = self.streak.rows(Kind.REQUEST)
        self.place.give_up(code_of(kind, result), reason_of(kind, result, waited, rows))

    def _schedule(self) -> None:
        """Send the next probe after a while."""
        if self._timer is not None or self._last is None or self._is_abandoned:
            return
        loop = asyncio.get_running_loop()
        waited = loop.time() - min(self._since.values())
        delay = delay_before(self._probes, self._last[0], waited, self._tuning)
        self._probes += 1
        self._timer = loop.call_later(delay, self._probe)

    def _probe(self) -> None:
        """Send one request: the head of the queue, or else the one that has waited longest."""
        self._timer = None
        place = self.place
        if place.is_held():
            self._schedule()
            return
        if not place.admission.snapshot().waiting:
            waiter = next((one for one in self._parked if not one.done()), None)
            if waiter is not None:
                waiter.set_result(None)
            else:
                self.settle()
        if not self._has_given_up:
            place.admission.release(1)

    def _is_alone(self) -> bool:
        """Whether all that is left has failed and waits to be confirmed."""
        place = self.place
        state = place.admission
        if state.in_flight or place.open_calls() > len(self._held):
            return False
        return not state.snapshot().waiting

    def _settle(self) -> None:
        self._settling = None
        if not self._held or not self._is_alone():
            return
        if self.is_open and self._is_about(Kind.REQUEST) and not self._has_given_up:
            assert self._last is not None
            self._give_up(Kind.REQUEST, self._last[1], 0.0)
            return
        for waiter in self._held:
            if not waiter.done():
                waiter.set_result(None)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _update(self) -> None:
        streak = self.streak
        is_calm = not (len(streak) or streak.trouble or self._held)
        self.is_watching = self.is_open or not is_calm
