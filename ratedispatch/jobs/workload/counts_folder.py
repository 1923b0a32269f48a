"""
Keeps the counts of the latest inputs in the user's cache folder.

A cache: whatever is wrong with it, the next command counts again without a message. A reader never
sees an incomplete file; of two processes that write at the same time, the last one wins.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING

from ratedispatch.jobs.workload.counts_file import (
    DamagedCounts,
    read_counts,
    size_of,
    write_counts,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ratedispatch.jobs.workload.counted import Counted

#: Files that are kept, those that were used last, and their bytes together: some 50 million rows.
_MOST_FILES = 64
_MOST_BYTES = 2**30

#: Entries of the folder that are examined.
_MOST_ENTRIES = 10_000

#: Seconds after which a file that a killed process has left half-written is removed.
_LEFT_SECONDS = 86_400

_SUFFIX = ".counts"

wall_clock = time.time  # noqa: TID251 - which file is oldest, although no process ran


def counts_path(environment: Mapping[str, str]) -> Path | None:
    """Return where counts are kept; None if the user has no folder for it."""
    cache = environment.get("XDG_CACHE_HOME", "")
    if cache.startswith("/"):  # the specification ignores others
        return Path(cache) / "ratedispatch" / "counts"
    try:
        return Path.home() / ".cache" / "ratedispatch" / "counts"
    except RuntimeError:  # no such user
        return None


class CountsFolder:
    """
    Counts in files, one for each input and way of counting.

    Args:
        path: The folder; it is made when it is needed.
        clock: The wall clock, in seconds.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = wall_clock) -> None:
        self.path = path
        self._clock = clock

    def recall(self, key: bytes) -> Counted | None:
        """Return what is kept under *key*, 32 bytes; None if nothing is, or nothing sound."""
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
        flags |= getattr(os, "O_BINARY", 0)
        try:
            with os.fdopen(os.open(self._file(key), flags), "rb") as file:
                about = os.fstat(file.fileno())
                if not stat.S_ISREG(about.st_mode) or not _is_own(about):
                    return None
                if about.st_size > _MOST_BYTES:
                    return None
                found = read_counts(file, about.st_size, key)
        except (OSError, DamagedCounts):
            return None
        now = self._clock()
        with contextlib.suppress(OSError):  # used last
            os.utime(self._file(key), (now, now), follow_symlinks=False)
        return found

    def keep(self, key: bytes, counted: Counted) -> None:
        """Keep *counted* under *key*, 32 bytes, if the folder takes it."""
        if size_of(counted) > _MOST_BYTES:
            return
        with contextlib.suppress(OSError):
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            if _is_own(self.path.lstat()):
                self._replace(self._file(key), key, counted)
                self._prune()

    def _file(self, key: bytes) -> Path:
        return self.path / f"{key.hex()}{_SUFFIX}"

    def _replace(self, path: Path, key: bytes, counted: Counted) -> None:
        """Put a new file in place of *path*."""
        new = path.with_name(f".{secrets.token_hex(16)}")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
        flags |= getattr(os, "O_BINARY", 0)
        descriptor = os.open(new, flags, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                write_counts(file, key, counted)
            now = self._clock()
            os.utime(new, (now, now))
            new.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                new.unlink()
            raise

    def _prune(self) -> None:
        """Remove the files that were not used for longest, and what killed processes have left."""
        oldest = self._clock() - _LEFT_SECONDS
        kept = []
        for path, about in self._entries():
            if path.suffix == _SUFFIX and not path.name.startswith("."):
                kept.append((about.st_mtime, about.st_size, path))
            elif path.name.startswith(".") and about.st_mtime < oldest:
                path.unlink(missing_ok=True)
        size = 0
        for number, (_, length, path) in enumerate(sorted(kept, reverse=True)):
            size += length
            if number >= _MOST_FILES or size > _MOST_BYTES:
                path.unlink(missing_ok=True)

    def _entries(self) -> Iterator[tuple[Path, os.stat_result]]:
        with os.scandir(self.path) as entries:
            for number, entry in enumerate(entries):
                if number >= _MOST_ENTRIES:
                    return
                about = entry.stat(follow_symlinks=False)
                if stat.S_ISREG(about.st_mode):
                    yield Path(entry.path), about


def _is_own(about: os.stat_result) -> bool:
    """Whether nobody else can have put there what is read."""
    return not hasattr(os, "getuid") or about.st_uid == os.getuid()
