"""
Estimates what requests cost, and learns from their answers.

All that need the cost of a request ask one estimator: the queue for what a limit is charged,
a cap on spending for what is billed. So each request is counted once.
Counts long texts in a thread, so that the event loop is not held up.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, TypeVar

from ratedispatch.tokens.calibration import Calibration
from ratedispatch.tokens.counter import DEFAULT
from ratedispatch.tokens.size import is_longer

if TYPE_CHECKING:
    from collections.abc import Callable

    from ratedispatch.outcome import Usage
    from ratedispatch.providers.charge import ChargePolicy
    from ratedispatch.request import Cost, Request
    from ratedispatch.tokens.counter import Counter

ResultT = TypeVar("ResultT")

#: Characters above which a request is counted in a thread. The slowest text there is takes
#: 1.5 µs a character, so that the loop is never held for more than 5 ms.
_LONG_TEXT = 3_000

#: Models that are remembered as met; for each other one, a thread loads what there is to load.
_MOST_MODELS = 1_000

#: Costs that are kept for `Estimator.estimate`. Between the two calls a request waits in a buffer
#: of some hundred; beyond that it is counted again.
_MOST_KEPT = 4_096


class InThread(Protocol):
    """What calls a function in a thread: ``asyncio.to_thread``."""

    async def __call__(
        self, function: Callable[[Request], ResultT], request: Request, /
    ) -> ResultT:
        """Return what *function* returns for *request*."""


class Estimator:
    """
    Estimates the cost of requests. For one event loop; `estimate_here` for any thread.

    Args:
        policy: How the provider charges a request.
        counter: Counts the requests; by default one shared by the process.
        default_output_tokens: Expected of an answer without a cap, until enough answers of its
            model are known; then what 95 % of them stay within.
        in_thread: Calls a function in a thread and waits for it, as ``asyncio.to_thread``.

    Attributes:
        calibration: What was learned about each model.
    """

    def __init__(
        self,
        policy: ChargePolicy,
        *,
        counter: Counter | None = None,
        default_output_tokens: int = 16,
        in_thread: InThread,
    ) -> None:
        self._in_thread = in_thread
        self._policy = policy
        self._counter = counter or DEFAULT
        self._count = self._counter.estimate
        self._calibration = self.calibration = Calibration(default_output_tokens)
        self._met: set[str] = set()  # models whose vocabulary is loaded
        self._kept: dict[int, tuple[Request, Cost]] = {}  # by the identity of the request

    async def estimate(self, request: Request) -> Cost:
        """
        Return what *request* costs.

        Raises:
            InvalidRequest: It cannot be counted; the message names the field.
        """
        cost = self.estimate_now(request)
        if cost is not None:
            return cost
        if request.model not in self._met:
            await self.meet(request)
            cost = self.estimate_now(request)
        if cost is None:
            cost = await self._in_thread(self._count_all, request)
        return cost

    async def meet(self, request: Request) -> None:
        """Load in a thread what counting requests like *request* needs, if it is not there yet."""
        if request.model in self._met:
            return
        count_text = await self._in_thread(self._load, request)
        # tiktoken's patterns belong to the thread that counts first: 200 words take 13 µs in
        # it, and 20 µs in any other. The loop's counts all texts but the longest.
        if count_text is not None:
            count_text("a")
        if len(self._met) < _MOST_MODELS:
            self._met.add(request.model)

    def estimate_now(self, request: Request) -> Cost | None:
        """
        Return what *request* costs; None if only `estimate` can tell, in a thread.

        Raises:
            InvalidRequest: It cannot be counted; the message names the field.
        """
        if self._kept:
            kept = self._kept.pop(id(request), None)
            if kept is not None:
                return kept[1]
        if request.model not in self._met or is_longer(request.body, _LONG_TEXT):
            return None
        # as in _count_all, without the call
        cost = self._count(
            request.body, request.endpoint, policy=self._policy, calibration=self._calibration
        )
        return replace(cost, custom=request.custom) if request.custom else cost

    def estimate_here(self, request: Request) -> Cost:
        """
        Return what *request* costs, counted in this thread however long that takes.

        May be called in several threads at once.

        Raises:
            InvalidRequest: It cannot be counted; the message names the field.
        """
        if request.model not in self._met:
            self._load(request)
            if len(self._met) < _MOST_MODELS:
                self._met.add(request.model)
        return self._count_all(request)

    async def estimate_ahead(self, request: Request) -> Cost:
        """
        Return what *request* costs, and keep it for the `estimate` of the same object.

        Raises:
            InvalidRequest: It cannot be counted; the message names the field.
        """
        cost = await self.estimate(request)
        if len(self._kept) >= _MOST_KEPT:  # those that were asked for first never came
            del self._kept[next(iter(self._kept))]
        self._kept[id(request)] = request, cost
        return cost

    def learn(self, request: Request, cost: Cost, usage: Usage) -> None:
        """Take in that the answer to *request*, whose *cost* was expected, used *usage*."""
        self._calibration.learn(
            request.model,
            counted=cost.counted_tokens,
            billed=usage.prompt_tokens,
            output=usage.output_tokens,
            choices=cost.choices,
            cut=cost.is_capped and usage.output_tokens >= cost.expected_output_tokens,
        )

    def _load(self, request: Request) -> Callable[[str], int] | None:
        return self._counter.load(request.model, request.endpoint)

    def _count_all(self, request: Request) -> Cost:
        cost = self._count(
            request.body, request.endpoint, policy=self._policy, calibration=self._calibration
        )
        return replace(cost, custom=request.custom) if request.custom else cost
