"""
Limits in a file of this machine: all processes of a user that open the same one share them.

Each exchange locks the file, takes in the note, and unlocks it. What the members of a file can rely
on, whatever happens to one of them:

- The kernel frees the lock of one that dies, and shows that it is dead: what it held is given back.
- Whoever is killed while it writes leaves the record that was there before.
- Who finds the lock with a process that was stopped goes on without the store.
"""

from __future__ import annotations

import time
import weakref
from typing import TYPE_CHECKING

from ratedispatch.errors import SharingError
from ratedispatch.pacing.shared.record import DEFAULT, Record, RecordTuning
from ratedispatch.pacing.shared.store import StoreGone
from ratedispatch.sharing.file_locks import hold, lives, lock, unlock
from ratedispatch.sharing.folder import cannot_be_shared
from ratedispatch.sharing.forks import in_child
from ratedispatch.sharing.layout import PLACES
from ratedispatch.sharing.state_file import StateFile
from ratedispatch.sharing.surroundings import Surroundings, surroundings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ratedispatch.pacing.shared.store import Note, Sheet

#: Seconds between two looks at who lives, and whether the file is still the one of its path.
_LOOK_SECONDS = 0.25

_NEVER = float("-inf")

#: All of this process, for a child that is forked.
_stores: weakref.WeakSet[FileStore] = weakref.WeakSet()


class FileStore:
    """
    One member's `Store`.

    A child of a fork is a member of its own from its first exchange on.

    Args:
        path: The file; it is made if it is not there, and its folder too.
        clock: Seconds, the same for all processes of the machine.
        tuning: The constants of the record.
        around: The boot and the clock of this process.

    Raises:
        SharingError: The file cannot be used at all; the message says what to do.
    """

    is_remote = False

    def __init__(
        self,
        path: Path,
        clock: Callable[[], float] = time.monotonic,  # noqa: TID251 - one for all processes
        *,
        tuning: RecordTuning = DEFAULT,
        around: Surroundings | None = None,
    ) -> None:
        self.name = str(path)
        self._clock = clock
        self._tuning = tuning
        self._is_patient = True
        self._file = StateFile(path, surroundings() if around is None else around)
        self._leave()
        self._file.open()
        try:
            self._try_to_enter()
        except BaseException:
            self._file.close()
            raise
        _stores.add(self)

    def _leave(self) -> None:
        """Be no member any longer."""
        self._member = 0
        self._told_at = self._marked_at = _NEVER
        self._looked_at = _NEVER
        self._file.close()

    def _try_to_enter(self) -> None:
        """See whether the file can be used at all; that it is locked is no reason against it."""
        try:
            lock(self._file.fd, is_patient=True)
        except StoreGone:
            return
        try:
            self._file.enter()
        except OSError as error:
            raise cannot_be_shared(self._file.path, error) from None
        finally:
            unlock(self._file.fd)

    def exchange(self, note: Note, reply: Callable[[Sheet | StoreGone], None]) -> None:
        """Take in *note*, and call *reply* at once."""
        answer: Sheet | StoreGone
        try:
            answer = self._exchange(note)
            self._is_patient = True
        except StoreGone as gone:
            answer = gone
        except SharingError as error:
            answer = StoreGone(str(error))
        except OSError as error:
            answer = StoreGone((error.strerror or str(error)).lower())
        if isinstance(answer, StoreGone):
            self._is_patient = False
        reply(answer)

    def news(self) -> float:
        """Return a number that changes when a pause, a limit or a member is new."""
        return self._file.news()

    def redeemed(self) -> None:
        """Hear that what this member held was sent."""
        if self._member and self._marked_at != self._told_at:  # once for all that a note holds
            self._marked_at = self._told_at
            self._file.mark(self._member, self._told_at)

    def close(self) -> None:
        """Leave; what was told stays, and what is held still is given back by the others."""
        _stores.discard(self)
        self._leave()

    def __del__(self) -> None:
        file = getattr(self, "_file", None)
        if file is not None:
            file.close()

    def _exchange(self, note: Note) -> Sheet:
        """As `exchange`, with an error for what goes wrong."""
        file = self._file
        if self._clock() - self._looked_at >= _LOOK_SECONDS and not file.is_in_place():
            self._leave()
            file.open()
        lock(file.fd, is_patient=self._is_patient)
        try:
            record = file.read()
            now = self._clock()
            if self._member not in record.members:
                self._join(record)
            dead = self._dead(record, now)
            self._honour(record, now)
            sheet = record.write(note, self._member, now, dead=dead, tuning=self._tuning)
            file.write()
        except BaseException:
            file.forget()
            raise
        finally:
            unlock(file.fd)
        self._told_at = now
        return sheet

    def _join(self, record: Record) -> None:
        """Take a number that nobody has or had."""
        taken = {member % PLACES for member in record.members}
        self._looked_at = _NEVER
        if self._member and self._member % PLACES not in taken:
            return  # the file was started over
        for place in range(PLACES):
            member = self._file.sequence * PLACES + place
            if place not in taken and hold(self._file.fd, member):
                self._member = member
                return
        raise StoreGone(f"all its {PLACES} places are in use", PLACES + 1)

    def _dead(self, record: Record, now: float) -> frozenset[int]:
        """Return the members that live no more, if it is time to look."""
        if 0 <= now - self._looked_at < _LOOK_SECONDS:
            return frozenset()
        self._looked_at = now
        others = [member for member in record.members if member != self._member]
        return frozenset([member for member in others if not lives(self._file.fd, member)])

    def _honour(self, record: Record, now: float) -> None:
        """Where a look is due, take from the members what they have sent in the meantime."""
        me, tuning = record.members.get(self._member), self._tuning
        is_back = me is None or not 0 <= now - me.told_at <= tuning.wanting_seconds
        if not is_back and 0 <= now - record.looked_at < tuning.look_seconds:
            return
        marks = self._file.marks()
        for member, one in record.members.items():
            if marks.get(member) == one.told_at:
                one.held.clear()


def _after_fork() -> None:
    """
    Be no member in a child of a fork.

    What is open would keep the locks of the parent when it is dead. Closing it here frees none.
    """
    for store in list(_stores):
        store._leave()


in_child(_after_fork)
