"""
A file with one record that several processes read and write, each under its lock.

It is read and written by calls, not by a map of it: a map kills the process when somebody truncates
the file or the disk is full, and what it would save is 2 µs.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import struct
from typing import TYPE_CHECKING

from ratedispatch.errors import SharingError
from ratedispatch.pacing.shared.record import Record
from ratedispatch.pacing.shared.store import StoreGone
from ratedispatch.sharing.file_locks import anybody_lives, can_lock
from ratedispatch.sharing.folder import cannot_be_shared, open_file
from ratedispatch.sharing.layout import (
    FORMAT,
    MARK,
    MARKS_AT,
    NEWS,
    PLACES,
    RESERVED,
    SLOT,
    SLOTS_AT,
    STATE_AT,
    Identity,
    Slot,
    checksum,
    is_possible,
    pack_identity,
    pack_record,
    pack_state,
    read_identity,
    read_record,
    read_slots,
)
from ratedispatch.sharing.surroundings import NETWORK_FILE_SYSTEMS, Surroundings, file_system

if TYPE_CHECKING:
    from pathlib import Path

_UNKNOWN = -1


class StateFile:
    """
    The file as one member has it open.

    All methods but `news`, `mark` and those that open and close are called under its lock.

    Args:
        path: Where it is.
        around: The boot and the clock of this process.

    Attributes:
        fd: Its descriptor; -1 while it is closed.
        sequence: Of the record that `write` is going to write.
    """

    def __init__(self, path: Path, around: Surroundings) -> None:
        self.path = path
        self.fd = -1
        self.sequence = 1
        self._around = around
        self._identity = b""
        self._epoch = 0.0
        self._record = Record(0.0)
        self._known = _UNKNOWN  # the sequence of the record that is in memory
        self._slots = (Slot(0, 0, 0, 0), Slot(1, 0, 0, 0))
        self._last_news = 0.0

    def open(self) -> None:
        """
        Open the file, and make it if it is not there.

        Raises:
            SharingError: It cannot be opened, or is on a file system that many machines see.
        """
        if not can_lock():
            raise SharingError(
                "limits cannot be shared in a file on this system, which lacks the locks of Linux; "
                "share through redis://HOST:PORT/DB"
            )
        fd = open_file(self.path.parent, self.path.name)
        try:
            kind = file_system(os.fstat(fd).st_dev)
            if kind in NETWORK_FILE_SYSTEMS:
                raise SharingError(
                    f"limits cannot be shared in {self.path}: it is on a network file system "
                    f"({kind}); set XDG_RUNTIME_DIR to a folder of this machine, or share through "
                    f"redis://HOST:PORT/DB"
                )
            _reserve(fd)
        except OSError as error:
            os.close(fd)
            raise cannot_be_shared(self.path, error) from None
        except BaseException:
            os.close(fd)
            raise
        self.fd = fd

    def close(self) -> None:
        """Close it; every lock on it is free then."""
        fd, self.fd = self.fd, -1
        self._identity, self._known = b"", _UNKNOWN
        if fd >= 0:
            os.close(fd)

    def is_in_place(self) -> bool:
        """Return whether the path leads to what is open: it may have been removed."""
        if self.fd < 0:
            return False
        mine = os.fstat(self.fd)
        try:
            there = self.path.lstat()
        except FileNotFoundError:
            return False
        return (there.st_ino, there.st_dev) == (mine.st_ino, mine.st_dev)

    def news(self) -> float:
        """Return the news of the record, without the lock."""
        try:
            (news,) = NEWS.unpack(os.pread(self.fd, 8, STATE_AT))
        except (OSError, struct.error):  # it is closed, or another program has cut it off
            return self._last_news
        self._last_news = news
        return news  # type: ignore[no-any-return]

    def mark(self, member: int, told_at: float) -> None:
        """Say without the lock that everything was sent that *member* held by its last note."""
        with contextlib.suppress(OSError):
            os.pwrite(self.fd, MARK.pack(member, told_at), MARKS_AT + member % PLACES * MARK.size)

    def marks(self) -> dict[int, float]:
        """Return for members the instant of the note for which that was said."""
        found = os.pread(self.fd, PLACES * MARK.size, MARKS_AT)
        return dict(MARK.iter_unpack(found[: len(found) // MARK.size * MARK.size]))

    def enter(self) -> bytes:
        """
        Make the file one that this member can use, if need be anew; return its head.

        Raises:
            SharingError: Others live in it, or it was written by a newer version.
        """
        head = os.pread(self.fd, MARKS_AT, 0)
        if self._identity and head.startswith(self._identity) and len(head) == MARKS_AT:
            return head
        identity = read_identity(head)
        if identity is None:
            return self._begin()
        if identity.format > FORMAT:
            raise SharingError(
                f"{self.path} was written by a newer ratedispatch (format {identity.format}; this "
                f"one reads {FORMAT}); upgrade, share as local:OTHERNAME, or remove the file"
            )
        if (identity.format, identity.surroundings) == (FORMAT, self._around):
            self._adopt(head, identity.epoch)
            return head
        if not anybody_lives(self.fd):
            return self._begin()
        if identity.format < FORMAT:
            raise SharingError(
                f"{self.path} is in use by an older ratedispatch (format {identity.format}; this "
                f"one reads {FORMAT}); end its processes, or share as local:OTHERNAME"
            )
        raise SharingError(
            f"{self.path} is in use by processes with another clock, in another container or on "
            f"another machine; share with them through redis://HOST:PORT/DB, or without them as "
            f"local:OTHERNAME"
        )

    def _begin(self) -> bytes:
        """Start the file over; return its head."""
        # by chance, so that nobody takes it for what was there before
        epoch, news = float(secrets.randbits(48) + 1), float(secrets.randbits(40) + 1)
        head = pack_identity(Identity(FORMAT, self._around, epoch))
        head += pack_state(news, (Slot(0, 0, 0, 0), Slot(1, 0, 0, 0)))
        head = head.ljust(MARKS_AT, b"\0")
        os.pwrite(self.fd, head + bytes(PLACES * MARK.size), 0)
        self._adopt(head, epoch)
        return head

    def _adopt(self, head: bytes, epoch: float) -> None:
        self._identity, self._epoch, self._known = head[:STATE_AT], epoch, _UNKNOWN

    def read(self) -> Record:
        """
        Return the newest record that is whole, or a new one if none is.

        It is the one in memory if that was written last.
        """
        newest, other = read_slots(self.enter())
        self._slots, self.sequence = (newest, other), newest.sequence + 1
        if newest.sequence == self._known:
            return self._record
        possible = [slot for slot in (newest, other) if is_possible(slot)]
        for slot in possible:
            record = read_record(os.pread(self.fd, slot.length, slot.at), slot)
            if record is not None and record.epoch == self._epoch:
                self._slots = slot, other if slot is newest else newest
                # behind that of a damaged one too: whoever wrote it must not take ours for it
                self.sequence = possible[0].sequence + 1
                self._record = record
                return record
        head = self._begin()
        self._slots, self.sequence = read_slots(head), 1
        self._record = Record(self._epoch, news=NEWS.unpack_from(head, STATE_AT)[0])
        return self._record

    def write(self) -> None:
        """
        Write the record that was read, as it is now.

        Raises:
            StoreGone: It has become too long.
        """
        payload = pack_record(self._record)
        if len(payload) > SLOT:
            raise StoreGone(f"its record would have {len(payload):,} bytes, but only {SLOT:,} fit")
        kept, other = self._slots
        os.pwrite(self.fd, payload, other.at)
        check = checksum(payload, self.sequence)
        written = Slot(other.number, self.sequence, len(payload), check)
        os.pwrite(self.fd, pack_state(self._record.news, (written, kept)), STATE_AT)
        self._known = self.sequence

    def forget(self) -> None:
        """Read the record again the next time: what is in memory may be half changed."""
        self._known = _UNKNOWN


def _reserve(fd: int) -> None:
    """Make the file as long as it gets, with space for what it usually holds."""
    # what is not reserved here can fail later, in the middle of a job
    for start, end in ((0, SLOTS_AT + RESERVED), (SLOTS_AT + SLOT, SLOTS_AT + SLOT + RESERVED)):
        try:
            os.posix_fallocate(fd, start, end - start)
        except OSError as error:
            if error.errno not in {errno.EOPNOTSUPP, errno.EINVAL}:
                raise
