"""
Durations as providers write them.

Pure. Go's ``time.Duration`` (``1s``, ``12ms``, ``6m0s``, ``23h18m29.144s``) and bare numbers of
seconds.
"""

from __future__ import annotations

import math
import re

#: ``ms`` before ``m``: the other way round ``41ms`` reads as 41 minutes, a widely copied mistake.
_PART = re.compile(r"(\d+(?:\.\d+)?|\.\d+)(ms|us|µs|μs|ns|h|m|s)")
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_SECONDS |= {"µs": 1e-6, "μs": 1e-6}  # the micro sign and the Greek letter: Go accepts both


def parse_duration(text: str) -> float | None:
    """
    Return the seconds that *text* names; ``None`` if it names none.

    Source: the grammar of Go's ``time.ParseDuration``, without signs.
    """
    text = text.strip()
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        pass
    else:
        return seconds if math.isfinite(seconds) and seconds >= 0 else None
    end = 0
    total = 0.0
    for match in _PART.finditer(text):
        if match.start() != end:
            return None
        end = match.end()
        total += float(match[1]) * _SECONDS[match[2]]
    return total if end == len(text) else None
