"""
Records the attempts of one process in the journal of the job, which the parent keeps open.

The file is open for appending, so that the lines of several processes never mix. A line is written
before its attempt leaves, by the process that sends it: whichever of the processes is killed, the
journal says what had left. Decides as `Journal` does which line that is.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ratedispatch.events import AttemptEnded, RequestEnded, RequestSkipped
from ratedispatch.jobs.state.files import no_space
from ratedispatch.jobs.writer import may_be_billed

if TYPE_CHECKING:
    from collections.abc import Callable

    from ratedispatch.events import Event


class OwnNotes:
    """
    The journal, as a process sees it that only sends. A listener.

    Args:
        descriptor: The descriptor of the journal, open for appending.
        on_error: Called with what could not be written.
    """

    listens_to = frozenset({AttemptEnded, RequestEnded, RequestSkipped})

    def __init__(self, descriptor: int, on_error: Callable[[OSError], None]) -> None:
        self._descriptor = descriptor
        self._on_error = on_error
        self._open: set[int] = set()
        self._repeated: set[int] = set()

    def expect(self, row: int) -> None:
        """Take *row* for one that has been sent before and may have been billed."""
        self._open.add(row)

    def note(self, row: int) -> bool:
        """Note that *row* is about to be sent; return whether that could be done."""
        is_again = row in self._open
        if not self._append(b"t%d\n" % row if is_again else b"s%d\n" % row):
            return False
        (self._repeated if is_again else self._open).add(row)
        return True

    def __call__(self, event: Event) -> None:
        """Note which attempts came back without being billed, and forget rows that have ended."""
        if isinstance(event, AttemptEnded):
            row = event.request.row
            if row in self._open and not may_be_billed(event) and self._append(b"b%d\n" % row):
                if row in self._repeated:
                    self._repeated.discard(row)
                else:
                    self._open.discard(row)
        elif isinstance(event, RequestEnded):
            self._forget(event.outcome.request.row)
        elif isinstance(event, RequestSkipped):
            self._forget(event.request.row)

    def _forget(self, row: int | None) -> None:
        if row is not None:
            self._open.discard(row)
            self._repeated.discard(row)

    def _append(self, record: bytes) -> bool:
        try:
            if os.write(self._descriptor, record) != len(record):
                raise no_space()
        except OSError as error:
            self._on_error(error)
            return False
        return True
