"""
What there is in a job's input: one pass over it before anything is sent.

Finds its digest, how many rows it has, places to read it from, and the rows whose name is there
already. Keeps a bit for each row; what it needs beyond that while it looks for names lies on the
disk. Knows nothing of what the rows say but for their names.
"""

from __future__ import annotations

import hashlib
import math
import re
import tempfile
from array import array
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from ratedispatch.jobs.inputs.lines import BOM, LONGEST_LINE
from ratedispatch.jobs.state.rowset import RowSet

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: Bytes read at a time.
_CHUNK = 1024 * 1024

#: Places to read from are kept for every n-th line, and n doubles when there would be more.
MOST_MARKS = 512

#: Names are told apart in so many parts, one after the other, so that each fits into memory.
_BINS = 64

#: Digests of names that wait in memory for each part.
_WAITING = 512


@dataclass(frozen=True, slots=True)
class Mark:
    """
    A place to read from.

    Args:
        offset: Of the first byte of a line.
        line: The number of that line, counted from 1.
        rows: Lines before it that are not blank.
        tokens: Of these, as far as their length and their output caps tell.
    """

    offset: int
    line: int
    rows: int = 0
    tokens: float = 0.0


@dataclass(frozen=True, slots=True)
class Survey:
    """
    What there is in an input.

    Args:
        size: Bytes; what is added later does not belong to the job.
        rows: Lines that are not blank.
        lines: All lines.
        digest: Of all bytes, in hexadecimal digits.
        marks: Places to read from, in their order, equally many lines apart.
        tokens: Of all rows, as far as their length and their output caps tell.
        deviation: Of the tokens of a row, as a share of their mean.
        duplicates: Rows whose name stands further up already.
    """

    size: int
    rows: int
    lines: int
    digest: str
    marks: tuple[Mark, ...]
    tokens: float = 0.0
    deviation: float = 0.0
    duplicates: RowSet = field(default_factory=RowSet)

    @property
    def end(self) -> Mark:
        """The place behind the last line."""
        return Mark(self.size, self.lines + 1, self.rows, self.tokens)

    def as_dict(self) -> dict[str, Any]:
        """Return it as values of JSON."""
        return {
            "size": self.size,
            "rows": self.rows,
            "lines": self.lines,
            "digest": self.digest,
            "marks": [[mark.offset, mark.line, mark.rows, mark.tokens] for mark in self.marks],
            "tokens": self.tokens,
            "deviation": self.deviation,
            "duplicates": list(self.duplicates),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Survey:
        """
        Return the survey that *values* were made of.

        Raises:
            KeyError: They were made of none.
            TypeError: The same.
        """
        duplicates = RowSet()
        for row in values["duplicates"]:
            duplicates.add(row)
        marks = tuple(Mark(*mark) for mark in values["marks"])
        return cls(**{**values, "marks": marks, "duplicates": duplicates})

    def parts(self, count: int) -> list[tuple[int, float]]:
        """Return the rows and tokens of *count* parts of the input at most, in its order."""
        ends = [(mark.rows, mark.tokens) for mark in self.marks] + [(self.rows, self.tokens)]
        cuts = sorted({len(self.marks) * part // count for part in range(count + 1)})
        return [
            (ends[end][0] - ends[begin][0], ends[end][1] - ends[begin][1])
            for begin, end in pairwise(cuts)
        ]


class Names(Protocol):
    """How the names of rows are found."""

    def guess(self, line: bytes, row: int) -> bytes | None:
        """
        Return the name on *line*, quickly, if it has one.

        It may be there although the line is no request; never another name than :meth:`name`'s.
        """

    def name(self, line: bytes, row: int) -> str | None:
        """Return the name on *line*; None if it has none."""


def survey(
    file: BinaryIO,
    names: Names | None = None,
    *,
    folder: Path | None = None,
    known: Survey | None = None,
) -> Survey:
    """
    Read *file* from its beginning to its end.

    Args:
        file: Not buffered.
        names: Finds the names of rows; None if no two can be the same.
        folder: Where digests of the names are kept meanwhile.
        known: What was found before with the same *names*, which is right if the digest is: then
            the lines are not looked at.
    """
    if known is not None and _digest(file) == (known.size, known.digest):
        return known
    file.seek(0)
    digest = hashlib.sha256()
    marks = _Marks()
    size = rows = line = 0
    tokens = squares = 0.0
    with _Repeats(folder) as repeats:
        for block, begin in _blocks(file, digest):
            if block is None:  # one line that is too long to be looked at
                line += 1
                if line == marks.next:
                    marks.add(Mark(begin, line, rows, tokens))
                rows += 1
                continue
            offset = begin
            for text in block:
                line += 1
                if line == marks.next:
                    marks.add(Mark(offset, line, rows, tokens))
                offset += len(text) + 1
                name = None if names is None else names.guess(text, line)
                if name is not None:
                    repeats.add(name)
                elif not text or text.isspace() or (line == 1 and _is_blank(text)):
                    continue
                rows += 1
                weight = _tokens_on(text)
                tokens += weight
                squares += weight * weight
        size = file.tell()
        suspects = repeats.find()
    variance = max(0.0, squares * rows / tokens**2 - 1) if tokens else 0.0
    survey = Survey(size, rows, line, digest.hexdigest(), marks.kept, tokens, math.sqrt(variance))
    if suspects and names is not None:
        _confirm(file, survey, names, suspects)
    return survey


def _digest(file: BinaryIO) -> tuple[int, str]:
    file.seek(0)
    digest = hashlib.sha256()
    while data := file.read(_CHUNK):
        digest.update(data)
    return file.tell(), digest.hexdigest()


def _confirm(file: BinaryIO, survey: Survey, names: Names, suspects: set[int]) -> None:
    """Find the rows whose name is there already, of those whose digest is there more than once."""
    seen: set[str] = set()
    file.seek(0)
    line = 0
    for block, _ in _blocks(file, None, survey.size):
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
                survey.duplicates.add(line)
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
    while data := file.read(_CHUNK if left is None else min(_CHUNK, left)):
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


class _Marks:
    """Every n-th line, where n grows with the file."""

    def __init__(self) -> None:
        self._marks: list[Mark] = []
        self._stride = 1
        self.next = 1

    def add(self, mark: Mark) -> None:
        """Keep *mark*, whose line is `next`; their most is even, so later ones fit a new stride."""
        if len(self._marks) == MOST_MARKS:
            del self._marks[1::2]
            self._stride *= 2
        self._marks.append(mark)
        self.next = mark.line + self._stride

    @property
    def kept(self) -> tuple[Mark, ...]:
        return tuple(self._marks)


class _Repeats:
    """Finds the digests that came more than once, in memory that does not grow with them."""

    def __init__(self, folder: Path | None) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  (closed on leaving)
        self._bins = [array("q") for _ in range(_BINS)]
        self._stored: list[list[tuple[int, int]]] = [[] for _ in range(_BINS)]

    def __enter__(self) -> _Repeats:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, name: bytes) -> None:
        """Take a *name*, of which nothing but a digest is kept."""
        # salted for each process, so that nobody can make names whose digests are the same
        digest = hash(name)
        waiting = self._bins[digest % _BINS]
        waiting.append(digest)
        if len(waiting) >= _WAITING:
            self._stored[digest % _BINS].append((self._file.tell(), len(waiting)))
            waiting.tofile(self._file)
            del waiting[:]

    def find(self) -> set[int]:
        """Return the digests that came more than once."""
        found: set[int] = set()
        for waiting, stored in zip(self._bins, self._stored, strict=True):
            for offset, count in stored:
                self._file.seek(offset)
                waiting.fromfile(self._file, count)
            if len(set(waiting)) < len(waiting):
                found.update(digest for digest, times in Counter(waiting).items() if times > 1)
            del waiting[:]
        return found


#: The name of a row in Batch format that begins with it, without escapes.
_NAME = re.compile(rb'\s*\{\s*"custom_id"\s*:\s*"([^"\\\x00-\x1f]+)"')
_KEY = b'"custom_id"'

#: An ASCII character that is escaped although it need not be, as the key itself might be.
_ESCAPE = re.compile(rb"\\u00[2-7]")
_ESCAPE_BEGIN = b"\\u00"


def quick_name(line: bytes) -> bytes | None:
    """
    Return the ``custom_id`` that *line* begins with; None if it has none or is not that simple.

    A line on which the key stands twice is not that simple: the last one counts.
    """
    match = _NAME.match(line)
    if match is None or line.find(_KEY, match.end()) >= 0:
        return None
    if _ESCAPE_BEGIN in line and _ESCAPE.search(line) is not None:
        return None
    return match[1]


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
