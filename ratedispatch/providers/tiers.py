"""
Holds the limits that providers publish for their usage tiers, as dated data.

Limits change without notice: each entry says where it was read, and of which years that copy is.
What an account really has is on the provider's page of it and in the headers of its answers.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass

from ratedispatch.errors import InvalidLimits
from ratedispatch.limits import Limits

_MODEL_PAGES = "https://developers.openai.com/api/docs/models"
_PAGES_AS_OF = "2025–2026"
_COMMUNITY = "https://community.openai.com/t/1028595"
_COMMUNITY_AS_OF = "2024"

_SNAPSHOT = re.compile(r"-\d{4}-\d{2}-\d{2}\Z")


@dataclass(frozen=True, slots=True)
class TierLimits:
    """
    What an account of a tier may spend on one model.

    Args:
        tier: The name of the tier, such as ``openai-tier-1``.
        model: The model, without a date.
        requests_per_minute: RPM.
        tokens_per_minute: TPM.
        requests_per_day: RPD; None for no such limit.
        batch_queue: Tokens of prompts that may wait in the Batch API at once; None if it is not
            known.
        source: Where it was read.
        as_of: The year of that copy, or the years of the copies.
    """

    tier: str
    model: str
    requests_per_minute: int
    tokens_per_minute: int
    requests_per_day: int | None = None
    batch_queue: int | None = None
    source: str = _MODEL_PAGES
    as_of: str = _PAGES_AS_OF

    @property
    def limits(self) -> Limits:
        """What a dispatcher is told."""
        return Limits(
            requests_per_minute=self.requests_per_minute,
            tokens_per_minute=self.tokens_per_minute,
            requests_per_day=self.requests_per_day,
        )


_K, _M, _G = 1_000, 1_000_000, 1_000_000_000

# RPM, TPM and tokens in the batch queue, of the tiers 1 to 5
_SMALL = (
    (500, 200 * _K, 2 * _M),
    (5 * _K, 2 * _M, 20 * _M),
    (5 * _K, 4 * _M, 40 * _M),
    (10 * _K, 10 * _M, 1 * _G),
    (30 * _K, 180 * _M, 15 * _G),
)
_LARGE = (
    (500, 30 * _K, 90 * _K),
    (5 * _K, 450 * _K, 1_350 * _K),
    (5 * _K, 800 * _K, 50 * _M),
    (10 * _K, 2 * _M, 200 * _M),
    (10 * _K, 30 * _M, 5 * _G),
)
_STARTING_HIGHER = ((500, 500 * _K, 5 * _M), *_SMALL[1:])
_LONG_CONTEXT = (
    (500, 500 * _K, 1_500 * _K),
    (5 * _K, 1 * _M, 3 * _M),
    (5 * _K, 2 * _M, 100 * _M),
    (10 * _K, 4 * _M, 200 * _M),
    (15 * _K, 40 * _M, 15 * _G),
)
_OPENAI = {
    "gpt-6-luna": _STARTING_HIGHER,
    "gpt-5.6-luna": _STARTING_HIGHER,
    "gpt-5.5": _LONG_CONTEXT,
    "gpt-5.4-nano": _SMALL,
    "gpt-5.2-pro": _LARGE,
    "gpt-5-mini": _STARTING_HIGHER,
    "gpt-5-nano": _SMALL,
    "gpt-4o": _LARGE,
}


def _of_2024(model: str, rpm: int, rpd: int | None, tpm: int, queue: int | None) -> TierLimits:
    return TierLimits("openai-tier-1", model, rpm, tpm, rpd, queue, _COMMUNITY, _COMMUNITY_AS_OF)


#: What is known, by tier and model.
TABLE: tuple[TierLimits, ...] = (
    *(
        TierLimits(f"openai-tier-{number}", model, rpm, tpm, None, queue)
        for model, tiers in _OPENAI.items()
        for number, (rpm, tpm, queue) in enumerate(tiers, 1)
    ),
    _of_2024("gpt-4o-mini", 500, 10 * _K, 200 * _K, 2 * _M),
    _of_2024("gpt-3.5-turbo", 3_500, 10 * _K, 200 * _K, 2 * _M),
    _of_2024("text-embedding-3-small", 3_000, None, 1 * _M, 3 * _M),
    _of_2024("text-embedding-3-large", 3_000, None, 1 * _M, 3 * _M),
)

_BY_NAME = {(one.tier, one.model): one for one in TABLE}

#: The names of the tiers there are.
TIERS: tuple[str, ...] = tuple(sorted({one.tier for one in TABLE}))


def tier_limits(tier: str, model: str) -> TierLimits:
    """
    Return what an account of *tier* may spend on *model*, or on the model of a dated snapshot.

    Raises:
        InvalidLimits: There is no such tier, or nothing is known of that model in it; the message
            names the nearest.
    """
    name = check_tier(tier)
    wanted = model.strip().lower().removeprefix("openai/")
    found = _BY_NAME.get((name, wanted)) or _BY_NAME.get((name, _SNAPSHOT.sub("", wanted)))
    if found is not None:
        return found
    known = [one.model for one in TABLE if one.tier == name]
    near = difflib.get_close_matches(wanted[:80], known, 1)
    hint = f"the nearest is {near[0]}" if near else f"there are {', '.join(known)}"
    raise InvalidLimits(
        f"no limits of {name} are known for the model {model!r:.80}; {hint}. Give those of your "
        f"account as NAME=RPM:TPM"
    )


def check_tier(tier: str) -> str:
    """
    Return *tier* as the table writes it.

    Raises:
        InvalidLimits: There is no such tier; the message names the nearest.
    """
    name = tier.strip().lower()
    if name in TIERS:
        return name
    near = difflib.get_close_matches(name[:80], TIERS, 1, cutoff=0.5)
    hint = f"the nearest is {near[0]}" if near else f"there are {', '.join(TIERS)}"
    raise InvalidLimits(f"there is no tier {tier!r:.80}; {hint}")
