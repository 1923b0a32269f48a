"""
An event loop in a separate thread, which runs coroutines for other threads.

Decides what an interruption does: Ctrl-C cancels what the interrupted thread waits for, and waits
until that has ended. Knows nothing of requests.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import os
import threading
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

ResultT = TypeVar("ResultT")


class LoopThread:
    """
    Runs coroutines in its loop, for any number of threads.

    The thread is a daemon, and is started at once. It does not survive a fork: in the child, all
    but `is_here` and `close` raise.

    Args:
        name: The name of the thread, and what messages call it.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._is_closed = self._is_dead = False
        self._jobs: set[_Job[Any]] = set()
        self._calm = threading.Condition(self._lock)
        started: concurrent.futures.Future[asyncio.AbstractEventLoop] = concurrent.futures.Future()
        self._thread = threading.Thread(
            target=self._run_loop, args=(started,), name=name, daemon=True
        )
        self._thread.start()
        self._loop = started.result()

    def _run_loop(self, started: concurrent.futures.Future[asyncio.AbstractEventLoop]) -> None:
        living = self._live(started)
        try:
            asyncio.run(living)
        except BaseException as error:  # `sys.exit` in a listener, say, which ends the loop
            living.close()
            with self._lock:
                self._is_closed = self._is_dead = True
                jobs = list(self._jobs)
            if not started.done():  # no file descriptor for a loop is left, say
                started.set_exception(error)
            for job in jobs:
                job.fail(error)

    async def _live(self, started: concurrent.futures.Future[asyncio.AbstractEventLoop]) -> None:
        self._end = asyncio.Event()
        started.set_result(asyncio.get_running_loop())
        await self._end.wait()

    @property
    def is_here(self) -> bool:
        """Whether this is called in its thread."""
        return threading.current_thread() is self._thread

    def run(self, coroutine: Coroutine[Any, Any, ResultT]) -> ResultT:
        """
        Run *coroutine* in the loop, and return what it returns.

        If the wait is interrupted (Ctrl-C), it is cancelled, and its end is waited for; a second
        interruption ends that wait.

        Raises:
            RuntimeError: It is closed, this is its own thread, or another process than before.
            BaseException: What *coroutine* raises.
        """
        job = _Job(coroutine)
        try:
            try:
                with self._lock:
                    self._check()
                    self._jobs.add(job)
            except BaseException:
                coroutine.close()
                raise
            return job.run_in(self._loop)
        finally:
            with self._calm:
                self._jobs.discard(job)
                self._calm.notify_all()

    def call(self, function: Callable[[], ResultT]) -> ResultT:
        """Call *function* in the loop, and return what it returns; as `run`."""

        async def calling() -> ResultT:
            return function()

        return self.run(calling())

    def post(self, function: Callable[[], Any]) -> None:
        """Call *function* in the loop and do not wait for it; do nothing once it is closed."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(function)

    def close(
        self, first: Callable[[], None], last: Callable[[], Coroutine[Any, Any, None]]
    ) -> None:
        """
        End the loop and its thread once all that runs has ended. Only the first call counts.

        Args:
            first: Called in the loop, to bring what runs to its end.
            last: Run in the loop, when nothing else runs any more.
        """
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            if self._pid != os.getpid():
                return  # the thread stayed with the parent
        self.post(first)
        with self._calm:
            self._calm.wait_for(lambda: not self._jobs)
        with self._lock:
            if self._is_dead:
                return
            job = _Job(last())
            self._jobs.add(job)
        try:
            job.run_in(self._loop)
        finally:
            self.post(self._end.set)
            self._thread.join()

    def _check(self) -> None:
        if self._pid != os.getpid():
            raise RuntimeError(
                f"this {self._name} was made before a fork, and its thread exists only in the "
                f"parent; make one in each process"
            )
        if self._is_closed:
            raise RuntimeError(f"this {self._name} is closed; make a new one")
        if self.is_here:
            raise RuntimeError(
                f"this {self._name} cannot be used in its own thread, for example in a listener, "
                f"because it would wait for itself"
            )


class _Job(Generic[ResultT]):
    """A coroutine that another thread waits for."""

    def __init__(self, coroutine: Coroutine[Any, Any, ResultT]) -> None:
        self._coroutine = coroutine
        self._task: asyncio.Task[ResultT] | None = None
        self._ended: concurrent.futures.Future[ResultT] = concurrent.futures.Future()

    def run_in(self, loop: asyncio.AbstractEventLoop) -> ResultT:
        """Run it in *loop* and wait for its end, in the other thread; if interrupted, end it."""
        try:  # an interruption may come as soon as it is said to start
            loop.call_soon_threadsafe(self._start)
            return self._ended.result()
        except BaseException:
            if not self._ended.done():
                loop.call_soon_threadsafe(self._cancel)  # after its start, if that was said
                self._ended.exception()
            raise

    def fail(self, error: BaseException) -> None:
        """Say that its loop has ended with *error*."""
        with contextlib.suppress(concurrent.futures.InvalidStateError):
            self._ended.set_exception(error)

    def _start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._coroutine)
        self._task.add_done_callback(self._finish)

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()
        elif not self._ended.done():
            self._coroutine.close()
            self._ended.set_exception(concurrent.futures.CancelledError())

    def _finish(self, task: asyncio.Task[ResultT]) -> None:
        if task.cancelled():
            self._ended.set_exception(concurrent.futures.CancelledError())
        elif (error := task.exception()) is not None:
            self._ended.set_exception(error)
        else:
            self._ended.set_result(task.result())
