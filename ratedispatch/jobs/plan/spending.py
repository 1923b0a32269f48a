"""
The caps of a job: what it and one run of it may send and spend.

Decides for each row, before it is sent, whether the caps still allow it, and adds up the cost of
the answers. The spending of earlier runs is given. If the bill of an attempt is not known, its
expected cost counts.
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from ratedispatch.errors import InvalidRequest
from ratedispatch.events import AttemptEnded, RequestEnded, RequestSkipped
from ratedispatch.jobs.plan.bills import Bills
from ratedispatch.jobs.plan.price_book import PriceBook
from ratedispatch.observe.human import usd
from ratedispatch.outcome import Completed, Decision

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator

    from ratedispatch.events import Event
    from ratedispatch.jobs.plan.prices import Price
    from ratedispatch.outcome import Outcome
    from ratedispatch.request import Cost, Request
    from ratedispatch.tokens.estimator import Estimator

#: Models, each at one place, whose price is available.
_MODELS = 1_000

#: USD. Sums of prices are not exact in binary: what is above a cap by less is not above it.
_SLOP = 1e-9

#: Under a cap on the cost, rows that may be open before the first answer, and for each answer: what
#: a provider bills is not known before it has billed something. Triples with each round of answers.
_FIRST_OPEN = 8
_OPEN_FOR_EACH_ANSWER = 2


@dataclass(frozen=True, slots=True)
class Caps:
    """
    The most that one run may send, and that it and all runs of a job may spend.

    Args:
        max_rows: Rows that one run may send, each however often; ``None`` for all.
        max_cost: USD that all runs of the job may spend together; ``None`` for no bound.
        price: What tokens of every model cost, instead of the table.
        max_cost_run: USD that one run may spend; ``None`` for no bound.

    Raises:
        ValueError: A cap is not above zero, or not finite.
    """

    max_rows: int | None = None
    max_cost: float | None = None
    price: Price | None = None
    max_cost_run: float | None = None

    def __post_init__(self) -> None:
        if self.max_rows is not None and self.max_rows < 1:
            raise ValueError(f"max_rows must be at least 1 row, not {self.max_rows}")
        for name in ("max_cost", "max_cost_run"):
            most = getattr(self, name)
            if most is not None and not 0 < most < math.inf:
                raise ValueError(f"{name} must be above 0 USD and finite, not {most!r}")

    @property
    def bind(self) -> bool:
        """Whether there is a cap at all."""
        return self.max_rows is not None or self.bind_cost

    @property
    def bind_cost(self) -> bool:
        """Whether there is a cap on what is spent."""
        return self.max_cost is not None or self.max_cost_run is not None

    @property
    def lowest_cost(self) -> float:
        """The lower of the caps on what is spent, in USD."""
        return min(most for most in (self.max_cost, self.max_cost_run, math.inf) if most)


@dataclass(frozen=True, slots=True)
class Earlier:
    """
    What earlier runs of a job have spent.

    Args:
        spent: USD, as far as it was billed or may have been.
        dearest: USD of the most expensive of the last answers.
        in_doubt: Rows that were in flight when a run was killed, and may have been billed.
    """

    spent: float = 0.0
    dearest: float = 0.0
    in_doubt: frozenset[int] = frozenset()


class _Refusal(NamedTuple):
    """Why a row is not sent: the code and the message of the stop."""

    code: str
    message: str


class _Open(NamedTuple):
    """A row that was let through and has no outcome yet: its model, its price and its cost."""

    model: str
    price: Price
    cost: Cost


class Spending:
    """
    What a run has spent, and whether it may continue. A listener.

    Args:
        caps: What it may send and spend.
        stop: Ends the sending, with a code and a message.
        earlier: What earlier runs have spent.
        is_billed: Whether an attempt that has ended so, without an answer, may have been billed.
        prices: What tokens cost; by default that of *caps*, or the list.

    Attributes:
        rows: Rows let through, without those that failed before they were sent.
        cost: USD for the rows answered so far whose model has a price; ``None`` before the first.
            Where an answer reports no usage, its row costs what was expected of it.
        costs: The same by route, where there are several.
        doubt: USD that attempts without an answer may have been billed, under a cap.
    """

    def __init__(
        self,
        caps: Caps,
        stop: Callable[[str, str], None],
        earlier: Earlier = Earlier(),
        is_billed: Callable[[AttemptEnded], bool] = lambda _: False,
        prices: PriceBook | None = None,
    ) -> None:
        self._caps = caps
        self._binds_cost = caps.bind_cost
        self._stop = stop
        self._earlier = earlier
        self._is_billed = is_billed
        self._prices = prices or PriceBook(caps.price)
        self._known: dict[tuple[str, str], Price] = {}
        self._bills = Bills()
        self._open: dict[int | None, _Open | None] = {}
        self._in_flight = 0.0  # USD, as of this version of the bills:
        self._version = 0
        self._in_doubt = set(earlier.in_doubt)
        self._dearest = earlier.dearest
        self._ended = asyncio.Event()
        self.rows = 0
        self.cost: float | None = None
        self.costs: dict[str, float] = {}
        self.doubt = 0.0
        # attempts are of interest only where a cap has to hold
        self.listens_to = frozenset(
            {RequestEnded, RequestSkipped, *([AttemptEnded] if caps.bind_cost else [])}
        )

    @property
    def total(self) -> float:
        """USD that all runs of the job have spent, as far as it was billed or may have been."""
        return self._earlier.spent + (self.cost or 0.0) + self.doubt

    def record(self) -> tuple[float, float] | None:
        """The total and the dearest answer, in USD, for the next run; None without a price."""
        total = self.total
        return (total, self._dearest) if total else None

    def __call__(self, event: Event) -> None:
        """Take in *event*."""
        if isinstance(event, AttemptEnded):
            if event.decision is not Decision.ANSWERED and self._is_billed(event):
                self.doubt += self._most(self._open.get(event.request.row))
                self._stop_beyond()
        elif isinstance(event, RequestSkipped):
            if event.request.row in self._open:
                self._close(event.request, event.attempts)
        elif isinstance(event, RequestEnded):
            self._end(event.outcome)

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
                # the stop cancels the reader of this, and is to find it waiting here
                await asyncio.sleep(0)
                return
            yield request

    async def _try(self, request: Request, estimator: Estimator) -> _Refusal | None:
        """Wait until *request* may be sent and count it as open; tell why if it may not."""
        row: _Open | None = None
        if self._caps.bind_cost:
            price = self._prices.dearest(request.model)
            if price is None:
                return _Refusal(
                    "no_price",
                    f"{request.label} is for the model {request.model!r:.100}, whose price is not "
                    f"known, so the cap of {usd(self._caps.lowest_cost)} cannot be kept",
                )
            cost = await self._count(request, estimator)
            row = None if cost is None else _Open(request.model, price, cost)
        while (refusal := self._weigh(request, row)) is not None or self._is_early():
            if not self._open:
                return refusal
            self._ended.clear()
            await self._ended.wait()
        amount = self._most(row)
        if request.row in self._in_doubt:
            self._in_doubt.discard(request.row)
            self.doubt += amount
        self._open[request.row] = row
        self._in_flight += amount
        self.rows += 1
        return None

    def _stop_beyond(self) -> None:
        """Stop if more than a cap is spent, so that what is in flight is not tried again."""
        for most, spent, words, code in self._sums():
            if spent > most + _SLOP:
                self._stop(
                    code,
                    f"{usd(spent)} {words} or in doubt are more than the cap of {usd(most)}",
                )

    def _sums(self) -> Iterator[tuple[float, float, str, str]]:
        """Yield each cap on the cost, what is spent under it, words for that, and its name."""
        caps, total = self._caps, self.total
        if caps.max_cost is not None:
            yield caps.max_cost, total, "spent by this job", "max_cost"
        if caps.max_cost_run is not None:
            spent = total - self._earlier.spent
            yield caps.max_cost_run, spent, "spent in this run", "max_cost_run"

    def _is_early(self) -> bool:
        """Whether so many rows are open that their bills have to be seen first."""
        if not self._caps.bind_cost or not self._open:
            return False
        return len(self._open) >= _FIRST_OPEN + _OPEN_FOR_EACH_ANSWER * self._bills.answers

    def _weigh(self, request: Request, row: _Open | None) -> _Refusal | None:
        """Return why *request* does not fit now; ``None`` if it does."""
        caps = self._caps
        if caps.max_rows is not None and self.rows >= caps.max_rows:
            return _Refusal(
                "max_rows", f"{_rows(self.rows)} sent in this run, and the cap is {caps.max_rows:,}"
            )
        if not caps.bind_cost:
            return None
        amount = self._most(row)
        # those that were killed and have not come yet may have cost what this one may
        doubtful = amount * len(self._in_doubt - {request.row})
        if request.row in self._in_doubt:
            doubtful += amount
        open_amount = self._open_amount()
        for most, spent, words, code in self._sums():
            if spent + doubtful + open_amount + amount > most + _SLOP:
                return _Refusal(
                    code,
                    f"{usd(spent + doubtful)} {words}, {usd(open_amount)} in flight and up to "
                    f"{usd(amount)} for {request.label} are more than the cap of {usd(most)}",
                )
        return None

    async def _count(self, request: Request, estimator: Estimator) -> Cost | None:
        """Return what *request* costs in tokens; None if it cannot be counted nor sent."""
        try:
            return await estimator.estimate_ahead(request)
        except InvalidRequest:
            return None

    def _most(self, row: _Open | None) -> float:
        """Return what a row may cost in USD, as the answers of its model were billed."""
        if row is None:
            return 0.0
        # what is billed, not what a rate limit is charged: tokens, with the output in full
        amount = row.price.usd(*self._bills.most(row.model, row.cost))
        return amount if self._bills.knows(row.model) else max(amount, self._earlier.dearest)

    def _open_amount(self) -> float:
        """Return what all open rows may cost in USD."""
        if self._version != self._bills.version:
            self._version = self._bills.version
            self._in_flight = sum(map(self._most, self._open.values()))
        return self._in_flight

    def _end(self, outcome: Outcome) -> None:
        """Take in the outcome of a row: what it costs, and that it is no longer open."""
        if isinstance(outcome, Completed):
            self._bill(outcome)
        if outcome.request.row in self._open:
            self._close(outcome.request, outcome.attempts)

    def _bill(self, outcome: Completed) -> None:
        """Add what an answer costs."""
        usage, cost, model = outcome.usage, outcome.cost, outcome.request.model
        price = self._known.get((model, outcome.route))  # nearly always
        if price is None:
            price = self._prices.of(model, outcome.route)
            if price is None:
                return
            if len(self._known) < _MODELS:
                self._known[model, outcome.route] = price
        if usage is not None:
            amount = price.usd(usage.prompt_tokens, usage.output_tokens)
        else:
            amount = price.usd(*self._bills.most(model, cost))
        self._dearest = max(self._dearest, amount)
        self.cost = (self.cost or 0.0) + amount
        if outcome.route:
            self.costs[outcome.route] = self.costs.get(outcome.route, 0.0) + amount
        if self._binds_cost:
            self._bills.learn(model, cost, usage)

    def _close(self, request: Request, attempts: int) -> None:
        """Take the row of *request* out of those that are open."""
        self._in_flight -= self._most(self._open.pop(request.row))
        if not self._open:
            self._in_flight = 0.0  # without what rounding has left
        if attempts == 0:
            self.rows -= 1
        self._ended.set()


def _rows(count: int) -> str:
    return "1 row was" if count == 1 else f"{count:,} rows were"
