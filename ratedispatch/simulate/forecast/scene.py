"""
What a job is played with: the limits it is told, how it sends, and the provider it meets.

Values only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from ratedispatch.groups import LimitGroups
    from ratedispatch.limits import Limits
    from ratedispatch.simulate.settings import ProviderSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """
    What a job is played with.

    Args:
        limits: What the job is told that the account may spend.
        provider: How the provider behaves; its limits are those of the account.
        max_in_flight: As the option of the dispatcher.
        max_attempts: The most times that a row is sent.
        order: ``file``, or ``interleave`` to read from many places of the file in turn.
        processes: In how many processes the job runs.
        travel: Seconds from here to the provider.
    """

    limits: Limits | LimitGroups
    provider: ProviderSettings
    max_in_flight: int | Literal["auto"] | None = None
    max_attempts: int | None = None
    order: Literal["file", "interleave"] = "file"
    processes: int = 1
    travel: float = 0.0
