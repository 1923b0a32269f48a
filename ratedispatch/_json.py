"""
Reads JSON quickly, with the values and the errors of Python's ``json``.

A fast library reads first. What it refuses (constants such as ``NaN``, halves of surrogate pairs,
numbers beyond a double) is read again by Python's ``json``, whose answer and whose errors count,
so a caller notices nothing but the speed. Values are written by Python's ``json``, because the
fast libraries silently write ``null`` for ``NaN``, and things that are no JSON; but `encode` is for
what is known to have neither, and text that was read can be written as it came.

Why msgspec: it keeps integers of any size. orjson makes floats of those beyond 64 bits, and
looking for them beforehand takes longer than it saves.
"""

from __future__ import annotations

import json
from typing import Any, NoReturn

import msgspec

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode
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


def encode(value: Any) -> bytes:
    """
    Return *value* as JSON, in a tenth of the time that Python's ``json`` takes.

    Args:
        value: Made of nothing but what JSON has; NaN and the infinities become ``null``.

    Raises:
        UnicodeEncodeError: It has half of a surrogate pair.
        RecursionError: It is nested too deeply.
    """
    return _encode(value)


class NoJsonNumber(ValueError):
    """A constant that Python writes and JSON does not have: ``NaN``, ``Infinity``."""


def refuse_constant(name: str) -> NoReturn:
    """Raise :class:`NoJsonNumber`; for ``parse_constant`` of ``json.loads``."""
    raise NoJsonNumber(f"{name} is not a JSON number")


def loads(text: bytes, *, is_strict: bool = False) -> Any:
    """
    Return the value of *text*, JSON in UTF-8.

    Args:
        text: Unless *is_strict*, also in UTF-16 or UTF-32, as ``json.loads``.
        is_strict: Whether ``NaN``, ``Infinity`` and ``-Infinity`` are refused; by default they
            are floats.

    Raises:
        json.JSONDecodeError: It is not JSON; with the column.
        UnicodeDecodeError: It is not UTF-8.
        NoJsonNumber: It has a constant that JSON does not have, and *is_strict*.
        ValueError: A number has more digits than Python reads.
        RecursionError: It is nested too deeply.
    """
    try:
        return _decode(text)
    except _REFUSED:
        pass
    if not is_strict:
        return json.loads(text)
    # decoded here, because json guesses at UTF-16 and UTF-32
    return json.loads(text.decode(), parse_constant=refuse_constant)
