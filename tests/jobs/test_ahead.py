"""How much of a job is still to be sent."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from ratedispatch.jobs.ahead import Outlook, SizeLine, tokens_before
from ratedispatch.jobs.job_options import JobOptions
from ratedispatch.jobs.plan.spending import Caps
from ratedispatch.jobs.state.rowset import RowSet
from ratedispatch.jobs.state.scan import Checkpoint, Scan
from ratedispatch.limits import Limits
from ratedispatch.observe.foresight import Ahead
from ratedispatch.observe.report import Tally

#: 100 short rows, of 1 token each, and 100 long ones, of 9.
SCAN = Scan(
    size=1_000,
    rows=200,
    lines=200,
    digest="",
    checkpoints=(Checkpoint(0, 1, 0, 0.0), Checkpoint(500, 101, 100, 100.0)),
    tokens=1_000.0,
)


@pytest.mark.parametrize(
    ("row", "tokens"), [(0, 0.0), (50, 50.0), (100, 100.0), (150, 550.0), (200, 1_000.0)]
)
def test_the_tokens_before_a_row(row: int, tokens: float) -> None:
    assert tokens_before(SCAN, row) == tokens


def ahead(order: str, sent: int, *, done: tuple[int, ...] = (), caps: Caps | None = None) -> Any:
    """What is ahead when *sent* rows were sent after an earlier run had *done* some."""
    rows = RowSet()
    for row in done:
        rows.add(row)
    files = SimpleNamespace(
        scan=SCAN, resumed=len(done), skipped=rows, count_before=lambda line: line - 1
    )
    outlook = Outlook(cast("Any", files), JobOptions(order=order, caps=caps), Limits(60, 60))
    tally = Tally()
    tally.attempts, tally.retries = sent + 3, 3
    return outlook.ahead(tally)


def test_what_is_ahead_in_the_order_of_the_file() -> None:
    """One row to one, but nine tokens to one."""
    assert ahead("file", 0) is None
    assert ahead("file", 100)[:2] == (1.0, 9.0)
    assert ahead("file", 50, done=tuple(range(1, 51)))[:2] == (2.0, 18.0)
    assert ahead("file", 200)[:2] == (0.0, 0.0)


def test_what_is_ahead_is_told_in_parts_in_their_order() -> None:
    """Half of the rest is short; together they are the whole."""
    found = ahead("file", 50)
    short, long = found.parts[:10], found.parts[11:]
    assert all(part.tokens == pytest.approx(part.rows) for part in short)
    assert all(part.tokens == pytest.approx(9 * part.rows) for part in long)
    assert sum(part.rows for part in found.parts) == pytest.approx(found.rows)
    assert sum(part.tokens for part in found.parts) == pytest.approx(found.tokens)


def test_rows_are_taken_for_what_those_before_were() -> None:
    """Each has 30 tokens less than the scan takes it for, which is nearly found."""
    line = SizeLine()
    for rows, guess in ((10, 400.0), (20, 900.0), (30, 1_500.0)):
        line.add(rows, guess, guess - 30 * rows)
    assert line.tokens(10, 1_000.0) == pytest.approx(700, rel=0.05)


def test_where_all_were_alike_tokens_are_in_proportion() -> None:
    """Nothing is known of others; nor where nothing was counted."""
    line = SizeLine()
    assert line.tokens(10, 400.0) == 400.0
    line.add(10, 400.0, 100.0)
    line.add(20, 800.0, 200.0)
    assert line.tokens(10, 1_000.0) == pytest.approx(250.0)


def test_rows_from_many_places_are_a_fair_sample() -> None:
    assert ahead("interleave", 50) == Ahead(3.0, 3.0)
    assert ahead("file", 50, done=tuple(range(101, 151))) == Ahead(2.0, 2.0)


def test_a_run_ends_at_its_cap() -> None:
    assert ahead("interleave", 50, caps=Caps(max_rows=100)) == Ahead(1.0, 1.0)
