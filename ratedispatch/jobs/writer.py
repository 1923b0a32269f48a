"""
Writes the outcomes of a run to the result files, and its attempts to the journal.

Decides when a line is written, when it is synced to disk, and what happens to a line that cannot be
written. The lines of one turn of the event loop are written together at its end, so a crash of the
process loses only requests in flight.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
from collections import deque
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from ratedispatch import _json
from ratedispatch.errors import JobError
from ratedispatch.events import AttemptEnded
from ratedispatch.jobs.batchfile import bad_row_line, outcome_line
from ratedispatch.jobs.sink import Fsync, LineSink
from ratedispatch.observe.redact import contains_key, is_secret, redact_text, redact_value
from ratedispatch.outcome import Completed, Decision

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ratedispatch.events import Event
    from ratedispatch.jobs.batchfile import BadRow
    from ratedispatch.jobs.state.journal import Journal
    from ratedispatch.jobs.state.paths import JobFiles
    from ratedispatch.outcome import Outcome

_LOGGER = logging.getLogger("ratedispatch")

#: Seconds after which what was written has to survive a power cut, unless told otherwise.
FLUSH_INTERVAL = 1.0

#: HTTP statuses from here on are errors; those below the others are refusals.
_ERROR = 400
_SERVER_ERROR = 500
_OVERLOADED = 503

#: Among refusals, those of a server that had begun: it waited too long, or its client did.
_GAVE_UP = frozenset({408, 499})


@runtime_checkable
class Flushable(Protocol):
    """A listener that keeps what it writes in memory until it is flushed."""

    def flush(self) -> None:
        """Write what waits."""


def flushable(listeners: Sequence[object]) -> list[Flushable]:
    """Return those of *listeners* that are to be flushed."""
    return [listener for listener in listeners if isinstance(listener, Flushable)]


class Writer:
    """
    Writes outcomes to the result files, and attempts to the journal. A listener.

    Each attempt has to be noted by :meth:`note` before it leaves.

    Args:
        files: The files of the job.
        journal: The journal of the job.
        keys: Removed wherever they occur.
        fsync: When what was written has to survive a power cut.
        interval: Seconds between two looks at the disk.
        flushed: Flushed as often, and left open. One that raises is logged once, and flushed again.
        spent: Tells what was spent so far and the dearest answer, in USD, for the journal; ``None``
            if no price is known.
        on_error: Called with what could not be written, each time.

    Raises:
        OSError: A result file cannot be opened.
    """

    def __init__(
        self,
        files: JobFiles,
        journal: Journal,
        *,
        keys: Sequence[str],
        fsync: Fsync,
        interval: float,
        flushed: Sequence[Flushable] = (),
        spent: Callable[[], tuple[float, float] | None] = lambda: None,
        on_error: Callable[[OSError], None],
    ) -> None:
        self._answers = LineSink(files.output)
        try:
            self._failures = LineSink(files.errors)
        except OSError:
            self._answers.close()
            raise
        self._sinks = (self._answers, self._failures)
        self._journal = journal
        self._secrets = [key for key in keys if is_secret(key)]
        self._fsync = fsync
        self._interval = interval
        self._flushed = tuple(flushed)
        self._blamed: set[int] = set()
        self._spent = spent
        self._on_error = on_error
        self._waiting: dict[LineSink, deque[int | None]] = {sink: deque() for sink in self._sinks}
        self._is_due = False
        self._due = asyncio.Event()

    @property
    def answered(self) -> int:
        """Answers that were written."""
        return self._answers.written

    @property
    def failed(self) -> int:
        """Failures that were written."""
        return self._failures.written

    @property
    def written(self) -> int:
        """Lines that were written."""
        return sum(sink.written for sink in self._sinks)

    @property
    def done(self) -> int:
        """Lines that are as safe as was requested."""
        if self._fsync is Fsync.ALWAYS:
            return sum(sink.synced for sink in self._sinks)
        return self.written

    @property
    def sizes(self) -> tuple[int, int]:
        """Bytes of the answers and of the failures that were written."""
        return self._answers.size, self._failures.size

    @property
    def saved(self) -> list[str]:
        """Sentences on files that were removed, and where their lines are now."""
        return [sink.saved for sink in self._sinks if sink.saved]

    listens_to = frozenset({AttemptEnded})

    def __call__(self, event: Event) -> None:
        """Note which attempts came back without being billed."""
        if not isinstance(event, AttemptEnded) or event.request.row is None:
            return
        if not may_be_billed(event):
            with self._telling():
                self._journal.take_back(event.request.row)

    def note(self, row: int) -> bool:
        """Note that *row* is about to be sent; return whether that could be done."""
        try:
            self._journal.send(row)
        except OSError as error:
            self._on_error(error)
            return False
        return True

    def write(self, outcome: Outcome, digest: str) -> None:
        """Write *outcome*, of the row with *digest*, in this turn of the loop."""
        line = outcome_line(outcome, digest)
        for key in self._secrets:
            if contains_key(line, key):
                line = outcome_line(_without(self._secrets, outcome), digest)
                break
        sink = self._answers if isinstance(outcome, Completed) else self._failures
        self._append(sink, line, outcome.request.row)

    def write_bad_row(self, bad: BadRow, digest: str) -> None:
        """Write the error line of a row that is not a request."""
        line = bad_row_line(bad, digest)
        if any(contains_key(line, key) for key in self._secrets):
            message = redact_text(bad.message, self._secrets)
            line = bad_row_line(dataclasses.replace(bad, message=message), digest)
        self._append(self._failures, line, None)

    async def keep_safe(self) -> None:
        """Bring what was written to the disk as often as was requested, until cancelled."""
        loop = asyncio.get_running_loop()
        looked = loop.time()
        while True:
            if self._fsync is Fsync.ALWAYS:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._interval):
                        await self._due.wait()
                self._due.clear()
            else:
                await asyncio.sleep(self._interval)
            await self._sync()
            if loop.time() - looked >= self._interval:
                looked = loop.time()
                for sink in self._sinks:
                    with self._telling():
                        sink.flush()
                        sink.check()
                with self._telling():
                    self._journal.check()
                self._note_spent()
                self.flush_others()

    def close(self) -> None:
        """Write what waits, down to the disk, as far as it can be."""
        self._note_spent()
        for sink in self._sinks:
            with self._telling():
                sink.flush()
                sink.check()
            with self._telling():
                sink.close()
            self._end_written(sink)
        try:
            self._journal.restore()
        except JobError as error:
            self._on_error(OSError(None, str(error)))
        self.flush_others()

    def flush_others(self) -> None:
        """Flush the listeners that keep what they write."""
        for other in self._flushed:
            try:
                other.flush()
            except Exception:
                if id(other) not in self._blamed:
                    self._blamed.add(id(other))
                    _LOGGER.exception(
                        "the listener %r cannot be flushed; this is tried again, and further "
                        "errors are not logged",
                        other,
                    )

    def _append(self, sink: LineSink, line: bytes, row: int | None) -> None:
        self._waiting[sink].append(row)
        try:
            sink.append(line)
        except OSError as error:
            self._on_error(error)
        if not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _note_spent(self) -> None:
        """Note what was spent before the answers are written that it was spent for."""
        spent = self._spent()
        if spent is not None:
            try:
                self._journal.note_spent(*spent)
            except OSError as error:
                self._on_error(error)

    def _flush(self) -> None:
        self._is_due = False
        self._note_spent()
        for sink, waiting in self._waiting.items():
            if not waiting:
                continue
            try:
                sink.flush()
            except OSError as error:
                self._on_error(error)
                self._end_written(sink)
                continue
            for row in waiting:
                if row is not None:
                    self._journal.end(row)
            waiting.clear()
        self._due.set()

    def _end_written(self, sink: LineSink) -> None:
        """End the rows in the journal whose lines are written."""
        waiting = self._waiting[sink]
        unwritten = sink.lines_waiting
        while len(waiting) > unwritten:
            row = waiting.popleft()
            if row is not None:
                self._journal.end(row)

    async def _sync(self) -> None:
        if self._fsync is Fsync.NEVER:
            return
        for sink in self._sinks:
            if sink.is_dirty:
                with self._telling():
                    # shielded: to be cancelled while a thread works on the file would close it
                    await finished(sink.sync)
        with self._telling():
            await finished(self._journal.sync)

    @contextlib.contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._on_error(error)


def may_be_billed(event: AttemptEnded) -> bool:
    """Whether the attempt that has ended may have been billed, with an answer or without."""
    return not (event.decision is Decision.UNREACHABLE or _is_unbilled(event.status))


def _is_unbilled(status: int | None) -> bool:
    """Whether nothing was done for a request: refused, or turned away at the door."""
    # the response of a gateway (500, 502, 504) does not show what was done behind it
    refused = status is not None and _ERROR <= status < _SERVER_ERROR
    return (refused and status not in _GAVE_UP) or status == _OVERLOADED


async def finished(work: Callable[[], None]) -> None:
    """Do *work* in a thread; when cancelled, however often, wait until it has ended."""
    task = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await ended(task)
        raise


async def ended(task: asyncio.Future[None]) -> None:
    """Wait until *task* has ended, even if cancelled meanwhile."""
    while not task.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait([task])


def _without(keys: Sequence[str], outcome: Outcome) -> Outcome:
    """*outcome* with *keys* blacked out in what the server said."""
    response = outcome.response
    if response is not None:
        # of an answer that another process has got, only the text is here
        body = response.body if response.text is None else _json.loads(response.text)
        body = redact_value(body, keys)
        headers = {name: redact_text(value, keys) for name, value in response.headers.items()}
        response = dataclasses.replace(response, body=body, headers=headers, text=None)
    if isinstance(outcome, Completed):
        assert response is not None
        return dataclasses.replace(outcome, response=response)
    return dataclasses.replace(
        outcome, response=response, message=redact_text(outcome.message, keys)
    )
