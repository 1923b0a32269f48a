"""
Simulates a job with the whole engine in virtual time.

The dispatcher is the real one, and so is the provider behind the fake server. Only the clock, and
the counting of tokens, are replaced: what a row costs is known.
"""

from __future__ import annotations

import asyncio
import functools
import random
from typing import TYPE_CHECKING, Any, NamedTuple

from ratedispatch.dispatch.dispatcher import Dispatcher
from ratedispatch.dispatch.retry import RetryPolicy
from ratedispatch.errors import Stopped
from ratedispatch.groups import LimitGroups
from ratedispatch.limits import Limits
from ratedispatch.simulate.clock import VirtualLoop, run_virtual
from ratedispatch.simulate.forecast.course_tally import CourseTally
from ratedispatch.simulate.forecast.reading_order import reading_order
from ratedispatch.simulate.forecast.row_counter import RowCounter, requests_of
from ratedispatch.simulate.forecast.row_transport import RowTransport

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ratedispatch.pacing.snapshot import Snapshot
    from ratedispatch.simulate.forecast.course import Course
    from ratedispatch.simulate.forecast.scene import Scene
    from ratedispatch.simulate.forecast.workload import Workload

#: A simulation is given up after this multiple of the time that its limits need, and seven days: a
#: job
#: that a provider always refuses would never end.
_TIMES_LEAST = 10.0
_MORE_SECONDS = 7 * 86_400.0

#: What is in flight then is waited for as long as an attempt can take at most, in seconds.
_LAST_SECONDS = 3_600.0

#: And after so many requests for each row, and some more for a job of few rows.
_ATTEMPTS_A_ROW = 20
_MORE_ATTEMPTS = 2_000

#: The code of a job that was given up.
UNENDING = "unending"


class Played(NamedTuple):
    """
    What came of a job that the engine has played.

    Args:
        tally: What was counted.
        state: The queue at the end.
        stop: Why it stopped before the end; None if it did not.
        cpu_seconds: Processor time that it took.
        charged: Tokens that the provider charged, without what it gave back.
    """

    tally: CourseTally
    state: Snapshot
    stop: Stopped | None
    cpu_seconds: float
    charged: int

    @property
    def course(self) -> Course:
        """What came of it, as a value."""
        return self.tally.course(self.state, self.stop, self.cpu_seconds)


def play_engine(workload: Workload, scene: Scene, *, seed: int, row_seconds: float = 0.0) -> Course:
    """
    Return the result of *workload* in *scene*.

    Takes about a quarter of a millisecond a row. The same arguments give the same result.

    Args:
        workload: The rows.
        scene: The limits, the provider, and how the job is sent.
        seed: The seed of all random numbers.
        row_seconds: Seconds of processor time that a request takes here.
    """
    order = reading_order(len(workload), scene.order)
    return play_in_order(workload, scene, order, seed=seed, row_seconds=row_seconds).course


def play_in_order(
    workload: Workload,
    scene: Scene,
    order: Iterable[int],
    *,
    seed: int,
    row_seconds: float = 0.0,
) -> Played:
    """Return the same of the rows with the numbers in *order*, each of which is there once."""
    cpu = row_seconds / scene.processes

    async def main() -> Played:
        """Send the rows in virtual time, and return what came of them."""
        tally = CourseTally(workload)
        stopped = None
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        spend = functools.partial(loop.spend, cpu)
        transport = RowTransport(workload, scene, random.Random(seed), spend)
        async with Dispatcher(
            transport, scene.limits, listeners=[tally], **_options(workload, scene, seed)
        ) as dispatcher:
            _bound(dispatcher, tally, workload, scene)
            outcomes = dispatcher.map(requests_of(workload, order), progress=False)
            try:
                async for _ in outcomes:
                    if tally.attempts > _most_attempts(workload):
                        dispatcher.stop(UNENDING, _too_many(tally.attempts, len(tally.ended)))
            except Stopped as stop:
                stopped = stop
            state = dispatcher.snapshot()
        return Played(tally, state, stopped, tally.attempts * cpu, transport.provider.charged)

    return run_virtual(main())


def _options(workload: Workload, scene: Scene, seed: int) -> dict[str, Any]:
    """Return the options of the dispatcher."""
    bounded = scene.max_in_flight if isinstance(scene.max_in_flight, int) else None
    attempts = scene.max_attempts
    return {
        "rng": random.Random(f"{seed} dispatcher"),
        "cpu_clock": float,  # 0.0: processor time is the machine's
        "max_in_flight": scene.max_in_flight,
        "connections": bounded or scene.connections,
        "retry": None if attempts is None else RetryPolicy(max_attempts=attempts),
        "timeout": scene.timeout,
        "tolerate_failures": scene.tolerate_failures,
        "wait_for_reset": scene.wait_for_reset,
        "default_output_tokens": scene.default_output_tokens,
        "counter": RowCounter(workload, scene.default_output_tokens),
    }


def _bound(dispatcher: Dispatcher, tally: CourseTally, workload: Workload, scene: Scene) -> None:
    """Have *dispatcher* stop when the job has taken so long that it will never end."""
    loop = asyncio.get_running_loop()
    seconds = _MORE_SECONDS + _TIMES_LEAST * least_seconds(workload, scene)

    def give_up() -> None:
        """Stop, and soon wait for nothing more."""
        ended = f"{len(tally.ended):,} of {len(workload):,} rows had ended"
        dispatcher.stop(UNENDING, f"after {seconds / 86_400:.0f} days {ended}")
        loop.call_later(_LAST_SECONDS, dispatcher.abandon)

    loop.call_later(seconds, give_up)


def _most_attempts(workload: Workload) -> int:
    return _MORE_ATTEMPTS + _ATTEMPTS_A_ROW * len(workload)


def _too_many(attempts: int, ended: int) -> str:
    return f"after {attempts:,} requests {ended:,} rows had ended"


def least_seconds(workload: Workload, scene: Scene) -> float:
    """Return the seconds for which a limit of *scene* needs all rows, of several the slowest."""
    told, account = scene.limits, scene.provider
    every = [told] if isinstance(told, Limits) else [group.limits for group in told.groups]
    if isinstance(told, LimitGroups) and told.default is not None:
        every.append(told.default)
    paces = [
        (rate.dimension, rate.per_second)
        for one in every
        for rate in one.rates()
        if not rate.is_auto
    ]
    paces += [
        (name, limit / period)
        for name, limit, period in (
            ("requests", account.requests_per_minute, 60.0),
            ("tokens", account.tokens_per_minute, 60.0),
            ("requests", account.requests_per_day, 86_400.0),
            ("tokens", account.tokens_per_day, 86_400.0),
        )
        if limit is not None
    ]
    rows, tokens = len(workload), workload.tokens
    return max(
        ((rows if name.startswith("requests") else tokens) / pace for name, pace in paces),
        default=0.0,
    )
