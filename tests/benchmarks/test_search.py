"""The benchmark of ways to find the number in flight."""

from __future__ import annotations

import pytest

from benchmarks.sim.model_server import ModelServer, play
from benchmarks.sim.rivals import Aimd, Gradient
from benchmarks.sim.search import CASES, OWN, WAYS, best_of, is_met, measure
from ratedispatch.pacing.concurrency.limit import FixedLimit


def test_a_fixed_number_gets_what_littles_law_says() -> None:
    """Two of four places are used: two answers a second, of a second each."""
    served = play(ModelServer(4, sigma=0.0), FixedLimit(2), 10, seed=1)
    assert served.per_second == 2.0
    assert served.latencies == [1.0] * 10
    assert (served.refused, served.peak) == (0, 2)


def test_a_full_queue_and_an_impatient_server_refuse() -> None:
    """What is refused is sent again until it is answered."""
    full = play(ModelServer(1, sigma=0.0, queue=0), FixedLimit(2), 3, seed=1)
    late = play(ModelServer(1, sigma=0.0, patience=0.5), FixedLimit(2), 3, seed=1)
    assert len(full.ends) == len(late.ends) == 3
    assert (full.refused, late.refused) == (100, 2)


def test_the_best_fixed_number_is_the_number_of_places() -> None:
    """The smallest that has nearly all of the throughput."""
    case = next(case for case in CASES if case.name == "16 places")
    assert best_of(case, 0)[0] == 16


def test_only_our_way_is_quick_on_four_places() -> None:
    """The others let requests wait four to ten times as long."""
    case = next(case for case in CASES if case.name == "4 places")
    found = measure(case, range(5))["ways"]
    assert [name for name in WAYS if is_met(found[name])] == [OWN]


@pytest.mark.parametrize("make", [Aimd, Gradient])
def test_a_rival_stays_within_its_bounds(make: type[Aimd | Gradient]) -> None:
    """Never below one, however much is refused, and never above the most."""
    limit = make(start=8, most=20)
    for now in range(200):
        limit.dropped(limit.sent(float(now), limit.limit, True))
    assert limit.limit == 1
    for now in range(200, 2000):
        limit.ended(limit.sent(float(now), limit.limit, True), now + 0.5)
    assert limit.limit == 20
