"""What the benchmarks of processor time say of their figures."""

from __future__ import annotations

import argparse
import os
from collections import Counter
from typing import Any

import pytest

from benchmarks.live import need, paced, profile
from benchmarks.live.overhead import misses, table, ways_of
from benchmarks.live.parts.subprocess_call import call_in_subprocess
from benchmarks.live.profile import Profile
from benchmarks.micro import queue
from benchmarks.micro.queue import Times


def spread(value: float) -> dict[str, float]:
    return {"median": value, "least": value - 0.25, "most": value + 0.25}


def figure(cpu: float, times: float, speed: float) -> dict[str, Any]:
    names = ("cpu_us_per_request", "requests_per_second", "cpu_times_bare", "speed_times_bare")
    values: dict[str, Any] = {key: spread(1.0) for key in (*names, "peak_mb")}
    run = {
        **values,
        "cpu_us_per_request": spread(cpu),
        "cpu_times_bare": spread(times),
        "speed_times_bare": spread(speed),
    }
    return {"requests": 6_000, "in_flight": 200, "ways": {"bare": values, "run": run}}


def test_the_small_job_is_held_to_its_processor_time() -> None:
    """Above 1.6 times the bare loop's it is a miss, whatever its speed."""
    assert misses(figure(300, 1.6, 0.1), None) == []
    assert misses(figure(300, 1.61, 1.0), None) == [
        "1.61 times the bare loop's processor time, not 1.6"
    ]


def test_the_large_job_is_held_to_the_small_one_and_to_its_speed() -> None:
    """Its requests cost no more than those of the small one, and it is nearly as fast as bare."""
    small = figure(300, 1.5, 1.0)
    assert misses(figure(330, 9.0, 0.65), small) == []
    assert len(misses(figure(331, 1.0, 0.64), small)) == 2


def test_the_table_has_a_line_for_each_way() -> None:
    """And one that says how large the job is, and one of headings."""
    lines = table(figure(300, 1.5, 1.0)).splitlines()
    assert len(lines) == 4
    assert "6,000 requests, 200 in flight" in lines[0]
    assert "processor × bare" in lines[1]
    assert lines[3].split() == ["run", "300", "1", "1", "1.00", "1.50", "1.25", "1.75"]


def test_ways_are_those_that_there_are() -> None:
    """In the order given, since the first is the base; any other would be run as the program."""
    assert ways_of("run,bare") == ["run", "bare"]
    with pytest.raises(argparse.ArgumentTypeError, match="there is no bear; there are bare,"):
        ways_of("run,bear")


GOOD = {
    "rows": 10,
    "answered": 10,
    "refused": 0,
    "limit_share": 0.99,
    "lag_ms": {"0.99": 10.0},
}


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"answered": 9}, "answered"),
        ({"refused": 1}, "refused"),
        ({"limit_share": 0.98}, "limit"),
        ({"lag_ms": {"0.99": 10.1}}, "lag"),
    ],
)
def test_a_paced_run_names_what_it_misses(change: dict[str, Any], word: str) -> None:
    """Each target has a sentence of its own."""
    assert paced.misses(GOOD) == []
    (sentence,) = paced.misses({**GOOD, **change})
    assert word in sentence


def test_paced_runs_are_summed_up_figure_by_figure() -> None:
    """The lag by share of the turns, and each figure with its extremes."""
    shown = {**GOOD, "cpu_share": 0.5, "cpu_us_per_request": 300.0}
    summary = paced.summarise([shown, {**shown, "refused": 2, "lag_ms": {"0.99": 5.0}}])
    assert summary["refused"] == {"median": 1, "least": 0, "most": 2}
    assert summary["lag_ms"] == {"0.99": {"median": 7.5, "least": 5.0, "most": 10.0}}


def test_the_samples_of_all_runs_count_together() -> None:
    """A run of twice as many samples counts twice; a room that one lacks has no share there."""
    jobs = [
        Profile(0.2, 1_000, Counter({"files": 10})),
        Profile(0.4, 1_000, Counter({"files": 10, "budget": 10})),
    ]
    found = profile.figures(jobs)
    assert (found["samples"], found["cpu_us_per_request"]) == (30, 300.0)
    assert found["cpu_us_spread"] == {"median": 300.0, "least": 200.0, "most": 400.0}
    assert list(found["rooms"]) == ["files", "budget"]
    budget = found["rooms"]["budget"]
    assert (budget["share"], budget["us"]) == (0.333, 100.0)
    assert budget["share_spread"] == {"median": 0.25, "least": 0.0, "most": 0.5}


def test_a_line_grows_round_by_round() -> None:
    """The longest beside the shortest of the same round, in whatever order they are asked for."""
    long = [Times(1.0, 14.0, 2.0), Times(1.0, 3.0, 2.0), Times(1.0, 3.0, 2.0)]
    short = [Times(1.0, 7.0, 2.0), Times(1.0, 1.0, 2.0), Times(1.0, 2.0, 2.0)]
    found = queue.summarise({"10000": long, "9000": short})
    assert found["growth"] == {"median": 2.0, "least": 1.5, "most": 3.0}
    assert found["cpu_us_per_request"]["10000"]["admission"]["median"] == 3.0
    assert found["is_on_target"]


@pytest.mark.parametrize("admissions", [(15.1, 15.1), (1.0, 2.1)])
def test_a_line_that_is_dear_or_grows_misses_its_target(admissions: tuple[float, float]) -> None:
    """Either is enough."""
    few, many = ([Times(1.0, admission, 1.0)] for admission in admissions)
    assert not queue.summarise({"9000": few, "10000": many})["is_on_target"]


def test_one_length_of_the_line_does_not_grow() -> None:
    """Then its cost alone is held to a target."""
    found = queue.summarise({"1000": [Times(1.0, 5.0, 1.0)]})
    assert found["growth"]["median"] == 1.0
    assert found["is_on_target"]


@pytest.mark.slow  # a Python is started
def test_a_call_apart_is_in_a_process_of_its_own() -> None:
    """And what it returns comes back."""
    assert call_in_subprocess(os.getpid) != os.getpid()


def test_what_is_opened_is_held_to_its_targets() -> None:
    """By the median; and the program is told no number in flight."""
    found = {"requests": 6_000, **{name: spread(most) for name, most in need.TARGETS.items()}}
    assert need.misses(found) == []
    found["connections"] = spread(301)
    assert need.misses(found) == ["missed: connections 301, not 300"]
    assert "missed: connections" in need.show(found)
    assert need.by_default(["a", "--max-in-flight", "200", "b"]) == ["a", "b"]
