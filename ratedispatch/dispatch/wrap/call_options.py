"""
The queue options of the calls in a block; a context variable, so frameworks need not pass them on.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from ratedispatch.pacing.turn import FIRST_COME, Turn, turn_of

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclasses.dataclass(frozen=True, slots=True)
class CallOptions:
    """
    The queue options of a call.

    Args:
        turn: Its claim on a place in the queue.
        deadline: The instant by which it must be sent; None if there is none.
        max_wait: Maximum seconds in the queue; None for the value that the client was wrapped with.
    """

    turn: Turn = FIRST_COME
    deadline: float | None = None
    max_wait: float | None = None


NO_OPTIONS = CallOptions()

_current: ContextVar[CallOptions] = ContextVar("ratedispatch_options", default=NO_OPTIONS)

#: The options of calls in the current context.
current_options = _current.get


def clock() -> float:
    """Return the instant on the clock that queues go by: of the event loop, or the machine's."""
    loop = asyncio._get_running_loop()
    return loop.time() if loop is not None else time.monotonic()  # noqa: TID251 - no loop runs


@contextmanager
def options(
    *,
    priority: int | None = None,
    caller: str | None = None,
    deadline: float | None = None,
    max_wait: float | None = None,
) -> Iterator[None]:
    """
    Set priority, caller and deadline of the calls of wrapped clients inside this block.

    Works in threads and in tasks. Blocks can be nested: an inner block keeps what it does not set.

    Args:
        priority: Higher priorities go first; 0 outside of any block.
        caller: In whose name they are sent; callers of the same priority share the limits by the
            *weights* of the options.
        deadline: Seconds from now within which they must be sent.
        max_wait: Maximum seconds that each of them waits in the queue.

    Raises:
        TypeError: *priority* is not a whole number, or *caller* is not a string.
        ValueError: *deadline* or *max_wait* is not above zero.
    """
    outer = _current.get()
    changes: dict[str, Any] = {}
    if priority is not None or caller is not None:
        changes["turn"] = turn_of(
            outer.turn.priority if priority is None else priority,
            outer.turn.caller if caller is None else caller,
        )
    if deadline is not None:
        changes["deadline"] = clock() + checked_seconds("deadline", deadline)
    if max_wait is not None:
        changes["max_wait"] = checked_seconds("max_wait", max_wait)
    token = _current.set(dataclasses.replace(outer, **changes))
    try:
        yield
    finally:
        _current.reset(token)


def checked_seconds(name: str, value: float) -> float:
    """
    Return *value*, seconds above zero.

    Raises:
        ValueError: It is none.
    """
    if not isinstance(value, int | float) or not value > 0:
        raise ValueError(f"{name} must be above 0 seconds, not {value!r}")
    return value
