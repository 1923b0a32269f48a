"""
What sends the rows of a job: a dispatcher in this process, or several processes.

Decides which, and connects it to the journal. Everything else in a job is the same for both.
"""

from __future__ import annotations

import asyncio
import dataclasses
import random
from typing import TYPE_CHECKING, Any, Protocol

from ratedispatch.dispatch.dispatcher import Dispatcher
from ratedispatch.dispatch.listeners import Listeners
from ratedispatch.dispatch.pool_factory import factory_for
from ratedispatch.jobs.journaling import journaled
from ratedispatch.tokens.estimator import Estimator

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Sequence

    from ratedispatch.dispatch.options import DispatcherOptions
    from ratedispatch.dispatch.pool import Pool
    from ratedispatch.dispatch.stop import StopSignal
    from ratedispatch.dispatch.transports import Client
    from ratedispatch.events import Listener
    from ratedispatch.groups import LimitGroups
    from ratedispatch.jobs.processes.crew import Crew
    from ratedispatch.jobs.state.journal import Journal
    from ratedispatch.jobs.writer import Writer
    from ratedispatch.limits import Limits
    from ratedispatch.outcome import Outcome
    from ratedispatch.pacing.bottleneck import Bottleneck
    from ratedispatch.pacing.snapshot import Snapshot
    from ratedispatch.request import Request


class Stoppable(Protocol):
    """What can be stopped."""

    def stop(self, code: str, message: str) -> None:
        """Send nothing more; only the first stop counts."""

    def abandon(self) -> None:
        """After a stop: wait no longer for what is in flight either."""


class Sender(Stoppable, Protocol):
    """What sends the rows of a job; see `Dispatcher` for what each of these does."""

    estimator: Estimator

    async def __aenter__(self) -> Any: ...
    async def __aexit__(self, *_: Any) -> None: ...
    def map(
        self, requests: Iterable[Request] | AsyncIterable[Request], /, *, progress: bool
    ) -> AsyncGenerator[Outcome, None]:
        """Send all *requests* and yield their outcomes as they come."""

    def snapshot(self) -> Snapshot:
        """Return the state of the queue, or of all queues together."""

    def snapshots(self) -> dict[str, Snapshot]:
        """Return the state of each queue, by its name."""

    def bottleneck(self) -> Bottleneck:
        """Return what holds the queue back."""

    @property
    def cpu_seconds(self) -> float:
        """Seconds of processor time of the busiest process beside this one; 0 without any."""

    @property
    def notes(self) -> Sequence[str]:
        """Sentences on what a person should know of the sending."""


@dataclasses.dataclass(frozen=True, slots=True)
class Means:
    """
    What there is to send with.

    Args:
        client: A client, a transport, or a pool of them.
        limits: What may be spent; None for a pool.
        options: How to send.
        journal: Where attempts are noted.
        writer: Which notes those of this process.
        listeners: The listeners of the caller of the job.
    """

    client: Client | Pool
    limits: Limits | LimitGroups | None
    options: DispatcherOptions
    journal: Journal
    writer: Writer
    listeners: Sequence[Listener] = ()


class Alone(Dispatcher):
    """A dispatcher that sends for a job, in the process where it is."""

    cpu_seconds = 0.0
    notes: Sequence[str] = ()

    @property
    def stopping(self) -> StopSignal:
        """Whether and why nothing more is sent."""
        return self._runner.stopping


def sender_of(
    means: Means,
    listeners: Sequence[Listener],
    crew: Crew | None,
    on_unnoted: Callable[[OSError], None],
) -> Sender:
    """
    Return what sends.

    Args:
        means: What there is to send with.
        listeners: Told of every event: those of the job first, then those of its caller.
        crew: The processes that send; None for this one.
        on_unnoted: Called with what another process could not write to the journal.
    """
    if crew is None:
        own, told = listeners[:3], listeners[3:]
        return Alone(
            journaled(means.client, means.writer.note),
            means.limits,
            listeners=(*own, means.writer, *told),
            options=means.options,
        )
    from ratedispatch.jobs.processes.fleet import Fleet
    from ratedispatch.jobs.processes.setups import Setups

    options = dataclasses.replace(means.options, memory=False, share=None)  # it only counts
    provider = factory_for(means.client, means.limits, options, rng=random.Random(0)).provider
    estimator = Estimator(
        options.policy or provider.charge,
        counter=options.counter,
        default_output_tokens=options.default_output_tokens,
        in_thread=asyncio.to_thread,
    )
    setups = Setups(crew, means.client, means.limits, means.options, means.listeners)
    heard = Listeners(listeners)
    return Fleet(crew, setups, means.journal, heard, estimator, on_unnoted=on_unnoted)
