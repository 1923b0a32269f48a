"""Who is next."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratedispatch.pacing import queue as line_module
from ratedispatch.pacing.queue import Line, Waiting
from ratedispatch.request import Cost

#: Joining with a place, serving the head, or leaving, by its number among those who are there.
actions = st.lists(
    st.one_of(
        st.tuples(st.just("join"), st.integers(0, 20)),
        st.tuples(st.just("serve"), st.just(0)),
        st.tuples(st.just("leave"), st.integers(0, 30)),
        st.tuples(st.just("leave and say so later"), st.integers(0, 30)),
        st.tuples(st.just("say so"), st.just(0)),
    ),
    max_size=60,
)


@pytest.mark.parametrize("many", [1, 3, 1_000])
@given(steps=actions)
def test_the_lowest_place_goes_first_and_of_equal_ones_who_came_first(
    many: int, steps: list[tuple[str, int]]
) -> None:
    loop = asyncio.new_event_loop()
    line: Line[None] = Line()
    there: list[Waiting[None]] = []  # who is in it and has not left
    silent = 0  # have left, and not said so
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(line_module, "_MANY", many)
        for action, number in steps:
            if action == "join":
                there.append(line.join(number, Cost(1, 1), (1.0,), 0.0, loop.create_future()))
            elif action == "serve":
                first = min(there, key=lambda who: (who.place, who.number), default=None)
                assert line.head() is first
                if first is not None:
                    line.pop()
                    there.remove(first)
            elif action == "say so":
                if silent:
                    silent -= 1
                    line.leave()
            elif number < len(there):
                there.pop(number).future.cancel()
                if action == "leave":
                    line.leave()
                else:
                    silent += 1
            assert silent or len(line) == len(there)
        for _ in range(silent):
            line.leave()
        assert len(line) == len(there)
        assert sorted(line.clear()) == sorted(there)
        assert len(line) == 0
        assert line.head() is None
    loop.close()


def test_those_who_have_left_take_no_room_behind_one_who_waits() -> None:
    loop = asyncio.new_event_loop()
    line: Line[None] = Line()
    first = line.join(0, Cost(1, 1), (1.0,), 0.0, loop.create_future())
    for place in range(1, 10_000):
        line.join(place, Cost(1, 1), (1.0,), 0.0, loop.create_future()).future.cancel()
        line.leave()
    assert line.head() is first
    assert len(line) == 1
    assert len(line._in_order) + len(line._late) < 1_100
    loop.close()
