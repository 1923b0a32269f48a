"""
JSON text into values, quickly.

Decides what of it is read by a fast library and what by Python's own. Both give the same values;
what the fast one refuses (constants such as ``NaN``, halves of surrogate pairs, numbers beyond a
double) is read again by Python's, whose answer and whose errors count. So a caller sees nothing of
the fast one but its speed. Values are written by Python's ``json``: the fast ones write ``null``
for ``NaN`` without a word. But what came as text need not be written from its value.

Why msgspec: it keeps integers of any size. orjson makes floats of those beyond 64 bits, and
looking for them beforehand takes longer than it saves.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

_decode = msgspec.json.Decoder().decode
_format = msgspec.json.format

#: What the fast one raises. ``UnicodeDecodeError`` is a ``ValueError``.
_REFUSED = (msgspec.MsgspecError, ValueError, RecursionError)


def read(text: bytes) -> tuple[Any, bool]:
    """
    Return the value of *text*, as `loads` does, and whether `compact` can write it on one line.

    Raises:
        As `loads`.
    """
    try:
        return _decode(text), True
    except _REFUSED:
        return json.loads(text), False


def compact(text: bytes) -> bytes:
    """
    Return *text*, which `read` has found right for it, on one line and without needless spaces.

    Numbers and strings stay as they are written.
    """
    return _format(text, indent=-1)


def loads(text: bytes, *, refuse_constant: Callable[[str], object] | None = None) -> Any:
    """
    Return the value of *text*, JSON in UTF-8.

    Args:
        text: Also in UTF-16 or UTF-32, where *refuse_constant* is ``None``, as ``json.loads``.
        refuse_constant: Called with ``NaN``, ``Infinity`` or ``-Infinity``, and is to raise; by
            default they are floats.

    Raises:
        json.JSONDecodeError: It is no JSON; with the column.
        UnicodeDecodeError: It is not UTF-8.
        ValueError: A number has more digits than Python reads.
        RecursionError: It is nested too deeply.
    """
    try:
        return _decode(text)
    except _REFUSED:
        pass
    if refuse_constant is None:
        return json.loads(text)
    # decoded here, because json guesses at UTF-16 and UTF-32
    return json.loads(text.decode(), parse_constant=refuse_constant)
