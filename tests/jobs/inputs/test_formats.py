"""Which format an input has."""

from __future__ import annotations

from pathlib import Path

import pytest

from ratedispatch.errors import JobError
from ratedispatch.jobs.inputs.formats import Format, format_of
from ratedispatch.jobs.inputs.streams import STDIN


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("in.jsonl", Format.JSONL),
        ("in.ndjson", Format.JSONL),
        ("in.txt", Format.JSONL),
        ("in", Format.JSONL),
        ("in.gz", Format.JSONL),
        ("in.csv", Format.CSV),
        ("IN.CSV", Format.CSV),
        ("in.csv.gz", Format.CSV),
        ("in.csv.ZST", Format.CSV),
        ("in.2024.csv", Format.CSV),
        ("csv", Format.JSONL),
        ("in.csv.jsonl", Format.JSONL),
        ("in.tsv", Format.TSV),
        ("in.parquet", Format.PARQUET),
        ("in.pq", Format.PARQUET),
    ],
)
def test_the_format_is_what_the_suffix_says(name: str, expected: Format) -> None:
    """The one before .gz and .zst; what means nothing is JSONL, as it ever was."""
    assert format_of(Path(name)) is expected


def test_a_name_overrides_the_suffix() -> None:
    """Standard input has no other way."""
    assert format_of(Path("in.csv"), "jsonl") is Format.JSONL
    assert format_of(Path("in.xlsx"), "CSV") is Format.CSV
    assert format_of(STDIN) is Format.JSONL
    assert format_of(STDIN, "csv") is Format.CSV
    with pytest.raises(JobError, match="'xml' is not one of jsonl, csv, tsv, parquet"):
        format_of(STDIN, "xml")


@pytest.mark.parametrize("name", ["in.xlsx", "in.zip", "in.csv.bz2", "in.XZ"])
def test_what_cannot_be_read_is_told_by_its_name(name: str) -> None:
    """With what to do about it."""
    with pytest.raises(JobError, match=r"which cannot be read; (save it as CSV|unpack it first)"):
        format_of(Path(name))
