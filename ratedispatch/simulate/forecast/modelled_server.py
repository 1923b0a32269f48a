"""
What a modelled server does with a request that it has let in: how long it takes, and its faults.

Draws the same chances as `ratedispatch.simulate.provider`, in the same order: of each request that
is let in first the faults, then the length, then the latency.
"""

from __future__ import annotations

import heapq
import math
from typing import TYPE_CHECKING

from ratedispatch.pacing.feedback import Strain
from ratedispatch.simulate.forecast.row_costs import UNCAPPED
from ratedispatch.simulate.provider.allowance import is_named
from ratedispatch.simulate.provider.calls import DEFAULT_OUTPUT
from ratedispatch.simulate.provider.faults import ANSWER_FAULTS, STREAM_FAULTS
from ratedispatch.simulate.provider.windows import SLACK

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from ratedispatch.simulate.forecast.lengths import Lengths
    from ratedispatch.simulate.settings import ProviderSettings

#: Faults by what comes with them: no answer at all; one that says what is left, as one that is
#: none does; one for which nothing was generated; and one that looks like a refusal, for load or
#: for nothing that it names.
BROKEN = frozenset({"reset", "disconnect", "truncate"})
TELLING = frozenset({"", "500"})
UNUSED = frozenset({"500", "html"})
REFUSING = {"429": None, "503": Strain.OVERLOADED, "slow_down": Strain.OVERLOADED}

#: Faults whose answers come in the usual time; the others break the connection.
_IN_TIME = frozenset((*ANSWER_FAULTS, "truncate"))


class ModelledServer:
    """
    A server behind its limits.

    Args:
        settings: How it behaves.
        models: The model of each kind of rows.
        rng: Draws latencies, lengths and faults.
    """

    def __init__(
        self, settings: ProviderSettings, models: Sequence[str], rng: random.Random
    ) -> None:
        self._random = rng.random
        self._rng = rng
        self._normal = rng.normalvariate
        self._latency = settings.latency
        self._sigma = settings.latency_sigma if settings.latency else 0.0
        self._token_time = settings.token_time
        self._wanted = [_lengths_of(settings, model) for model in models]
        self._share = settings.output_share
        self._faults = tuple((name, rate) for name, rate in settings.faults.items())
        self._advice = settings.retry_after
        self._slots = settings.engine_slots
        self._batching = settings.engine_batching
        self._ends: list[float] = []  # a heap: when the places become free
        self._turn = -math.inf  # when the latest service begins; none overtakes

    def advised(self, wait: float) -> float | None:
        """Return how long a refusal asks to wait whose *wait* is known; None if it does not."""
        if self._advice == "none":
            return None
        scale = 1000 if self._advice == "ms" else 1
        return math.ceil(wait * scale - SLACK) / scale

    def answer(self, kind: int, cap: int, now: float) -> tuple[float, int | str]:
        """
        Return how long an answer takes, and the tokens of each output, or the fault that strikes.

        Args:
            kind: The kind of the row.
            cap: The most tokens of each of its outputs.
            now: When it arrives.
        """
        fault = self._fault() if self._faults else ""
        wanted = self._wanted[kind]
        if cap == 0:
            length = 0
        elif wanted is None:
            length = round((DEFAULT_OUTPUT if cap == UNCAPPED else cap) * self._share) or 1
        elif isinstance(wanted, int):
            length = max(1, min(wanted, cap))
        else:
            length = wanted.draw(self._rng, 0 if cap == UNCAPPED else cap)
        taken = self._latency + self._token_time * length
        if self._sigma:
            # as lognormvariate, which calls it
            taken += self._latency * (math.exp(self._normal(0.0, self._sigma)) - 1)
        if self._slots is not None:
            taken = self._serve(taken, now)
        if not fault:
            return taken, length
        if fault in _IN_TIME:
            return taken, fault
        return (taken / 2 if fault == "disconnect" else 0.0), fault

    def _fault(self) -> str:
        """Return the name of the fault that strikes, or nothing."""
        for name, rate in self._faults:
            if self._random() < rate:
                return "" if name in STREAM_FAULTS else name
        return ""

    def _serve(self, duration: float, now: float) -> float:
        """Return the same where so many are served at once, and the others wait."""
        ends = self._ends
        slots = self._slots
        assert slots is not None
        turn = max(self._turn, now)
        while ends and ends[0] <= turn:
            heapq.heappop(ends)
        if len(ends) >= slots:
            turn = ends[0]
            while ends and ends[0] <= turn:
                heapq.heappop(ends)
        self._turn = turn
        end = turn + duration * (1 + self._batching * len(ends) / slots)
        heapq.heappush(ends, end)
        return end - now


def _lengths_of(settings: ProviderSettings, model: str) -> int | Lengths | None:
    """Return how long the outputs of *model* are; None where they are a share of the cap."""
    for name, lengths in settings.output_lengths.items():
        if is_named(model, name):
            return lengths
    return settings.output_tokens
