"""
Reads the rows of a file and counts each, before anything is sent.

The one loop that `plan` and `simulate` share: whoever listens gets the same rows, good and bad for
the same reasons and in the same words as in `run`. Opens no connection.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

from ratedispatch.errors import InvalidRequest, JobError
from ratedispatch.jobs.inputs.formats import Format, format_of
from ratedispatch.jobs.inputs.row_text import open_text
from ratedispatch.jobs.inputs.shape import check_shape
from ratedispatch.jobs.inputs.streams import STDIN
from ratedispatch.jobs.rowformat import format_for
from ratedispatch.jobs.source import RowSource
from ratedispatch.jobs.state.paths import check_input
from ratedispatch.jobs.state.rowset import RowSet
from ratedispatch.jobs.state.scan import scan
from ratedispatch.tokens import OPENAI, Counter

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ratedispatch.jobs.batchfile import BadRow
    from ratedispatch.jobs.inputs.row_text import RowText
    from ratedispatch.jobs.inputs.streams import Source
    from ratedispatch.jobs.inputs.template import Template
    from ratedispatch.jobs.rowformat import RowFormat
    from ratedispatch.jobs.shard import Shard
    from ratedispatch.jobs.state.scan import Scan
    from ratedispatch.request import Cost, Request
    from ratedispatch.tokens import ChargePolicy

#: Bytes of texts that are remembered: a shared prompt or tool, but not the texts of all rows.
_MEMORY = 2_000_000

#: Rows between two calls of the listener.
_TICK = 256


@dataclass(frozen=True, slots=True)
class Reading:
    """
    How a file is read and its rows are counted: all that a count depends on, but the file.

    Args:
        template: Makes requests of the rows of a table.
        input_format: How the input is written; by default what its name says.
        endpoint: Where rows in Batch format go that have no ``url``.
        shard: The part of the rows that is meant; all by default.
        max_tokens: The most tokens of an output, of rows in Batch format; by default as each
            says.
        policy: How the provider charges a request.
        default_output_tokens: Reserved for a request without an output cap.
        models: The caller's own names; see `Counter`.

    Raises:
        ValueError: *default_output_tokens* is negative.
    """

    template: Template | None = None
    input_format: Format | None = None
    endpoint: str | None = None
    shard: Shard | None = None
    max_tokens: int | None = None
    policy: ChargePolicy = OPENAI
    default_output_tokens: int = 16
    models: Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        check_default(self.default_output_tokens)

    def counter(self) -> Counter:
        """Return what counts the rows; it remembers little."""
        return Counter(models=self.models, memory=_MEMORY)


def check_default(tokens: int) -> None:
    """Raise a ValueError if no request can reserve so many *tokens* by default."""
    if tokens < 0:
        raise ValueError(f"default_output_tokens must not be negative, got {tokens}")


class Taker(Protocol):
    """Receives every row of a file, in the order of the file."""

    def add_counted(self, request: Request, cost: Cost) -> None:
        """Take in a row and its cost."""

    def add_uncountable(self, request: Request, reason: str) -> None:
        """Take in a row that is a request and cannot be counted."""

    def add_bad_row(self, bad: BadRow) -> None:
        """Take in a row that is not a request."""


def source_of(path: str | os.PathLike[str]) -> Source:
    """Return what *path* names: a file, or standard input for ``-``."""
    return STDIN if path == STDIN else Path(path)


@dataclass(frozen=True, slots=True)
class OpenRows:
    """
    The rows of a file that is open.

    Args:
        text: The rows, one on each line.
        format: Makes requests of them.
        found: What was found in the file.
        reading: How they are counted.
    """

    text: RowText
    format: RowFormat
    found: Scan
    reading: Reading

    def read(
        self,
        takers: Sequence[Taker],
        counter: Counter,
        *,
        lines: range | None = None,
        file: BinaryIO | None = None,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> None:
        """
        Count the rows, and tell *takers* of each.

        Args:
            takers: Who is told.
            counter: Counts the rows.
            lines: Those that are read; all by default.
            file: The rows, opened again, for a process that reads beside others.
            on_progress: See `read_rows`.
        """
        counting = RowCounting(self.reading, counter, takers)
        rows = RowSource(
            file or self.text.file,
            self.found,
            self.format,
            done=self._left_out(lines),
            on_bad_row=counting.add_bad_row,
            in_order=True,
        )
        for count, request in enumerate(rows, 1):
            assert request.row is not None
            del rows.digests[request.row]
            counting.add(request)
            if on_progress is not None and count % _TICK == 0:
                on_progress(rows.bytes_read, self.found.size)

    def _left_out(self, lines: range | None) -> RowSet:
        shard, last = self.reading.shard, self.found.lines
        rows = RowSet() if shard is None else shard.others(last)
        if lines is not None:
            others = RowSet.up_to(last)
            others.remove(RowSet.up_to(min(lines.stop - 1, last)))
            others.merge(RowSet.up_to(lines.start - 1))
            rows.merge(others)
        return rows


@contextmanager
def open_rows(path: str | os.PathLike[str], reading: Reading) -> Iterator[OpenRows]:
    """
    Open the rows of a file.

    Raises:
        JobError: The file is missing, empty, or cannot be read.
    """
    source, template = source_of(path), reading.template
    check_input(source)
    with open_text(
        source,
        format=reading.input_format or format_of(source),
        is_table=template is not None,
    ) as text:
        if template is None:
            check_shape(text.file, text.name, is_table=False)
        format = format_for(text, template, reading.endpoint, reading.max_tokens)  # noqa: A001
        found = scan(text.file, format.names, shard=reading.shard)
        if not found.rows + found.others:
            raise JobError(f"the input {text.name} is empty")
        yield OpenRows(text, format, found, reading)


def read_rows(
    path: str | os.PathLike[str],
    reading: Reading,
    takers: Sequence[Taker],
    *,
    counter: Counter | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> None:
    """
    Read every row of a file, count it, and tell *takers* of it. Nothing is sent.

    Args:
        path: A JSONL file in OpenAI's Batch format, or a table; ``-`` for standard input.
        reading: How.
        takers: Who is told.
        counter: Counts the rows; by default the one of *reading*.
        on_progress: Called now and then with the bytes read so far, and those there are.

    Raises:
        JobError: The file is missing, empty, or cannot be read.
        OSError: Reading broke off.
    """
    with open_rows(path, reading) as rows:
        rows.read(takers, counter or reading.counter(), on_progress=on_progress)
        size = rows.found.size
    if on_progress is not None:
        on_progress(size, size)


class RowCounting:
    """Counts requests by *counter*, and tells *takers*."""

    def __init__(self, reading: Reading, counter: Counter, takers: Sequence[Taker]) -> None:
        self._estimate = counter.estimate
        self._policy = reading.policy
        self._default = reading.default_output_tokens
        self._takers = takers

    def add(self, request: Request) -> None:
        """Count *request*."""
        try:
            cost = self._estimate(
                request.body,
                request.endpoint,
                default_output_tokens=self._default,
                policy=self._policy,
            )
        except InvalidRequest as invalid:
            for taker in self._takers:
                taker.add_uncountable(request, str(invalid))
            return
        for taker in self._takers:
            taker.add_counted(request, cost)

    def add_bad_row(self, bad: BadRow, _digest: str) -> None:
        """Tell of a row that is not a request."""
        for taker in self._takers:
            taker.add_bad_row(bad)
