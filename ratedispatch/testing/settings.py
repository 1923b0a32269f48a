"""
How a fake provider is to behave.

Values only. Decides which combinations mean something.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from ratedispatch.testing.faults import FAULTS
from ratedispatch.testing.windows import MINUTE

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class ProviderSettings:
    """
    How a provider behaves.

    Args:
        requests_per_minute: The limit on requests; None for none.
        tokens_per_minute: The limit on tokens; None for none.
        burst_seconds: Depth of both buckets in seconds of their rate; OpenAI's are 60 deep.
        start: Whether the buckets start ``full`` or ``empty``.
        window: ``bucket`` as OpenAI; ``sliding``, a strict log of 60 s; ``fixed``, counters that
            start anew each minute, and for requests each second too, as Azure's.
        charge: How a prompt is counted: real ``tokens``, or ``characters`` / 4.
        settle: Whether the charge is corrected to what was really used once an answer is sent.
        refusals_count: Whether a refused request counts against the limit on requests.
        headers: Whether answers carry ``x-ratelimit-*``.
        latency: Median seconds from a request's arrival to its answer, without tokens.
        latency_sigma: Sigma of the log-normal distribution around that median; 0 for none.
        token_time: Further seconds for each token of output.
        output_share: Real length of an output as a share of its cap, 0..1.
        output_tokens: Real length of an output in tokens, at most its cap; overrides the share.
        faults: Rates (0..1) by name; the names are in `ratedispatch.testing.faults`.
        api_key: The only key accepted; None accepts any, and none.
        quota: After so many admitted requests the account is empty; None for never.
        outage: Start and length in seconds, counted from the provider's start, of a time in
            which every request is refused; None for none.

    Raises:
        ValueError: A value that means nothing; the message names the field.
    """

    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    burst_seconds: float = MINUTE
    start: Literal["full", "empty"] = "full"
    window: Literal["bucket", "sliding", "fixed"] = "bucket"
    charge: Literal["tokens", "characters"] = "tokens"
    settle: bool = False
    refusals_count: bool = False
    headers: bool = True
    latency: float = 0.2
    latency_sigma: float = 0.3
    token_time: float = 0.0
    output_share: float = 0.5
    output_tokens: int | None = None
    faults: Mapping[str, float] = field(default_factory=dict)
    api_key: str | None = None
    quota: int | None = None
    outage: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        for name in ("requests_per_minute", "tokens_per_minute"):
            check_limit(name, getattr(self, name))
        if not 0 < self.burst_seconds <= MINUTE:
            raise ValueError(f"burst_seconds is {self.burst_seconds}, not within 0..60 s")
        for name in ("latency", "latency_sigma", "token_time"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} is {getattr(self, name)}, not zero or more")
        if not 0 <= self.output_share <= 1:
            raise ValueError(f"output_share is {self.output_share}, not within 0..1")
        for name, rate in self.faults.items():
            if name not in FAULTS:
                raise ValueError(f"there is no fault {name!r}; there are {', '.join(FAULTS)}")
            if not 0 <= rate <= 1:
                raise ValueError(f"the rate of fault {name!r} is {rate}, not within 0..1")


def check_limit(name: str, limit: float | None) -> None:
    """Raise ValueError unless *limit* is None or a number above zero; *name* is for the message."""
    if limit is not None and not 0 < limit < math.inf:
        raise ValueError(f"the limit {name} is {limit}, not a number above zero")
