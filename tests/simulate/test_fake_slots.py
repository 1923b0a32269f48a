"""Places of work and their queue: hand-made sequences, and a simulation by events."""

from __future__ import annotations

import heapq
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratedispatch.simulate.provider.engine_slots import EngineSlots
from tests.simulate.providers import ask, chat, make_provider

# (slots, batching, [(arrival, seconds alone, seconds until the answer)])
SEQUENCES: list[tuple[int, float, list[tuple[float, float, float]]]] = [
    (1, 0.0, [(0, 1, 1), (0, 1, 2), (0.5, 1, 2.5), (3, 1, 1), (9, 1, 1)]),
    (2, 0.0, [(0, 5, 5), (0, 1, 1), (0, 1, 2), (0.5, 1, 2.5), (4, 1, 1)]),
    # both places come free at 10: who waits goes first, and the next finds the other place
    (2, 0.0, [(0, 10, 10), (0, 10, 10), (1, 5, 14), (2, 5, 13), (3, 1, 13)]),
    (4, 1.0, [(0, 1, 1), (0, 1, 1.25), (0, 1, 1.5), (0, 1, 1.75)]),
    # it begins at 1, when three of four are still being served: alone it would take 1
    (4, 1.0, [(0, 1, 1), (0, 4, 5), (0, 4, 6), (0, 4, 7), (0, 1, 2.75)]),
    # all but one are over by then: it is counted alone
    (2, 1.0, [(0, 1, 1), (0, 1, 1.5), (3, 1, 1)]),
]


@pytest.mark.parametrize(("slots", "batching", "rows"), SEQUENCES)
def test_delays_of_hand_made_sequences(
    slots: int, batching: float, rows: list[tuple[float, float, float]]
) -> None:
    """Wait and service, in order of arrival."""
    places = EngineSlots(slots, None, batching)
    for now, duration, expected in rows:
        assert places.has_room(now)
        assert places.serve(duration, now) == pytest.approx(expected)


def simulate(slots: int, rows: list[tuple[float, float]]) -> list[float]:
    """The instant of each answer, by going from event to event."""
    free, ends = slots, list[float]()
    waiting: list[int] = []
    answers = [0.0] * len(rows)
    arrivals = list(enumerate(rows))
    now = 0.0
    while arrivals or waiting or ends:
        if arrivals and (not ends or arrivals[0][1][0] < ends[0]):
            number, (now, _) = arrivals.pop(0)
            waiting.append(number)
        else:
            now = heapq.heappop(ends)
            free += 1
        while free and waiting:
            number = waiting.pop(0)
            free -= 1
            answers[number] = now + rows[number][1]
            heapq.heappush(ends, answers[number])
    return answers


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 3), st.floats(0.1, 5)), max_size=30),
    st.integers(1, 4),
)
def test_delays_are_those_of_a_queue(steps: list[tuple[float, float]], slots: int) -> None:
    """The same as a server that goes from event to event."""
    places, now, rows = EngineSlots(slots, None, 0.0), 0.0, []
    found = []
    for pause, duration in steps:
        now += pause
        rows.append((now, duration))
        assert places.has_room(now)
        found.append(now + places.serve(duration, now))
    assert found == pytest.approx(simulate(slots, rows))
    end = max(found, default=0.0)
    assert places.busy(end) == pytest.approx(sum(duration for _, duration in rows))


def test_a_queue_holds_so_many_and_no_more() -> None:
    """Who is being served does not count, and each that begins makes room."""
    places = EngineSlots(2, 1, 0.0)
    for expected in (1.0, 1.0, 2.0):
        assert places.has_room(0.0)
        assert places.serve(1.0, 0.0) == expected
    assert not places.has_room(0.9)
    assert places.has_room(1.0)
    assert places.queue_peak == 1
    none = EngineSlots(1, 0, 0.0)
    assert none.has_room(0.0)
    none.serve(1.0, 0.0)
    assert not none.has_room(0.5)
    assert none.has_room(1.0)


def test_busy_seconds_end_where_one_asks() -> None:
    """What is promised for later does not count yet, in the queue or out of it."""
    places = EngineSlots(1, None, 0.0)
    for _ in range(3):
        places.has_room(0.0)
        places.serve(1.0, 0.0)
    assert [places.busy(until) for until in (0.0, 1.0, 2.5, 9.0)] == [0.0, 1.0, 2.5, 3.0]


def test_a_request_beyond_the_queue_gets_a_503() -> None:
    """It is charged nothing and draws nothing; the next one that fits is served."""
    provider = make_provider(requests_per_minute=10, latency=1.0, engine_slots=1, queue=1)
    assert [ask(provider, chat()).delay for _ in range(2)] == [1.0, 2.0]
    reply = ask(provider, chat())
    assert (reply.status, reply.kind, reply.is_admitted, reply.delay) == (
        503,
        "queue_full",
        False,
        0.0,
    )
    assert json.loads(reply.body) == {
        "error": {"message": "The request queue is full.", "type": "server_error", "code": 503}
    }
    assert reply.headers["x-ratelimit-remaining-requests"] == "8"
    assert ask(provider, chat(), 1.5).delay == 1.5
    assert provider.admitted == 3


def test_latencies_grow_with_the_batch() -> None:
    """Half as long again when the place next door is taken, tokens of output included."""
    provider = make_provider(
        latency=0.5, token_time=0.05, output_tokens=10, engine_slots=2, engine_batching=1.0
    )
    body = chat(max_tokens=20)
    assert [ask(provider, body).delay for _ in range(2)] == [1.0, 1.5]
