"""
Converts texts in UTF-16 and UTF-32 to UTF-8 while they are read.

Recognizes them by their byte order mark, or by the zeros beside the ASCII characters with which
every supported format begins.
"""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

#: Bytes that tell the encoding.
HEAD = 4

#: UTF-32 first: its mark for little-endian begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


class UndecodableText(Exception):
    """A text that is not in the encoding that its first bytes tell; the text says which."""


def wide_encoding(head: bytes) -> tuple[str, int] | None:
    """Return the encoding of a text that begins with *head* and the size of its mark, if wide."""
    for mark, name in _MARKS:
        if head.startswith(mark):
            return name, len(mark)
    first = [byte != 0 for byte in head[:HEAD]]
    if first == [True, False, True, False]:
        return "utf-16-le", 0
    if first == [False, True, False, True]:
        return "utf-16-be", 0
    return None


def in_utf8(chunks: Iterator[bytes]) -> Generator[bytes, None, None]:
    """
    Yield *chunks* as they are, or in UTF-8 if they are a text in a wide encoding.

    Raises:
        UndecodableText: They are damaged.
    """
    first = [b""]
    for chunk in chunks:
        first.append(chunk)
        if sum(map(len, first)) >= HEAD:
            break
    first = [b"".join(first)] if len(first) > 2 else first[-1:]
    chunk = b""  # the first piece may be large, and is not to be held longer than it is needed
    found = wide_encoding(first[0][:HEAD])
    if found is None:
        if first[0]:
            yield first.pop()
        yield from chunks
        return
    encoding, size = found
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        yield decoder.decode(first.pop()[size:]).encode("utf-8", "surrogatepass")
        for chunk in chunks:
            yield decoder.decode(chunk).encode("utf-8", "surrogatepass")
        yield decoder.decode(b"", final=True).encode()
    except UnicodeDecodeError as error:
        raise UndecodableText(
            f"is {encoding[:6].upper()} by its first bytes, but cannot be decoded as that "
            f"({error.reason})"
        ) from error
