"""
Remembers the answers of rows, so that none is paid twice when Ray asks for a batch again.

Ray runs a task anew when its actor dies, when what it gave is lost, and when a dataset is gone
through again. An answer belongs to a place: the execution, the task, the batch by the digest
of all its requests, and the row in it. Whoever asks for the same place gets the answer that was
given there. Another execution of the dataset takes over, row by row, what the one before was
answered for the same requests; a request that is there twice has two answers.

Pure: it runs in an actor, and in tests without one.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ratedispatch.ray.ray_columns import Cell
    from ratedispatch.request import Request

#: Bytes of a digest: no two requests of a dataset will have the same.
_DIGEST_BYTES = 16


class Task(NamedTuple):
    """
    A batch of a task, whichever attempt it is.

    Args:
        execution: The execution of the dataset.
        number: The number of the task; the same for each of its attempts.
        batch: The digest of all its requests.
    """

    execution: str
    number: str
    batch: bytes


def digest_of(request: Request) -> bytes:
    """Return a digest of what *request* sends, its headers included."""
    sent = (request.endpoint, _plain(request.body), _plain(request.headers))
    text = json.dumps(sent, sort_keys=True, default=repr)
    return hashlib.blake2b(
        text.encode("utf-8", "surrogatepass"), digest_size=_DIGEST_BYTES
    ).digest()


def _plain(mapping: Mapping[str, object] | None) -> dict[str, object] | None:
    return None if mapping is None else dict(mapping)


def digest_of_batch(digests: Sequence[bytes | None]) -> bytes:
    """Return a digest of a batch whose rows have *digests*."""
    joined = b"".join(digest or bytes(_DIGEST_BYTES) for digest in digests)
    return hashlib.blake2b(joined, digest_size=_DIGEST_BYTES).digest()


@dataclass(frozen=True, slots=True, eq=False)
class _Kept:
    """
    An answer that is remembered.

    Attributes:
        digest: The digest of its request.
        cell: The answer.
        task: The task that it belongs to now.
        row: In that task.
    """

    digest: bytes
    cell: Cell
    task: Task
    row: int


class AnswerMemory:
    """
    The last answers of a dataset, up to a number of bytes.

    Args:
        most_bytes: Of answers; the oldest are forgotten beyond them.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._by_place: dict[tuple[Task, int], _Kept] = {}  # the oldest first
        self._by_digest: dict[bytes, list[_Kept]] = {}

    def __len__(self) -> int:
        return len(self._by_place)

    def fetch(self, task: Task, digests: Sequence[bytes | None]) -> list[Cell | None]:
        """Return what is known of each row of *task*; None has no digest, and is not requested."""
        return [self._find(task, row, digest) for row, digest in enumerate(digests)]

    def keep(self, cells: Sequence[tuple[Task, int, bytes, Cell]]) -> None:
        """Remember the answers of rows, each with its task, its number there and its digest."""
        for task, row, digest, cell in cells:
            self._put(_Kept(digest, cell, task, row))
        while self._bytes > self._most_bytes and self._by_place:
            self._forget(next(iter(self._by_place.values())))

    def _find(self, task: Task, row: int, digest: bytes | None) -> Cell | None:
        if digest is None:
            return None
        kept = self._by_place.get((task, row))
        if kept is None or kept.digest != digest:
            others = self._by_digest.get(digest, ())
            kept = next((one for one in others if one.task.execution != task.execution), None)
            if kept is None:
                return None
            self._forget(kept)
            self._put(_Kept(digest, kept.cell, task, row))
        return kept.cell

    def _put(self, kept: _Kept) -> None:
        before = self._by_place.get((kept.task, kept.row))
        if before is not None:
            self._forget(before)
        self._by_place[kept.task, kept.row] = kept
        self._by_digest.setdefault(kept.digest, []).append(kept)
        self._bytes += kept.cell.size

    def _forget(self, kept: _Kept) -> None:
        del self._by_place[kept.task, kept.row]
        same = self._by_digest[kept.digest]
        same.remove(kept)
        if not same:
            del self._by_digest[kept.digest]
        self._bytes -= kept.cell.size
