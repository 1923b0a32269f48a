"""
Records the start, the progress and the end of a run in the journal, for `status` and `report`.

Not on the path of requests: it writes a line every few seconds. A line that cannot be written is
not an error of the job, which continues without it.
"""

from __future__ import annotations

import contextlib
import os
import socket
from typing import TYPE_CHECKING

from ratedispatch.jobs.state.files import wall_clock
from ratedispatch.jobs.state.run_notes import Begun, Ended, Mark
from ratedispatch.observe.redact import redact_text, without_login

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ratedispatch.jobs.ending import Ending
    from ratedispatch.jobs.job_files import OpenFiles
    from ratedispatch.jobs.writer import Writer

#: Seconds between two marks: often enough to look on, and some 80 kB of journal in an hour.
_BETWEEN_MARKS = 2.0


class Chronicle:
    """
    The notes on one run. Flushed by the writer as a listener is.

    Args:
        files: The files of the job.
        command: What started the run.
        keys: Removed from the command, wherever they occur.
        clock: Seconds since 1970.
    """

    def __init__(
        self,
        files: OpenFiles,
        command: Sequence[str],
        keys: Sequence[str],
        clock: Callable[[], float] = wall_clock,
    ) -> None:
        self._journal = files.journal
        self._before = len(files.progress.answered), len(files.progress.failed)
        self._rows = files.scan.rows
        self._command = tuple(without_login(redact_text(word, keys)) for word in command)
        self._clock = clock
        self._begun = b""
        self._generation = -1
        self._marked = 0.0
        self._writer: Writer | None = None

    @contextlib.contextmanager
    def kept(self, ending: Ending) -> Iterator[None]:
        """Note at the end of the block how the run ended."""
        try:
            yield
        except BaseException:
            self._end("cancelled", "the run was cancelled")
            raise
        code, message = ending.reason
        self._end(code or "", message or "")

    def begin(self, writer: Writer) -> None:
        """Note that the run begins, whose lines *writer* writes; nothing if all rows are done."""
        if sum(self._before) >= self._rows:
            return
        begun = Begun(
            at=self._clock(),
            command=self._command,
            folder=_folder(),
            process=os.getpid(),
            host=socket.gethostname(),
        )
        self._writer, self._begun = writer, begun.to_line()
        self.flush()

    def flush(self) -> None:
        """Note how far the run is, if that is due."""
        writer, now = self._writer, self._clock()
        # the wall clock may be set back
        if writer is None or 0 <= now - self._marked < _BETWEEN_MARKS:
            return
        self._marked = now
        self._write(self._mark(writer, now))

    def _mark(self, writer: Writer, now: float) -> bytes:
        answered, failed = self._before
        mark = Mark(
            now,
            answered + writer.answered,
            failed + writer.failed,
            len(self._journal.open_rows),
            *writer.sizes,
        )
        return mark.to_line()

    def _end(self, code: str, message: str) -> None:
        writer, now, self._writer = self._writer, self._clock(), None
        if writer is not None:
            self._write(self._mark(writer, now) + Ended(now, code, message).to_line())

    def _write(self, text: bytes) -> None:
        # the journal starts over when its file was removed
        if self._generation != self._journal.generation:
            text = self._begun + text
        with contextlib.suppress(OSError):
            self._journal.append(text)
            self._generation = self._journal.generation


def _folder() -> str:
    try:
        return os.getcwd()  # noqa: PTH109  (as a text)
    except OSError:  # it was removed
        return ""
