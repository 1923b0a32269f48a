"""
A dispatcher for scripts and threads without an event loop.

Decides nothing about sending: a `Dispatcher` does that, in an event loop in a separate thread, for
all calling threads.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import AsyncIterable, Collection
from typing import TYPE_CHECKING, Any

from ratedispatch.dispatch.dispatcher import Dispatcher
from ratedispatch.dispatch.loop_thread import LoopThread
from ratedispatch.dispatch.source_thread import SourceThread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
    from types import TracebackType

    from ratedispatch.dispatch.answer_stream import AnswerStream
    from ratedispatch.dispatch.options import DispatcherOptions
    from ratedispatch.dispatch.pool import Pool
    from ratedispatch.dispatch.transports import Client
    from ratedispatch.events import Listener
    from ratedispatch.groups import LimitGroups
    from ratedispatch.limits import Limits
    from ratedispatch.outcome import Outcome, Usage
    from ratedispatch.pacing.bottleneck import Bottleneck
    from ratedispatch.pacing.budget import Budget
    from ratedispatch.pacing.feedback import Change, Feedback
    from ratedispatch.pacing.permit import Permit
    from ratedispatch.pacing.snapshot import Snapshot
    from ratedispatch.request import Cost, Request

#: What an asynchronous iterator gives when it has ended.
_END = object()


class SyncDispatcher:
    """
    A :class:`~ratedispatch.Dispatcher` for scripts and threads: its methods block.

    Use it as a context manager, or call :meth:`close`. Any number of threads may use it at once.
    Ctrl-C cancels what the interrupted thread waits for, and waits until that has ended; a second
    Ctrl-C does not wait. A dispatcher belongs to the process that made it: after a fork, make one
    in each child.

    Args:
        client: An ``openai.AsyncOpenAI``, any transport, or a pool of them. Its connections belong
            to the event loop of the separate thread, so it is closed together with this.
        limits: The limits of the account or of groups of models; None for a pool.
        listeners: Called with every event, in that thread.
        budget: A budget to use instead of a new one.
        options: How to send.
        changes: Fields of :class:`~ratedispatch.DispatcherOptions` by name.

    Raises:
        TypeError: As `Dispatcher`.
        ValueError: The same.
    """

    def __init__(
        self,
        client: Client | Pool,
        limits: Limits | LimitGroups | None = None,
        *,
        listeners: Sequence[Listener] = (),
        budget: Budget | None = None,
        options: DispatcherOptions | None = None,
        **changes: Any,
    ) -> None:
        self._client = client
        self._dispatcher = Dispatcher(
            client, limits, listeners=listeners, budget=budget, options=options, **changes
        )
        self._thread = LoopThread("SyncDispatcher")

    def __enter__(self) -> SyncDispatcher:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close it; after an error, without waiting for requests in flight of other threads."""
        self._close(is_waiting=error is None)

    def close(self) -> None:
        """
        Send nothing more, wait for the requests in flight of other threads, and end the thread.

        Their waiting requests raise :class:`Stopped`. Closes the client. Only the first call
        counts; afterwards every other method raises ``RuntimeError``.
        """
        self._close(is_waiting=True)

    def warm_up(self, *models: str, connections: int = 1) -> None:
        """Prepare for the first requests; see `Dispatcher.warm_up`."""
        self._thread.run(self._dispatcher.warm_up(*models, connections=connections))

    def submit(
        self,
        request: Request,
        *,
        priority: int = 0,
        caller: str = "",
        deadline: float | None = None,
        session: str | None = None,
    ) -> Outcome:
        """
        Send *request* when its turn comes, and return its outcome; see `Dispatcher.submit`.

        Raises:
            Stopped: Nothing more is sent, and this request was not answered.
            RuntimeError: It is closed, or was made in another process.
        """
        claims: dict[str, Any] = {"caller": caller, "deadline": deadline, "session": session}
        return self._thread.run(self._dispatcher.submit(request, priority=priority, **claims))

    def map(
        self,
        requests: Iterable[Request] | AsyncIterable[Request],
        *,
        ordered: bool = False,
        priority: int = 0,
        caller: str = "",
        progress: bool | None = None,
    ) -> Iterator[Outcome]:
        """
        Send all *requests* and iterate over their outcomes; see `Dispatcher.map`.

        Leaving the loop cancels the requests in flight.

        Args:
            requests: What to send. Anything but a collection is read in a separate thread, up to 64
                requests ahead of those that may be open.
            ordered: Yield the outcomes in the order of the requests.
            priority: The priority of all of them.
            caller: The caller of all of them.
            progress: Whether to show a progress bar; by default only in a notebook.

        Raises:
            Stopped: Nothing more is sent, at all or to some models.
            Exception: Whatever *requests* raises.
        """
        source = requests
        if not isinstance(requests, Collection | AsyncIterable):
            source = SourceThread(requests)
        claims: dict[str, Any] = {"priority": priority, "caller": caller}
        outcomes = self._dispatcher.map(source, ordered=ordered, progress=progress, **claims)
        try:
            yield from self._iterate(outcomes)
        finally:
            if isinstance(source, SourceThread):
                source.close()
            self._finish(outcomes)

    def stream(
        self,
        request: Request,
        *,
        priority: int = 0,
        caller: str = "",
        deadline: float | None = None,
        session: str | None = None,
    ) -> SyncAnswerStream:
        """
        Send *request* when its turn comes, and iterate over the events; see `Dispatcher.stream`.

        Raises:
            InvalidRequest: Such a request cannot be streamed.
            TypeError: *request* is not a request, or the transport cannot stream.
        """
        claims: dict[str, Any] = {"caller": caller, "deadline": deadline, "session": session}
        start = functools.partial(self._dispatcher.stream, request, priority=priority, **claims)
        return SyncAnswerStream(self._thread.call(start), self)

    @contextlib.contextmanager
    def permit(
        self,
        cost: Cost,
        *,
        model: str = "",
        priority: int = 0,
        caller: str = "",
        deadline: float | None = None,
    ) -> Iterator[SyncPermit]:
        """
        Pace work of your own: wait for a permit and pay *cost*; see `Dispatcher.permit`.

        Raises:
            TypeError: *cost* is not a cost.
            CostExceedsLimit: It can never be paid.
            DeadlineMissed: The permit was not, or cannot be, granted in time.
            InvalidLimits: The model belongs to no group, and there are no limits for other models.
            Stopped: Nothing more is sent.
        """
        claims: dict[str, Any] = {"priority": priority, "caller": caller, "deadline": deadline}
        ask = functools.partial(self._dispatcher.permit, cost, model=model, **claims)
        scope = self._thread.call(ask)
        try:
            yield SyncPermit(self._thread.run(scope.__aenter__()), self._thread)
        finally:  # also of one that was granted in the moment of an interruption
            self._thread.post(scope.close)

    def stop(self, code: str, message: str) -> None:
        """Send nothing more; callers still get the outcomes of requests in flight."""
        self._thread.call(functools.partial(self._dispatcher.stop, code, message))

    def abandon(self) -> None:
        """After :meth:`stop`: give up the requests in flight as well."""
        self._thread.call(self._dispatcher.abandon)

    def snapshot(self) -> Snapshot:
        """Return the state of the queue, or of all queues together, and their buckets."""
        return self._thread.call(self._dispatcher.snapshot)

    def bottleneck(self) -> Bottleneck:
        """Return the bottleneck of the last 15 seconds."""
        return self._thread.call(self._dispatcher.bottleneck)

    @property
    def listener_errors(self) -> int:
        """Exceptions that listeners have raised so far."""
        return self._dispatcher.listener_errors

    def _close(self, *, is_waiting: bool) -> None:
        def end() -> None:
            self._dispatcher.stop("closed", "the dispatcher was closed")
            if not is_waiting:
                self._dispatcher.abandon()

        async def close_client() -> None:
            close = getattr(self._client, "close", None)
            closing = None if close is None else close()
            if inspect.isawaitable(closing):
                await closing

        self._thread.close(end, close_client)

    def _iterate(self, items: AsyncIterator[Any]) -> Iterator[Any]:
        """Iterate over *items*, each of which is waited for in the loop."""

        async def following() -> Any:
            return await anext(items, _END)

        while (item := self._thread.run(following())) is not _END:
            yield item

    def _finish(self, items: Any) -> None:
        """Close *items*, an asynchronous iterator, and wait for the end of that where possible."""
        if self._thread.is_here:  # nobody refers to them any more, and the loop collects them
            return
        with contextlib.suppress(RuntimeError):  # closed, and so are they
            self._thread.run(items.aclose())


class SyncAnswerStream:
    """
    An iterator over the events of one answer; also a context manager that closes it.

    Args:
        stream: The same in the loop.
        dispatcher: The dispatcher whose loop is used.
    """

    def __init__(self, stream: AnswerStream, dispatcher: SyncDispatcher) -> None:
        self._stream = stream
        self._dispatcher = dispatcher
        self._events = dispatcher._iterate(stream)

    @property
    def outcome(self) -> Outcome | None:
        """The outcome of the request, once the events have ended; None before."""
        return self._stream.outcome

    @property
    def usage(self) -> Usage | None:
        """The usage that the provider reports, if any, once the events have ended."""
        return self._stream.usage

    def __iter__(self) -> SyncAnswerStream:
        return self

    def __next__(self) -> Any:
        """
        Return the next event.

        Raises:
            RequestFailed: The request failed, or its answer was cut off.
            Stopped: Nothing more is sent, and it was not answered.
        """
        return next(self._events)

    def close(self) -> None:
        """Close the connection and the permit; the cost reserved for the answer stays spent."""
        self._dispatcher._finish(self._stream)

    def __enter__(self) -> SyncAnswerStream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class SyncPermit:
    """
    A :class:`~ratedispatch.Permit` whose event loop runs in another thread.

    Args:
        permit: The permit.
        thread: The thread of its loop.

    Attributes:
        cost: The debited cost.
        waited: Seconds spent in the queue.
    """

    def __init__(self, permit: Permit, thread: LoopThread) -> None:
        self._permit = permit
        self._thread = thread
        self.cost = permit.cost
        self.waited = permit.waited

    def report(self, feedback: Feedback) -> Sequence[Change]:
        """
        Close the permit with *feedback* on its attempt; return the changes that this causes.

        Raises:
            RuntimeError: The permit is already closed.
        """
        return self._thread.call(functools.partial(self._permit.report, feedback))

    def cancel(self) -> None:
        """Close the permit unused, if it is still open: nothing was sent."""
        self._thread.call(self._permit.cancel)
