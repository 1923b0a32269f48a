"""
An event loop whose time is virtual.

When nothing is ready to run, its clock jumps to the next timer, so that hours of waiting take
milliseconds and every run of the same program takes the same steps. Everything that waits by
``asyncio.sleep``, ``asyncio.timeout``, ``call_at`` or ``call_later`` obeys it unchanged.

Follows the idea of trio's ``MockClock`` with ``autojump_threshold=0``.
"""

from __future__ import annotations

import asyncio
import selectors
from concurrent.futures import Future as ThreadFuture
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

T = TypeVar("T")

#: Less than any wait, and more than what rounding makes of the instants of a week.
_RESOLUTION_SECONDS = 1e-9

#: What a loop watches that has no socket: the pipe by which threads and signals wake it.
_PIPES = 1


class DeadlockError(RuntimeError):
    """Every task waits for something that no timer and no socket will ever bring."""


class _JumpingSelector(selectors.DefaultSelector):
    """
    A selector that, instead of waiting, moves the loop's clock.

    Where the loop watches nothing but the pipe by which it is woken, there is nothing to ask the
    system for: what wakes it from a wait does so for none that would last.
    """

    def __init__(self, start: float) -> None:
        super().__init__()
        self.now = start
        self._watched = 0

    def register(self, *args: Any, **kwargs: Any) -> selectors.SelectorKey:
        """Watch something more."""
        key = super().register(*args, **kwargs)
        self._watched += 1
        return key

    def unregister(self, *args: Any, **kwargs: Any) -> selectors.SelectorKey:
        """Watch something no longer."""
        key = super().unregister(*args, **kwargs)
        self._watched -= 1
        return key

    def select(self, timeout: float | None = None) -> Any:
        """Move the clock to the next timer instead of waiting for it."""
        if self._watched <= _PIPES and timeout is not None:
            self.now += timeout
            return ()
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None:
            raise DeadlockError("every task is waiting and no timer is set")
        self.now += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """
    An event loop in virtual time.

    Args:
        start: What its clock shows at first, in seconds.
    """

    def __init__(self, start: float = 0.0) -> None:
        self._jumping = _JumpingSelector(start)
        super().__init__(self._jumping)
        # timers this close run together; a machine's clock may be as coarse as 16 ms
        self._clock_resolution = _RESOLUTION_SECONDS

    def time(self) -> float:
        """Return the virtual time in seconds."""
        return self._jumping.now

    def spend(self, seconds: float) -> None:
        """Let *seconds* pass at once, as work of the processor does: what is due waits for it."""
        self._jumping.now += seconds

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., T], *args: Any
    ) -> Any:
        """Run *func* at once: a thread would take real time, which does not pass here."""
        del executor
        future: ThreadFuture[T] = ThreadFuture()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return asyncio.wrap_future(future, loop=self)


def run_virtual(main: Coroutine[Any, Any, T], *, start: float = 0.0) -> T:
    """
    Run *main* in virtual time and return its result, as :func:`asyncio.run` does.

    Raises:
        DeadlockError: All of it waits for something that never comes.
    """
    results: list[T] = []

    # the result of a task would be described twice at its end: as the runner asks the module
    # signal for its handler, that one makes and drops an error in which the task stands. What a
    # run leaves is large, and describing it took up to a third of the time of the run
    async def keep() -> None:
        results.append(await main)

    with asyncio.Runner(loop_factory=lambda: VirtualLoop(start)) as runner:
        runner.run(keep())
    return results[0]
