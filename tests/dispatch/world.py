"""A provider, a dispatcher and virtual time, for tests of the engine."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ratedispatch.dispatch.dispatcher import Dispatcher
from ratedispatch.errors import Stopped
from ratedispatch.outcome import Completed, Failed
from ratedispatch.request import Request
from ratedispatch.simulate.clock import run_virtual
from ratedispatch.simulate.settings import ProviderSettings
from ratedispatch.simulate.transport import ProviderTransport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ratedispatch.events import Event, Listener
    from ratedispatch.groups import LimitGroups
    from ratedispatch.limits import Limits
    from ratedispatch.outcome import Outcome


@dataclass
class Trace:
    """What came of a run."""

    outcomes: list[Outcome] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    stats: dict[str, Any] = field(default_factory=dict)
    stop: Stopped | None = None
    seconds: float = 0.0

    @property
    def answered(self) -> list[str]:
        """custom_ids of the answered, sorted."""
        return sorted(o.request.custom_id or "" for o in self.outcomes if isinstance(o, Completed))

    @property
    def failed(self) -> dict[str, str]:
        """Codes of the failed, by custom_id."""
        return {o.request.custom_id or "": o.code for o in self.outcomes if isinstance(o, Failed)}

    @property
    def refused(self) -> int:
        """Answers 429 that the provider gave."""
        return sum(self.stats["refused"].values())


def chat(name: int | str, words: int = 1, cap: int = 16, model: str = "gpt-4o") -> Request:
    """Return a small chat request with a custom_id."""
    return Request.chat(
        model=model,
        messages=[{"role": "user", "content": f"{name} " + "word " * words}],
        max_tokens=cap,
        custom_id=str(name),
    )


def play(
    requests: Iterable[Request],
    limits: Limits | LimitGroups,
    provider: ProviderSettings | None = None,
    *,
    seed: int = 1,
    script: Callable[[Dispatcher, ProviderTransport], Any] | None = None,
    travel: float = 0.0,
    heard: Iterable[Listener] = (),
    **options: Any,
) -> Trace:
    """Map *requests* over a provider in virtual time; *script* may start things beside it."""
    trace = Trace()

    async def main() -> None:
        settings = provider or ProviderSettings()
        transport = ProviderTransport(settings, random.Random(seed), travel=travel)
        options.setdefault("rng", random.Random(seed))
        options.setdefault("max_in_flight", 10_000)
        listeners = [trace.events.append, *heard]
        dispatcher = Dispatcher(transport, limits, listeners=listeners, **options)
        loop = asyncio.get_running_loop()
        async with dispatcher:
            if script is not None:
                script(dispatcher, transport)
            try:
                async for outcome in dispatcher.map(requests):
                    trace.outcomes.append(outcome)
            except Stopped as stop:
                trace.stop = stop
        trace.seconds = loop.time()
        trace.stats = transport.judge.report()

    run_virtual(main())
    return trace
