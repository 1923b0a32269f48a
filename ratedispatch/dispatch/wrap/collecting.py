"""
Whether this thread is collecting garbage right now.

What is finalized then runs in the middle of anything that this thread does, and that may hold any
lock: to wait for one would be to wait for oneself. A stream that is left in the middle is closed
so, where it is part of a cycle, and so is a coroutine of an event loop that was given up.
"""

from __future__ import annotations

import gc
from threading import get_ident

_collector = 0


def is_collecting() -> bool:
    """Whether the caller is finalized by the collector."""
    return _collector == get_ident()


# called until the interpreter has ended, when the names of modules are gone
def _note(phase: str, _: dict[str, int], *, ident: object = get_ident) -> None:
    global _collector  # noqa: PLW0603 - there is one collection at a time
    _collector = ident() if phase == "start" else 0  # type: ignore[operator]


gc.callbacks.append(_note)
