"""A set of row numbers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ratedispatch.jobs.state.rowset import RowSet

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


@given(st.sets(st.integers(0, 200)), st.sets(st.integers(0, 200)), st.integers(0, 220))
def test_whole_sets_are_added_and_taken_out(one: set[int], other: set[int], row: int) -> None:
    """As Python's own; and the first number that is missing is found."""

    def made(rows: set[int]) -> RowSet:
        found = RowSet()
        found.update(rows)
        assert len(found) == len(rows)
        return found

    both, less = made(one), made(one)
    both.merge(made(other))
    less.remove(made(other))
    assert (set(both), len(both)) == (one | other, len(one | other))
    assert (set(less), len(less)) == (one - other, len(one - other))
    both.add(row)
    full = one | other | {row}
    assert both.next_missing(row) == next(n for n in range(row, 400) if n not in full)


def test_a_million_rows_that_are_done_are_passed_at_once() -> None:
    """Byte by byte, and the last bits one by one."""
    rows = RowSet()
    rows.update(range(1, 1_000_006))
    assert rows.next_missing(1) == 1_000_006
    assert rows.next_missing(0) == 0
