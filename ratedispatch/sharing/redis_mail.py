"""
What one member has sent to a Redis, and which of it may not have arrived.

A note whose reply was lost may have been taken in, or not: it is *in doubt*, and goes again under
the same number, which the server counts once. Notes that were certainly not sent are put together
into one. Both go before the next note, and only into the state that they were meant for: a server
that has started over knows nothing of what came before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ratedispatch.pacing.shared.store import LimitNote, Note, Sheet, StoreGone
from ratedispatch.sharing.redis_script import packed

if TYPE_CHECKING:
    from collections.abc import Callable


class Parcel:
    """
    A note under its number.

    Args:
        mail: Whose.
        number: The number of the note.
        note: What is told.
        epoch: The epoch in which alone it counts; 0 for any.

    Attributes:
        mail, number, note, epoch: As given.
        is_in_doubt: Whether the server may have taken it in.
        needs_script: Whether the server does not know the script.
        losses: How often the connection broke with it.
        answer: What came of it: a sheet, a number of the script, or why the store is gone.
    """

    __slots__ = (
        "answer",
        "epoch",
        "is_in_doubt",
        "losses",
        "mail",
        "needs_script",
        "note",
        "number",
    )

    def __init__(self, mail: Mail, number: int, note: Note, epoch: float) -> None:
        self.mail = mail
        self.number = number
        self.note = note
        self.epoch = epoch
        self.is_in_doubt = False
        self.needs_script = False
        self.losses = 0
        self.answer: Sheet | int | StoreGone | None = None

    def packed(self) -> bytes:
        """Return what the script is handed."""
        return packed(
            self.mail.member, self.number, self.note, is_again=self.is_in_doubt, epoch=self.epoch
        )


class Letter:
    """
    A note that waits for its reply.

    Args:
        mail: Whose.
        note: What is told.
        reply: Called once.
    """

    __slots__ = ("mail", "note", "reply")

    def __init__(self, mail: Mail, note: Note, reply: Callable[[Sheet | StoreGone], None]) -> None:
        self.mail = mail
        self.note = note
        self.reply = reply


class Mail:
    """
    All that one member sends. Used by one thread, but for the attributes.

    Args:
        key: Of the state on the server.
        member: A key of its own.

    Attributes:
        key, member: As given.
        news: Of the last sheet.
    """

    __slots__ = ("_doubt", "_epoch", "_number", "_owed", "_unsent", "key", "member", "news")

    def __init__(self, key: str, member: str) -> None:
        self.key = key
        self.member = member
        self.news = 0.0
        self._number = 0
        self._epoch = 0.0
        self._doubt: Parcel | None = None
        self._unsent: Note | None = None
        self._owed: Sheet | None = None

    def parcel(self, note: Note, epoch: float = 0.0) -> Parcel:
        """Return *note* under the next number."""
        self._number += 1
        return Parcel(self, self._number, note, epoch)

    def pending(self) -> Parcel | None:
        """Return what has to go before anything else."""
        if self._doubt is None and self._unsent is not None:
            self._doubt = self.parcel(self._unsent, self._epoch)
            self._unsent = None
        return self._doubt

    def settle(self, parcel: Parcel) -> StoreGone | None:
        """Take in what came of what was `pending`; return why it is pending still."""
        answer = parcel.answer
        if isinstance(answer, StoreGone):
            if not parcel.is_in_doubt:  # what is not in doubt can be put together with more
                self._doubt = None
                self._keep_unsent(parcel.note, is_older=True)
            return answer
        self._doubt = None
        if isinstance(answer, Sheet):  # what it says is said once
            self._owed = answer if self._owed is None else _joined(self._owed, answer)
        return None

    def keep(self, parcel: Parcel) -> None:
        """Keep a note that may not have arrived."""
        if parcel.is_in_doubt:
            parcel.epoch = self._epoch
            parcel.losses, parcel.answer = 0, None
            self._doubt = parcel
        else:
            self._keep_unsent(parcel.note)

    def _keep_unsent(self, note: Note, *, is_older: bool = False) -> None:
        if self._unsent is None:
            self._unsent = note
        elif is_older:
            self._unsent = merged(note, self._unsent)
        else:
            self._unsent = merged(self._unsent, note)

    def opened(self, sheet: Sheet) -> Sheet:
        """Return *sheet* with what was owed from those before it."""
        if self._owed is not None:
            sheet = _joined(self._owed, sheet)
            self._owed = None
        self._epoch, self.news = sheet.epoch, sheet.news
        return sheet


def merged(older: Note, newer: Note) -> Note:
    """Return one note that does what both do, one after the other."""
    before = {limit.name: limit for limit in older.limits}
    limits = [_merged_limit(before.pop(limit.name, None), limit) for limit in newer.limits]
    pauses = [pause for pause in (older.pause, newer.pause) if pause is not None]
    return newer._replace(
        limits=(*limits, *before.values()),
        pause=max(pauses, key=lambda pause: pause.began, default=None),
    )


def _merged_limit(older: LimitNote | None, newer: LimitNote) -> LimitNote:
    if older is None:
        return newer
    return newer._replace(
        added=tuple([a + b for a, b in zip(older.added, newer.added, strict=True)]),
        stand=newer.stand or older.stand,
        ceiling=newer.ceiling if newer.stand or older.stand is None else older.ceiling,
        learned=newer.learned or older.learned,
    )


def _joined(older: Sheet, newer: Sheet) -> Sheet:
    """Return *newer* with what *older* said that is not said twice."""
    if older.epoch != newer.epoch:
        return newer
    learned = {limit.name: limit.learned for limit in older.limits}
    limits = [
        limit._replace(learned=learned.get(limit.name)) if limit.learned is None else limit
        for limit in newer.limits
    ]
    return newer._replace(limits=tuple(limits), was_reaped=newer.was_reaped or older.was_reaped)
