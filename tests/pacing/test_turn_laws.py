"""Laws of a queue whose turns differ, whatever comes, goes and leaves."""

from __future__ import annotations

import asyncio
import dataclasses
import math
from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratedispatch.dispatch.permits import acquire
from ratedispatch.limits import Limits
from ratedispatch.pacing.ageing import AgeingTuning
from ratedispatch.pacing.feedback import ABANDONED
from ratedispatch.pacing.queue import Entry
from ratedispatch.pacing.turn import FIRST_COME, Turn
from ratedispatch.pacing.turn_queue import TurnQueue
from ratedispatch.request import Cost
from ratedispatch.simulate.clock import run_virtual
from tests.pacing.queues import admission, times_of
from tests.pacing.test_queue import Caller

NEVER = AgeingTuning(after_seconds=math.inf)

turns = st.builds(
    lambda priority, caller: dataclasses.replace(FIRST_COME, priority=priority, caller=caller),
    st.integers(-1, 2),
    st.sampled_from(["", "a", "b"]),
)

#: Joining with a rank, tokens and a turn; serving; or leaving, by its number among those that wait.
steps = st.lists(
    st.one_of(
        st.tuples(st.just("join"), st.integers(0, 20), st.integers(0, 500), turns),
        st.tuples(st.just("serve"), st.just(0), st.just(0), st.just(FIRST_COME)),
        st.tuples(st.just("leave"), st.integers(0, 30), st.just(0), st.just(FIRST_COME)),
        st.tuples(st.just("go silently"), st.integers(0, 30), st.just(0), st.just(FIRST_COME)),
    ),
    max_size=80,
)


def join(queue: TurnQueue, tokens: int = 1, turn: Turn = FIRST_COME, rank: int = 0) -> Entry:
    entry = Entry(Caller())
    queue.join(entry, rank, Cost(tokens), 0.0, turn)
    return entry


def go(entry: Entry) -> None:
    assert isinstance(entry.future, Caller)
    entry.future.has_gone = True


@given(steps=steps)
def test_nothing_is_lost_and_of_one_caller_the_lowest_rank_of_the_highest_priority_goes(
    steps: list[tuple[str, int, int, Turn]],
) -> None:
    """Each that waits goes once; whoever has left never does."""
    queue = TurnQueue({"a": 2.0}, NEVER)
    waiting: dict[Entry, Turn] = {}
    silent: list[Entry] = []
    for action, number, tokens, turn in steps:
        if action == "join":
            waiting[join(queue, tokens, turn, rank=number)] = turn
        elif action == "serve":
            heads = queue.heads(0.0)
            assert len(heads) == bool(waiting)
            for head in heads:
                mine = waiting[head]
                assert mine.priority == max(one.priority for one in waiting.values())
                assert head == min(one for one in waiting if waiting[one] == mine)
                queue.pop(head, 0.0)
                del waiting[head]
        elif number < len(waiting):
            entry = list(waiting)[number]
            del waiting[entry]
            go(entry)
            if action == "leave":
                queue.leave(entry)
            else:
                silent.append(entry)
        assert len(waiting) <= queue.size <= len(waiting) + len(silent)
    for entry in silent:
        queue.leave(entry)
    assert queue.size == len(waiting)
    assert set(queue.clear()) == set(waiting)
    assert queue.size == 0
    assert queue.heads(0.0) == []


requests = st.lists(st.integers(1, 5_000), min_size=1, max_size=60)


@given(
    sizes=st.lists(requests, min_size=2, max_size=5),
    weights=st.lists(st.floats(0.1, 10), min_size=5, max_size=5),
)
def test_of_callers_that_wait_nobody_is_ahead_by_more_than_a_request_of_each(
    sizes: list[list[int]], weights: list[float]
) -> None:
    """By weight and in tokens, at every moment until one of them has nothing left."""
    names = [str(number) for number in range(len(sizes))]
    queue = TurnQueue(dict(zip(names, weights, strict=False)))
    owner = {
        join(queue, tokens, dataclasses.replace(FIRST_COME, caller=name)): name
        for name, costs in zip(names, sizes, strict=True)
        for tokens in costs
    }
    largest = {name: max(costs) for name, costs in zip(names, sizes, strict=True)}
    left = {name: len(costs) for name, costs in zip(names, sizes, strict=True)}
    served: dict[str, float] = defaultdict(float)
    share = dict(zip(names, weights, strict=False))
    while all(left.values()):
        for one in names:
            for other in names:
                ahead = served[one] / share[one] - served[other] / share[other]
                bound = largest[one] / share[one] + largest[other] / share[other]
                assert ahead <= bound * (1 + 1e-9)
        (head,) = queue.heads(0.0)
        queue.pop(head, 0.0)
        name = owner[head]
        served[name] += head.cost.tokens
        left[name] -= 1


@given(before=requests, after=requests, late=requests, weight=st.floats(0.1, 10))
def test_a_caller_that_comes_late_gets_its_share_from_then_on(
    before: list[int], after: list[int], late: list[int], weight: float
) -> None:
    """Neither the past of the other one nor its own counts, but for a request of each, twice."""
    queue = TurnQueue({"late": weight})
    mine = dataclasses.replace(FIRST_COME, caller="late")
    for tokens in (*before, *after):
        join(queue, tokens)
    for _ in before:
        (head,) = queue.heads(0.0)
        queue.pop(head, 0.0)
    entries = {join(queue, tokens, mine) for tokens in late}
    left = {True: len(late), False: len(after)}
    served = {True: 0.0, False: 0.0}
    bound = 2 * max(late) / weight + 2 * max(*before, *after)
    while all(left.values()):
        assert abs(served[True] / weight - served[False]) <= bound * (1 + 1e-9)
        (head,) = queue.heads(0.0)
        queue.pop(head, 0.0)
        served[head in entries] += head.cost.tokens
        left[head in entries] -= 1


@given(
    high=st.lists(st.integers(1, 2_000), min_size=200, max_size=200),
    low=st.integers(1, 500),
    after=st.floats(0, 50),
)
def test_a_lower_priority_waits_no_longer_than_its_age_and_its_share_take(
    high: list[int], low: int, after: float
) -> None:
    """
    From its age on the higher one gets no more than twenty times its tokens, and one request.

    All of the higher priority are there from the start, and one of them goes each second.
    """
    queue = TurnQueue({}, AgeingTuning(after_seconds=after, share=0.05))
    for tokens in high:
        join(queue, tokens, dataclasses.replace(FIRST_COME, priority=1))
    patient = join(queue, low)
    aged = 0
    for second in range(len(high)):
        (head,) = queue.heads(float(second))
        if head is patient:
            assert second >= after
            break
        if second >= after:
            assert aged < low / 0.05
            aged += head.cost.tokens
        queue.pop(head, float(second))
    else:
        assert aged < low / 0.05


@settings(deadline=None, max_examples=30)
@given(
    sent=st.lists(st.tuples(st.integers(1, 900), turns), min_size=1, max_size=30),
    rpm=st.integers(30, 6_000),
    tpm=st.integers(1_000, 60_000),
    burst=st.floats(0, 5),
)
def test_no_share_is_left_unused(
    sent: list[tuple[int, Turn]], rpm: int, tpm: int, burst: float
) -> None:
    """Whatever the turns, each goes as soon as the budget can pay for it after the one before."""
    limits = Limits(rpm, tpm, burst_seconds=burst)

    async def main() -> list[tuple[float, int]]:
        queue = admission(limits, 1_000, weights={"a": 5.0})
        went: list[tuple[float, int]] = []

        async def live(rank: int, tokens: int, turn: Turn) -> None:
            permit = await acquire(queue, Cost(tokens), rank, turn)
            went.append((permit.granted_at, tokens))
            permit.report(ABANDONED)

        await asyncio.gather(*(live(rank, *one) for rank, one in enumerate(sent)))
        assert queue.in_flight == queue.waiting == 0
        return went

    went = run_virtual(main())
    times = [when for when, _ in went]
    assert times == pytest.approx(times_of(limits, [tokens for _, tokens in went]))
