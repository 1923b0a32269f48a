"""
The texts of a provider's refusals, and its advice when to retry.

Decides words only. Knows nothing of windows, clocks or the headers that describe limits.
Follows: the error messages of OpenAI.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ratedispatch.simulate.provider.go_durations import go_duration

if TYPE_CHECKING:
    from ratedispatch.simulate.provider.allowance import Limit
    from ratedispatch.simulate.settings import ProviderSettings

ORGANIZATION = "org-fake"

_VISIT = "Visit https://platform.openai.com/account/rate-limits to learn more."

#: The whole body when no more may wait for a place.
QUEUE_FULL = (
    b'{"error": {"message": "The request queue is full.", "type": "server_error", "code": 503}}'
)


def throttle_text(
    settings: ProviderSettings,
    model: str,
    limit: Limit,
    *,
    level: tuple[float, int],
    amount: int,
    wait: float,
) -> str:
    """
    Return the message of a refusal that passes with time.

    Args:
        settings: How much it says.
        model: As the request named it.
        limit: What refuses.
        level: The limit in its units, and what is used of it.
        amount: What was requested of it.
        wait: The seconds that it states.
    """
    if not settings.numbers or not level[0]:
        return f"Rate limit reached for {limit.dimension}. Please try again later."
    again = "" if settings.retry_after == "none" else f"Please try again in {go_duration(wait)}. "
    return (
        f"Rate limit reached for {model} in organization {ORGANIZATION} on {limit.dimension} per "
        f"{limit.per} ({limit.short}): Limit {level[0]:.0f}, Used {level[1]}, Requested {amount}. "
        f"{again}{_VISIT}"
    )


def too_large_text(
    settings: ProviderSettings, model: str, limit: Limit, *, most: float, amount: int
) -> str:
    """Return the message for a request of *amount*, above the limit of *most*."""
    way_out = "The input or output tokens must be reduced in order to run successfully."
    if not settings.numbers:
        return f"Request too large for {model}. {way_out}"
    return (
        f"Request too large for {model} in organization {ORGANIZATION} on {limit.dimension} per "
        f"{limit.per} ({limit.short}): Limit {most:.0f}, Requested {amount}. {way_out} {_VISIT}"
    )


def advise(settings: ProviderSettings, headers: dict[str, str], wait: float) -> None:
    """Add to *headers* the advice to come again after *wait* seconds."""
    if settings.retry_after == "none":
        return
    # 1e-6: a wait of exactly 20 s must not become 21 by the rounding of a sum
    headers["retry-after"] = str(math.ceil(wait - 1e-6))
    if settings.retry_after == "ms":
        headers["retry-after-ms"] = str(math.ceil(wait * 1000 - 1e-6))
