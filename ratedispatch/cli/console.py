"""
Makes the standard streams of a command safe for the terminal and for the command.

`install` replaces ``sys.stdout`` and ``sys.stderr`` by a `SafeStream`, so that messages,
tracebacks, warnings and the texts of libraries all pass through one place. Control characters are
escaped, since they come from outside. Characters that the encoding lacks are replaced. A stream
that is closed, full or without a reader discards its input. The exit code is not decided here.
"""

from __future__ import annotations

import codecs
import contextlib
import errno
import io
import os
import re
import sys
from typing import TYPE_CHECKING, Any, cast

import click

from ratedispatch.observe.human import one_line, visible

if TYPE_CHECKING:
    from typing import TextIO

#: The escape sequences that a progress display needs: colours and cursor movements. None that sets
#: a
#: title, writes to the clipboard or queries the terminal.
_PAINT = re.compile(r"\x1b\[(?:[0-9;]*m|[0-9]*[A-DGK]|\?25[lh])|\r")

#: Replacements for our own characters where an encoding lacks them.
_PLAIN = {
    "\N{MINUS SIGN}": "-",
    "\N{MULTIPLICATION SIGN}": "x",
    "\N{HORIZONTAL ELLIPSIS}": "...",
    "\N{FULL BLOCK}": "#",
    "\N{EN DASH}": "-",
    "\N{EM DASH}": "-",
    "\N{BOX DRAWINGS HEAVY HORIZONTAL}": "#",
    "\N{BOX DRAWINGS HEAVY LEFT}": "#",
    "\N{BOX DRAWINGS HEAVY RIGHT}": "#",
    "\N{BOX DRAWINGS LIGHT HORIZONTAL}": "-",
    "\N{LEFT SINGLE QUOTATION MARK}": "'",
    "\N{RIGHT SINGLE QUOTATION MARK}": "'",
    "\N{LEFT DOUBLE QUOTATION MARK}": '"',
    "\N{RIGHT DOUBLE QUOTATION MARK}": '"',
    "\N{REPLACEMENT CHARACTER}": "?",
}

#: Narrower terminals are treated as this wide.
_LEAST_COLUMNS = 20

_USUAL_COLUMNS = 80

#: Decimals of a number in JSON: billionths of a dollar, and of a second.
_DECIMALS = 9

#: The name of the handler of characters that an encoding lacks.
_OTHERWISE = "ratedispatch.otherwise"

#: The descriptor of standard error.
_LAST_STANDARD = 2

#: Seconds to wait for a full non-blocking pipe.
_PATIENCE_SECONDS = 5.0


def say(text: str) -> None:
    """Write a message to standard error: one line, or on a terminal as many as it needs."""
    click.echo(fitted(text), err=True)


def fitted(text: str, indent: int = 0) -> str:
    """
    Return *text* as one line; where standard error is a terminal, broken between words.

    Args:
        text: A message; line ends in it come from outside and are escaped.
        indent: Columns that are already used on the first line.
    """
    text = one_line(text)
    if not sys.stderr.isatty():
        return text
    import textwrap  # here because --help must not wait for it

    width = max(_LEAST_COLUMNS, columns(sys.stderr))
    return textwrap.fill(
        text,
        width,
        initial_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )[indent:]


def columns(stream: TextIO) -> int:
    """Return the width of the terminal of *stream*; 80 if it is not known."""
    with contextlib.suppress(OSError, ValueError):
        return os.get_terminal_size(stream.fileno()).columns or _USUAL_COLUMNS
    return _USUAL_COLUMNS


def json_text(value: object) -> str:
    """Return *value* as one line of JSON without terminal control characters."""
    import json

    return json.dumps(_rounded(value)).replace(
        "\x7f", "\\u007f"
    )  # the only one that JSON leaves as it is


def _rounded(value: Any) -> Any:
    """Return *value* without the last digits that only stem from binary arithmetic."""
    if isinstance(value, float):
        return round(value, _DECIMALS)
    if isinstance(value, dict):
        return {name: _rounded(item) for name, item in value.items()}
    return [_rounded(item) for item in value] if isinstance(value, list | tuple) else value


def _otherwise(error: UnicodeError) -> tuple[str, int]:
    """Replace our own characters by ASCII, and others by escapes."""
    assert isinstance(error, UnicodeEncodeError)
    lacking = error.object[error.start : error.end]
    text = "".join(_PLAIN.get(c) or c.encode("ascii", "backslashreplace").decode() for c in lacking)
    return text, error.end


codecs.register_error(_OTHERWISE, _otherwise)


class SafeStream(io.TextIOBase):
    """
    A text stream that escapes terminal control characters, and never raises.

    Args:
        target: Receives the bytes, unbuffered; None to discard them.
        encoding: The encoding of the text; ASCII replaces one that is not for text.
        is_paint: Whether colours and cursor movements pass, as a progress display needs them.

    Attributes:
        failure: Why the stream can no longer be written; None while it can.
    """

    def __init__(
        self, target: io.RawIOBase | None, encoding: str | None, *, is_paint: bool = False
    ) -> None:
        self._target = target
        self._is_paint = is_paint
        self._encoder, self._encoding = _encoder(encoding)
        self.failure: OSError | None = None

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The name of the encoding."""
        return self._encoding

    @property
    def errors(self) -> str:  # type: ignore[override]
        """How characters are written that the encoding lacks."""
        return _OTHERWISE

    def writable(self) -> bool:
        """Whether it takes text: always."""
        return True

    def fileno(self) -> int:
        """Return the descriptor."""
        if self._target is None:
            raise io.UnsupportedOperation("the stream is closed")
        return self._target.fileno()

    def isatty(self) -> bool:
        """Whether it is connected to a terminal."""
        return self._target is not None and self._target.isatty()

    def close(self) -> None:
        """Do nothing: the descriptor belongs to the process."""

    def painter(self) -> SafeStream:
        """Return a stream to the same target that lets colours and cursor movements pass."""
        return SafeStream(self._target, self._encoding, is_paint=True)

    def write(self, text: str) -> int:
        """Write *text*; what cannot be written is dropped."""
        if not isinstance(text, str):
            raise TypeError(f"a text stream takes str, not {type(text).__name__}")
        if self._target is None or self.failure is not None or not text:
            return len(text)
        safe = _painted(text) if self._is_paint else visible(text)
        try:
            _write_all(self._target, self._encoded(safe))
        except (OSError, ValueError) as error:
            self.failure = error if isinstance(error, OSError) else OSError(str(error))
        return len(text)

    def _encoded(self, text: str) -> bytes:
        try:
            encoded: bytes = self._encoder.encode(text)
        except UnicodeError:  # an encoding that has no other way for what it lacks
            return text.encode("ascii", _OTHERWISE)
        return encoded


def _painted(text: str) -> str:
    """Return *text* escaped, but for the sequences of a progress display."""
    parts, at = [], 0
    for paint in _PAINT.finditer(text):
        parts += [visible(text[at : paint.start()]), paint[0]]
        at = paint.end()
    return "".join([*parts, visible(text[at:])])


def painter() -> TextIO:
    """Return standard error as a progress display needs it."""
    stream: TextIO = sys.stderr
    return cast("TextIO", stream.painter()) if isinstance(stream, SafeStream) else stream


def _encoder(name: str | None) -> tuple[Any, str]:
    """Return an encoder to the encoding *name*, or to ASCII if there is none for text."""
    with contextlib.suppress(LookupError, UnicodeError):
        info = codecs.lookup(name or "utf-8")
        if info.incrementalencoder is not None and isinstance(
            info.incrementalencoder(_OTHERWISE).encode("a"), bytes
        ):
            return info.incrementalencoder(_OTHERWISE), info.name
    return codecs.lookup("ascii").incrementalencoder(_OTHERWISE), "ascii"


def _write_all(target: io.RawIOBase, data: bytes) -> None:
    """Write *data*, also to a pipe that another process has set not to block."""
    import select

    rest = memoryview(data)
    while rest:
        written = target.write(rest)
        if written is not None:
            rest = rest[written:]
        elif not select.select([], [target], [], _PATIENCE_SECONDS)[1]:
            raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))


def install() -> None:
    """
    Make the standard streams of this process safe.

    Descriptors that the parent process has closed are opened to discard everything. Otherwise the
    next files to be opened would get their numbers, and messages would go into these files.
    """
    with contextlib.suppress(OSError):
        while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _LAST_STANDARD:
            os.set_inheritable(descriptor, True)
        os.close(descriptor)
    sys.stdout, sys.stderr = _safe(sys.stdout), _safe(sys.stderr)


def _safe(stream: Any) -> SafeStream:
    if stream is None:
        return SafeStream(None, None)
    with contextlib.suppress(OSError, ValueError):
        stream.flush()
    return SafeStream(getattr(stream.buffer, "raw", stream.buffer), stream.encoding)


def tell_loss() -> None:
    """Report that standard output was lost, unless its reader has closed it."""
    failure = getattr(sys.stdout, "failure", None)
    if failure is not None and failure.errno != errno.EPIPE:
        say(f"standard output cannot be written: {failure.strerror or failure}")
