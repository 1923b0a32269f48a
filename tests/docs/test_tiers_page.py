"""The page of the published limits has those of the table."""

from __future__ import annotations

from ratedispatch.providers.tiers import TABLE
from tests.docs.pages import DOCS


def test_the_page_has_every_entry() -> None:
    """With its numbers, its source and its year."""
    lines = (DOCS / "reference" / "tiers.md").read_text().splitlines()
    rows = {line for line in lines if line.startswith("| `")}
    assert len(rows) == len(TABLE)
    for one in TABLE:
        (row,) = (line for line in rows if line.startswith(f"| `{one.tier}` | `{one.model}` |"))
        numbers = (one.requests_per_minute, one.tokens_per_minute, one.requests_per_day)
        cells = [f"{number:,}" if number else "–" for number in (*numbers, one.batch_queue)]
        assert row.split(" | ")[2:6] == cells
        assert row.endswith(f" | {one.as_of} | <{one.source}> |")
