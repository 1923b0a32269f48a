"""
Follows what other processes of a job write to its journal.

Each process that sends notes its own attempts, so the file is where all of them stand; the parent
reads on from where it was, before it believes anything that it is told of them.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ratedispatch.jobs.state.files import CHUNK
from ratedispatch.jobs.state.journal import RECORD

if TYPE_CHECKING:
    from ratedispatch.jobs.state.journal import Journal

_SENDING = frozenset({b"s", b"t"})


class Follower:
    """
    The end of a journal that others append to. To be closed by its maker.

    Args:
        journal: The journal of the job.

    Attributes:
        descriptor: The file that the others are to append to; the lock of the journal lasts as
            long as any of them has it open.
        sent: Times that a row has left since this was made, by its number.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._generation = journal.generation
        self.descriptor = os.dup(journal.descriptor)
        self._offset = os.fstat(self.descriptor).st_size
        self.sent: dict[int, int] = {}

    def follow(self) -> None:
        """
        Take in what was written since the last time.

        A journal that was removed has a new file by now, in which the others do not write: what
        they have written is copied there.

        Raises:
            OSError: It cannot be copied.
        """
        while True:
            block = os.pread(self.descriptor, CHUNK, self._offset)
            end = block.rfind(b"\n") + 1
            if not end:
                return
            self._offset += end
            records = RECORD.findall(block, 0, end)
            for kind, digits in records:
                row = int(digits)
                self._journal.replay(kind, row)
                if kind in _SENDING:
                    self.sent[row] = self.sent.get(row, 0) + 1
            if self._journal.generation != self._generation and records:
                self._journal.append(b"".join(kind + row + b"\n" for kind, row in records))

    def forget(self, row: int) -> None:
        """Forget how often *row* has left: it has ended."""
        self.sent.pop(row, None)

    def close(self) -> None:
        """Follow no longer."""
        os.close(self.descriptor)
