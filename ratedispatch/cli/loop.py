"""
The event loop that a command runs in.

Decides which loop is used, and how often the process collects cyclic garbage. Knows nothing of what
runs in it. Only the command line uses it: a library leaves both decisions to its program.
"""

from __future__ import annotations

import contextlib
import gc
import importlib.util
import sys
from typing import TYPE_CHECKING

from ratedispatch.errors import JobError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator

AUTO = "auto"
ASYNCIO = "asyncio"
UVLOOP = "uvloop"

#: The names of the loops; ``auto`` is uvloop where it is installed.
LOOPS = (AUTO, ASYNCIO, UVLOOP)

#: Threshold of the youngest generation of the garbage collector; Python's default of 700 is less
#: than
#: the requests of one turn of the loop create.
_YOUNG = 50_000


def loop_named(name: str) -> str:
    """
    Return which loop *name*, one of `LOOPS`, stands for here: ``asyncio`` or ``uvloop``.

    Raises:
        ValueError: There is no loop of that name.
        JobError: It is not installed.
    """
    if name not in LOOPS:
        raise ValueError(f"the loop must be one of {', '.join(LOOPS)}, not {name!r}")
    if name == ASYNCIO:
        return ASYNCIO
    is_there = importlib.util.find_spec(UVLOOP) is not None
    if name == UVLOOP and not is_there:
        where = " (there is none for Windows)" if sys.platform == "win32" else ""
        raise JobError(
            f"uvloop is not installed{where}; install it (pip install uvloop), or choose the "
            f"loop asyncio"
        )
    return UVLOOP if is_there else ASYNCIO


def runner(name: str = AUTO) -> asyncio.Runner:
    """
    Return a runner, not yet entered, on the loop *name*, one of `LOOPS`.

    Raises:
        ValueError: There is no loop of that name.
        JobError: It is not installed.
    """
    import asyncio  # here because --help must not wait for it

    if loop_named(name) == ASYNCIO:
        return asyncio.Runner()
    import uvloop

    return asyncio.Runner(loop_factory=uvloop.new_event_loop)


@contextlib.contextmanager
def seldom_collecting() -> Iterator[None]:
    """
    Collect cyclic garbage less often during the block.

    Objects from the start (modules, classes, vocabularies) stay until the end, and the collector
    skips them. Requests make few cycles, and these are found later. Reference counts still free
    nearly all objects at once.
    """
    before = gc.get_threshold()
    gc.freeze()  # without a collection before: it takes as long as many requests
    gc.set_threshold(_YOUNG, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
