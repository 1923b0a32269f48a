"""Shares of callers, late ones and interactive requests: with the first seed, to the digit."""

from __future__ import annotations

import sys

from benchmarks.sim import fairness
from ratedispatch import estimate


def test_requests_are_charged_what_they_are_said_to_be() -> None:
    """So that shares of tokens are those of the limit."""
    for name, size in fairness.SIZES.items():
        assert estimate(fairness.request_of(name, size).body).tokens == size


def test_callers_share_by_weight_whatever_the_size_of_their_requests() -> None:
    """Within 0.3 % over a minute, whether many calls wait or one map for each."""
    assert fairness.share(0) == {
        "tokens": {"small": 287_800, "middle": 576_000, "large": 1_148_000},
        "part_of_its_weight": {"small": 1.0014, "middle": 1.0021, "large": 0.9986},
        "is_on_target": True,
    }
    by_maps = fairness.share(0, maps=True)["part_of_its_weight"]
    if sys.version_info < (3, 14):
        assert by_maps == {"small": 0.9984, "middle": 0.9991, "large": 1.0008}
    else:  # of two tasks of one instant its asyncio runs another first
        assert by_maps == {"small": 0.9998, "middle": 1.0012, "large": 0.9995}


def test_who_comes_late_has_its_share_at_once() -> None:
    """Of the first two seconds nothing is missing but a part of a request."""
    assert fairness.late(0) == {
        "tokens": {"small": 9_800, "middle": 20_000, "large": 36_000},
        "due": 37_600,
        "missing_requests": 0.4,
        "is_on_target": True,
    }


def test_interactive_requests_hardly_wait_for_a_job() -> None:
    """At most for what one request of it takes from the budget, whichever limit binds."""
    waits = {
        bound: (found["median_wait"], found["longest_wait"])
        for bound in fairness._ROUNDS
        for found in [fairness.interactive(0, bound)]
    }
    assert waits == {"bound by tokens": (0.0, 0.083), "bound by requests": (0.496, 1.0)}
