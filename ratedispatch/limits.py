"""
The limits of an account, as rates and bursts of buckets.

Holds rates and bursts by dimension, and what providers say of them.
Values only: no time passes here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from ratedispatch.dimension import (
    DAY,
    MINUTE,
    STANDARD,
    Dimension,
    dimension_named,
    is_daily,
    name_per_day,
    period_of,
)
from ratedispatch.errors import InvalidLimits

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["AUTO", "BURST_SECONDS", "DAY", "MINUTE", "Limits", "Rate", "Reading"]

#: Seconds of rate that may go at once after idleness. Seven tenths fit into the shallowest
#: bucket that providers document ("60,000 requests/minute may be enforced as 1,000 per second")
#: with room for requests that leave our machine apart and arrive together.
BURST_SECONDS = 0.7

#: A limit that is to be learned from the answers.
AUTO: Literal["auto"] = "auto"

_OR_AUTO = ' or "auto"'


#: Seconds up to which the window of a bucket lets what remains in it be spent now.
SHORT_WINDOW = 120.0


@dataclass(frozen=True, slots=True)
class Rate:
    """
    The limit on one dimension.

    Args:
        dimension: The name of a `Dimension`: ``requests``, ``tokens``, ``input_tokens``,
            ``output_tokens``, ``requests_per_day``, ``tokens_per_day``, or one of the caller's own.
        per_minute: Maximum amount per minute, on average.
        burst: Maximum amount at once, in the same unit.
        window: The period of the limit in seconds: 60, or 86,400 for a limit per day.
        is_auto: Whether *per_minute* is only a starting value for a limit to be learned.
    """

    dimension: str
    per_minute: float
    burst: float
    window: float = MINUTE
    is_auto: bool = False

    @property
    def per_second(self) -> float:
        """The rate in units per second."""
        return self.per_minute / 60

    @property
    def limit(self) -> float:
        """The limit per *window*, as the user gave it."""
        return self.per_minute / 60 * self.window

    @property
    def is_daily(self) -> bool:
        """Whether the limit is per day rather than per minute."""
        return is_daily(self.window)

    def __str__(self) -> str:
        unit = dimension_named(self.dimension).unit
        if self.is_auto:
            return f"{unit} per {period_of(self.window)} to be learned"
        return f"{self.limit:,.0f} {unit} per {period_of(self.window)}"


@dataclass(frozen=True, slots=True)
class Reading:
    """
    What a provider says about one of its buckets, as of the moment it accepted a request.

    Args:
        dimension: ``requests``, ``tokens``, ``input_tokens`` or ``output_tokens``.
        remaining: The amount left after that request; None if not stated.
        limit: The maximum that the bucket holds; None if not stated.
        window: Seconds in which an empty bucket becomes full, as far as known: about 60 for a limit
            per minute, about 86,400 for a limit per day.
        period: The period of *limit* in seconds, if its name or the provider's documentation says
            so.
        ends_in: Seconds until the counter is reset (at most one second too many), if the provider
            counts in windows; None for a bucket that refills continuously.
        counts_arrivals: Whether such a counter counts a request when it arrives, and tells no more
            than what it has counted: the window may be unknown then.
        ends_after_arrival: Whether *ends_in* counts from the arrival of the request, not from
            the answer.
    """

    dimension: str
    remaining: float | None
    limit: float | None = None
    window: float | None = None
    period: float = MINUTE
    ends_in: float | None = None
    counts_arrivals: bool = False
    ends_after_arrival: bool = False

    @property
    def proves_surplus(self) -> bool:
        """
        Whether the remaining amount may be spent now.

        True only for a bucket that is known to fill within two minutes: what remains of a daily
        limit says nothing about what may be spent in one second.
        """
        return self.window is not None and self.window <= SHORT_WINDOW

    @property
    def is_daily(self) -> bool:
        """Whether this is a bucket per day rather than per minute."""
        return self.window is not None and is_daily(self.window)

    @property
    def span(self) -> float:
        """Seconds that *limit* is given for; of one of hours a day, if they are not told."""
        if self.is_daily and not is_daily(self.period):
            return DAY
        return self.period

    @property
    def bucket(self) -> str:
        """The dimension of the bucket: the one per day, for one of a day."""
        return name_per_day(self.dimension) if self.is_daily else self.dimension


@dataclass(frozen=True, slots=True)
class Limits:
    """
    What an account may spend. ``None`` means that a dimension is not limited.

    Args:
        requests_per_minute: RPM; ``"auto"`` learns it from the responses.
        tokens_per_minute: TPM, prompt and output together; ``"auto"`` learns it.
        burst_seconds: Burst after an idle period, in seconds of the rate, 0 to 60. The provider's
            bucket must be at least this deep. At least one request always fits.
        requests_per_day: RPD.
        tokens_per_day: TPD.
        input_tokens_per_minute: A limit on prompts alone.
        output_tokens_per_minute: A limit on outputs alone.
        custom: Limits per minute on your own dimensions, by name; see `Cost.custom`.
        share: Where the limits are shared with other processes: ``"local"`` (those of this user on
            this machine), ``"local:NAME"`` or ``"redis://HOST:PORT/DB"``; None if they are not
            shared.

    Raises:
        InvalidLimits: A limit is not a finite number above zero, the burst is not within 0 to 60,
            or *share* is not a string.
    """

    requests_per_minute: float | Literal["auto"] | None = None
    tokens_per_minute: float | Literal["auto"] | None = None
    burst_seconds: float = BURST_SECONDS
    requests_per_day: float | None = None
    tokens_per_day: float | None = None
    input_tokens_per_minute: float | None = None
    output_tokens_per_minute: float | None = None
    custom: Mapping[str, float] | None = None
    share: str | None = field(default=None, repr=False)  # may hold a password

    def __post_init__(self) -> None:
        if self.share is not None and not isinstance(self.share, str):
            raise InvalidLimits(
                f'share must be a string such as "local", got {type(self.share).__name__}'
            )
        for dimension in _WITH_FIELD:
            name = dimension.setting
            value = getattr(self, name)
            may_be_auto = dimension.start is not None
            if value is None or (may_be_auto and value == AUTO):
                continue
            if not _is_positive(value):
                raise InvalidLimits(
                    f"{name} must be a finite number above zero"
                    f"{_OR_AUTO if may_be_auto else ''}, not {value!r}"
                )
        for name, value in (self.custom or {}).items():
            if dimension_named(name).setting or not _is_positive(value):
                raise InvalidLimits(f"custom[{name!r}] must be a new name with a number above zero")
        if not _is_number(self.burst_seconds) or not 0 <= self.burst_seconds <= 60:
            raise InvalidLimits(
                f"burst_seconds must be between 0 and 60 seconds, not {self.burst_seconds!r}"
            )

    def known(self, dimension: str) -> float | None:
        """Return the limit per minute (or per day) on *dimension*; None if none is set or known."""
        setting = dimension_named(dimension).setting
        if not setting:
            return (self.custom or {}).get(dimension)
        value = getattr(self, setting)
        return None if value == AUTO else value

    def rates(self) -> tuple[Rate, ...]:
        """Return one rate for each limited dimension, requests first."""
        rates = []
        for dimension in _WITH_FIELD:
            value = getattr(self, dimension.setting)
            if value is not None:
                rates.append(self._rate(dimension, value))
        for name, value in (self.custom or {}).items():
            rates.append(self._rate(dimension_named(name), value))
        return tuple(rates)

    def _rate(self, dimension: Dimension, value: float | str) -> Rate:
        if isinstance(value, str):
            start = dimension.start
            assert start is not None
            return Rate(dimension.name, start, self.burst_of(start), is_auto=True)
        if dimension.is_daily:  # a day's budget may be spent as fast as the minute's limits allow
            return Rate(dimension.name, value / DAY * 60, max(1.0, value), DAY)
        return Rate(dimension.name, value, self.burst_of(value))

    def burst_of(self, per_minute: float) -> float:
        """Return the burst of a limit of *per_minute*: `burst_seconds` of it, but at least 1."""
        return max(1.0, min(per_minute, per_minute / 60 * self.burst_seconds))


_WITH_FIELD = tuple(dimension for dimension in STANDARD if dimension.setting)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value)


def _is_positive(value: object) -> bool:
    return _is_number(value) and 0 < value < math.inf  # type: ignore[operator]
