"""Facts: what is checked, how they age, and how two processes add to one day."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratedispatch.dimension import DAY
from ratedispatch.memory import facts
from ratedispatch.memory.facts import Fact, fact_of, fresh, leaked, merged

NOW = 1_800_000_000.0

GOOD = {
    facts.LIMIT: 3_000.0,
    facts.REACHED: 500,
    facts.RULE: [2, True, False],
    facts.SPENT: [400.0, 1_000.0],
    facts.RATE: 12.5,
    facts.IN_FLIGHT: 64,
    facts.ROOM: 4,
    facts.LATENCY: 0.2,
    facts.SLOWEST: [6.0, 0.03],
    facts.OUTPUT: 310,
}


@pytest.mark.parametrize("kind", GOOD)
def test_a_fact_of_each_kind_is_taken(kind: str) -> None:
    """As it was kept."""
    assert fact_of(kind, "x", GOOD[kind], 7) == Fact(kind, "x", GOOD[kind], 7.0)


@pytest.mark.parametrize("value", [0, -1, math.inf, math.nan, True, "3", None, [], {}, 1e300])
@pytest.mark.parametrize("kind", GOOD)
def test_no_other_value_is_taken(kind: str, value: object) -> None:
    """Whatever stands in a file: no limit of nothing, and no number in flight of all."""
    assert fact_of(kind, "", value, NOW) is None


@pytest.mark.parametrize(
    ("kind", "of", "at"),
    [
        ("other", "", NOW),
        (facts.LIMIT, "\x1b[2J", NOW),
        (facts.LIMIT, "x" * 1_000, NOW),
        (facts.LIMIT, 3, NOW),
        (facts.LIMIT, "", -1),
        (facts.LIMIT, "", "now"),
        (facts.LIMIT, "", math.nan),
    ],
)
def test_a_fact_without_a_name_or_an_instant_is_none(kind: Any, of: Any, at: Any) -> None:
    """Nothing of it is shown on a terminal."""
    assert fact_of(kind, of, 3.0, at) is None


def test_a_fact_counts_as_long_as_its_kind_does() -> None:
    """A limit for a month, the speed of a server for a week, what was spent for a day."""
    ages = {facts.LIMIT: 30, facts.OUTPUT: 7, facts.SPENT: 1}
    for kind, days in ages.items():
        fact = Fact(kind, "", GOOD[kind], NOW)
        assert fresh([fact], NOW + days * DAY) == [fact]
        assert fresh([fact], NOW + days * DAY + 1) == []


def test_a_fact_of_the_future_counts_within_a_day() -> None:
    """A clock that is set back a little forgets nothing; one that was a year ahead was wrong."""
    fact = Fact(facts.LIMIT, "", 3.0, NOW)
    assert fresh([fact], NOW - DAY) == [fact]
    assert fresh([fact], NOW - DAY - 1) == []


def test_the_newest_of_a_kind_counts_and_only_so_many() -> None:
    """A file does not grow with the models of a year."""
    known = [Fact(facts.OUTPUT, f"m{number}", 1, NOW + number) for number in range(300)]
    kept = fresh([*known, Fact(facts.OUTPUT, "m299", 7, NOW)], NOW + 300)
    assert len(kept) == facts.TUNING.most_facts
    assert kept[0] == known[-1]


def test_a_day_flows_back() -> None:
    """A thousand a day are one in 86.4 seconds."""
    assert leaked(400, 86.4, 1_000) == pytest.approx(399)
    assert leaked(400, DAY, 1_000) == 0
    assert leaked(400, -3_600, 1_000) == 400
    assert leaked(400, math.nan, 1_000) == 400


def spent(amount: float, at: float) -> Fact:
    return Fact(facts.SPENT, "requests_per_day", [amount, 1_000.0], at)


def test_two_processes_add_to_one_day() -> None:
    """Each begins with 100 spent and spends 50; what is kept is 200, less what has flowed back."""
    known = [spent(100.0, NOW)]
    first, second = {"requests_per_day": known[0]}, {"requests_per_day": known[0]}
    known = merged(known, [spent(150.0, NOW)], first, NOW)
    known = merged(known, [spent(150.0, NOW)], second, NOW)
    assert known == [spent(200.0, NOW)]
    # both tell once more what they know, which is less by what has flowed back: 10 of it
    known = merged(known, [spent(140.0, NOW + 864)], first, NOW + 864)
    assert known[0].value[0] == pytest.approx(190.0)
    known = merged(known, [spent(140.0, NOW + 864)], second, NOW + 864)
    assert known[0].value[0] == pytest.approx(190.0)


def test_processes_that_share_a_day_say_the_same_of_it() -> None:
    """Each has spent 50 and tells 100, which is not added up."""
    first: dict[str, Fact] = {}
    second: dict[str, Fact] = {}
    shared = spent(100.0, NOW)._replace(kind=facts.SPENT_BY_ALL)
    known = merged([], [shared], first, NOW)
    known = merged(known, [shared], second, NOW)
    assert known == [spent(100.0, NOW)]


def test_a_day_that_began_again_is_given_back() -> None:
    """Headers that say so make it less than it was."""
    own = {"requests_per_day": spent(900.0, NOW)}
    assert merged([spent(900.0, NOW)], [spent(20.0, NOW)], own, NOW) == [spent(20.0, NOW)]


@given(
    amounts=st.lists(st.floats(0, 1e12), min_size=1, max_size=5),
    jumps=st.lists(st.floats(-1e6, 1e6), min_size=5, max_size=5),
)
def test_no_clock_makes_more_than_a_day(amounts: list[float], jumps: list[float]) -> None:
    """Set back or forward: what is kept stays between nothing and all."""
    known: list[Fact] = []
    own: dict[str, Fact] = {}
    now = NOW
    for amount, jump in zip(amounts, jumps, strict=False):
        now += jump
        known = merged(known, [spent(amount, now)], own, now)
        assert 0 <= known[0].value[0] <= 1_000
