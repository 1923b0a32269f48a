"""A sample of a file: how well its mean estimates that of all rows."""

from __future__ import annotations

import random
from statistics import fmean
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratedispatch.jobs.workload.counted import Counting
from ratedispatch.jobs.workload.sample import sample
from ratedispatch.request import Cost, Request

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ratedispatch.jobs.workload.counted import Counted


def counted(rows: Iterable[tuple[int, int]], models: int = 1) -> Counted:
    """Rows of so many tokens and with such a cap each."""
    counting = Counting()
    for number, (prompt, cap) in enumerate(rows):
        cost = Cost(prompt, cap, is_capped=cap > 0, expected_output_tokens=cap)
        counting.add_counted(Request({"model": f"m{number % models}"}, row=number + 1), cost)
    return counting.counted()


@given(
    rows=st.lists(st.tuples(st.integers(1, 9), st.integers(0, 3)), min_size=1, max_size=80),
    most=st.integers(1, 90),
    models=st.integers(1, 3),
)
def test_a_sample_has_so_many_rows_each_once(
    rows: list[tuple[int, int]], most: int, models: int
) -> None:
    """Ascending, the same each time, and within every larger one."""
    every = counted(rows, models)
    chosen = sample(every, most)
    assert len(chosen) == min(most, len(rows))
    assert chosen == sorted(set(chosen)) == sample(every, most)
    assert set(chosen) <= set(range(len(rows)))
    assert set(chosen) <= set(sample(every, most + 1))


def test_each_kind_and_each_part_of_the_file_has_its_share() -> None:
    """200 of 2,000 rows of two kinds: 100 of each, 50 of each quarter, give or take 3."""
    chosen = sample(counted([(10, 5)] * 2_000, models=2), 200)
    assert abs(sum(index % 2 for index in chosen) - 100) <= 3
    for quarter in range(4):
        part = [index for index in chosen if index * 4 // 2_000 == quarter]
        assert abs(len(part) - 50) <= 3


@pytest.mark.parametrize(
    ("name", "worst"),
    # the mean error of a sample by chance is 3 to 5 % here
    [("follows the cap", 0.01), ("follows the prompt", 0.02), ("follows the place", 0.01)],
)
def test_the_mean_output_of_the_sample_is_that_of_the_file(name: str, worst: float) -> None:
    """Whatever a length follows, apart from chance: 200 of 2,000 rows, 20 files."""
    errors = []
    for seed in range(20):
        rng = random.Random(seed)
        rows = [(round(rng.lognormvariate(5, 1)), rng.randrange(20, 2_000)) for _ in range(2_000)]
        lengths = {
            "follows the cap": [cap * 0.4 for _, cap in rows],
            "follows the prompt": [min(prompt, 1_000.0) for prompt, _ in rows],
            "follows the place": [100.0 + place for place in range(2_000)],
        }[name]
        chosen = sample(counted(rows), 200)
        errors.append(abs(fmean(lengths[index] for index in chosen) / fmean(lengths) - 1))
    assert fmean(errors) <= worst
