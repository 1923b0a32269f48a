"""
The least time that limits allow.

Arithmetic only. Knows amounts, rates and seconds; nothing of files, servers or clocks.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Account:
    """
    What a server allows.

    Args:
        rpm: Requests per minute.
        tpm: Tokens per minute.
        burst_seconds: Depth of both buckets, which start full, in seconds of their rate.
        latency: Median seconds from the arrival of a request to its answer.
    """

    rpm: int
    tpm: int
    burst_seconds: float
    latency: float

    def token_seconds(self, tokens: float) -> float:
        """Return the seconds until *tokens* have been admitted; 0.0 while the burst lasts."""
        return _seconds(tokens, self.tpm, self.burst_seconds)

    def lower_bound(self, requests: int, tokens: int) -> float:
        """
        Return the seconds from the first arrival to the last answer that nobody can go below.

        For each bucket (work - burst) / rate, the larger of the two, plus one median latency:
        what is admitted last is still to be answered.
        """
        admitted = max(_seconds(requests, self.rpm, self.burst_seconds), self.token_seconds(tokens))
        return admitted + self.latency


def tpm_for(bound: float, tokens: int, burst_seconds: float, latency: float) -> int:
    """Return the tokens per minute that *tokens* need to be bound to *bound* seconds."""
    return round(60 * tokens / (bound - latency + burst_seconds))


def _seconds(work: float, per_minute: float, burst_seconds: float) -> float:
    rate = per_minute / 60
    return max(0.0, (work - rate * burst_seconds) / rate)


@dataclass(frozen=True, slots=True)
class Wait:
    """
    How long a row waited for its admission, beside what its place in the line explains.

    Args:
        custom_id: The row.
        waited: Seconds from the first arrival of any row to its admission.
        explained: Seconds that the tokens of all rows before it take.
    """

    custom_id: str
    waited: float
    explained: float

    def ratio(self, floor: float) -> float:
        """Return ``waited / explained``, with *floor* for what is explained by less."""
        return self.waited / max(self.explained, floor)

    @property
    def lateness(self) -> float:
        """Seconds waited beyond what is explained; below zero if it came early."""
        return self.waited - self.explained
