"""
Reads from a job file what the job was made from, and the course of its last run. Changes nothing.

Goes through the file once, in blocks: no record of a row is examined.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from ratedispatch.errors import JobError
from ratedispatch.jobs.shard import Shard
from ratedispatch.jobs.state.files import CHUNK, first_line
from ratedispatch.jobs.state.manifest import Manifest
from ratedispatch.jobs.state.run_notes import Begun, Ended, Mark, notes_in

if TYPE_CHECKING:
    from pathlib import Path

#: Seconds over which the speed of a run is taken.
SPAN_SECONDS = 300.0

_SPENT = re.compile(rb"\nc(\d{1,18}),\d{1,18}(?=\n)")
_SPENT_SIGN = b"\nc"
_MARK_SIGN = b"\nw"

#: Nano-USD in a USD.
_NANO = 1_000_000_000


@dataclass(frozen=True, slots=True)
class JobNotes:
    """
    What a job file says.

    Args:
        manifest: What the job was made from.
        begun: The beginning of the last run; None if none was noted.
        marks: How far that was, the last minutes, the oldest first.
        ended: How it ended; None if it did not, or not in order.
        spent: USD that all runs have spent; None if no price was known.
        behind: Where in the file the records begin that are younger than the last mark.
    """

    manifest: Manifest
    begun: Begun | None
    marks: tuple[Mark, ...]
    ended: Ended | None
    spent: float | None
    behind: int


#: More rows than any job has.
_MOST_ROWS = 2**53


class NotBegun(JobError):
    """The job file is empty: a run is still reading the input, or was killed while reading."""


class NotesReader:
    """
    Reads a job file, and later what has come to it.

    Args:
        path: The job file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file_number: tuple[int, int] | None = None
        self._forget()

    def read(self) -> JobNotes:
        """
        Return what the file says now.

        Raises:
            JobError: It is not a job file, cannot be read, or is still empty.
        """
        try:
            with self._path.open("rb", buffering=0) as file:
                self._read(file)
        except OSError as error:
            raise JobError(f"{self._path} cannot be read: {error.strerror}") from error
        assert self._manifest is not None
        return JobNotes(
            self._manifest,
            self._begun,
            tuple(self._marks),
            self._ended,
            self._spent,
            self._behind,
        )

    def _forget(self) -> None:
        self._offset = self._behind = 0
        self._manifest: Manifest | None = None
        self._begun: Begun | None = None
        self._marks: deque[Mark] = deque()
        self._ended: Ended | None = None
        self._spent: float | None = None

    def _read(self, file: BinaryIO) -> None:
        """Go on from where the file was read to; from its beginning if it is another one."""
        import os

        found = os.fstat(file.fileno())
        number = found.st_dev, found.st_ino
        if number != self._file_number or found.st_size < self._offset:
            self._forget()
            self._file_number = number
        if self._manifest is None:
            first, _ = first_line(file)
            if not first:
                raise NotBegun(
                    f"{self._path} is empty: a run is still reading its input, or ended while "
                    f"reading it; try again in a moment"
                )
            self._manifest = self._manifest_on(first)
            self._offset = len(first) + 1
        file.seek(self._offset)
        rest = b""
        while block := file.read(CHUNK):
            text = rest + block
            end = text.rfind(b"\n") + 1
            self._take_in(text[:end])
            self._offset += end
            rest = text[end:]

    def _manifest_on(self, line: bytes) -> Manifest:
        try:
            return _sound(Manifest.from_line(line))
        except (ValueError, RecursionError) as error:
            raise JobError(
                f"{self._path} cannot be read as a job file: another program wrote it, or it is "
                f"damaged"
            ) from error

    def _take_in(self, text: bytes) -> None:
        for note in notes_in(text):
            if isinstance(note, Mark):
                self._marks.append(note)
                # one that is older than the span stays, so that the span is whole
                while len(self._marks) > 2 and self._marks[1].at <= note.at - SPAN_SECONDS:
                    self._marks.popleft()
            elif isinstance(note, Begun):
                self._begun, self._ended = note, None
                self._marks.clear()
            else:
                self._ended = note
        at = text.rfind(_MARK_SIGN)
        if at >= 0 or text.startswith(_MARK_SIGN[1:]):
            self._behind = self._offset + text.find(b"\n", at + 1) + 1
        at = text.rfind(_SPENT_SIGN)
        if at >= 0 or text.startswith(b"c"):
            for nano in _SPENT.findall(b"\n" + text, max(0, at)):
                self._spent = int(nano) / _NANO


def _sound(manifest: Manifest) -> Manifest:
    """Return *manifest*; raise a ValueError if it says what no job is made from."""
    if type(manifest.rows) is not int or not 0 <= manifest.rows < _MOST_ROWS:
        raise ValueError("no number of rows")
    texts = manifest.input, manifest.errors, manifest.output_format, manifest.shard
    if not all(isinstance(text, str) and "\0" not in text for text in texts):
        raise ValueError("no text")
    if manifest.shard:
        Shard.parse(manifest.shard)
    return manifest
