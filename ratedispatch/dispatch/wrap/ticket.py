"""
One call on its way through a gate: it waits, is sent, and gets an interpretation of its answer.

Each ticket pays for each of its attempts, and closes the permit of each exactly once.
"""

from __future__ import annotations

import enum
import functools
from types import MappingProxyType
from typing import TYPE_CHECKING

from ratedispatch.dispatch.inflight import Attempt, feedback_of
from ratedispatch.dispatch.retry import REFUSALS, RetryWaits
from ratedispatch.dispatch.transports.exchange import read_answer
from ratedispatch.dispatch.wrap import waiting
from ratedispatch.dispatch.wrap.call_options import NO_OPTIONS
from ratedispatch.outcome import Decision
from ratedispatch.pacing.feedback import End, Feedback
from ratedispatch.request import Request

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ratedispatch.dispatch.route import Route
    from ratedispatch.dispatch.wrap.call_options import CallOptions
    from ratedispatch.dispatch.wrap.gate import Gate
    from ratedispatch.outcome import Usage
    from ratedispatch.pacing.feedback import Change
    from ratedispatch.pacing.permit import Permit
    from ratedispatch.request import Cost

_NO_HEADERS: Mapping[str, str] = MappingProxyType({})

#: Statuses from here on are faults of the server, which the caller's client tries again itself.
_SERVER_FAULT = 500


class Ruling(enum.Enum):
    """What becomes of an answer."""

    PASS = "pass"  # noqa: S105 - a word
    """The caller gets it."""
    AGAIN = "again"
    """It was refused for the rate: the call is sent again."""


class Ticket:
    """
    One call.

    Args:
        gate: What paces it.
        route: Where its model is sent.
        request: What it asks for; only its model and endpoint once it was counted.
        size: Bytes of its body.
        rank: Its place in the queue, which it keeps.

    Attributes:
        cost: What each attempt pays; None until it was counted.
        waits: How often it was refused; None if it never was.
        delay: Seconds to let others go first, after a refusal.
        most_wait: Seconds after which the request itself is good no longer; None if it stays so.
    """

    __slots__ = (
        "_permit",
        "_until",
        "cost",
        "delay",
        "gate",
        "most_wait",
        "rank",
        "request",
        "route",
        "size",
        "waits",
    )

    def __init__(self, gate: Gate, route: Route, request: Request, size: int, rank: int) -> None:
        self.gate = gate
        self.route = route
        self.request = request
        self.size = size
        self.rank = rank
        self.cost: Cost | None = None
        self.waits: RetryWaits | None = None
        self.delay = 0.0
        self.most_wait: float | None = None
        self._permit: Permit | None = None
        self._until: float | None = None

    async def enter(self, options: CallOptions = NO_OPTIONS, max_wait: float | None = None) -> None:
        """
        Wait until it is this call's turn, and pay.

        Args:
            options: What it asks of the queue.
            max_wait: Seconds from its first entry, unless *options* have others.

        Raises:
            CostExceedsLimit: No waiting can ever make it fit.
            DeadlineMissed: It has waited as long as it may, or would have to wait longer.
        """
        cost = self.cost
        if cost is None:
            # of a thousand calls at once all are to be made before the first is paid for: making
            # them takes the loop a second, in which nothing leaves
            await waiting.sleep(0, None)
            cost = self._pays(await self.gate.cost_of(self))
            self._until = waiting.latest(options, max_wait, self.most_wait)
        if self.delay:
            await waiting.sleep(self.delay, self._until)
            self.delay = 0.0
        self._permit = await waiting.acquire_here(
            self.route.admission, cost, self.rank, options.turn, self._until
        )

    def enter_blocking(
        self, options: CallOptions = NO_OPTIONS, max_wait: float | None = None
    ) -> None:
        """Block until it is this call's turn, and pay; see `enter`."""
        cost = self.cost
        if cost is None:
            cost = self._pays(self.gate.cost_here(self))
            self._until = waiting.latest(options, max_wait, self.most_wait)
        if self.delay:
            waiting.sleep_blocking(self.delay, self._until)
            self.delay = 0.0
        self._permit = waiting.acquire_blocking(
            self.route.admission, cost, self.rank, options.turn, self._until
        )

    def answer_plain(self, body: bytes) -> bool:
        """
        Take in an answer with status 200, if there is no need to read its headers.

        Returns:
            Whether it is one, and that was enough; otherwise `answer` is to be called.
        """
        gate = self.gate
        if gate.is_due(self.route):
            return False
        result = gate.provider.interpret(read_answer(200, _NO_HEADERS, body), self.request.endpoint)
        if result.decision is not Decision.ANSWERED:
            return False
        self._taken().report(Feedback(End.ANSWERED, result.usage, row=self.rank))
        return True

    def answer(self, status: int, headers: Mapping[str, str], body: bytes) -> Ruling:
        """
        Take in the whole answer to the attempt, and say what happens to it.

        Args:
            status: HTTP status code.
            headers: By lower-case name.
            body: Unpacked.
        """
        gate = self.gate
        response = read_answer(status, headers, body)
        result = gate.provider.interpret(response, self.request.endpoint)
        permit = self._taken()
        if result.decision is Decision.ANSWERED:
            told = Feedback(End.ANSWERED, result.usage, result.readings, row=self.rank)
            self._learn(result.usage, permit.report(told))
            return Ruling.PASS
        feedback = feedback_of(Attempt(result, response, 0.0), self.rank, waits_for_days=False)
        self._learn(None, permit.report(feedback))
        is_again = result.decision in REFUSALS and status < _SERVER_FAULT
        if not is_again or headers.get("x-should-retry") == "false":
            return Ruling.PASS
        if self.waits is None:
            self.waits = RetryWaits(gate.options.retry, gate.rng)
        delay = self.waits.next(result, permit.verdict)
        if delay is None:
            return Ruling.PASS
        self.delay = delay
        return Ruling.AGAIN

    def begin(self, headers: Mapping[str, str]) -> None:
        """Take in the head of an answer whose body comes as a stream; `settle` ends it."""
        self.gate.streams.begin(self)
        if self._permit is not None:  # now: at the end of the stream they are long out of date
            self._learn(None, self._permit.observe(self.gate.provider.readings(headers)))

    def settle(self, usage: Usage | None, *, is_whole: bool = True) -> None:
        """
        Close the attempt whose stream has ended.

        Args:
            usage: What it used, if the stream has said so.
            is_whole: Whether it came to its end.
        """
        self.gate.streams.end(self)
        permit = self._permit
        if permit is None:
            return
        self._permit = None
        end = End.ANSWERED if is_whole else End.FAILED
        self._learn(usage, permit.report(Feedback(end, usage, row=self.rank)))

    def broken(self, *, is_unsent: bool = False) -> None:
        """Close the attempt that got no answer; *is_unsent* if no server can have counted it."""
        permit = self._permit
        if permit is not None:
            self._permit = None
            if is_unsent:
                permit.cancel()
            else:
                permit.close()

    def _taken(self) -> Permit:
        permit, self._permit = self._permit, None
        if permit is None:
            raise RuntimeError("a call must be answered exactly once for each time that it entered")
        return permit

    def _learn(self, usage: Usage | None, changes: Sequence[Change]) -> None:
        if usage is not None or changes:
            self.gate.learn(self, usage, changes)

    def _pays(self, cost: Cost) -> Cost:
        request = self.request
        self.cost = cost = self.route.checked(cost, lambda: request.label)
        # the body was counted: what waits and what is in flight need not hold it a second time
        self.request = _bare(request.model, request.endpoint)
        return cost


@functools.lru_cache(maxsize=1024)
def _bare(model: str, endpoint: str) -> Request:
    return Request({"model": model}, endpoint)
