"""
Names the server that the answers of a job come from.

Answers of two servers in one file cannot be told apart later, and those of a fake server are none.
So a job keeps the name, and goes on against another one only where that is asked for.
"""

from __future__ import annotations

from urllib.parse import urlsplit

#: The origin of the answers of ``--fake``.
FAKE = "a fake server (--fake)"

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
