"""The time that is left, as shown in jobs drawn at random."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks.frame.drawn_jobs import drawn_jobs
from benchmarks.frame.looks import MOST_OFF
from benchmarks.sim.eta import watch

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("number", [4, 12, 16, 24])
def test_the_time_that_is_left_is_right_from_the_fifth_second_on(
    tmp_path: Path, number: int
) -> None:
    """A job that gets tokens back, one with a deep bucket, two whose rows get longer."""
    watched = watch(drawn_jobs(number + 1, 0)[number], tmp_path)
    assert len(watched.errors) > 4
    assert watched.off < MOST_OFF
