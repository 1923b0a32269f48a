"""
Where the processes of one job share its limits, where the user has named no place for that.

A folder for this job alone, which its parent removes, or, where that was killed, the next job. The
files are those of any shared limits.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import stat
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ratedispatch.sharing.file_store import FileStore

if TYPE_CHECKING:
    from ratedispatch.pacing.shared.store import Store


_PREFIX = "ratedispatch-job-"

#: Seconds within which a folder may have been made and not locked yet.
_NEW = 60.0


class CommonLimits:
    """
    A folder with the limits that the processes of a job share. To be closed by its maker.

    Raises:
        OSError: There can be no folder.
        SharingError: There can be no such file in it.
    """

    def __init__(self) -> None:
        _remove_left(Path(tempfile.gettempdir()))
        self._folder = tempfile.mkdtemp(prefix=_PREFIX)
        self._lock = os.open(self._folder, os.O_RDONLY)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            # whether it can be had at all, locks and all, is better known before than in each
            store_in(self._folder, "-").close()
        except BaseException:
            self.close()
            raise

    @property
    def share(self) -> StoresIn:
        """What opens the limits of a group of models in another process."""
        return StoresIn(self._folder)

    def close(self) -> None:
        """Remove them."""
        shutil.rmtree(self._folder, ignore_errors=True)
        os.close(self._lock)


def _remove_left(place: Path) -> None:
    """Remove the folders in *place* of jobs of this user that were killed: nobody locks them."""
    for folder in place.glob(_PREFIX + "*"):
        with contextlib.suppress(OSError):
            found = folder.lstat()
            is_new = time.time() - found.st_mtime < _NEW  # noqa: TID251  (as files are dated)
            if found.st_uid != os.getuid() or not stat.S_ISDIR(found.st_mode) or is_new:
                continue
            lock = os.open(folder, os.O_RDONLY | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)


@dataclass(frozen=True, slots=True)
class StoresIn:
    """
    What opens stores of a name in a folder, in whatever process.

    Args:
        folder: Where they are.
        opens_any: That each name has a store of its own.
    """

    folder: str
    opens_any: bool = True

    def __call__(self, name: str) -> Store:
        """Return a member's store of that name."""
        return store_in(self.folder, name)


def store_in(folder: str, group: str) -> Store:
    """Return a member's store of the limits of *group* in *folder*."""
    name = hashlib.blake2b(group.encode(), digest_size=8).hexdigest()
    store = FileStore(Path(folder) / name)
    store.name = "the file of this job"
    return store
