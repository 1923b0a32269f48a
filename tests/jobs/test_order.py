"""In which order the rows of a file are read."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratedispatch.jobs.order import PARTS, is_sorted
from ratedispatch.simulate.forecast.reading_order import interleaved

#: Requests and tokens per second.
RATES = (50.0, 50_000.0)


@given(st.integers(0, 600))
def test_every_place_is_visited_once(count: int) -> None:
    """Also where their number is no power of two."""
    assert sorted(interleaved(count)) == list(range(count))


@given(st.integers(1, 600), st.data())
def test_each_stretch_of_the_order_is_evenly_spread(count: int, data: st.DataObject) -> None:
    """Each half and quarter of the range has its share of it, within three places."""
    order = interleaved(count)
    begin = data.draw(st.integers(0, count - 1))
    end = data.draw(st.integers(begin + 1, count))
    for parts in (2, 4):
        for part in range(parts):
            low, high = count * part / parts, count * (part + 1) / parts
            found = sum(low <= place < high for place in order[begin:end])
            # the order is that of a power of two up to twice as large, of which a part is left out
            assert abs(found - (end - begin) / parts) <= 3


def parts_of(tokens: list[float]) -> tuple[list[tuple[int, float]], float]:
    """Return *tokens* of rows in parts, and their deviation as a share of their mean."""
    size = len(tokens) // PARTS
    cut = [tokens[size * part : size * (part + 1)] for part in range(PARTS)]
    mean = sum(tokens) / len(tokens)
    deviation = (sum((value - mean) ** 2 for value in tokens) / len(tokens)) ** 0.5 / mean
    return [(len(part), sum(part)) for part in cut], deviation


def mixed(seed: int, rows: int = 1_600) -> list[float]:
    """Return a few long rows among many short ones, in no order, that use both limits alike."""
    rng = random.Random(seed)
    return [5_000.0 if rng.random() < 1 / 6 else 200.0 for _ in range(rows)]


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("rates", [RATES, None])
def test_sorted_rows_are_told_from_those_in_no_order(
    seed: int, rates: tuple[float, float] | None
) -> None:
    """In whichever direction they are sorted, and whether the limits are known or not."""
    tokens = mixed(seed)
    assert not is_sorted(*parts_of(tokens), rates)
    assert is_sorted(*parts_of(sorted(tokens)), rates)
    assert is_sorted(*parts_of(sorted(tokens, reverse=True)), rates)


@pytest.mark.parametrize("seed", range(8))
def test_lengths_of_all_kinds_in_no_order_are_no_order(seed: int) -> None:
    """Some of which are a hundred times as long as others."""
    rng = random.Random(seed)
    tokens = [rng.lognormvariate(5, 1.2) for _ in range(1_600)]
    assert not is_sorted(*parts_of(tokens))
    assert is_sorted(*parts_of(sorted(tokens)))


@pytest.mark.parametrize("rates", [(1.0, 1e9), (1e9, 1.0)])
def test_where_one_limit_alone_binds_nothing_is_gained(rates: tuple[float, float]) -> None:
    """Sorted or not, it takes as long."""
    assert not is_sorted(*parts_of(sorted(mixed(1))), rates)


def test_rows_of_one_length_have_no_order() -> None:
    """Nor has a file without rows or without tokens."""
    assert not is_sorted(*parts_of([100.0] * 160), RATES)
    assert not is_sorted([], 0.0)
    assert not is_sorted([(0, 0.0)], 0.0)
    assert not is_sorted([(5, 0.0)], 0.0, RATES)
