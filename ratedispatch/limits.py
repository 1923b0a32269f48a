"""
The limits of an account, as rates of buckets.

Values only. Knows dimensions, rates and bursts; nothing of time passing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ratedispatch.errors import InvalidLimits

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Seconds of rate that may go at once after idleness. Seven tenths fit into the shallowest
#: bucket that providers document ("60,000 requests/minute may be enforced as 1,000 per second")
#: with room for requests that leave our machine apart and arrive together.
BURST_SECONDS = 0.7

#: A limit that is to be learned from the answers.
AUTO: Literal["auto"] = "auto"

MINUTE = 60.0
DAY = 86_400.0

#: What the name of a dimension ends in if its limit is one per day.
_PER_DAY = "_per_day"

#: Seconds above which a bucket is taken for one of a day.
_LONGEST_MINUTE = 3600.0

_OR_AUTO = ' or "auto"'


@dataclass(frozen=True, slots=True)
class Rate:
    """
    One limited dimension.

    Args:
        dimension: What is limited: ``requests``, ``tokens``, ``input_tokens``, ``output_tokens``,
            ``requests_per_day``, ``tokens_per_day``, or a name of the caller's own.
        per_minute: The most that may be spent in a minute, on average.
        burst: The most that may be spent at once, in the same unit.
        window: Seconds that the limit is given for: 60, or 86,400 for a limit per day.
        is_auto: Whether *per_minute* only stands in for a limit that is yet to be learned.
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
        """The limit as it is given, per *window*."""
        return self.per_minute / 60 * self.window

    @property
    def is_daily(self) -> bool:
        """Whether the limit is one of hours rather than of a minute."""
        return self.window > _LONGEST_MINUTE

    def __str__(self) -> str:
        if self.is_auto:
            return f"{unit_of(self.dimension)} as learned"
        per = "day" if self.is_daily else "minute"
        return f"{self.limit:,.0f} {unit_of(self.dimension)} per {per}"


def unit_of(dimension: str) -> str:
    """Return the unit of *dimension* as a person reads it: ``requests``, ``input tokens``, …."""
    return dimension.removesuffix(_PER_DAY).replace("_", " ")


@dataclass(frozen=True, slots=True)
class Reading:
    """
    What a provider says about one of its buckets, at the time it took a request in.

    Args:
        dimension: ``requests``, ``tokens``, ``input_tokens`` or ``output_tokens``.
        remaining: What is left there after that request; None if it does not say.
        limit: The most the bucket holds, if it says so.
        window: Seconds in which the bucket fills as a whole, as far as that can be told: about
            60 for a limit per minute, about 86,400 for one per day.
        period: Seconds that *limit* is given for, where that is known from its name or from the
            provider's documents.
    """

    dimension: str
    remaining: float | None
    limit: float | None = None
    window: float | None = None
    period: float = MINUTE

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
        return self.window is not None and self.window > _LONGEST_MINUTE

    @property
    def span(self) -> float:
        """Seconds that *limit* is given for; of one of hours a day, if they are not told."""
        if self.is_daily and self.period <= _LONGEST_MINUTE:
            return DAY
        return self.period

    @property
    def bucket(self) -> str:
        """The dimension as buckets are named: with ``_per_day`` for one of a day."""
        return self.dimension + _PER_DAY if self.is_daily else self.dimension


@dataclass(frozen=True, slots=True)
class Limits:
    """
    What an account may spend. ``None`` means that a dimension is not limited.

    Args:
        requests_per_minute: RPM; ``"auto"`` learns it from the answers.
        tokens_per_minute: TPM, prompt and output together; ``"auto"`` learns it.
        burst_seconds: How many seconds of rate may be spent at once after idleness, 0 to 60.
            The provider's bucket must be at least this deep. At least one request always fits.
        requests_per_day: RPD.
        tokens_per_day: TPD.
        input_tokens_per_minute: A limit on prompts alone.
        output_tokens_per_minute: A limit on outputs alone.
        more: Limits per minute on dimensions of your own; see `Cost.more`.

    Raises:
        InvalidLimits: A limit is not a finite number above zero, or the burst not within 0 to 60.
    """

    requests_per_minute: float | Literal["auto"] | None = None
    tokens_per_minute: float | Literal["auto"] | None = None
    burst_seconds: float = BURST_SECONDS
    requests_per_day: float | None = None
    tokens_per_day: float | None = None
    input_tokens_per_minute: float | None = None
    output_tokens_per_minute: float | None = None
    more: Mapping[str, float] | None = None

    def __post_init__(self) -> None:
        for name, _, _ in _DIMENSIONS:
            value = getattr(self, name)
            may_be_auto = name in _LEARNABLE
            if value is None or (may_be_auto and value == AUTO):
                continue
            if not _is_positive(value):
                raise InvalidLimits(
                    f"{name} must be a finite number above zero"
                    f"{_OR_AUTO if may_be_auto else ''}, not {value!r}"
                )
        for name, value in (self.more or {}).items():
            if name in _NAMES or not _is_positive(value):
                raise InvalidLimits(f"more[{name!r}] must be a new name with a number above zero")
        if not _is_number(self.burst_seconds) or not 0 <= self.burst_seconds <= 60:
            raise InvalidLimits(
                f"burst_seconds must be between 0 and 60 seconds, not {self.burst_seconds!r}"
            )

    def known(self, dimension: str) -> float | None:
        """Return the limit per minute (or per day) on *dimension*; None if none is set or known."""
        for name, known, _ in _DIMENSIONS:
            if known == dimension:
                value = getattr(self, name)
                return None if value == AUTO else value
        return (self.more or {}).get(dimension)

    def rates(self) -> tuple[Rate, ...]:
        """Return one rate for each limited dimension, requests first."""
        rates = []
        for field_name, dimension, window in _DIMENSIONS:
            value = getattr(self, field_name)
            if value is not None:
                rates.append(self._rate(dimension, value, window))
        more = self.more or {}
        rates += [self._rate(dimension, value, MINUTE) for dimension, value in more.items()]
        return tuple(rates)

    def _rate(self, dimension: str, value: float | str, window: float) -> Rate:
        if isinstance(value, str):
            start = _STARTS[dimension]
            return Rate(dimension, start, self.burst_of(start), is_auto=True)
        if window == DAY:  # a day's budget may be spent as fast as the minute's limits allow
            return Rate(dimension, value / DAY * 60, max(1.0, value), DAY)
        return Rate(dimension, value, self.burst_of(value))

    def burst_of(self, per_minute: float) -> float:
        """Return what may go at once of a limit per minute: some seconds of it, at least one."""
        return max(1.0, min(per_minute, per_minute / 60 * self.burst_seconds))


_DIMENSIONS = (
    ("requests_per_minute", "requests", MINUTE),
    ("tokens_per_minute", "tokens", MINUTE),
    ("requests_per_day", "requests_per_day", DAY),
    ("tokens_per_day", "tokens_per_day", DAY),
    ("input_tokens_per_minute", "input_tokens", MINUTE),
    ("output_tokens_per_minute", "output_tokens", MINUTE),
)
_NAMES = frozenset(dimension for _, dimension, _ in _DIMENSIONS)
#: What the dimensions begin with that providers limit, apart from those of the caller's own.
STANDARD = ("requests", "tokens", "input_tokens", "output_tokens")
_LEARNABLE = frozenset({"requests_per_minute", "tokens_per_minute"})

#: What a limit that is to be learned starts from: the lowest that OpenAI's first paid tier has
#: on its models' pages, 500 requests and 30,000 tokens per minute.
_STARTS = {"requests": 500.0, "tokens": 30_000.0}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value)


def _is_positive(value: object) -> bool:
    return _is_number(value) and 0 < value < math.inf  # type: ignore[operator]
