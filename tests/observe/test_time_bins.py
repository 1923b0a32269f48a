"""What happens by time, in bins that double: nothing is lost, and memory stays bounded."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratedispatch.observe.time_bins import MOST_BINS, TimeBins

START = 1_800_000_000.0


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1e7), st.floats(0, 5e4)), min_size=1, max_size=40))
def test_nothing_is_lost_when_bins_double(flights: list[tuple[float, float]]) -> None:
    """Sums and seconds in flight are those of all requests, whatever the width has become."""
    bins = TimeBins(START)
    for end, latency in sorted(flights):
        until = START + end
        since = max(START, until - latency)
        number = bins.bin_of(since)
        bins.requests[number] += 1
        bins.add_flight(since, until)
    assert sum(bins.requests) == len(flights)
    wanted = sum(min(latency, end) for end, latency in flights)
    assert sum(bins.in_flight()) * bins.width == pytest.approx(wanted, rel=1e-6, abs=1e-3)
    assert len(bins.requests) == MOST_BINS
    assert bins.used <= MOST_BINS


def test_a_week_has_bins_of_seventeen_minutes() -> None:
    """600 bins at most: between half of them and all are in use."""
    bins = TimeBins(START)
    bins.bin_of(START + 7 * 86_400)
    assert bins.width == 1_024
    assert bins.used == 591


def test_pauses_that_overlap_count_once_and_end_with_the_job() -> None:
    """Three seconds from 1 on, five from 2 on: paused from 1 to 7; what follows the end is cut."""
    bins = TimeBins(START)
    bins.add_pause(START + 1, 3)
    bins.add_pause(START + 2, 5)
    bins.add_pause(START + 10, 100_000)
    bins.bin_of(START + 12)
    assert sum(bins.paused_seconds()) == pytest.approx(8)
    assert bins.paused_seconds()[:12] == [0, 1, 1, 1, 1, 1, 1, 0, 0, 0, 1, 1]
    assert bins.width == 1
