"""Laws of the queue, whatever the provider says and the callers do."""

from __future__ import annotations

import asyncio
import random
from typing import Any, TypeAlias

from hypothesis import example, given, settings
from hypothesis import strategies as st

from ratedispatch.dispatch.permits import LoopAlarm, acquire
from ratedispatch.limits import Limits, Reading
from ratedispatch.outcome import Usage
from ratedispatch.pacing.admission import Admission
from ratedispatch.pacing.concurrency.limit import FixedLimit
from ratedispatch.pacing.feedback import ABANDONED, UNSENT, End, Feedback, Strain
from ratedispatch.pacing.lane import Lane
from ratedispatch.pacing.local_budget import LocalBudget
from ratedispatch.request import Cost
from ratedispatch.simulate.clock import run_virtual

Ending: TypeAlias = tuple[Any, ...]

amounts = st.floats(0, 1e7)
readings = st.builds(
    Reading,
    st.sampled_from(["requests", "tokens", "input_tokens", "output_tokens"]),
    st.none() | amounts,
    st.none() | amounts,
    st.none() | st.floats(0, 1e5),
)
delays = st.none() | st.floats(0, 30)
endings = st.one_of(
    st.just(("cancel",)),
    st.just(("give up",)),
    st.tuples(st.just("answer"), st.lists(readings, max_size=2), st.integers(0, 3000)),
    st.tuples(st.just("refusal"), st.lists(readings, max_size=2), delays),
    st.tuples(st.just("strain"), st.sampled_from(list(Strain)), delays),
)
limits = st.builds(
    Limits,
    st.sampled_from([60.0, 3000.0, "auto"]),
    st.sampled_from([6000.0, 2e6, "auto", None]),
    st.sampled_from([0.0, 0.7, 60.0]),
)


def feedback_of(ending: Ending) -> Feedback:
    match ending:
        case ("answer", found, used):
            return Feedback(End.ANSWERED, Usage(used, used), tuple(found))
        case ("refusal", found, delay):
            return Feedback(End.REFUSED, None, tuple(found), delay)
        case ("strain", strain, delay):
            return Feedback(End.REFUSED, None, (), delay, None, strain)
        case ("give up",):
            return ABANDONED
    return UNSENT


@settings(max_examples=150, deadline=None)
@given(
    limits, st.lists(st.tuples(st.integers(1, 2000), endings), max_size=40), st.integers(1, 8),
    st.integers(1, 2),
)  # fmt: skip
# a refusal that tells a limit of zero, and of next to nothing
@example(
    Limits(60.0, 6000.0), [(1, ("refusal", [Reading("requests", None, 0.0, None)], 0.0))], 1, 1
)
@example(
    Limits(60.0, 6000.0),
    [(1, ("refusal", [Reading("requests", None, 1e-9, None)], 0.0))] * 2,
    1,
    1,
)
def test_everybody_is_granted_once_and_nothing_stays_in_flight(
    account: Limits, jobs: list[tuple[int, Ending]], most: int, queues: int
) -> None:
    """
    Readings, refusals, cancellations and full queues in any order; one queue or two of a budget.

    A law, so it has bounds: nobody waits for ever, no more are in flight than may be, each permit
    is closed once, nothing spent is negative, and the queue does not wake up over and over while
    it waits.
    """
    rng = random.Random(len(jobs))

    async def live(queue: Admission, rank: int, tokens: int, ending: Ending) -> None:
        permit = await acquire(queue, Cost(tokens, 16), rank)
        assert queue.in_flight <= most
        await asyncio.sleep(rng.uniform(0, 2))
        permit.report(feedback_of(ending))

    async def main() -> None:
        budget = LocalBudget(account)
        served = [
            Admission([Lane(budget, FixedLimit(most), rng=rng)], LoopAlarm()) for _ in range(queues)
        ]
        lives = [
            live(served[rank % queues], rank, tokens, ending)
            for rank, (tokens, ending) in enumerate(jobs)
        ]
        await asyncio.wait_for(asyncio.gather(*lives), 1e7)
        for queue in served:
            state = queue.snapshot()
            assert state.in_flight == state.waiting == 0
            assert all(level.spent >= 0 for level in state.levels)

    run_virtual(main())
