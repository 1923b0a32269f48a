"""
Durations as providers write them.

Pure. Go's ``time.Duration`` (``1s``, ``12ms``, ``6m0s``, ``23h18m29.144s``) and bare numbers of
seconds.
"""

from __future__ import annotations

import re
from functools import lru_cache

from ratedispatch.providers.read.amounts import parse_amount

#: ``ms`` before ``m``: the other way round ``41ms`` reads as 41 minutes, a widely copied mistake.
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?|\.[0-9]+)(ms|us|µs|μs|ns|h|m|s)")
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_SECONDS |= {"µs": 1e-6, "μs": 1e-6}  # the micro sign and the Greek letter: Go accepts both

#: Longer texts are no durations; Go's longest, of 292 years, has 18 characters and a fraction.
_LONGEST = 40


@lru_cache(maxsize=256)
def parse_duration(text: str) -> float | None:
    """
    Return the seconds that *text* names; ``None`` if it names none.

    Remembered, because a bucket that is hardly used is full again after the same few moments.

    Source: the grammar of Go's ``time.ParseDuration``, without signs.
    """
    # the common forms need no regular expression
    if text[-1:] != "s":
        number = parse_amount(text)
    elif text[-2:] != "ms":
        number = parse_amount(text[:-1])
    elif (number := parse_amount(text[:-2])) is not None:
        number /= 1000
    if number is not None:
        return number
    text = text.strip()
    if not text or len(text) > _LONGEST:
        return None
    end = 0
    total = 0.0
    for match in _PART.finditer(text):
        if match.start() != end:
            return None
        end = match.end()
        total += float(match[1]) * _SECONDS[match[2]]
    return total if end == len(text) else None
