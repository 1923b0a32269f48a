"""
Writes, locks and replaces files so that they are always complete.

A system call may write fewer bytes than it was given; a program that ignores this loses the rest.
So all unbuffered writes go through this module, or count what was written.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
import time
from typing import TYPE_CHECKING, BinaryIO

from ratedispatch.errors import JobError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: Bytes that are read from a file at a time.
CHUNK = 1024 * 1024

#: Seconds since 1970, by which files are dated.
wall_clock = time.time  # noqa: TID251 - read by other processes, and after the end of this one


def write_all(file: BinaryIO, data: bytes | bytearray | memoryview) -> None:
    """
    Write all of *data* to *file*, which is not buffered.

    Raises:
        OSError: Not all of it could be written.
    """
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]


def no_space() -> OSError:
    """Return the error of a call of the system that has written less than it was given."""
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def copy_all(source: BinaryIO, target: BinaryIO) -> None:
    """
    Write what is left of *source* to *target*, which is not buffered.

    Raises:
        OSError: Not all of it could be written.
    """
    while block := source.read(CHUNK):
        write_all(target, block)


def open_new(path: Path, mode: int = 0o666) -> BinaryIO:
    """
    Open a file that is not there yet, for appending and reading, not buffered.

    Nothing that exists under this name is opened or followed: otherwise, anybody who may write to
    the folder could redirect the output to any file of the user.

    Raises:
        OSError: Something of that name is there; or it cannot be made.
    """
    return _open(path, os.O_EXCL, mode)


def open_appending(path: Path, mode: int = 0o666) -> BinaryIO:
    """
    Open the file *path* for appending and reading, not buffered; make it if it is missing.

    Raises:
        OSError: It is a link, and links are not followed; or it cannot be opened.
    """
    return _open(path, 0, mode)


def _open(path: Path, flags: int, mode: int) -> BinaryIO:
    flags |= os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0)
    try:
        descriptor = os.open(path, flags, mode)
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.EMLINK}:
            raise OSError(
                error.errno, "it is a link, and links are not followed", str(path)
            ) from error
        raise
    return os.fdopen(descriptor, "r+b", buffering=0)


def sync_folder(path: Path) -> None:
    """Wait until the name of *path* is on the disk, where the system can do that."""
    with contextlib.suppress(OSError):
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def check_place(file: BinaryIO, path: Path) -> None:
    """
    Check that *file* is what *path* names.

    Raises:
        OSError: It was removed, or there is another file in its place.
    """
    try:
        is_there = os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        raise OSError(errno.ENOENT, f"{path} was removed") from None
    if not is_there:
        raise OSError(errno.ENOENT, f"{path} was replaced by another file")


def first_line(file: BinaryIO) -> tuple[bytes, bytes]:
    """Return the first line, and what was read beyond it."""
    text = b""
    while b"\n" not in text:
        block = file.read(CHUNK)
        if not block:
            return text, b""
        text += block
    first, _, rest = text.partition(b"\n")
    return first, rest


@contextlib.contextmanager
def replacing(path: Path, *, is_new: bool = False, mode: int = 0o666) -> Iterator[BinaryIO]:
    """
    Open a new file that replaces *path* on leaving, if no error is on its way.

    It is on the disk before. A link stays one, to the new file. The name of the new one is short,
    and another each time: two processes that share a folder never write to the same file. What a
    kill has left of an earlier one is removed.

    Args:
        path: Where it goes.
        is_new: Whether nothing may be there, also on leaving.
        mode: Who may read and write it, as far as the mask of the process allows.

    Raises:
        FileExistsError: Something is there, which may not be.
    """
    path = path.resolve()
    begin = hashlib.blake2b(os.fsencode(path.name), digest_size=6).hexdigest()
    for stale in path.parent.glob(f".ratedispatch-{begin}-*.tmp"):
        with contextlib.suppress(OSError, JobError), stale.open("r+b") as left:
            lock(left, stale)  # not one that another process is writing
            stale.unlink(missing_ok=True)
    fresh = path.with_name(f".ratedispatch-{begin}-{secrets.token_hex(4)}.tmp")
    try:
        with open(fresh, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
            with contextlib.suppress(JobError):
                lock(file, fresh)
            yield file
            file.flush()
            os.fsync(file.fileno())
        if is_new:
            _put_new(fresh, path)
        else:
            fresh.replace(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    sync_folder(path)


def _put_new(fresh: Path, path: Path) -> None:
    """Move *fresh* to *path*, where nothing may be."""
    try:
        os.link(fresh, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without second names
        if path.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from None
        fresh.replace(path)
    else:
        fresh.unlink()


#: Seconds between two tries to lock a file.
_BETWEEN_TRIES = 0.02


def lock(file: BinaryIO, path: Path, *, is_shared: bool = False, patience: float = 0.0) -> None:
    """
    Keep other processes out of *file*; the system lets go when this one ends, however it ends.

    Args:
        file: Open.
        path: What messages name.
        is_shared: Whether others that only read may have it too.
        patience: Seconds for which another process may still have it.

    Raises:
        JobError: Another process has it, or it cannot be locked.
    """
    try:
        import fcntl
    except ImportError:  # Windows: two processes on one output are not noticed there
        return
    kind = fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX
    while True:
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in {errno.EACCES, errno.EAGAIN, errno.EWOULDBLOCK}:
                raise JobError(
                    f"{path} cannot be locked ({error.strerror}), so another process could write "
                    f"the same output; choose an output on another file system"
                ) from error
            if patience <= 0:
                raise JobError(
                    f"another process is working on {path}; wait for it, or choose another output"
                ) from error
            patience -= _BETWEEN_TRIES
            time.sleep(_BETWEEN_TRIES)
        else:
            return
