"""
Places in flight that several queues share, and how many there can be at all.

Knows nothing of buckets, and does not wait: the queues do. Safe for threads.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


#: Descriptors left for files, the child process, pipes and the loop itself: so many, or half of
#: them where there are few. A run with every file that it can have needs about 20.
_RESERVED_DESCRIPTORS = 64

#: Where nothing bounds them.
_ANY_NUMBER = 1_000_000

_TAKEN = object()


class Slots:
    """
    Places in flight that several queues share.

    Args:
        most: How many there are.

    Attributes:
        most: The argument of this name.
    """

    __slots__ = ("_lock", "_taken", "_waiting", "most")

    def __init__(self, most: int) -> None:
        self.most = most
        self._lock = threading.Lock()
        self._taken = 0
        self._waiting: dict[Callable[[], None], object] = {}

    def is_free(self, tell: Callable[[], None]) -> bool:
        """Whether a place is free; if not, *tell* is called once when one may be."""
        with self._lock:
            if self._taken < self.most:
                return True
            self._waiting[tell] = None
            return False

    def take(self) -> None:
        """Take a place."""
        with self._lock:
            self._taken += 1

    def give(self) -> None:
        """
        Give a place back, and tell those that wait, the longest first, until it is taken.

        One that is told need not take it: its queue may be empty by now, or wait for something
        else. To be called without the lock of any queue, because each that is told takes its own.
        """
        with self._lock:
            self._taken -= 1
            waiting = list(self._waiting)
        for tell in waiting:
            with self._lock:
                if self._taken >= self.most:
                    return
                is_waiting = self._waiting.pop(tell, _TAKEN) is not _TAKEN
            if is_waiting:
                tell()


def most_in_flight(descriptors: int | None) -> int:
    """Return how many connections can be open with *descriptors*; very many if it is ``None``."""
    if descriptors is None:
        return _ANY_NUMBER
    return max(1, descriptors - min(_RESERVED_DESCRIPTORS, descriptors // 2))


def open_descriptors(*, raise_limit: bool = False) -> int | None:
    """
    Return how many files this process may have open; ``None`` where there is no such limit.

    Args:
        raise_limit: Raise the soft limit to the hard one first. It is often 256 or 1,024 for
            the sake of programs that use ``select``, which asyncio does not.
    """
    try:
        import resource
    except ImportError:  # Windows has no such limit on sockets
        return None
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if not raise_limit:
        return soft if soft != resource.RLIM_INFINITY else None
    wanted = hard if hard != resource.RLIM_INFINITY else max(soft, 65_536)
    if soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (ValueError, OSError):  # macOS refuses more than kern.maxfilesperproc
            return soft
    return wanted
