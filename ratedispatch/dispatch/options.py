"""
How a dispatcher sends: its options as one value.

Checks the values when the options are made, so that a mistake is reported before anything is
opened.
"""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from ratedispatch.tokens.fields import DEFAULT_OUTPUT_TOKENS

if TYPE_CHECKING:
    import os
    import random
    from collections.abc import Callable, Mapping

    from ratedispatch.dispatch.retry import RetryPolicy
    from ratedispatch.dispatch.shared_limits import Share
    from ratedispatch.memory.state_folder import Memory
    from ratedispatch.tokens import ChargePolicy, Counter

#: Connections in the pool of an ``AsyncOpenAI`` made without an ``http_client``. Requests beyond
#: them would wait inside the pool after their permit was paid for, and leave in a burst later.
SDK_CONNECTIONS = 1000

#: Upper bound of the weights of callers and of their reciprocals, so that sums of weights, and the
#: weighted count of a token, stay exact in floating point.
_MOST_WEIGHT = 1_000_000


OptionsT = TypeVar("OptionsT")


def changed(options: OptionsT, changes: Mapping[str, Any]) -> OptionsT:
    """
    Return *options*, a dataclass, with *changes* of its fields by name.

    Raises:
        TypeError: There is no option of that name; the message names the nearest one.
    """
    if not changes:
        return options
    known = [field.name for field in dataclasses.fields(options)]  # type: ignore[arg-type]
    for name in changes:
        if name not in known:
            import difflib

            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"options are {', '.join(known)}"
            raise TypeError(f"there is no option {name!r}; {hint}")
    return dataclasses.replace(options, **changes)  # type: ignore[type-var]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class DispatcherOptions:
    """
    How a :class:`~ratedispatch.Dispatcher` sends.

    Args:
        max_in_flight: Maximum number of requests in flight, over all groups. By default as many
            as the rate and the observed latency need, up to *connections* and the file
            descriptors of this process.
            ``"auto"`` finds the number that gives the most throughput without letting latency run
            away; this is also done as long as no limit is known.
        connections: How many connections the client may open at once; 1,000 for ``AsyncOpenAI``.
        retry: How often and how patiently to retry.
        timeout: Seconds that an attempt may take. By default 600; once twenty answers are known,
            ten times the slowest of them, but at least 180, and more if the output cap needs it.
        tolerate_failures: Continue even if many requests of a `map` one after another fail in the
            same way; each is attempted as often as *retry* says, whatever happens to the others.
        wait_for_reset: Wait when a daily limit is used up, instead of stopping.
        default_output_tokens: Tokens reserved for the output of a request without an output cap,
            until enough answers of its model are known; then the 95th percentile of these.
        policy: How the provider charges a request; by default determined by the base URL.
        counter: Counts the requests; by default one shared by the process.
        memory: Where what is learned about an account is saved for the next run, and loaded from:
            a folder, or True for the user's state folder. By default nothing is saved.
        weights: Weights of callers among requests of the same priority, by name; they share the
            limits in tokens. All other callers have weight 1. From 0.000001 to 1,000,000.
        share: Where the limits are shared with other processes: ``"local"``, ``"local:NAME"`` or
            ``"redis://HOST:PORT/DB"``, or a function that returns the store of a group of models.
            By default as the limits say.
        rng: The source of jitter.
        cpu_clock: Returns the processor time that this process has used, in seconds; shows whether
            the processor is the bottleneck.

    Raises:
        TypeError: There is no option of that name.
        ValueError: A value is out of range.
    """

    max_in_flight: int | Literal["auto"] | None = None
    connections: int = SDK_CONNECTIONS
    retry: RetryPolicy | None = None
    timeout: float | None = None
    tolerate_failures: bool = False
    wait_for_reset: bool = False
    default_output_tokens: int = DEFAULT_OUTPUT_TOKENS
    policy: ChargePolicy | None = None
    counter: Counter | None = None
    memory: Memory | bool | str | os.PathLike[str] = False
    weights: Mapping[str, float] | None = None
    share: Share | None = dataclasses.field(default=None, repr=False)  # may hold a password
    rng: random.Random | None = None
    cpu_clock: Callable[[], float] = time.process_time

    def __post_init__(self) -> None:
        if isinstance(self.max_in_flight, str):
            if self.max_in_flight != "auto":
                raise ValueError(
                    f'max_in_flight must be a number or "auto", not {self.max_in_flight!r}'
                )
        elif self.max_in_flight is not None and self.max_in_flight < 1:
            raise ValueError(f"max_in_flight must be at least 1, not {self.max_in_flight}")
        if self.connections < 1:
            raise ValueError(f"connections must be at least 1, not {self.connections}")
        if self.timeout is not None and not self.timeout > 0:
            raise ValueError(f"timeout must be above 0 seconds, not {self.timeout}")
        if self.default_output_tokens < 0:
            raise ValueError(
                f"default_output_tokens must not be negative, not {self.default_output_tokens}"
            )
        for caller, weight in (self.weights or {}).items():
            if isinstance(weight, bool) or not isinstance(weight, int | float):
                raise TypeError(f"the weight of caller {caller!r} must be a number, not {weight!r}")
            if not 1 / _MOST_WEIGHT <= weight <= _MOST_WEIGHT:
                raise ValueError(
                    f"the weight of caller {caller!r} must be between {1 / _MOST_WEIGHT:f} and "
                    f"{_MOST_WEIGHT:,}, not {weight}"
                )
