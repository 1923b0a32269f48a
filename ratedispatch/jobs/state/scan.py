"""
Scans the input of a job once, before anything is sent.

Finds the digest, the number of rows, checkpoints to read from, and rows whose name is used
already. Keeps one bit per row in memory; the search for repeated names uses the disk. Of what a
row says, it reads only the name and the output cap.
"""

from __future__ import annotations

import hashlib
import math
import re
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from ratedispatch.jobs.inputs.lines import BOM, LONGEST_LINE
from ratedispatch.jobs.state.files import CHUNK
from ratedispatch.jobs.state.repeats import RepeatFinder
from ratedispatch.jobs.state.rowset import RowSet
from ratedispatch.simulate.forecast.reading_order import MAX_CHECKPOINTS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ratedispatch.jobs.shard import Shard


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """
    A place to read from.

    Args:
        offset: The offset of the first byte of a line.
        line: The number of that line, counted from 1.
        rows: Lines before it that are not blank.
        tokens: Of these, as far as their length and their output caps tell.
    """

    offset: int
    line: int
    rows: int = 0
    tokens: float = 0.0


@dataclass(frozen=True, slots=True)
class Scan:
    """
    What a scan found in an input.

    Args:
        size: Bytes; what is added later does not belong to the job.
        rows: Lines that are not blank; with a shard, those of it, and likewise the tokens.
        lines: All lines.
        digest: The digest of all bytes, in hexadecimal digits.
        checkpoints: Places to read from, in their order, equally many lines apart.
        tokens: The tokens of all rows, as far as their length and their output caps tell.
        deviation: The deviation of the tokens of a row, as a share of their mean.
        duplicates: Rows whose name stands further up already, in any shard.
        others: Lines of other shards that are not blank.
    """

    size: int
    rows: int
    lines: int
    digest: str
    checkpoints: tuple[Checkpoint, ...]
    tokens: float = 0.0
    deviation: float = 0.0
    duplicates: RowSet = field(default_factory=RowSet)
    others: int = 0

    @property
    def end(self) -> Checkpoint:
        """The place behind the last line."""
        return Checkpoint(self.size, self.lines + 1, self.rows, self.tokens)

    def as_dict(self) -> dict[str, Any]:
        """Return it as values of JSON."""
        return {
            "size": self.size,
            "rows": self.rows,
            "lines": self.lines,
            "digest": self.digest,
            "marks": [[at.offset, at.line, at.rows, at.tokens] for at in self.checkpoints],
            "tokens": self.tokens,
            "deviation": self.deviation,
            "duplicates": list(self.duplicates),
            "others": self.others,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Scan:
        """
        Return the scan that *values* were made of.

        Raises:
            KeyError: They were made of none.
            TypeError: The same.
        """
        duplicates = RowSet()
        for row in values["duplicates"]:
            duplicates.add(row)
        kept = {name: value for name, value in values.items() if name != "marks"}
        checkpoints = tuple(Checkpoint(*item) for item in values["marks"])
        return cls(**{**kept, "checkpoints": checkpoints, "duplicates": duplicates})

    def parts(self, count: int) -> list[tuple[int, float]]:
        """Return the rows and tokens of *count* parts of the input at most, in its order."""
        ends = [(checkpoint.rows, checkpoint.tokens) for checkpoint in self.checkpoints] + [
            (self.rows, self.tokens)
        ]
        cuts = sorted({len(self.checkpoints) * part // count for part in range(count + 1)})
        return [
            (ends[end][0] - ends[begin][0], ends[end][1] - ends[begin][1])
            for begin, end in pairwise(cuts)
        ]


class Names(Protocol):
    """How the names of rows are found."""

    def guess(self, line: bytes, row: int) -> bytes | None:
        """
        Return the name on *line*, quickly, if it has one.

        It may be there although the line is not a request; never another name than :meth:`name`'s.
        """

    def name(self, line: bytes, row: int) -> str | None:
        """Return the name on *line*; None if it has none."""


def scan(
    file: BinaryIO,
    names: Names | None = None,
    *,
    folder: Path | None = None,
    known: Scan | None = None,
    shard: Shard | None = None,
) -> Scan:
    """
    Read *file* from its beginning to its end.

    Args:
        file: Not buffered.
        names: Finds the names of rows; None if no two can be the same.
        folder: Where digests of the names are kept meanwhile.
        known: What was found before with the same *names*, which is right if the digest is: then
            the lines are not examined.
        shard: Whose rows are counted; all by default.
    """
    if known is not None and _digest(file) == (known.size, known.digest):
        return known
    file.seek(0)
    digest = hashlib.sha256()
    counted = _Counted(shard)
    line = 0
    with RepeatFinder(folder) as repeats:
        for block, begin in _blocks(file, digest):
            if block is None:  # one line that is too long to be examined
                line += 1
                counted.begin(line, begin)
                counted.add(line, 0.0)
                continue
            offset = begin
            for text in block:
                line += 1
                if line == counted.next:
                    counted.begin(line, offset)
                offset += len(text) + 1
                name = None if names is None else names.guess(text, line)
                if name is not None:
                    repeats.add(name)
                elif not text or text.isspace() or (line == 1 and _is_blank(text)):
                    continue
                counted.add(line, _tokens_on(text))
        size = file.tell()
        suspects = repeats.find()
    found = counted.scan(size, line, digest.hexdigest())
    if suspects and names is not None:
        _confirm(file, found, names, suspects)
    return found


def _digest(file: BinaryIO) -> tuple[int, str]:
    file.seek(0)
    digest = hashlib.sha256()
    while data := file.read(CHUNK):
        digest.update(data)
    return file.tell(), digest.hexdigest()


def _confirm(file: BinaryIO, scan: Scan, names: Names, suspects: set[int]) -> None:
    """Find the rows whose name is there already, of those whose digest is there more than once."""
    seen: set[str] = set()
    file.seek(0)
    line = 0
    for block, _ in _blocks(file, None, scan.size):
        if block is None:
            line += 1
            continue
        for text in block:
            line += 1
            guess = names.guess(text, line)
            if guess is None or hash(guess) not in suspects:
                continue
            name = names.name(text, line)
            if name is None:
                continue
            if name in seen:
                scan.duplicates.add(line)
            seen.add(name)


def _blocks(
    file: BinaryIO, digest: Any, size: int | None = None
) -> Iterator[tuple[list[bytes] | None, int]]:
    """
    Yield lists of whole lines without their line feeds, and where in the file the first begins.

    A line that is longer than may be is None instead. A byte order mark is left as it is.
    """
    pieces: list[bytes] = []
    held = 0
    begin = 0
    left = size
    while data := file.read(CHUNK if left is None else min(CHUNK, left)):
        if left is not None:
            left -= len(data)
        if digest is not None:
            digest.update(data)
        cut = data.find(b"\n")
        if cut < 0:
            held += len(data)
            if held <= LONGEST_LINE:
                pieces.append(data)
            continue
        if held + cut > LONGEST_LINE:
            yield None, begin
            begin += held + cut + 1
            data = data[cut + 1 :]
            pieces, held = [], 0
        end = data.rfind(b"\n") + 1
        if end:
            text = b"".join((*pieces, data[:end]))
            yield text[:-1].split(b"\n"), begin
            begin += len(text)
            pieces = []
        rest = data[end:]
        pieces = [*pieces, rest] if rest else pieces
        held = sum(map(len, pieces))
    if held > LONGEST_LINE:
        yield None, begin
    elif pieces:
        yield [b"".join(pieces)], begin


class _Counted:
    """
    The rows of a shard so far, and a checkpoint at every n-th line, where n grows with the file.

    Args:
        shard: Whose rows are counted; all if None.

    Attributes:
        next: The line of the next checkpoint.
    """

    def __init__(self, shard: Shard | None) -> None:
        self._own = None if shard is None else shard.lines()
        self._mine = 0  # the last line of the shard that was looked for
        self._rows = self._others = 0
        self._tokens = self._squares = 0.0
        self._checkpoints: list[Checkpoint] = []
        self._stride = 1
        self.next = 1

    def begin(self, line: int, offset: int) -> None:
        """Take note of where *line* begins, if a checkpoint is due."""
        if line != self.next:
            return
        # the maximum is even, so that every other one fits the doubled stride
        if len(self._checkpoints) == MAX_CHECKPOINTS:
            del self._checkpoints[1::2]
            self._stride *= 2
        self._checkpoints.append(Checkpoint(offset, line, self._rows, self._tokens))
        self.next = line + self._stride

    def add(self, line: int, weight: float) -> None:
        """Count the row on *line*, of *weight* tokens, if it belongs to the shard."""
        if self._own is not None:
            while self._mine < line:
                self._mine = next(self._own)
            if self._mine != line:
                self._others += 1
                return
        self._rows += 1
        self._tokens += weight
        self._squares += weight * weight

    def scan(self, size: int, lines: int, digest: str) -> Scan:
        """Return what was found in a file of *size* bytes and *lines* lines."""
        rows, tokens = self._rows, self._tokens
        variance = max(0.0, self._squares * rows / tokens**2 - 1) if tokens else 0.0
        checkpoints = tuple(self._checkpoints)
        deviation = math.sqrt(variance)
        found = Scan(size, rows, lines, digest, checkpoints, tokens, deviation)
        return replace(found, others=self._others) if self._others else found


_CAP = re.compile(rb'"max_(?:completion_|output_)?tokens"\s*:\s*(\d{1,9})')
_CAP_BEGIN = b'"max_'

#: Bytes of JSON for each token; enough to tell long rows from short ones.
_BYTES_PER_TOKEN = 4


def _tokens_on(line: bytes) -> float:
    """Return about how many tokens a row takes, its output cap included."""
    place = line.rfind(_CAP_BEGIN)
    match = _CAP.match(line, place) if place >= 0 else None
    return len(line) / _BYTES_PER_TOKEN + (int(match[1]) if match is not None else 0)


def _is_blank(line: bytes) -> bool:
    return not line.removeprefix(BOM).strip()
