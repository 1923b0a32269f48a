"""
Runs requests through a dispatcher against a simulated provider, in virtual time.

A night's job takes seconds, and the same arguments give the same result in every process: the loop
is the only clock, threads run at once, chance is seeded, and nothing is asked of the machine.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ratedispatch.dispatch.dispatcher import Dispatcher
from ratedispatch.errors import Stopped
from ratedispatch.outcome import Completed, Failed
from ratedispatch.simulate.clock import run_virtual
from ratedispatch.simulate.transport import ProviderTransport

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Callable, Iterable, Mapping

    from ratedispatch.events import Event, Listener
    from ratedispatch.groups import LimitGroups
    from ratedispatch.limits import Limits
    from ratedispatch.outcome import Outcome
    from ratedispatch.request import Request
    from ratedispatch.simulate.settings import ProviderSettings


@dataclass(frozen=True, slots=True)
class Played:
    """
    The result of a run.

    Args:
        outcomes: In the order in which they came.
        stats: The referee's report.
        seconds: Virtual seconds until everything was done.
        events: What the dispatcher told, in order; empty unless it was to be kept.
        stop: Why the dispatcher stopped before the end; None if it did not.
    """

    outcomes: tuple[Outcome, ...]
    stats: Mapping[str, Any]
    seconds: float
    events: tuple[Event, ...] = ()
    stop: Stopped | None = None

    @property
    def answered(self) -> list[str]:
        """The ``custom_id`` of each answered request, sorted."""
        return sorted(
            outcome.request.custom_id or ""
            for outcome in self.outcomes
            if isinstance(outcome, Completed)
        )

    @property
    def failed(self) -> dict[str, str]:
        """The code of each failed request, by ``custom_id``."""
        return {
            outcome.request.custom_id or "": outcome.code
            for outcome in self.outcomes
            if isinstance(outcome, Failed)
        }

    @property
    def refused(self) -> int:
        """How many requests the provider refused for a limit, an outage or a full queue."""
        return sum(self.stats["refused"].values())


def play(
    requests: Iterable[Request] | AsyncIterable[Request],
    limits: Limits | LimitGroups,
    provider: ProviderSettings,
    *,
    seed: int | str = 0,
    travel: float = 0.0,
    listeners: Iterable[Listener] = (),
    keeps_events: bool = False,
    script: Callable[[Dispatcher, ProviderTransport], object] | None = None,
    **options: Any,
) -> Played:
    """
    Send *requests* to *provider* and return what came of it.

    Args:
        requests: In the order in which they are passed on.
        limits: What the dispatcher is told.
        provider: How the provider behaves.
        seed: Of the provider's chance, and of the dispatcher's unless *options* have an ``rng``.
        travel: Seconds from here to the provider.
        listeners: Called with every event.
        keeps_events: Whether the result has the events.
        script: Called with the dispatcher and the transport before the first request, for example
            to set timers.
        options: Further arguments of the `Dispatcher`.
    """
    options.setdefault("rng", random.Random(seed))
    options.setdefault("cpu_clock", float)  # 0.0: processor time is the machine's
    outcomes: list[Outcome] = []
    events: list[Event] = []
    heard = [*([events.append] if keeps_events else []), *listeners]

    async def main() -> Played:
        """Send the requests in virtual time, and return what came of them."""
        stopped = None
        transport = ProviderTransport(provider, random.Random(seed), travel=travel)
        async with Dispatcher(transport, limits, listeners=heard, **options) as dispatcher:
            if script is not None:
                script(dispatcher, transport)
            try:
                async for outcome in dispatcher.map(requests):
                    outcomes.append(outcome)  # noqa: PERF401 - a stop leaves what came before
            except Stopped as stop:
                stopped = stop
        seconds = asyncio.get_running_loop().time()
        stats = transport.referee.report()
        return Played(tuple(outcomes), stats, seconds, tuple(events), stopped)

    return run_virtual(main())
