"""
Writes, locks and replaces files so that they are whole.

A system call may write fewer bytes than it was given; a program that ignores that loses the rest,
so all unbuffered writes go through this module.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from typing import TYPE_CHECKING, BinaryIO

from ratedispatch.errors import JobError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: Bytes that are read from a file at a time.
CHUNK = 1024 * 1024


def write_all(file: BinaryIO, data: bytes | bytearray | memoryview) -> None:
    """
    Write all of *data* to *file*, which is not buffered.

    Raises:
        OSError: Not all of it could be written.
    """
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]


def write_record(file: BinaryIO, data: bytes) -> None:
    """
    Write the few bytes of *data* with one call of the system.

    Raises:
        OSError: Not all of it could be written.
    """
    if file.write(data) != len(data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def copy_all(source: BinaryIO, target: BinaryIO) -> None:
    """
    Write what is left of *source* to *target*, which is not buffered.

    Raises:
        OSError: Not all of it could be written.
    """
    while block := source.read(CHUNK):
        write_all(target, block)


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


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """
    Open a new file that takes the place of *path* on leaving, if no error is on its way.

    It is on the disk before. A link stays one, to the new file. The name of the new one is short,
    and another each time: two processes that share a folder never write to the same file.
    """
    path = path.resolve()
    fresh = path.with_name(f".ratedispatch-{secrets.token_hex(8)}.tmp")
    try:
        with fresh.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    sync_folder(path)


def lock(file: BinaryIO, path: Path) -> None:
    """
    Keep other processes out of *file*; the system lets go when this one ends, however it ends.

    Args:
        file: Open.
        path: What messages name.

    Raises:
        JobError: Another process has it, or it cannot be locked.
    """
    try:
        import fcntl
    except ImportError:  # Windows: two processes on one output are not noticed there
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in {errno.EACCES, errno.EAGAIN, errno.EWOULDBLOCK}:
            raise JobError(
                f"{path} cannot be locked ({error.strerror}), so that another process could work "
                f"on the same output; choose an output on another file system"
            ) from error
        raise JobError(
            f"another process is working on {path}; wait for it, or choose another output"
        ) from error
