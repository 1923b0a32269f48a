"""Laws of the line, whatever the provider says and the callers do."""

from __future__ import annotations

import asyncio
import random
from typing import Any, TypeAlias

from hypothesis import example, given, settings
from hypothesis import strategies as st

from ratedispatch.limits import Limits, Reading
from ratedispatch.outcome import Usage
from ratedispatch.pacing.budget import LocalBudget, Permit
from ratedispatch.request import Cost
from ratedispatch.simulate.clock import run_virtual

End: TypeAlias = tuple[Any, ...]

amounts = st.floats(0, 1e7)
readings = st.builds(
    Reading,
    st.sampled_from(["requests", "tokens", "input_tokens", "output_tokens"]),
    st.none() | amounts,
    st.none() | amounts,
    st.none() | st.floats(0, 1e5),
)
ends = st.one_of(
    st.just(("cancel",)),
    st.tuples(st.just("answer"), st.lists(readings, max_size=2), st.integers(0, 3000)),
    st.tuples(st.just("refusal"), st.lists(readings, max_size=2), st.floats(0, 30)),
    st.just(("crowd",)),
    st.just(("calm",)),
)
limits = st.builds(
    Limits,
    st.sampled_from([60.0, 3000.0, "auto"]),
    st.sampled_from([6000.0, 2e6, "auto", None]),
    st.sampled_from([0.0, 0.7, 60.0]),
)


@settings(max_examples=150, deadline=None)
@given(limits, st.lists(st.tuples(st.integers(1, 2000), ends), max_size=40), st.integers(1, 8))
# a refusal that tells a limit of zero, and of next to nothing
@example(Limits(60.0, 6000.0), [(1, ("refusal", [Reading("requests", None, 0.0, None)], 0.0))], 1)
@example(
    Limits(60.0, 6000.0), [(1, ("refusal", [Reading("requests", None, 1e-9, None)], 0.0))] * 2, 1
)
def test_everybody_is_granted_once_and_nothing_stays_in_flight(
    account: Limits, jobs: list[tuple[int, End]], most: int
) -> None:
    """
    Readings, refusals, cancellations and full queues in any order.

    Nobody waits for ever, no more are in flight than may be, each permit is closed once, and
    the line does not wake up over and over while it waits.
    """
    rng = random.Random(len(jobs))

    async def live(budget: LocalBudget, place: int, tokens: int, end: End) -> None:
        permit = await budget.acquire(Cost(tokens, 16), place)
        assert budget.snapshot().in_flight <= most
        await asyncio.sleep(rng.uniform(0, 2))
        close(budget, permit, end)

    def close(budget: LocalBudget, permit: Permit, end: End) -> None:
        match end:
            case ("cancel",):
                budget.cancel(permit)
            case ("answer", found, used):
                budget.observe(permit, found)
                budget.settle(permit, Usage(used, used), answered=True)
            case ("refusal", found, delay):
                budget.observe(permit, found, refused=True)
                budget.throttle(permit, delay)
                budget.settle(permit, None)
            case ("crowd",):
                budget.crowd(permit)
                budget.settle(permit, None)
            case ("calm",):
                budget.calm_down()
                budget.settle(permit, None)

    async def main() -> None:
        budget = LocalBudget(account, most)
        lives = [live(budget, place, tokens, end) for place, (tokens, end) in enumerate(jobs)]
        await asyncio.wait_for(asyncio.gather(*lives), 1e7)
        state = budget.snapshot()
        assert state.in_flight == state.waiting == 0
        assert all(level.spent >= 0 for level in state.levels)

    run_virtual(main())
