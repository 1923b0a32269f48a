"""What is advised about a job on several accounts, and by several services."""

from __future__ import annotations

import json

import pytest

from ratedispatch.errors import InvalidLimits
from ratedispatch.groups import LimitGroups
from ratedispatch.jobs.plan.prices import SERVICES, Price
from ratedispatch.jobs.tuning.other_accounts import OWN, Account, account_named, account_of_tier
from ratedispatch.jobs.tuning.plain_values import tuning_values
from ratedispatch.jobs.tuning.services import models_of, ways_of
from ratedispatch.jobs.tuning.tuner import safe_caps, tune
from ratedispatch.limits import Limits
from ratedispatch.request import CHAT, EMBEDDINGS
from ratedispatch.simulate.forecast.lengths import Lengths
from ratedispatch.simulate.forecast.scene import Scene
from ratedispatch.simulate.forecast.workload import Kind, Row, Workload
from ratedispatch.simulate.settings import ProviderSettings
from ratedispatch.simulate.tune.setting import Setting


def rows(count: int, cap: int, model: str = "gpt-5-mini", prompt: int = 100) -> Workload:
    """Return so many rows."""
    found = Workload()
    kind = found.index_of(Kind(CHAT, model))
    for _ in range(count):
        found.add(Row(kind, prompt, cap or 16, prompt, cap))
    return found


def test_a_job_with_caps_far_too_high_is_told_so() -> None:
    """And what another account would bring; the numbers are those of the engine."""
    own = Limits(tokens_per_minute=60_000)
    lengths = Lengths.parse("uniform:30:100")
    provider = ProviderSettings.like(own, output_tokens=lengths, burst_seconds=1, latency=0.2)
    tuning = tune(
        rows(60, 400),
        Scene(limits=own, provider=provider),
        Setting(),
        accounts=[Account(OWN, own), account_named("double=none:120000", float)],
        price=Price("any", 1.0, 2.0),
        without=frozenset({"burst_seconds", "order", "max_in_flight"}),
        has_services=True,
    )
    advice = tuning.advice
    assert advice.best.setting == Setting(max_tokens=104)
    # 60 rows of 500 tokens, and of 204, at 1,000 a second; a second goes at once
    assert advice.default.seconds == pytest.approx(29.5, rel=0.03)
    assert advice.best.seconds == pytest.approx(11.5, rel=0.03)
    assert advice.best.method == "engine"
    assert advice.best.usd == pytest.approx(60 * (100 + 2 * 65) / 1e6, rel=0.05)
    first = advice.raises[0]
    assert (first.name, first.factor) == ("tokens_per_minute", 1.1)
    assert first.saved == pytest.approx(1 - 1 / 1.1, abs=0.02)
    other = tuning.accounts[1]
    assert other.advice.best.seconds == pytest.approx(advice.best.seconds / 2, rel=0.1)
    live, flex, batch = tuning.accounts[0].ways
    assert live.least == advice.best.seconds
    assert flex.usd == batch.usd == pytest.approx((advice.best.usd or 0) / 2)
    assert (flex.most, batch.most) == (None, 86_400)
    values = json.loads(json.dumps(tuning_values(tuning), allow_nan=False))
    assert values["accounts"][0]["best"]["setting"]["max_tokens"] == 104
    assert values["caps"] == [{"tokens": 104, "cut": 0.0, "lowered": 60}]


def test_a_queue_of_batches_that_is_too_short_takes_turns() -> None:
    """Each of up to a day; and so many files of 50,000 rows."""
    big = rows(60_000, 10, prompt=200)
    (*_, batch) = ways_of(big, 100.0, 1.0, "openai-tier-1")
    assert batch.most == 3 * 86_400  # 12 M tokens of prompts through a queue of 5 M
    assert "2 files" in batch.note
    assert "needs 3 rounds" in batch.note
    (*_, unknown) = ways_of(big, 100.0, None)
    assert (unknown.most, unknown.usd) == (86_400, None)


def test_services_say_where_they_were_read() -> None:
    """And cost half."""
    for one in SERVICES:
        assert one.source.startswith("https://")
        assert one.share == 0.5
        assert one.note


def test_caps_are_proposed_for_models_whose_lengths_are_known() -> None:
    """Embeddings have no outputs; a model that is not known leaves all as they are."""
    lengths = {"gpt-5*": Lengths.parse("100")}
    known = ProviderSettings(output_lengths=lengths)
    assert [cap.tokens for cap in safe_caps(rows(5, 400), known)] == [104]
    assert safe_caps(rows(5, 400, "other"), known) == ()
    assert safe_caps(rows(5, 400), ProviderSettings()) == ()
    fixed = ProviderSettings(output_tokens=50)
    mixed = rows(5, 400)
    mixed.add(Row(mixed.index_of(Kind(EMBEDDINGS, "e")), 10, 0, 10, 0))
    assert [(cap.tokens, cap.lowered) for cap in safe_caps(mixed, fixed)] == [(56, 5)]


def test_accounts_have_limits_of_their_models() -> None:
    """One model has plain limits, several have a group each; each is said where it was read."""
    one = account_of_tier("openai-tier-2", ["gpt-5-mini", "gpt-5-mini-2025-08-07"])
    assert one.limits == Limits(requests_per_minute=5_000, tokens_per_minute=2_000_000)
    assert "2025–2026" in one.source
    two = account_of_tier("openai-tier-1", ["gpt-5-mini", "gpt-4o"])
    assert isinstance(two.limits, LimitGroups)
    assert two.limits.group_of("gpt-4o") == "gpt-4o"
    assert models_of(rows(2, 5)) == ["gpt-5-mini"]


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "=5:5",
        "x=5",
        "x=5:5:5:5",
        "x=a:5",
        "x=none:none",
        "x=-1:5",
        "x=5:",
        "<b>=5",
        "yours=5:5",
    ],
)
def test_an_account_that_makes_no_sense_is_refused(text: str) -> None:
    """In a sentence with what was given."""
    from ratedispatch.cli.param_types import parse_amount

    with pytest.raises(InvalidLimits):
        account_named(text, parse_amount)


def test_an_account_may_have_a_limit_per_day_or_lack_one() -> None:
    """Its name may hold anything but its last equals sign."""
    found = account_named("a=b=500:none:10000", float)
    assert (found.name, found.limits) == (
        "a=b",
        Limits(requests_per_minute=500, requests_per_day=10_000),
    )
