"""
The limits of an account, as rates of buckets.

Values only. Knows dimensions, rates and bursts; nothing of time passing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ratedispatch.errors import InvalidLimits

#: Seconds of rate that may go at once after idleness. Seven tenths fit into the shallowest
#: bucket that providers document ("60,000 requests/minute may be enforced as 1,000 per second")
#: with room for requests that leave our machine apart and arrive together.
BURST_SECONDS = 0.7


@dataclass(frozen=True, slots=True)
class Rate:
    """
    One limited dimension.

    Args:
        dimension: What is limited: ``requests`` or ``tokens``.
        per_minute: The most that may be spent in a minute.
        burst: The most that may be spent at once, in the same unit.
    """

    dimension: str
    per_minute: float
    burst: float

    @property
    def per_second(self) -> float:
        """The rate in units per second."""
        return self.per_minute / 60


@dataclass(frozen=True, slots=True)
class Reading:
    """
    What a provider says about one of its buckets, at the time it took a request in.

    Args:
        dimension: ``requests`` or ``tokens``.
        remaining: What is left there after that request.
        limit: The most the bucket holds, if it says so.
        window: Seconds in which the bucket fills as a whole, as far as that can be told: about
            60 for a limit per minute, about 86,400 for one per day.
    """

    dimension: str
    remaining: float
    limit: float | None = None
    window: float | None = None

    @property
    def proves_surplus(self) -> bool:
        """
        Whether what remains may be spent now.

        Only of a bucket that is known to fill within two minutes: what remains of a day says
        nothing about what may be spent in a second.
        """
        return self.window is not None and self.window <= 120

    @property
    def is_daily(self) -> bool:
        """Whether this is a bucket of hours rather than of a minute."""
        return self.window is not None and self.window > 3600


@dataclass(frozen=True, slots=True)
class Limits:
    """
    What an account may spend. ``None`` means that a dimension is not limited.

    Args:
        requests_per_minute: RPM.
        tokens_per_minute: TPM, prompt and output together.
        burst_seconds: How many seconds of rate may be spent at once after idleness, 0 to 60.
            The provider's bucket must be at least this deep. At least one request always fits.

    Raises:
        InvalidLimits: A limit is not a finite number above zero, or the burst not within 0 to 60.
    """

    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    burst_seconds: float = BURST_SECONDS

    def __post_init__(self) -> None:
        for field in ("requests_per_minute", "tokens_per_minute"):
            value = getattr(self, field)
            if value is not None and not _is_positive(value):
                raise InvalidLimits(f"{field} must be a finite number above zero, not {value!r}")
        if not _is_number(self.burst_seconds) or not 0 <= self.burst_seconds <= 60:
            raise InvalidLimits(
                f"burst_seconds must be between 0 and 60 seconds, not {self.burst_seconds!r}"
            )

    def rates(self) -> tuple[Rate, ...]:
        """Return one rate for each limited dimension, requests first."""
        limits = (("requests", self.requests_per_minute), ("tokens", self.tokens_per_minute))
        return tuple(
            Rate(name, value, max(1.0, min(value, value / 60 * self.burst_seconds)))
            for name, value in limits
            if value is not None
        )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value)


def _is_positive(value: object) -> bool:
    return _is_number(value) and 0 < value < math.inf  # type: ignore[operator]
