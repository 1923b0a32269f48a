"""
How many connections an http client opens at once.

What is admitted beyond them would wait inside the pool, after it was paid for and with the
timeout of the pool running. The number is nowhere public.
"""

from __future__ import annotations

from typing import Any


def pool_size(http: Any) -> int | None:
    """Return the most connections of the pool of *http*; None if that is not known."""
    transport = getattr(http, "_transport", None)
    for holder, name in (
        (getattr(transport, "_pool", None), "_max_connections"),
        (getattr(transport, "limits", None), "max_connections"),
    ):
        size = getattr(holder, name, None)
        if isinstance(size, int) and not isinstance(size, bool) and size > 0:
            return size
    return None
