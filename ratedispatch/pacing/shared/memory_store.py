"""
A store in the memory of this process: for simulations, and for members of one process.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from ratedispatch.pacing.shared.record import DEFAULT, Record, RecordTuning
from ratedispatch.pacing.shared.store import StoreGone

if TYPE_CHECKING:
    from collections.abc import Callable

    from ratedispatch.pacing.shared.store import Note, Sheet


class SharedRecord:
    """
    What the stores of several members write to.

    Args:
        tuning: The constants of the record.

    Attributes:
        record: The state.
        gone: Why it cannot be reached now; None while it can.
    """

    def __init__(self, tuning: RecordTuning = DEFAULT) -> None:
        self.record = Record(epoch=1.0)
        self.tuning = tuning
        self.gone: str | None = None
        self._numbers = itertools.count(1)

    def begin_anew(self) -> None:
        """Forget everything, as a server does that is started again."""
        self.record = Record(epoch=self.record.epoch + 1)

    def join(self) -> MemoryStore:
        """Return the store of one more member."""
        return MemoryStore(self, next(self._numbers))


class MemoryStore:
    """
    One member's `Store`.

    Args:
        shared: What it writes to.
        member: Its key there.
    """

    is_remote = False
    name = "memory"

    def __init__(self, shared: SharedRecord, member: int) -> None:
        self._shared = shared
        self._member = member

    def exchange(self, note: Note, reply: Callable[[Sheet | StoreGone], None]) -> None:
        """Take in *note*, and call *reply* at once."""
        shared = self._shared
        answer: Sheet | StoreGone
        if shared.gone is not None:
            answer = StoreGone(shared.gone)
        else:
            try:
                answer = shared.record.write(note, self._member, note.now, tuning=shared.tuning)
            except StoreGone as gone:
                answer = gone
        reply(answer)

    def news(self) -> float:
        """Return a number that changes when a pause, a limit or a member is new."""
        return self._shared.record.news

    def redeemed(self) -> None:
        """Hear that what this member held was sent."""
        member = self._shared.record.members.get(self._member)
        if member is not None:
            member.held.clear()

    def close(self) -> None:
        """Leave; what was told stays."""
