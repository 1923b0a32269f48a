"""
What one run of a job may send and spend.

Tells of each row, before it is sent, whether the run's caps still allow it, and adds up what the
answers cost. What earlier runs spent is not counted.
"""

from __future__ import annotations

import asyncio
import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from ratedispatch.errors import InvalidRequest
from ratedispatch.events import RequestEnded, RequestSkipped
from ratedispatch.jobs.plan.prices import price_of
from ratedispatch.outcome import Completed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from ratedispatch.events import Event
    from ratedispatch.jobs.plan.prices import Price
    from ratedispatch.request import Request
    from ratedispatch.tokens.estimator import Estimator

#: Models whose price is remembered; for each other one the table is asked again.
_MODELS = 1_000

#: USD. Sums of prices are not exact in binary: what is above a cap by less is not above it.
_SLOP = 1e-9


@dataclass(frozen=True, slots=True)
class Caps:
    """
    The most that one run may send and spend.

    Args:
        max_rows: Rows that may be sent, each however often; ``None`` for all.
        max_cost: USD that may be spent; ``None`` for no bound.
        price: What tokens of every model cost, instead of the table.

    Raises:
        ValueError: A cap is not above zero, or not finite.
    """

    max_rows: int | None = None
    max_cost: float | None = None
    price: Price | None = None

    def __post_init__(self) -> None:
        if self.max_rows is not None and self.max_rows < 1:
            raise ValueError(f"max_rows must be at least 1 row, not {self.max_rows}")
        if self.max_cost is not None and not 0 < self.max_cost < math.inf:
            raise ValueError(f"max_cost must be above 0 USD and finite, not {self.max_cost!r}")

    @property
    def bind(self) -> bool:
        """Whether there is a cap at all."""
        return self.max_rows is not None or self.max_cost is not None


class _Refusal(NamedTuple):
    """Why a row is not sent: the code and the message of the stop."""

    code: str
    message: str


class Spending:
    """
    What a run has spent, and whether it may go on. A listener.

    Args:
        caps: What it may send and spend.
        stop: Ends the sending, with a code and a message; only called by `admit`.

    Attributes:
        rows: Rows let through, without those that failed before they were sent.
        cost: USD for the rows answered so far whose model has a price; ``None`` before the first.
            Where an answer reports no usage, its row costs what was expected of it.
    """

    def __init__(self, caps: Caps, stop: Callable[[str, str], None]) -> None:
        self._caps = caps
        self._stop = stop
        self._listed = functools.lru_cache(_MODELS)(price_of)
        self._open: dict[int | None, float] = {}  # USD at most, by row
        self._in_flight = 0.0
        self._ended = asyncio.Event()
        self.rows = 0
        self.cost: float | None = None

    listens_to = frozenset({RequestEnded, RequestSkipped})

    def __call__(self, event: Event) -> None:
        """Take in *event*."""
        if isinstance(event, RequestSkipped):
            if event.request.row in self._open:
                self._close(event.request, event.attempts)
        elif isinstance(event, RequestEnded):
            outcome = event.outcome
            if isinstance(outcome, Completed):
                self._bill(outcome)
            if outcome.request.row in self._open:
                self._close(outcome.request, outcome.attempts)

    async def admit(
        self, source: Iterable[Request], estimator: Estimator
    ) -> AsyncIterator[Request]:
        """
        Yield the requests of *source* as far as the caps allow, then stop the run.

        *estimator* is the one of the dispatcher that sends them: what it was asked here it need
        not count again there.

        A request that does not fit waits for those that are open: most cost less than they might.
        The run is stopped when nothing is open and the request still does not fit, or when its
        price is not known.
        """
        for request in source:
            refusal = await self._try(request, estimator)
            if refusal is not None:
                self._stop(refusal.code, refusal.message)
                # the stop cancels whoever reads this, and is to find them waiting here
                await asyncio.sleep(0)
                return
            yield request

    async def _try(self, request: Request, estimator: Estimator) -> _Refusal | None:
        """Wait until *request* may be sent and count it as open; tell why if it may not."""
        amount = 0.0
        if self._caps.max_cost is not None:
            price = self._price_of(request.model)
            if price is None:
                return _Refusal(
                    "no_price",
                    f"{request.label} is for the model {request.model!r:.100}, whose price is not "
                    f"known, so that the cap of {usd(self._caps.max_cost)} cannot be kept",
                )
            amount = await self._most(request, price, estimator)
        while (refusal := self._weigh(request, amount)) is not None:
            if not self._open:
                return refusal
            self._ended.clear()
            await self._ended.wait()
        self._open[request.row] = amount
        self._in_flight += amount
        self.rows += 1
        return None

    def _weigh(self, request: Request, amount: float) -> _Refusal | None:
        """Return why *request*, of *amount* USD at most, does not fit now; ``None`` if it does."""
        rows, most = self._caps.max_rows, self._caps.max_cost
        if rows is not None and self.rows >= rows:
            return _Refusal(
                "max_rows", f"{_rows(self.rows)} sent in this run, and the cap is {rows:,}"
            )
        spent = self.cost or 0.0
        if most is not None and spent + self._in_flight + amount > most + _SLOP:
            return _Refusal(
                "max_cost",
                f"{usd(spent)} spent in this run, {usd(self._in_flight)} in flight and up to "
                f"{usd(amount)} for {request.label} are more than the cap of {usd(most)}",
            )
        return None

    async def _most(self, request: Request, price: Price, estimator: Estimator) -> float:
        """Return what *request* may cost in USD; nothing if it cannot be counted nor sent."""
        try:
            cost = await estimator.estimate_ahead(request)
        except InvalidRequest:
            return 0.0
        # what is billed, not what a rate limit is charged: tokens, with the output in full
        return price.usd(cost.expected_tokens, cost.expected_output_tokens)

    def _price_of(self, model: str) -> Price | None:
        return self._caps.price or self._listed(model)

    def _bill(self, outcome: Completed) -> None:
        """Add what an answer costs."""
        usage, cost, model = outcome.usage, outcome.cost, outcome.request.model
        price = self._price_of(model)
        if price is not None:
            ingoing, outgoing = cost.expected_tokens, cost.expected_output_tokens
            if usage is not None:
                ingoing, outgoing = usage.prompt_tokens, usage.output_tokens
            self.cost = (self.cost or 0.0) + price.usd(ingoing, outgoing)

    def _close(self, request: Request, attempts: int) -> None:
        """Take the row of *request* out of those that are open."""
        self._in_flight -= self._open.pop(request.row)
        if not self._open:
            self._in_flight = 0.0  # without what rounding has left
        if attempts == 0:
            self.rows -= 1
        self._ended.set()


def usd(amount: float) -> str:
    """Return *amount* of USD as a person reads it, to a millionth where cents do not tell it."""
    whole, _, cents = f"{amount:,.6f}".rstrip("0").partition(".")
    return f"${whole}.{cents:0<2}"


def _rows(count: int) -> str:
    return "1 row was" if count == 1 else f"{count:,} rows were"
