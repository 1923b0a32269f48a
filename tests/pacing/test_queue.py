"""Which request is next."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratedispatch.pacing import queue as queue_module
from ratedispatch.pacing.queue import Entry, FairQueue
from ratedispatch.request import Cost

#: Joining with a rank, serving the head, or leaving, by its number among those that wait.
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


class Caller:
    """What an entry waits for; it can go away."""

    def __init__(self) -> None:
        self.has_gone = False

    def done(self) -> bool:
        return self.has_gone


def join(queue: FairQueue, rank: int) -> tuple[Entry, Caller]:
    caller = Caller()
    entry = Entry(caller)
    queue.join(entry, rank, Cost(1, 1), 0.0)
    return entry, caller


@pytest.mark.parametrize("many", [1, 3, 1_000])
@given(steps=actions)
def test_the_lowest_rank_goes_first_and_of_equal_ranks_the_one_that_came_first(
    many: int, steps: list[tuple[str, int]]
) -> None:
    """Whoever has left is passed over, whether or not the queue has been told by then."""
    queue = FairQueue()
    waiting: list[tuple[Entry, Caller]] = []
    silent: list[Entry] = []  # have left, and not said so
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(queue_module, "_MANY", many)
        for action, number in steps:
            if action == "join":
                waiting.append(join(queue, number))
            elif action == "serve":
                first = min(waiting, key=lambda one: (one[0].rank, one[0].number), default=None)
                head = queue.next  # as an admission does, which asks no more than it must
                if head is None or head.future.done():
                    head = queue.head()
                assert head is (None if first is None else first[0])
                if first is not None:
                    queue.pop()
                    waiting.remove(first)
            elif action == "say so":
                if silent:
                    queue.leave(silent.pop())
            elif number < len(waiting):
                entry, caller = waiting.pop(number)
                caller.has_gone = True
                if action == "leave":
                    queue.leave(entry)
                else:
                    silent.append(entry)
            assert silent or queue.size == len(waiting)
        for entry in silent:
            queue.leave(entry)
        assert queue.size == len(waiting)
        assert sorted(queue.clear()) == sorted(entry for entry, _ in waiting)
        assert queue.size == 0
        assert queue.head() is None


def test_leaving_is_counted_once() -> None:
    """Saying so twice, or after it was served, takes nobody else's place."""
    queue = FairQueue()
    first, first_caller = join(queue, 0)
    second, _ = join(queue, 1)
    first_caller.has_gone = True
    queue.leave(first)
    queue.leave(first)
    assert queue.size == 1
    assert queue.head() is second
    queue.pop()
    queue.leave(second)
    assert queue.size == 0


def test_a_queue_that_was_cleared_takes_no_further_leave() -> None:
    """A caller that is told of a stop leaves afterwards, when its entry is no longer there."""
    queue = FairQueue()
    entry, _ = join(queue, 0)
    assert queue.clear() == [entry]
    queue.leave(entry)
    assert queue.size == 0


def test_entries_that_have_left_take_no_room_behind_one_that_waits() -> None:
    """Of 9,999 that leave, 998 are still stored: they are swept out each time there are 1,000."""
    queue = FairQueue()
    first, _ = join(queue, 0)
    for rank in range(1, 10_000):
        entry, caller = join(queue, rank)
        caller.has_gone = True
        queue.leave(entry)
    assert queue.head() is first
    assert queue.size == 1
    assert len(queue._in_order) + len(queue._late) == 1_000
