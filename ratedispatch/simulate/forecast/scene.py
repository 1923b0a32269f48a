"""
Holds the settings of a simulation: the limits of the job, how it sends, and the provider.

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
    The settings of a simulation.

    Args:
        limits: What the job is told that the account may spend.
        provider: How the provider behaves; its limits are those of the account.
        max_in_flight: As the option of the dispatcher.
        max_attempts: The most times that a row is sent.
        order: ``file``, or ``interleave`` to read from many places of the file in turn.
        processes: In how many processes the job runs.
        travel: Seconds from here to the provider.
        connections: The most requests that the client can have open at once.
        timeout: Seconds that an attempt may take, as the option of the dispatcher.
        wait_for_reset: Whether a limit per day is waited for.
        tolerate_failures: Whether rows may fail alike without end.
        default_output_tokens: What the rows of the workload reserve that name no cap.
    """

    limits: Limits | LimitGroups
    provider: ProviderSettings
    max_in_flight: int | Literal["auto"] | None = None
    max_attempts: int | None = None
    order: Literal["file", "interleave"] = "file"
    processes: int = 1
    travel: float = 0.0
    connections: int = 1_000
    timeout: float | None = None
    wait_for_reset: bool = False
    tolerate_failures: bool = False
    default_output_tokens: int = 16
