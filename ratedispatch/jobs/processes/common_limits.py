"""
Where the processes of one job share its limits, where the user has named no place for that.

A folder for this job alone, which its parent removes. The files are those of any shared limits.
"""

from __future__ import annotations

import functools
import hashlib
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from ratedispatch.sharing.file_store import FileStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from ratedispatch.pacing.shared.store import Store


class CommonLimits:
    """
    A folder with the limits that the processes of a job share. To be closed by its maker.

    Raises:
        OSError: There can be no folder.
        SharingError: There can be no such file in it.
    """

    def __init__(self) -> None:
        self._folder = tempfile.mkdtemp(prefix="ratedispatch-job-")
        try:
            # whether it can be had at all, locks and all, is better known before than in each
            store_in(self._folder, "-").close()
        except BaseException:
            self.close()
            raise

    @property
    def share(self) -> Callable[[str], Store]:
        """What opens the limits of a group of models in another process."""
        return functools.partial(store_in, self._folder)

    def close(self) -> None:
        """Remove them."""
        shutil.rmtree(self._folder, ignore_errors=True)


def store_in(folder: str, group: str) -> Store:
    """Return a member's store of the limits of *group* in *folder*."""
    name = hashlib.blake2b(group.encode(), digest_size=8).hexdigest()
    store = FileStore(Path(folder) / name)
    store.name = "the limits of this job"
    return store
