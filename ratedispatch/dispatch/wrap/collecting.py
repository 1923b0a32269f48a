"""
Whether this thread is collecting garbage right now.

Finalizers then run in the middle of whatever this thread does, which may hold any lock: waiting for
one would be waiting for itself. This is how a stream that was left early is closed if it is part of
a cycle, and a coroutine of an abandoned event loop.
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
