"""
Durations as the provider writes them.

Knows one grammar: the strings of Go's ``time.Duration``, cut to whole milliseconds.
"""

from __future__ import annotations


def go_duration(delay: float) -> str:
    """
    Return *delay* (seconds) as a Go duration: ``12ms``, ``1.146s``, ``6m0s``, ``1h0m2.5s``.

    Cut to whole milliseconds, not rounded; anything below one, or negative, is ``0s``.

    Source: the ``x-ratelimit-reset-*`` headers and the "try again in" of OpenAI's messages.
    """
    # a millionth of a millisecond: 5527 / 500 s must not become 11.053s
    ms = int(delay * 1000 + 1e-6)
    if ms <= 0:
        return "0s"
    if ms < 1000:
        return f"{ms}ms"
    minutes, ms = divmod(ms, 60_000)
    seconds = f"{ms / 1000:g}s"
    if minutes == 0:
        return seconds
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes}m{seconds}" if hours else f"{minutes}m{seconds}"
