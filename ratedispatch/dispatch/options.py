"""
How a dispatcher sends: its options as one value.

Checks the values when the options are made, so that a mistake is told before anything is opened.
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

#: Connections in the pool of an ``AsyncOpenAI`` made without an ``http_client``. What is sent
#: beyond them waits inside the pool, after it was paid for, and bursts out later.
SDK_CONNECTIONS = 1000

#: Weights of callers, and what they are divided by, are no more than this: their sum, and what a
#: token counts for each of them, have to stay exact beside one another.
_MOST_WEIGHT = 1_000_000


OptionsT = TypeVar("OptionsT")


def changed(options: OptionsT, changes: Mapping[str, Any]) -> OptionsT:
    """
    Return *options*, a dataclass, with *changes* of its fields by name.

    Raises:
        TypeError: There is no option of a name; the message has the nearest.
    """
    if not changes:
        return options
    known = [field.name for field in dataclasses.fields(options)]  # type: ignore[arg-type]
    for name in changes:
        if name not in known:
            import difflib

            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
            raise TypeError(f"there is no option {name!r}; {hint}")
    return dataclasses.replace(options, **changes)  # type: ignore[type-var]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class DispatcherOptions:
    """
    How a :class:`~ratedispatch.Dispatcher` sends.

    Args:
        max_in_flight: The most requests unanswered at once, of all groups together. By default
            what the rate and the observed latency need, up to what the file descriptors of this
            process and *connections* allow.
            ``"auto"`` finds the number that gives the most throughput without letting latency run
            away; that is also what is done as long as no limit is known.
        connections: How many the client opens at once; 1,000 is what ``AsyncOpenAI`` does.
        retry: How often and how patiently to try again.
        timeout: Seconds that an attempt may take. By default 600, and once twenty answers are
            known ten times the slowest of them, but at least 180 and what the row's cap needs.
        tolerate_failures: Go on although many requests of a `map` in a row fail alike; each is
            tried as often as *retry* says, whatever becomes of the others.
        wait_for_reset: Wait when a day's limit is used up, instead of stopping.
        default_output_tokens: Reserved for the output of a request that sets no cap, until
            enough answers of its model are known; then what 95 % of them stay within.
        policy: How the provider charges a request; by default by the client's base URL.
        counter: Counts the requests; by default one shared by the process.
        memory: Where what is learned of an account is kept for the next run, and what is
            begun with: a folder, or True for the user's own. By default nothing is kept.
        weights: Shares of callers among requests of the same priority, by their names, in tokens;
            all others have a weight of 1. From 0.000001 to 1,000,000.
        share: Where the limits are shared with other processes: ``"local"``, ``"local:NAME"`` or
            ``"redis://HOST:PORT/DB"``; or what returns the store of a group of models. By default
            what the limits say, which is nowhere.
        rng: The source of jitter.
        cpu_clock: Seconds of processor time that this process has taken; tells whether the
            processor is the bottleneck.

    Raises:
        TypeError: There is no option of that name.
        ValueError: A value is out of its range.
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
