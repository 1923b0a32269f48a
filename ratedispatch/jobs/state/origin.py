"""
Names the server that the answers of a job come from.

Answers of two servers in one file cannot be told apart later, and a fake server gives no real
answers. So a job keeps the name, and resumes with another server only if that is requested.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable

#: The origin of the answers of ``--fake``.
FAKE = "a fake server (--fake)"

#: Between the names of several servers; no address has spaces.
_AND = " and "

_PORTS = {"http": 80, "https": 443}


def origin_of(url: object) -> str:
    """
    Return the name of the server at the base URL *url*; empty if there is none.

    Spellings of one address have one name. A query and a password are left out: they may be keys.
    """
    text = str(url or "").strip()
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        return ""
    if not host:
        return ""
    scheme = parts.scheme.lower()
    where = f"[{host}]" if ":" in host else host
    if port is not None and port != _PORTS.get(scheme):
        where = f"{where}:{port}"
    return f"{scheme}://{where}{parts.path.rstrip('/')}"


def together(origins: Iterable[str]) -> str:
    """Return the name of several servers, as those of a pool; they are sorted, and once each."""
    return _AND.join(sorted({one for one in origins if one}))


def going_on(before: str, now: str) -> str:
    """
    Return what a job keeps that had the servers *before* and now sends to those of *now*.

    Some of the same servers are no others: a member of a pool that is left out changes nothing.
    """
    is_part = set(now.split(_AND)) <= set(before.split(_AND))
    return before if is_part or not now else now
