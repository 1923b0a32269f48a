"""Limits that are given several times are accounts to compare."""

from __future__ import annotations

import click
import pytest

from ratedispatch.cli.repeated_limits import with_accounts


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("in --rpm 3k --tpm 2M", "in --rpm 3k --tpm 2M"),
        (
            "in --rpm 3k --tpm 2M --rpm 6k --tpm 4M",
            "--account 6k:4M=6k:4M in --rpm 3k --tpm 2M",
        ),
        ("--rpm=3k in --rpm=6k", "--account 6k:none=6k:none --rpm=3k in"),
        (
            "in --tpm 2M --rpm 1k --rpm 2k --rpm 3k",
            "--account 2k:2M=2k:2M --account 3k:2M=3k:2M in --tpm 2M --rpm 1k",
        ),
        ("--rpm 1 -- --rpm 2", "--rpm 1 -- --rpm 2"),
        ("in --rpm", "in --rpm"),
    ],
)
def test_each_repetition_is_an_account(words: str, expected: str) -> None:
    assert with_accounts(words.split()) == expected.split()


def test_both_are_repeated_equally_often() -> None:
    with pytest.raises(click.UsageError, match="--rpm is given 2 times and --tpm 3 times"):
        with_accounts(["--rpm", "1", "--rpm", "2", "--tpm", "1", "--tpm", "2", "--tpm", "3"])
