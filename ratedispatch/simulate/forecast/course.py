"""
Holds the result of one simulation of a job.

Values only: the same for the engine and for the model of its queue.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class Wait(NamedTuple):
    """
    How long rows of about one size waited in the queue.

    Args:
        most_tokens: The largest of them, by what a limit is charged.
        rows: How many they are.
        p50: Seconds that half of them did not exceed.
        p95: Seconds that 95 % of them did not exceed.
    """

    most_tokens: int
    rows: int
    p50: float
    p95: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """
    What came of a job.

    Args:
        seconds: From the first request sent to the last answer.
        tenths: Seconds from the first request sent until each tenth of the rows was done, ten
            numbers; those that a stop has left out are infinite.
        answered: Rows answered.
        failed: Rows failed.
        attempts: Requests sent.
        refused: Requests that the provider refused.
        in_flight_peak: The most requests that were unanswered at once.
        in_flight_mean: The mean of that over the time.
        held: Seconds by what held the job back, as `Report.held_seconds`.
        shares: The share of each limit that was used, 0..1, by dimension.
        waits: How long rows waited, by a quarter of the sizes each; smallest first.
        prompt_tokens: Tokens billed for prompts, for each kind of the workload.
        output_tokens: The same for outputs.
        stop_code: Why it stopped before its end; empty if it did not.
        stop_message: One sentence on that.
    """

    seconds: float
    tenths: tuple[float, ...]
    answered: int
    failed: int
    attempts: int
    refused: int
    in_flight_peak: int
    in_flight_mean: float
    held: Mapping[str, float] = field(default_factory=dict)
    shares: Mapping[str, float] = field(default_factory=dict)
    waits: tuple[Wait, ...] = ()
    prompt_tokens: tuple[int, ...] = ()
    output_tokens: tuple[int, ...] = ()
    stop_code: str = ""
    stop_message: str = ""

    @property
    def binding(self) -> str | None:
        """What held the job back for the longest time; None if nothing did."""
        return max(self.held, key=self.held.__getitem__, default=None)
