"""
Calls a function in a process of its own.

Every run begins alike: with nothing imported, remembered or pinned to a processor by the run
before.
"""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")


def call_in_subprocess(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """
    Return what *function* returns, called in the main thread of a new process.

    Args:
        function: At the top level of its module, so that the process can find it.
        args: As with *kwargs* and the result: values that can be pickled.
        kwargs: See *args*.
    """
    # spawned, not forked: a fork has in memory what its parent has, and the parent's threads not
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=fresh) as pool:
        return pool.submit(function, *args, **kwargs).result()
