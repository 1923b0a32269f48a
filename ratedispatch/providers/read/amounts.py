"""
Amounts as providers write them: limits, what remains, milliseconds.

Pure. Decides what is a number and what is unknown. Knows nothing of headers or of buckets.
"""

from __future__ import annotations

#: The most that is believed. No account is allowed 10^15 of anything; a longer row of digits is
#: a placeholder for "no limit" or garbage.
_MOST = 1e15


def parse_amount(text: str | None) -> float | None:
    """
    Return the number that *text* names; ``None`` if it names none.

    Refused as unknown: a missing text, a negative number (Azure's Responses API has sent ``-1``),
    NaN, infinity, more than 10^15, and digits of other scripts, which `float` would accept.
    Zero is a number.
    """
    if text is None or not text.isascii() or "_" in text:
        return None
    try:
        number = float(text)
    except ValueError:
        return None
    return number if 0 <= number <= _MOST else None
