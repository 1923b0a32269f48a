"""
The folder in which limits of this machine are kept, and how files in it are opened.

It belongs to this user and nobody else can write in it; no step follows a symbolic link, so that
another user who guesses a name gets nothing of ours written elsewhere, or read.
"""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from pathlib import Path

from ratedispatch.errors import SharingError

#: Of the folder, and of a file.
_OURS_ALONE, _FILE_OF_OURS = 0o700, 0o600
_BITS_OF_OTHERS = 0o077

_WAY_OUT = "set XDG_RUNTIME_DIR to your own folder, or share through redis://HOST:PORT/DB"


def runtime_folder() -> Path:
    """
    Return where files of limits of this user are: the same for all of its processes.

    That is ``ratedispatch`` in $XDG_RUNTIME_DIR, or else in ``/run/user/UID``, or else
    ``ratedispatch-UID`` in the folder for temporary files. The first two count where they are
    this user's: with ``sudo -E`` the variable names a folder of somebody else.
    """
    user = os.getuid()
    named = os.environ.get("XDG_RUNTIME_DIR", "")
    for folder in (named, f"/run/user/{user}"):
        if folder and _is_usable(Path(folder), user):
            return Path(folder) / "ratedispatch"
    return Path(tempfile.gettempdir()) / f"ratedispatch-{user}"


def _is_usable(folder: Path, user: int) -> bool:
    try:
        found = folder.stat()
    except OSError:
        return False
    is_ours = stat.S_ISDIR(found.st_mode) and found.st_uid == user
    return folder.is_absolute() and is_ours and os.access(folder, os.W_OK | os.X_OK)


def open_folder(folder: Path) -> int:
    """
    Make *folder* if it is not there, and return a descriptor of it.

    Raises:
        SharingError: It cannot be made, or others could write in it.
    """
    try:
        with contextlib.suppress(FileExistsError):
            folder.mkdir(_OURS_ALONE)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise cannot_be_shared(folder, error) from None
    found = os.fstat(descriptor)
    problem = None
    if found.st_uid != os.getuid():
        problem = f"belongs to user {found.st_uid}, not to {os.getuid()}"
    elif found.st_mode & _BITS_OF_OTHERS:
        problem = f"has mode {stat.S_IMODE(found.st_mode):04o}, but must be closed to others"
    if problem is not None:
        os.close(descriptor)
        hint = f"remove it, or chmod 700 {folder}; or {_WAY_OUT}"
        raise SharingError(f"limits cannot be shared: the folder {folder} {problem}; {hint}")
    return descriptor


def open_file(folder: Path, name: str) -> int:
    """
    Open a file in *folder* to be read and written, and make it if it is not there.

    Raises:
        SharingError: It cannot be opened, or is not a file of this user alone.
    """
    path = folder / name
    within = open_folder(folder)
    try:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(name, flags, _FILE_OF_OURS, dir_fd=within)
    except OSError as error:
        raise cannot_be_shared(path, error) from None
    finally:
        os.close(within)
    found = os.fstat(descriptor)
    is_alone = found.st_uid == os.getuid() and not found.st_mode & _BITS_OF_OTHERS
    if not (stat.S_ISREG(found.st_mode) and found.st_nlink == 1 and is_alone):
        os.close(descriptor)
        raise SharingError(
            f"limits cannot be shared: {path} is not a file of this user with mode 0600; "
            f"remove it, or {_WAY_OUT}"
        )
    return descriptor


def cannot_be_shared(path: Path, error: OSError) -> SharingError:
    """Return what is raised where the system does not let us."""
    reason = (error.strerror or str(error)).lower()
    return SharingError(f"limits cannot be shared: {path}: {reason}; {_WAY_OUT}")
