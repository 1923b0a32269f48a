"""
The settings of a fake provider.

Values only. Decides which combinations are valid.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Self

from ratedispatch.groups import LimitGroups
from ratedispatch.simulate.provider.faults import FAULTS, STREAM_FAULTS
from ratedispatch.simulate.provider.windows import MINUTE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ratedispatch.limits import Limits
    from ratedispatch.simulate.forecast.lengths import Lengths

_ALL_FAULTS = (*FAULTS, *STREAM_FAULTS)

_LIMITS = ("requests_per_minute", "tokens_per_minute", "requests_per_day", "tokens_per_day")


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
            start over each minute, and for requests each second too, as Azure's.
        charge: How a prompt is counted: real ``tokens``, or ``characters`` / 4.
        refund: Whether the charge is corrected to what was really used once an answer is sent.
        refusals_count: Whether a refused request counts against the limit on requests.
        headers: Whether answers carry ``x-ratelimit-*``.
        latency: Median seconds from a request's arrival to its answer, without tokens.
        latency_sigma: Sigma of the log-normal distribution around that median; 0 for none.
        token_time: Further seconds for each token of output.
        output_share: Real length of an output as a share of its cap, 0..1.
        output_tokens: Real length of an output in tokens, at most its cap; overrides the share.
            A distribution is drawn from for each request.
        output_lengths: The same for single models, by name or by the beginning of a name before a
            trailing ``*``; the first that fits counts.
        faults: Rates (0..1) by name; the names are in `ratedispatch.simulate.provider.faults`.
        fault_times: Times in which a fault strikes every admitted request: seconds from the
            provider's start, length in seconds, name. Those that overlap take turns.
        api_key: The only key accepted; None accepts any, and none.
        quota: After so many admitted requests the account is empty; None for never.
        quota_time: Start and length in seconds, counted from the provider's start, of a time in
            which the account is empty; the length may be infinite. None for none.
        revoked_time: The same for a time in which no key is accepted.
        outage: Start and length in seconds, counted from the provider's start, of a time in
            which every request is refused; None for none.
        outage_model: The only model that the outage strikes, or the beginning of its name before
            a trailing ``*``; None for all.
        changes: Seconds from the provider's start, and the limits per minute on requests and on
            tokens from then on (None lifts one); in order of time.
        competitor: Another client of the same account: seconds from the provider's start, and the
            requests per minute that it sends evenly from then on, 0 for none; in order of time.
            It draws from the general limits; what is refused is gone.
        competitor_tokens: Tokens of each of its requests.
        header_factor: What limits and remaining amounts in headers are multiplied by.
        numbers: Whether a refusal's text states amounts and waits.
        retry_after: Which advice a refusal carries: ``ms``, in seconds and milliseconds;
            ``seconds``, only in whole ones; ``none``, also not in its text.
        engine_slots: Requests served at once; the others wait in order of arrival. None for no
            bound.
        queue: The most that may wait; None for no bound.
        engine_batching: How much the time of service grows with the number then being served; see
            `ratedispatch.simulate.provider.engine_slots`.
        models: Limits per minute on requests and tokens (None for none) of single models, by name
            or by the beginning of a name before a trailing ``*``; these requests draw from none
            of the general limits per minute.
        requests_per_day: The limit on requests of all models in 86,400 s; None for none.
        tokens_per_day: The limit on tokens of all models in 86,400 s; None for none.
        day_used: Share (0..1) of the limits per day that is spent at the start.

    Raises:
        ValueError: A value that means nothing; the message names the field.
    """

    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    burst_seconds: float = MINUTE
    start: Literal["full", "empty"] = "full"
    window: Literal["bucket", "sliding", "fixed"] = "bucket"
    charge: Literal["tokens", "characters"] = "tokens"
    refund: bool = False
    refusals_count: bool = False
    headers: bool = True
    latency: float = 0.2
    latency_sigma: float = 0.3
    token_time: float = 0.0
    output_share: float = 0.5
    output_tokens: int | Lengths | None = None
    output_lengths: Mapping[str, Lengths] = field(default_factory=dict)
    faults: Mapping[str, float] = field(default_factory=dict)
    fault_times: tuple[tuple[float, float, str], ...] = ()
    api_key: str | None = None
    quota: int | None = None
    quota_time: tuple[float, float] | None = None
    revoked_time: tuple[float, float] | None = None
    outage: tuple[float, float] | None = None
    outage_model: str | None = None
    changes: tuple[tuple[float, float | None, float | None], ...] = ()
    competitor: tuple[tuple[float, float], ...] = ()
    competitor_tokens: int = 50
    header_factor: float = 1.0
    numbers: bool = True
    retry_after: Literal["ms", "seconds", "none"] = "ms"
    engine_slots: int | None = None
    queue: int | None = None
    engine_batching: float = 0.0
    models: Mapping[str, tuple[float | None, float | None]] = field(default_factory=dict)
    requests_per_day: float | None = None
    tokens_per_day: float | None = None
    day_used: float = 0.0

    def __post_init__(self) -> None:
        for name in _LIMITS:
            check_limit(name, getattr(self, name))
        if not 0 < self.burst_seconds <= MINUTE:
            raise ValueError(f"burst_seconds is {self.burst_seconds}, not above 0 and at most 60 s")
        for name in ("latency", "latency_sigma", "token_time", "header_factor", "engine_batching"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} is {getattr(self, name)}, not zero or more")
        for name in ("output_share", "day_used"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}, not within 0..1")
        self._check_faults()
        if self.outage_model is not None and self.outage is None:
            raise ValueError(f"outage_model is {self.outage_model!r}, but there is no outage")
        self._check_times()
        self._check_schedule()
        self._check_slots()
        self._check_models()

    @classmethod
    def like(
        cls,
        limits: Limits | LimitGroups,
        *,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
        **others: Any,
    ) -> Self:
        """
        Return the settings of an account that has *limits*.

        A provider knows limits of models and not of groups, so each name in a group has all of
        its group's limits. Of limits per day only those of the account are known.

        Args:
            limits: What the account may spend, or what its groups of models may.
            requests_per_minute: In the place of a limit that is not set, or is to be learned.
            tokens_per_minute: The same for tokens.
            others: Further settings.
        """

        def rates(known: Limits) -> tuple[float | None, float | None]:
            return (
                known.known("requests") or requests_per_minute,
                known.known("tokens") or tokens_per_minute,
            )

        account: Limits | None
        models: dict[str, tuple[float | None, float | None]] = {}
        if isinstance(limits, LimitGroups):
            account = limits.default
            for group in limits.groups:
                models |= dict.fromkeys(group.models, rates(group.limits))
        else:
            account = limits
        if account is not None:
            requests, tokens = rates(account)
            others = {
                "requests_per_minute": requests,
                "tokens_per_minute": tokens,
                "requests_per_day": account.known("requests_per_day"),
                "tokens_per_day": account.known("tokens_per_day"),
                **others,
            }
        return cls(models=models, **others)

    def _check_faults(self) -> None:
        for name, rate in self.faults.items():
            if name not in _ALL_FAULTS:
                raise ValueError(f"there is no fault {name!r}; there are {', '.join(_ALL_FAULTS)}")
            if not 0 <= rate <= 1:
                raise ValueError(f"the rate of fault {name!r} is {rate}, not within 0..1")
        for start, length, name in self.fault_times:
            if name not in _ALL_FAULTS:
                raise ValueError(f"there is no fault {name!r}; there are {', '.join(_ALL_FAULTS)}")
            if not (0 <= start < math.inf and 0 < length < math.inf):
                raise ValueError(f"fault {name!r} strikes from {start} s on for {length} s")

    def _check_times(self) -> None:
        for name in ("quota_time", "revoked_time", "outage"):
            time = getattr(self, name)
            if time is not None and not (0 <= time[0] < math.inf and time[1] > 0):
                raise ValueError(f"{name} begins at {time[0]} s and lasts {time[1]} s")
        # a refusal says when it is over
        if self.outage is not None and self.outage[1] == math.inf:
            raise ValueError("outage lasts for ever, not for a number of seconds")

    def _check_models(self) -> None:
        for name, (requests, tokens) in self.models.items():
            if not name:
                raise ValueError("models names a model '', not a name or the beginning of one")
            check_limit(f"models[{name!r}] on requests", requests)
            check_limit(f"models[{name!r}] on tokens", tokens)

    def _check_schedule(self) -> None:
        for index, (_, requests, tokens) in enumerate(self.changes):
            check_limit(f"changes[{index}] on requests", requests)
            check_limit(f"changes[{index}] on tokens", tokens)
        for index, (_, rate) in enumerate(self.competitor):
            if not 0 <= rate < math.inf:
                raise ValueError(f"competitor[{index}] sends {rate} per minute, not zero or more")
        instants = {
            "changes": [at for at, _, _ in self.changes],
            "competitor": [at for at, _ in self.competitor],
        }
        for name, found in instants.items():
            before = 0.0
            for index, at in enumerate(found):
                if not before <= at < math.inf:
                    raise ValueError(
                        f"{name}[{index}] begins at {at} s, not at {before} s or later"
                    )
                before = at
        if self.competitor_tokens < 1:
            raise ValueError(f"competitor_tokens is {self.competitor_tokens}, not one or more")

    def _check_slots(self) -> None:
        if self.engine_slots is None:
            for name, unset in (("queue", None), ("engine_batching", 0)):
                if getattr(self, name) != unset:
                    raise ValueError(
                        f"{name} is {getattr(self, name)}, but engine_slots is not set"
                    )
        elif self.engine_slots < 1:
            raise ValueError(f"engine_slots is {self.engine_slots}, not one or more")
        if self.queue is not None and self.queue < 0:
            raise ValueError(f"queue is {self.queue}, not zero or more")


def check_limit(name: str, limit: float | None) -> None:
    """Raise ValueError unless *limit* is None or a number above zero; *name* is for the message."""
    if limit is not None and not 0 < limit < math.inf:
        raise ValueError(f"the limit {name} is {limit}, not a number above zero")
