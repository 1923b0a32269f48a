"""A set of row numbers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ratedispatch.jobs.rowset import RowSet

ROWS = st.integers(0, 20) | st.integers(0, 20_000)


@given(st.lists(st.tuples(st.booleans(), ROWS), max_size=60))
def test_a_row_set_is_a_set(steps: list[tuple[bool, int]]) -> None:
    """Whatever is put in and taken out: the same answers, and the same rows, in their order."""
    rows: set[int] = set()
    found = RowSet()
    for is_added, number in steps:
        assert (number in found) == (number in rows)
        if is_added:
            assert found.add(number) == (number not in rows)
            rows.add(number)
        else:
            assert found.discard(number) == (number in rows)
            rows.discard(number)
        assert len(found) == len(rows)
    assert list(found) == sorted(rows)
    assert 1_000_000 not in found


def test_a_row_set_takes_a_bit_for_each_row() -> None:
    """A million rows in 130 KB."""
    found = RowSet()
    for number in range(0, 1_000_001, 1_000):
        found.add(number)
    assert len(found._bits) < 130_000
