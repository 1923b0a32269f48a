"""
Cleans up the stores of a process in the child of a fork.

Its functions run before those of modules that import this one, whatever is imported later: who
opens a store in the child, right after the fork, must not be handed what is the parent's.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_functions: list[Callable[[], None]] = []


def in_child(function: Callable[[], None]) -> None:
    """Call *function* in each child of a fork, in the thread that is left."""
    _functions.append(function)


def _call_all() -> None:
    for function in _functions:
        function()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_call_all)
