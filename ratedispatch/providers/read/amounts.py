"""
Amounts as providers write them: limits, what remains, milliseconds.

Pure. Decides what is a number and what is unknown. Knows nothing of headers or of buckets.
"""

from __future__ import annotations

#: The most that is believed. No account is allowed 10^15 of anything; a longer row of digits is
#: a placeholder for "no limit" or garbage.
_MOST = 1e15

#: Characters of a list of values that is searched. A date has 29.
_LONGEST = 200


def parse_amount(text: str | None) -> float | None:
    """
    Return the number that *text* names; ``None`` if it names none.

    Refused as unknown: a missing text, a negative number (Azure's Responses API has sent ``-1``),
    NaN, infinity, more than 10^15, and digits of other scripts, which `float` would accept.
    Zero is a number, and ``3, 3`` is 3: a header that a gateway has added to its upstream's.
    """
    if text is None or not text.isascii() or "_" in text:
        return None
    try:
        number = float(text)
    except ValueError:
        single = once(text)
        return None if single == text else parse_amount(single)
    return number if 0 <= number <= _MOST else None


def once(text: str) -> str:
    """Return *text* without its repetitions, if it is the same value several times in a list."""
    if "," not in text or len(text) > _LONGEST:
        return text
    parts = [part.strip() for part in text.split(",")]
    for size in range(1, len(parts) // 2 + 1):  # a date has a comma of its own
        if len(parts) % size == 0 and parts == parts[:size] * (len(parts) // size):
            return ", ".join(parts[:size])
    return text
