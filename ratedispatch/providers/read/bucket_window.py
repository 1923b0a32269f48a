"""
In how many seconds a bucket fills, told from how full it is.

Pure. Knows a limit, what remains of it and the time until it is full again. Knows nothing of
headers.
Follows: the published headers of OpenAI, all of which fit a bucket that refills evenly, so that
``reset = used × window / limit``.
"""

from __future__ import annotations

from ratedispatch.limits import DAY

#: Seconds up to which a window lets what remains be spent now, see `Reading.proves_surplus`.
_SHORT = 120.0

#: The least and the most that come out for a day. ``limit - remaining`` is what was used, rounded
#: up, and at least one request was: so it is too large by less than a factor of two, and the
#: window too small by as much.
_LEAST_DAY = DAY / 2
_MOST_DAY = DAY * 1.05


def infer_window(limit: float, remaining: float, reset: float, error: float) -> float | None:
    """
    Return ``reset × limit / (limit - remaining)``; ``None`` where that tells nothing.

    It tells nothing of a bucket that is full, where *reset* is zero, and where the result, or
    what it might be within the error of *reset*, is neither short enough to spend from now
    nor a day. What lies between comes from counters that restart at a fixed time, to which
    the formula does not apply.

    Args:
        limit: What the bucket holds, above zero.
        remaining: What is left in it.
        reset: Seconds until it is full.
        error: Seconds by which *reset* may be off, either way.
    """
    used = limit - remaining
    if used <= 0 or reset <= 0:
        return None
    scale = limit / used
    window = reset * scale
    if (reset + error) * scale <= _SHORT:
        return window
    if (reset - error) * scale >= _LEAST_DAY and window <= _MOST_DAY:
        return window
    return None
