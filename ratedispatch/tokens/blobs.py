"""
Base64 within a text: where it begins and ends.

Finds what of a string is data and not text to read; `media` tells what it is and costs.
Looks at a bounded stretch at a time, so that a string of any size keeps no other thread waiting,
and never goes back, so that no string takes longer than its length.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
_RUN = re.compile(r"[A-Za-z0-9+/=]*")
# RFC 2045 lets base64 stand in lines
_LINED_RUN = re.compile(r"[A-Za-z0-9+/=\r\n]*")
#: Characters of a run that no language writes; a shorter one is data only after ``;base64,``.
LEAST = 1_024
# a run of the least length covers a whole window, wherever it begins
_WINDOW = LEAST // 2
_STEP = 65_536  # characters: 0.2 ms for a regular expression
_LONGEST_HEADER = 200
_HEADER = "data:"
_HEADER_END = ";base64,"


def data_start(url: str) -> int:
    """Return where the base64 of a data URL begins; -1 if *url* is none."""
    if url[:5].lower() != _HEADER:
        return -1
    comma = url.find(",", 0, 1_024)
    return comma + 1 if comma > 0 and ";base64" in url[:comma].lower() else -1


def split(text: str) -> Iterator[tuple[str, bool]]:
    """
    Yield the pieces of *text* in their order, each with whether it is base64.

    A data URL is one piece with its header. Together the pieces are *text*.
    """
    at = data_start(text)
    kept = 0
    if at >= 0:
        end = _run_end(text, at, _LINED_RUN)
        if end == len(text) or end - at >= LEAST:
            yield text[:end], True
            kept = end
    at = kept
    while at + _WINDOW <= len(text):
        end = at + _WINDOW
        if not _is_run(text, at, end):
            at = end
            continue
        before = text[max(kept, at - _WINDOW) : at]
        start = at - len(before) + len(before.rstrip(_ALPHABET))
        at = _run_end(text, end, _RUN)
        if at - start < LEAST:
            continue
        start = _header_start(text, kept, start)
        if start > kept:
            yield text[kept:start], False
        yield text[start:at], True
        kept = at
    if kept < len(text):
        yield text[kept:], False


def _is_run(text: str, start: int, end: int) -> bool:
    return _RUN.fullmatch(text, start, end) is not None


def _run_end(text: str, at: int, run: re.Pattern[str]) -> int:
    while (found := run.match(text, at, at + _STEP)) and found.end() == at + _STEP:
        at = found.end()
    return found.end() if found else at


def _header_start(text: str, least: int, start: int) -> int:
    """Return where the data URL begins whose base64 is at *start*; *start* if there is none."""
    if text[max(least, start - len(_HEADER_END)) : start].lower() != _HEADER_END:
        return start
    found = text.rfind(_HEADER, max(least, start - _LONGEST_HEADER), start)
    return start if found < 0 else found
