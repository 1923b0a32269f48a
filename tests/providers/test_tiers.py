"""The published limits: the table is sane, and names are found or the nearest is told."""

from __future__ import annotations

import re

import pytest

from ratedispatch.errors import InvalidLimits
from ratedispatch.limits import Limits
from ratedispatch.providers.tiers import TABLE, TIERS, TierLimits, check_tier, tier_limits


def test_every_entry_says_where_and_of_when_it_was_read() -> None:
    """And its numbers are possible."""
    for one in TABLE:
        assert one.source.startswith("https://")
        assert re.fullmatch(r"20\d\d(–20\d\d)?", one.as_of)
        assert one.model == one.model.lower().strip()
        assert 0 < one.requests_per_minute <= one.tokens_per_minute
        assert one.requests_per_day is None or one.requests_per_day >= one.requests_per_minute
        assert one.batch_queue is None or one.batch_queue >= one.tokens_per_minute
    assert len({(one.tier, one.model) for one in TABLE}) == len(TABLE)


def test_a_higher_tier_has_no_lower_limit() -> None:
    """Of any model."""
    for model in {one.model for one in TABLE}:
        tiers = sorted((one for one in TABLE if one.model == model), key=lambda one: one.tier)
        for name in ("requests_per_minute", "tokens_per_minute", "batch_queue"):
            amounts = [getattr(one, name) for one in tiers]
            assert amounts == sorted(amounts)


@pytest.mark.parametrize("model", ["gpt-5-mini", "gpt-5-mini-2025-08-07", "openai/GPT-5-mini"])
def test_a_model_is_found_by_its_name_or_a_snapshot(model: str) -> None:
    """Its limits are what a dispatcher takes."""
    found = tier_limits("OpenAI-Tier-2 ", model)
    assert (found.tier, found.model) == ("openai-tier-2", "gpt-5-mini")
    assert found.limits == Limits(requests_per_minute=5_000, tokens_per_minute=2_000_000)


def test_a_limit_per_day_is_told() -> None:
    """Where there is one."""
    assert tier_limits("openai-tier-1", "gpt-4o-mini").limits.requests_per_day == 10_000


@pytest.mark.parametrize(
    ("tier", "model", "message"),
    [
        (
            "openai-teir-1",
            "gpt-4o",
            "there is no tier 'openai-teir-1'; the nearest is openai-tier-1",
        ),
        ("tier1", "gpt-4o", "the nearest is openai-tier-1"),
        ("☃", "gpt-4o", "there are openai-tier-1, openai-tier-2"),
        ("x" * 9_999, "gpt-4o", "there is no tier 'xxx"),
        ("openai-tier-3", "gpt-5-mimi", "'gpt-5-mimi'; the nearest is gpt-5-mini"),
        ("openai-tier-3", "<script>", "'<script>'; there are gpt-6-luna, "),
        ("openai-tier-3", "gpt-5-mini-fast", "as NAME=RPM:TPM"),
    ],
)
def test_what_is_not_known_is_told_with_the_nearest(tier: str, model: str, message: str) -> None:
    """In a sentence of a bounded length."""
    with pytest.raises(InvalidLimits) as raised:
        tier_limits(tier, model)
    assert message in str(raised.value)
    assert len(str(raised.value)) < 500


def test_tiers_are_listed_once() -> None:
    """In order."""
    assert list(TIERS) == [f"openai-tier-{number}" for number in range(1, 6)]
    assert check_tier("openai-tier-5") == "openai-tier-5"
    assert isinstance(TABLE[0], TierLimits)
