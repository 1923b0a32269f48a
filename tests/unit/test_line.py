"""Who is next."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from ratedispatch.line import Line, Waiting
from ratedispatch.request import Cost

#: Joining with a place, serving the head, or leaving, by its number among those who are there.
steps = st.lists(
    st.one_of(
        st.tuples(st.just("join"), st.integers(0, 20)),
        st.tuples(st.just("serve"), st.just(0)),
        st.tuples(st.just("leave"), st.integers(0, 30)),
    ),
    max_size=60,
)


@given(steps)
def test_the_lowest_place_goes_first_and_of_equal_ones_who_came_first(
    actions: list[tuple[str, int]],
) -> None:
    loop = asyncio.new_event_loop()
    line: Line[None] = Line()
    there: list[Waiting[None]] = []  # who is in it and has not left
    try:
        for action, number in actions:
            if action == "join":
                there.append(line.join(number, Cost(1, 1), (1.0,), 0.0, loop.create_future()))
            elif action == "serve":
                first = min(there, key=lambda who: (who.place, who.number), default=None)
                assert line.head() is first
                if first is not None:
                    line.pop()
                    there.remove(first)
            elif number < len(there):
                there.pop(number).future.cancel()
            assert len(line) >= len(there)
        assert sorted(line.clear()) == sorted(there)
        assert len(line) == 0
        assert line.head() is None
    finally:
        loop.close()
