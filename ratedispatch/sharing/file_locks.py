"""
Locks of the kernel on a file of shared limits: one to write in it, and one that says who lives.

Both end with the process that has them, however it ends, so that nothing has to be cleaned up. The
first is an `flock`. The others are one byte each, far behind the end of the file; they belong to
the open file (Linux, `F_OFD_SETLK`), not to the process, so that two stores in one process see
each other.
"""

from __future__ import annotations

import os
import struct
import sys
import time
from typing import TYPE_CHECKING

from ratedispatch.pacing.shared.store import StoreGone
from ratedispatch.sharing.surroundings import is_stopped, lock_holder

if sys.platform != "win32":
    import fcntl

if TYPE_CHECKING:
    from collections.abc import Callable

#: Seconds of the sleeps between two tries, in rounds: 1.3 ms, since a member has the lock for
#: 30 µs, and 24 ms more for one that lacks a processor, whose slice is 3 ms or so. Between the
#: rounds it is looked whether the one that has it was stopped. Sleeps take longer than they should,
#: so that there are few of them.
ROUNDS = ((20e-6, 40e-6, 80e-6), (160e-6, 320e-6, 640e-6), (2e-3,) * 12)

#: Where the bytes of the members begin; a file never gets so long.
_FIRST_BYTE = 1 << 30

#: ``struct flock``: kind, whence, start, length, process.
_FLOCK = struct.Struct("hhqqi4x")


def can_lock() -> bool:
    """Whether this system has what is needed."""
    return sys.platform == "linux" and hasattr(fcntl, "F_OFD_SETLK")


if sys.platform != "win32":

    def _try(fd: int) -> bool:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def lock(fd: int, *, is_patient: bool, sleep: Callable[[float], None] = time.sleep) -> None:
        """
        Lock the file for writing.

        Args:
            fd: The open file.
            is_patient: Whether to wait a few milliseconds for it; otherwise there is one try.
            sleep: How to wait.

        Raises:
            StoreGone: Another process has it, and does not release it.
        """
        if _try(fd):
            return
        holder, stopped = None, None
        for pauses in ROUNDS if is_patient else ((),):
            for pause in pauses:
                sleep(pause)
                if _try(fd):
                    return
            holder, stopped = _who_has(fd)
            if stopped:
                break
        who = "a process that cannot be seen from here" if holder is None else f"process {holder}"
        state = "is stopped" if stopped else "does not release it"
        raise StoreGone(f"it is locked by {who}, which {state}")

    def _who_has(fd: int) -> tuple[int | None, bool | None]:
        stat = os.fstat(fd)
        holder = lock_holder(stat.st_dev, stat.st_ino)
        return holder, None if holder is None else is_stopped(holder)

    def unlock(fd: int) -> None:
        """Let others write."""
        fcntl.flock(fd, fcntl.LOCK_UN)

    def hold(fd: int, member: int) -> bool:
        """Say for as long as *fd* is open that *member* lives; return whether its byte was free."""
        try:
            fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _wanted(member, 1))
        except OSError:
            return False
        return True

    def lives(fd: int, member: int) -> bool:
        """Return whether a store other than that of *fd* holds the byte of *member*."""
        return _is_held(fd, _wanted(member, 1))

    def anybody_lives(fd: int) -> bool:
        """Return whether there is a member other than that of *fd*."""
        return _is_held(fd, _wanted(0, 0))  # a length of 0 goes to the end

    def _wanted(member: int, length: int) -> bytes:
        return _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, _FIRST_BYTE + member, length, 0)

    def _is_held(fd: int, wanted: bytes) -> bool:
        try:
            found = fcntl.fcntl(fd, fcntl.F_OFD_GETLK, wanted)
        except OSError:
            return True  # who is not known to be dead is alive
        return bool(_FLOCK.unpack(found)[0] != fcntl.F_UNLCK)
