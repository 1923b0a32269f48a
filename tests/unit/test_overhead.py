"""What the benchmarks of overhead and pacing say of their figures."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.live import paced
from benchmarks.live.overhead import misses, table


def figure(cpu: float, times: float, speed: float) -> dict[str, Any]:
    names = ("cpu_us_per_request", "requests_per_second", "cpu_times_bare", "speed_times_bare")
    values: dict[str, Any] = {key: {"median": 1.0} for key in (*names, "peak_mb")}
    run = {
        **values,
        "cpu_us_per_request": {"median": cpu},
        "cpu_times_bare": {"median": times},
        "speed_times_bare": {"median": speed},
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
