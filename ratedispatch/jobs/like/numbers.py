"""Checks numbers from untrusted files: returns those that make sense, and no others. Pure."""

from __future__ import annotations

#: More tokens than any answer has.
_MOST_TOKENS = 10**9

#: More seconds than any attempt takes.
_MOST_SECONDS = 864_000.0


def tokens_in(value: object) -> int | None:
    """Return *value* if it is a number of tokens."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST_TOKENS:
        return value
    return None


def seconds_in(value: object) -> float | None:
    """Return *value* if it is a number of seconds."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value <= _MOST_SECONDS else None


def amount_in(value: object) -> float | None:
    """Return *value* if it is what may be left of a limit, or a limit itself."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value <= 1e15 else None


def name_in(value: object) -> str:
    """Return *value* if it is a name, cut to a length that is one; else an empty text."""
    return value[:200] if isinstance(value, str) else ""
