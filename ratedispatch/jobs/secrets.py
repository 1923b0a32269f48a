"""
Keys in what a server says.

A server may repeat the key it was sent, in an error message above all; it must not reach a file
or a terminal. Pure.
"""

from __future__ import annotations

#: A key shorter than this ("any", as servers without keys are given) is more likely a word.
_SHORTEST = 8

_PLACEHOLDER = "[key removed]"


def hide_key(text: str, key: str) -> str:
    """Return *text* with *key* blacked out."""
    return text.replace(key, _PLACEHOLDER) if len(key) >= _SHORTEST else text


def hide_key_in_line(line: bytes, key: str) -> bytes:
    """Return the UTF-8 *line* with *key* blacked out."""
    return line.replace(key.encode(), _PLACEHOLDER.encode()) if len(key) >= _SHORTEST else line
