"""
How many pages a PDF has.

A scan has many bytes on each page and a text has few, so that the size of a file tells little.
Where pypdf is installed it reads the number; else it is read from what stands in clear in the file:
the root of the page tree, the pages themselves, or the head of a file made for the web.
Source: ISO 32000-1, 7.7.3 (page tree) and annex F (linearized PDF).
"""

from __future__ import annotations

import importlib.util
import io
import logging
import re
from binascii import Error as Base64Error
from binascii import a2b_base64
from functools import cache

#: Bytes at the beginning of a file among which its first line stands.
_HEAD = 1_024
_MAGIC = b"%PDF-"

#: Bytes that a page takes at least, however well it is packed: a file that says to have more pages
#: is damaged, or lies.
_LEAST_PAGE_BYTES = 16

_TREE = re.compile(rb"/Type\s*/Pages\b")
_COUNT = re.compile(rb"/Count\s+(\d{1,9})\b")
_PAGE = re.compile(rb"/Type\s*/Page\b(?!s)")
_LINEARIZED = re.compile(
    rb"/Linearized\s+\S+[^<>]*?/N\s+(\d{1,9})\b|/N\s+(\d{1,9})\b[^<>]*?/Linearized"
)

#: Bytes before and behind the mark of a page tree among which its number of pages is looked for.
_REACH = 65_536


def is_pdf(head: bytes) -> bool:
    """Whether a file that begins with *head* is a PDF."""
    return _MAGIC in head[:_HEAD]


def pages_of(encoded: str, start: int) -> int | None:
    """Return the pages of the PDF whose base64 begins at *start* of *encoded*; None if unknown."""
    try:
        data = a2b_base64(encoded[start:])
    except (Base64Error, ValueError):
        return None
    pages = _read(data) or _marked(data)
    if not pages or pages > max(1, len(data) // _LEAST_PAGE_BYTES):
        return None
    return pages


@cache
def _has_reader() -> bool:
    return importlib.util.find_spec("pypdf") is not None


def _read(data: bytes) -> int | None:
    """Return the number of pages as pypdf reads it; None without it, or if it cannot."""
    if not _has_reader():
        return None
    import pypdf

    logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # what it repairs is of no interest here
    try:
        return len(pypdf.PdfReader(io.BytesIO(data)).pages)
    except Exception:  # a damaged or locked file is the server's to judge
        return None


def _marked(data: bytes) -> int | None:
    """Return the number of pages by the uncompressed marks; None if there are none."""
    counts = []
    for tree in _TREE.finditer(data):
        begin = data.rfind(b"obj", max(0, tree.start() - _REACH), tree.start())
        end = data.find(b"endobj", tree.end(), tree.end() + _REACH)
        place = data[max(begin, 0) : end if end >= 0 else tree.end() + _REACH]
        counts += [int(number) for number in _COUNT.findall(place)]
    if counts:
        return max(counts)
    pages = len(_PAGE.findall(data))
    if pages:
        return pages
    head = _LINEARIZED.search(data, 0, _HEAD)
    return int(head[1] or head[2]) if head is not None else None
