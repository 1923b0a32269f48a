"""
What is known of a host.

Decides whether a base URL belongs to a provider. Knows names of hosts, nothing of what is known
about them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable

EntryT = TypeVar("EntryT")


def entry_for(base_url: str, entries: Iterable[tuple[str, EntryT]]) -> EntryT | None:
    """
    Return what *entries* say of the host of *base_url*; None if they do not know it.

    Args:
        base_url: A URL, or a host alone.
        entries: Pairs of a host, or the end of one after a dot, and what is known of it.
    """
    try:
        host = urlsplit(base_url if "//" in base_url else f"//{base_url}").hostname or ""
    except ValueError:  # a bracket that is not closed
        return None
    for name, entry in entries:
        if host == name or host.endswith(f".{name}"):
            return entry
    return None
