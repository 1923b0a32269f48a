"""When a row of a modelled queue is sent again; the waits are the engine's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ratedispatch.dispatch.retry import RetryWaits

if TYPE_CHECKING:
    import random

    from ratedispatch.dispatch.retry import RetryPolicy
    from ratedispatch.outcome import Interpretation
    from ratedispatch.pacing.feedback import Verdict


class ModelledRetries:
    """
    The waits of the rows that were not answered at once.

    Args:
        policy: How often and how patiently a row is sent again.
        rng: The source of jitter.
    """

    def __init__(self, policy: RetryPolicy, rng: random.Random) -> None:
        self._policy, self._rng = policy, rng
        self._waits: dict[int, RetryWaits] = {}

    def wait(
        self, place: int, result: Interpretation, verdict: Verdict | None, *, is_calm: bool
    ) -> float | None:
        """
        Return the seconds before the row at *place* is sent again; None if it has failed.

        Args:
            place: The place of the row, in the order in which rows are read.
            result: What came of its last attempt.
            verdict: What its refusal is about; None if it was not refused.
            is_calm: Whether others are answered.
        """
        waits = self._waits.get(place)
        if waits is None:
            waits = self._waits[place] = RetryWaits(self._policy, self._rng)
        delay = waits.next(result, verdict, is_calm=is_calm)
        if delay is None:
            self.forget(place)
        return delay

    def forget(self, place: int) -> None:
        """Note that the row at *place* was answered."""
        if self._waits:
            self._waits.pop(place, None)


class Sending(NamedTuple):
    """
    How a job is sent.

    Args:
        retries: When a row is sent again.
        travel: Seconds from here to the server.
        row_seconds: Of processor time that a request takes here.
        refunds: Whether the provider gives back what a request did not use.
    """

    retries: ModelledRetries
    travel: float = 0.0
    row_seconds: float = 0.0
    refunds: bool = False
