"""
Keys in what a server says.

A server may repeat the key it was sent, in an error message above all; it must not reach a file
or a terminal. Pure.
"""

from __future__ import annotations

import json
import re
from typing import Any

_PLACEHOLDER = "[key removed]"

_SHORTEST = 8

_NEEDLESS_ESCAPE = re.compile(rb"\\u00[2-7]|\\/")


def is_secret(key: str) -> bool:
    """
    Return whether *key* is to be hidden.

    Servers without keys are given any word, which may well stand in an answer: what is short,
    or all letters, is taken for a word.
    """
    return len(key) >= _SHORTEST and not key.isalpha()


def hide_key(text: str, key: str) -> str:
    """Return *text* with *key* blacked out."""
    return text.replace(key, _PLACEHOLDER) if is_secret(key) else text


def holds_key(line: bytes, key: str) -> bool:
    """Return whether the JSON *line* holds *key*, as it is or escaped."""
    if not is_secret(key):
        return False
    escaped = json.dumps(key, ensure_ascii=False)[1:-1]
    if key.encode() in line or escaped.encode() in line:
        return True
    # other programs escape what need not be: "+" as "\\u002b", "/" as "\\/"
    if _NEEDLESS_ESCAPE.search(line) is None:
        return False
    return escaped in json.dumps(json.loads(line), ensure_ascii=False)


def hide_key_in(value: Any, key: str) -> Any:
    """Return the JSON *value* with *key* blacked out in its texts; numbers stay as they are."""
    if isinstance(value, str):
        return hide_key(value, key)
    if isinstance(value, list):
        return [hide_key_in(item, key) for item in value]
    if isinstance(value, dict):
        return {hide_key(name, key): hide_key_in(item, key) for name, item in value.items()}
    return value
