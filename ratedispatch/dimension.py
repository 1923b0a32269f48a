"""
The dimensions in which an account can be limited.

Gives each dimension its unit, its window, and functions that return the amount of a cost or a usage
in it. A new dimension is one more line in `STANDARD`: everything else iterates over dimensions.
Values only. Holds no limits and no time.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MINUTE = 60.0
DAY = 86_400.0

#: Seconds above which a window is taken for one of a day.
LONGEST_MINUTE = 3600.0

_PER_DAY = "_per_day"

#: Names of the caller's own that are remembered.
_MOST_CUSTOM = 1_000


class Charged(Protocol):
    """What a request costs: a `Cost`."""

    @property
    def tokens(self) -> int:
        """Tokens of prompt and output."""

    @property
    def custom(self) -> Mapping[str, float] | None:
        """Amounts in dimensions of the caller's own."""


class Used(Protocol):
    """What an answer used: a `Usage`."""

    @property
    def tokens(self) -> int:
        """Tokens of prompt and output."""


@dataclass(frozen=True, slots=True)
class Dimension:
    """
    One thing that limits are set on.

    Args:
        name: ``requests``, ``tokens_per_day``, …, as `Rate` and `Reading` name it.
        unit: What is counted, for messages: ``requests``, ``input tokens``.
        of_cost: Returns the amount of a cost.
        of_usage: Returns the amount of the usage that an answer reports; None if answers do not
            report it.
        window: The period of its limits in seconds: 60, or 86,400 for a limit per day.
        setting: The field of `Limits` for it; empty if it is in `Limits.custom`.
        start: The limit per minute from which ``"auto"`` starts; None if it cannot be learned.
    """

    name: str
    unit: str
    of_cost: Callable[[Charged], float]
    of_usage: Callable[[Used], float] | None = None
    window: float = MINUTE
    setting: str = ""
    start: float | None = None

    @property
    def is_daily(self) -> bool:
        """Whether its limits are per day."""
        return is_daily(self.window)

    @property
    def period(self) -> str:
        """The period of its limits: ``minute`` or ``day``."""
        return period_of(self.window)

    @property
    def phrase(self) -> str:
        """The name of a limit on it, such as ``input tokens per minute``."""
        return f"{self.unit} per {self.period}"


def is_daily(window: float) -> bool:
    """Whether a *window* in seconds is one of hours rather than of a minute."""
    return window > LONGEST_MINUTE


def period_of(window: float) -> str:
    """Return what a limit of *window* seconds is given for: ``minute`` or ``day``."""
    return "day" if is_daily(window) else "minute"


def name_per_day(name: str) -> str:
    """Return the name of the dimension that limits per day what *name* limits per minute."""
    return name + _PER_DAY


# attrgetter: amounts are asked for with each request, and this makes no call of a Python function
_requests = attrgetter("requests")
_tokens = attrgetter("tokens")
_prompt = attrgetter("prompt_tokens")
_output = attrgetter("output_tokens")

#: What providers limit, in the order in which limits are listed. Where a limit is to be learned,
#: it starts from the lowest that OpenAI's first paid tier has on its models' pages, 500 requests
#: and 30,000 tokens per minute.
STANDARD: tuple[Dimension, ...] = (
    Dimension("requests", "requests", _requests, setting="requests_per_minute", start=500.0),
    Dimension("tokens", "tokens", _tokens, _tokens, setting="tokens_per_minute", start=30_000.0),
    Dimension("requests_per_day", "requests", _requests, None, DAY, "requests_per_day"),
    Dimension("tokens_per_day", "tokens", _tokens, _tokens, DAY, "tokens_per_day"),
    Dimension("input_tokens", "input tokens", _prompt, _prompt, MINUTE, "input_tokens_per_minute"),
    Dimension(
        "output_tokens", "output tokens", _output, _output, MINUTE, "output_tokens_per_minute"
    ),
    Dimension("input_tokens_per_day", "input tokens", _prompt, _prompt, DAY),
    Dimension("output_tokens_per_day", "output tokens", _output, _output, DAY),
)

#: The names of those that are limited per minute.
PER_MINUTE = tuple(dimension.name for dimension in STANDARD if not dimension.is_daily)

_NAMED = {dimension.name: dimension for dimension in STANDARD}


def dimension_named(name: str) -> Dimension:
    """Return the dimension called *name*: a standard one, or one of the caller's own."""
    return _NAMED.get(name) or _custom(name)


@functools.lru_cache(_MOST_CUSTOM)
def _custom(name: str) -> Dimension:
    of_cost = functools.partial(_amount_of_custom, name)
    return Dimension(name, name.replace("_", " "), of_cost)


def _amount_of_custom(name: str, cost: Charged) -> float:
    return cost.custom.get(name, 0) if cost.custom else 0
