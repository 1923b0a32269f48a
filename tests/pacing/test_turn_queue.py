"""Which request is next, where turns differ: priorities, callers and their shares."""

from __future__ import annotations

import dataclasses

import pytest

from ratedispatch.pacing.queue import Entry
from ratedispatch.pacing.turn import FIRST_COME, Turn
from ratedispatch.pacing.turn_queue import TurnQueue
from ratedispatch.request import Cost
from tests.pacing.test_queue import Caller


class Line:
    """A turn queue whose entries have names."""

    def __init__(self, **weights: float) -> None:
        self.queue = TurnQueue(weights)
        self.names: dict[Entry, str] = {}
        self.entries: dict[str, Entry] = {}
        self._rank = 0

    def join(
        self, name: str, tokens: int = 1, turn: Turn = FIRST_COME, rank: int | None = None
    ) -> None:
        self._rank += 1
        entry = self.entries[name] = Entry(Caller())
        self.names[entry] = name
        self.queue.join(entry, self._rank if rank is None else rank, Cost(tokens), 0.0, turn)

    def pop(self, now: float = 0.0) -> str:
        """Let the next one go, and return its name."""
        head = self.queue.heads(now)[0]
        self.queue.pop(head, now)
        return self.names[head]

    def all(self) -> list[str]:
        found = []
        while self.queue.size:
            found.append(self.pop())
        assert self.queue.heads(0.0) == []
        return found


def of(caller: str = "", priority: int = 0) -> Turn:
    return dataclasses.replace(FIRST_COME, caller=caller, priority=priority)


def test_higher_priorities_go_first_and_equal_ones_by_rank() -> None:
    line = Line()
    for name, priority in (("a", 0), ("b", 2), ("c", 0), ("d", 1), ("e", 2), ("f", -1)):
        line.join(name, turn=of(priority=priority))
    line.join("again", rank=0)
    assert "".join(line.all()) == "bedagainacf"


def test_callers_take_turns_by_their_tokens() -> None:
    """One request of 300 tokens goes for three of 100."""
    line = Line()
    for number in range(3):
        line.join(f"A{number}", 300, of("A"))
    for number in range(9):
        line.join(f"b{number}", 100, of("b"))
    assert line.all() == ["A0", "b0", "b1", "b2", "A1", "b3", "b4", "b5", "A2", "b6", "b7", "b8"]


def test_a_weight_of_two_gets_twice_as_much() -> None:
    line = Line(b=2.0)
    for number in range(6):
        line.join(f"a{number}", 100, of("a"))
        line.join(f"b{number}", 100, of("b"))
    went = line.all()
    assert [name[0] for name in went[:9]].count("b") == 6


def test_who_comes_late_has_neither_debt_nor_credit() -> None:
    """After a hundred requests of one caller the other one gets every second place at once."""
    line = Line()
    for number in range(200):
        line.join(f"a{number}", 100, of("a"))
    for _ in range(100):
        line.pop()
    for number in range(10):
        line.join(f"b{number}", 100, of("b"))
    went = [line.pop()[0] for _ in range(20)]
    assert went.count("b") == 10


def test_new_callers_without_end_keep_nobody_waiting() -> None:
    """One that has had its share waits for a few newcomers, not for all that ever come."""
    line = Line()
    for number in range(3):
        line.join(f"old{number}", 1_000, of("old"))
    went = []
    for number in range(100):
        line.join(f"new{number}", 100, of(f"new{number}"))
        went.append(line.pop())
    assert [name for name in went if name.startswith("old")] == ["old0", "old1", "old2"]


def test_who_has_left_is_passed_over() -> None:
    """Whether or not the queue has been told."""
    line = Line()
    for name in "abcd":
        line.join(name, turn=of(name))
    for name in "ab":
        caller = line.entries[name].future
        assert isinstance(caller, Caller)
        caller.has_gone = True
    line.queue.leave(line.entries["a"])
    assert line.queue.size == 3
    assert line.pop() == "c"
    line.queue.leave(line.entries["b"])
    line.queue.leave(line.entries["c"])
    assert line.all() == ["d"]


def test_a_priority_that_gets_nothing_for_long_gets_a_twentieth() -> None:
    """From the 30th second on one token in twenty-one."""
    line = Line()
    for number in range(100):
        line.join(f"low{number}", 10, of(priority=0))
        line.join(f"lower{number}", 10, of(priority=-1))
    went = []
    for second in range(180):
        line.join(f"high{second}", 10, of(priority=1))
        went.append(line.pop(float(second)))
    lows = [second for second, name in enumerate(went) if not name.startswith("high")]
    assert lows == [50, 71, 92, 113, 134, 155, 176]
    assert [went[second] for second in lows[:4]] == ["low0", "lower0", "low1", "lower1"]


def test_a_weight_that_is_lost_in_the_sum_still_counts() -> None:
    line = Line(large=1e30, small=1.0)
    line.join("small", turn=of("small"))
    line.join("large", turn=of("large"))
    assert line.all() == ["small", "large"]


@pytest.mark.parametrize(
    "turns",
    [
        [of(f"user {number}") for number in range(5_000)],
        [of(f"user {number}", 1) for number in range(5_000)],
        [of("user", -number) for number in range(5_000)],
    ],
    ids=["callers", "callers beside the one that stays", "priorities"],
)
def test_those_that_leave_behind_one_that_stays_are_let_go_of(turns: list[Turn]) -> None:
    """Callers without end, who wait and leave, while nothing is sent."""
    line = Line()
    line.join("stays", turn=of("stays", 1))
    line.queue.heads(0.0)
    for number, turn in enumerate(turns):
        line.join("x", turn=turn)
        line.queue.leave(line.entries["x"])
        line.queue.heads(float(number))
    (order,) = line.queue._orders.values()
    kept = [len(level.lines) for level in order.levels.values()]
    assert sum(kept) < 1_100
    assert len(kept) < 1_100
    assert line.all() == ["stays"]
