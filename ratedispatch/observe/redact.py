"""
Removes API keys from what a server says.

A server may repeat the key that it was sent, most often in an error message; the key must not
reach a file or a terminal.
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
    Return whether *key* is removed.

    Servers without keys are given any word, which may well occur in an answer: a key that is
    short, or all letters, counts as a word.
    """
    return len(key) >= _SHORTEST and not key.isalpha()


def redact_text(text: str, key: str) -> str:
    """Return *text* with *key* replaced by ``[key removed]``."""
    return text.replace(key, _PLACEHOLDER) if is_secret(key) else text


def contains_key(line: bytes, key: str) -> bool:
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


def redact_value(value: Any, key: str) -> Any:
    """Return the JSON *value* with *key* replaced in its strings and names."""
    if isinstance(value, str):
        return redact_text(value, key)
    if isinstance(value, list):
        return [redact_value(item, key) for item in value]
    if isinstance(value, dict):
        return {redact_text(name, key): redact_value(item, key) for name, item in value.items()}
    return value
