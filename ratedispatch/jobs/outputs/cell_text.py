"""Writes values as text, for cells that can hold only text. Pure."""

from __future__ import annotations

import base64
import json
import math
import re

_SURROGATE = re.compile("[\ud800-\udfff]")

_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=str)

#: In the place of a value that has no JSON: one nested too deeply, or that contains itself.
UNWRITABLE = "(a value that cannot be written as JSON)"


def json_text(value: object) -> str:
    """
    Return *value* as JSON on one line; what JSON does not have, a date say, as Python writes it.

    Never raises: a table of paid answers must not fail for one cell.
    """
    try:
        return _ENCODER.encode(value)
    except (ValueError, TypeError, RecursionError):
        return UNWRITABLE


def cell_text(value: object) -> str | None:
    """
    Return *value* as the text of a cell; ``None`` if it is missing or not a number (NaN).

    Text stays as it is. Bytes are the text that they are in UTF-8, or else base64; numbers,
    ``True``, lists and objects are JSON; anything else is as Python writes it.
    """
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return base64.b64encode(value).decode()
    if isinstance(value, bool | int | float | list | dict):
        return json_text(value)
    return str(value)


def well_formed(text: str) -> str:
    """Return *text* with U+FFFD for each half of a surrogate pair, which no UTF-8 can hold."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return _SURROGATE.sub("\ufffd", text)
    return text
