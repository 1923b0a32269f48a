"""
Makes the accounts that `tune` compares: the current one, tiers of a provider, and named limits.

Pure: names and numbers in, limits out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ratedispatch.errors import InvalidLimits
from ratedispatch.groups import LimitGroup, LimitGroups
from ratedispatch.limits import Limits
from ratedispatch.providers.tiers import check_tier, tier_limits

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

#: The name of the account that a job has.
OWN = "yours"


@dataclass(frozen=True, slots=True)
class Account:
    """
    An account that a job could run on.

    Args:
        name: What it is called.
        limits: What it may spend.
        tier: The tier that it is of; None for other accounts.
        source: Where its limits were read; empty if they were given.
    """

    name: str
    limits: Limits | LimitGroups
    tier: str | None = None
    source: str = ""

    @property
    def limits_text(self) -> str:
        """What it may spend, in words."""
        if isinstance(self.limits, LimitGroups):
            return f"limits of {len(self.limits.groups)} groups of models"
        rates = self.limits.rates()
        return ", ".join(map(str, rates)) or "no limits"


def account_of_tier(tier: str, models: Sequence[str]) -> Account:
    """
    Return an account of *tier* for the rows of *models*.

    Raises:
        InvalidLimits: There is no such tier, or nothing is known of one of the models in it.
    """
    name = check_tier(tier)
    found = [tier_limits(name, model) for model in models]
    sources = dict.fromkeys(f"{one.source} ({one.as_of})" for one in found)
    limits: Limits | LimitGroups
    if len({one.model for one in found}) == 1:
        limits = found[0].limits
    else:
        limits = LimitGroups(
            tuple(
                LimitGroup(
                    entry.model,
                    tuple(model for model, of in zip(models, found, strict=True) if of is entry),
                    entry.limits,
                )
                for entry in dict.fromkeys(found)
            )
        )
    return Account(name, limits, name, ", ".join(sources))


def account_named(text: str, parse: Callable[[str], float]) -> Account:
    """
    Return the account that *text* says: ``NAME=RPM:TPM``, or with a limit per day a third number.

    Args:
        text: What was given.
        parse: Returns the number that a text names.

    Raises:
        InvalidLimits: It says something else.
    """
    name, equals, numbers = text.rpartition("=")
    words = numbers.split(":")
    if name.strip() == OWN:
        raise InvalidLimits(f"{OWN!r} is the name of the job's own account; give another name")
    if not (name.strip() and equals and 2 <= len(words) <= 3):
        raise InvalidLimits(
            f"{text!r:.80} is not NAME=RPM:TPM, such as other=5000:2M, or NAME=RPM:TPM:RPD"
        )
    try:
        amounts = [None if word.strip().lower() == "none" else parse(word) for word in words]
    except ValueError as error:
        raise InvalidLimits(f"account {name!r:.80}: {error}") from error
    requests, tokens, daily = (*amounts, None)[:3]
    if requests is None and tokens is None:
        raise InvalidLimits(f"account {name!r:.80} has no limit; give at least one")
    limits = Limits(requests_per_minute=requests, tokens_per_minute=tokens, requests_per_day=daily)
    return Account(name.strip(), limits)
