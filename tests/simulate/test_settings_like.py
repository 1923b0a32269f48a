"""A fake account that has the limits which a dispatcher is told."""

from __future__ import annotations

from ratedispatch.groups import LimitGroup, LimitGroups
from ratedispatch.limits import Limits
from ratedispatch.simulate.settings import ProviderSettings


def test_an_account_has_the_limits_given() -> None:
    """Per minute and per day; what is not given does not limit."""
    limits = Limits(500, 30_000, requests_per_day=10_000)
    assert ProviderSettings.like(limits) == ProviderSettings(
        requests_per_minute=500, tokens_per_minute=30_000, requests_per_day=10_000
    )
    assert ProviderSettings.like(Limits()) == ProviderSettings()


def test_limits_to_be_learned_are_those_told_instead() -> None:
    """The same for limits that are not set; further settings are passed on."""
    made = ProviderSettings.like(
        Limits("auto", None), requests_per_minute=60, tokens_per_minute=1_000, latency=1.0
    )
    assert made == ProviderSettings(requests_per_minute=60, tokens_per_minute=1_000, latency=1.0)


def test_each_model_has_the_limits_of_its_group() -> None:
    """The account has those of all other models, or none."""
    groups = (
        LimitGroup("small", ("a", "b*"), Limits(600, 40_000)),
        LimitGroup("large", ("c",), Limits("auto", 9_000)),
    )
    models = {"a": (600, 40_000), "b*": (600, 40_000), "c": (60, 9_000)}
    made = ProviderSettings.like(LimitGroups(groups), requests_per_minute=60)
    assert made == ProviderSettings(models=models)
    rest = Limits(30, 2_000, tokens_per_day=50_000)
    made = ProviderSettings.like(LimitGroups(groups, rest), requests_per_minute=60)
    assert made == ProviderSettings(
        models=models, requests_per_minute=30, tokens_per_minute=2_000, tokens_per_day=50_000
    )
