"""
The work of a process without files: receives rows, sends each until it has an outcome, and reports
to the process that has the files.
"""

from __future__ import annotations

import asyncio
import sys
import time
import warnings
from collections import deque
from typing import TYPE_CHECKING, Any

from ratedispatch.errors import JobError, Stopped
from ratedispatch.jobs.journaling import journaled
from ratedispatch.jobs.processes.messages import State, stripped
from ratedispatch.jobs.processes.own_notes import OwnNotes
from ratedispatch.jobs.processes.wire import Channel
from ratedispatch.jobs.sender import Alone
from ratedispatch.request import Request
from ratedispatch.tokens import Counter

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from ratedispatch.events import Event
    from ratedispatch.jobs.processes.messages import RowSent, Setup

#: Seconds between two messages on how this process does.
_TICK = 0.25

#: Rows that are asked for at once: doubled where they are used up before others have come, halved
#: where they lasted for longer than a second, so that no process holds many at the end of a job.
_FEWEST_ROWS = 4
_MOST_ROWS = 512
_LASTING = 1.0


class Incoming:
    """
    The rows that have come and are not taken yet. An asynchronous iterator.

    Args:
        ask: Called with the number of rows that are wanted.
    """

    def __init__(self, ask: Callable[[int], None]) -> None:
        self._ask = ask
        self._rows: deque[Request] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._is_over = False
        self._batch = _FEWEST_ROWS
        self._asked = 0  # that have not come yet
        self._asked_at = 0.0
        self._ran_dry = False

    def __aiter__(self) -> Incoming:
        return self

    async def __anext__(self) -> Request:
        while not self._rows:
            if self._is_over:
                raise StopAsyncIteration
            self._ran_dry = True
            self._want()
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        request = self._rows.popleft()
        if len(self._rows) <= self._batch // 2:
            self._want()
        return request

    def add(self, rows: list[Request]) -> None:
        """Take *rows* in."""
        self._rows += rows
        self._asked = max(0, self._asked - len(rows))
        self._wake()

    def end(self) -> None:
        """No more rows come."""
        self._is_over = True
        self._wake()

    def _want(self) -> None:
        if self._asked or self._is_over:
            return
        now = asyncio.get_running_loop().time()
        if self._ran_dry:
            self._batch = min(self._batch * 2, _MOST_ROWS)
        elif now - self._asked_at > _LASTING:
            self._batch = max(self._batch // 2, _FEWEST_ROWS)
        self._ran_dry, self._asked, self._asked_at = False, self._batch, now
        self._ask(self._batch)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Work:
    """
    The sending of one process. A listener of its dispatcher.

    Args:
        setup: What it needs.
        journal: The descriptor of the journal.
        end: Called when the other process is gone.
    """

    def __init__(self, setup: Setup, journal: int, end: Callable[[], None]) -> None:
        self._setup = setup
        self._channel = Channel(self._take, end)
        self._notes = OwnNotes(journal, self._tell_unnoted)
        self._incoming = Incoming(lambda count: self._channel.send(("want", count)))
        self._dispatcher: Alone | None = None
        self._told: list[Any] = []

    async def run(self, end: socket.socket) -> None:
        """Send what comes over *end*, until it is gone."""
        setup = self._setup
        await self._channel.connect(end)
        sys.stderr = _Lines(lambda text: self._channel.send(("note", text)))
        warnings.showwarning = lambda text, *_, **__: self._channel.send(("note", f"note: {text}"))
        try:
            async with setup.opening() as client:
                await self._send(setup.part.client(client))
        except JobError as error:
            self._channel.send(("stopped", "processes", str(error)))
            self._channel.send(("ended", None))
        await asyncio.Event().wait()

    async def _send(self, client: Any) -> None:
        setup = self._setup
        options = setup.part.options(setup.options)
        if setup.aliases:
            import dataclasses

            options = dataclasses.replace(options, counter=Counter(models=setup.aliases))
        self._dispatcher = dispatcher = Alone(
            journaled(client, self._notes.note),
            setup.part.limits(setup.limits),
            listeners=(self._notes, self),
            options=options,
        )
        forget = dispatcher.stopping.on_stop(self._tell_stop)
        began = time.process_time()
        self._channel.send(("ready",))
        ticking = asyncio.create_task(self._tick(dispatcher, began))
        skipped = None
        try:
            async for _ in dispatcher.map(self._incoming, progress=False):
                pass
        except Stopped as error:
            skipped = error.code, str(error)
        finally:
            forget()
            ticking.cancel()
        self._flush()
        self._tell_state(dispatcher, began)
        self._channel.send(("ended", skipped))

    def __call__(self, event: Event) -> None:
        """Tell *event* to the parent at the end of this turn of the loop, with all others."""
        if not self._told:
            asyncio.get_running_loop().call_soon(self._flush)
        self._told.append(stripped(event, is_whole=self._setup.is_whole))

    def _flush(self) -> None:
        told, self._told = self._told, []
        if told:
            self._channel.send(told)

    def _take(self, message: Any) -> None:
        """Do what the parent says."""
        kind, *values = message
        if kind == "rows":
            self._incoming.add([self._request(one) for one in values[0]])
        elif kind == "end":
            self._incoming.end()
        elif self._dispatcher is not None:
            if kind == "stop":
                self._dispatcher.stop(*values)
            elif kind == "abandon":
                self._dispatcher.abandon()

    def _request(self, sent: RowSent) -> Request:
        if sent.is_doubtful:
            self._notes.expect(sent.row)
        return Request(sent.body, sent.endpoint, sent.custom_id, sent.row, was_read=sent.was_read)

    async def _tick(self, dispatcher: Alone, began: float) -> None:
        while True:
            await asyncio.sleep(_TICK)
            self._tell_state(dispatcher, began)

    def _tell_state(self, dispatcher: Alone, began: float) -> None:
        state = State(
            dispatcher.snapshot(),
            dispatcher.snapshots(),
            dispatcher.bottleneck(),
            time.process_time() - began,
        )
        self._channel.send(("state", state))

    def _tell_stop(self) -> None:
        """Tell that nothing more is sent, before what is in flight has ended."""
        assert self._dispatcher is not None
        reason = self._dispatcher.stopping.reason
        assert reason is not None
        error = reason()
        self._channel.send(("stopped", error.code, str(error)))

    def _tell_unnoted(self, error: OSError) -> None:
        self._channel.send(("unnoted", error.errno, error.strerror))


class _Lines:
    """What stands for the error output: each line becomes a note of the parent."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._rest = ""

    def write(self, text: str) -> int:
        """Tell the lines that are whole."""
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            if line.strip():
                self._tell(line)
        return len(text)

    def flush(self) -> None:
        """Nothing waits but what is not a line yet."""

    def isatty(self) -> bool:
        """No terminal."""
        return False
