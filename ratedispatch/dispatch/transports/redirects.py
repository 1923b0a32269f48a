"""
Decides where a redirect leads, and whether a request with a key may go there.

Pure. Followed is what keeps the request as it is and stays with the same server: 307 and 308 to
the same origin, or from http to https on it. Anything else is for a person to decide: 301 to 303
would make a GET of it, and another origin would get the prompts, or the key.

Source: RFC 9110, 15.4. That another port is another origin is what curl and browsers say too.
"""

from __future__ import annotations

from urllib.parse import quote, urljoin, urlsplit, urlunsplit

#: Statuses by which an answer may lead elsewhere, if it also says where to.
LEADING = frozenset({301, 302, 303, 307, 308})
_KEEPING = frozenset({307, 308})

_PORTS = {"http": 80, "https": 443}

#: Redirects of one request that are followed; as in httpx.
MOST_REDIRECTS = 20

#: Characters of an address that are kept as they are; what a terminal should not get is not.
_SAFE = "%/:=&?~#+!$,;'@()*[]"


def destination(url: str, status: int, location: str) -> tuple[str, bool]:
    """
    Return the address that *location* names, and whether to send the same request there.

    Args:
        url: Where the request was sent.
        status: Of the answer.
        location: Its header.
    """
    try:
        parts = urlsplit(urljoin(url, location.strip()))
        origin, port = urlsplit(url), parts.port
        host = parts.hostname or ""
    except ValueError:  # a bracket that is not closed, a port that is not a number
        return quote(location.strip(), safe=_SAFE)[:300], False
    place = f"[{host}]" if ":" in host else host
    place += f":{port}" if port is not None else ""
    # without a user and a password, whichever they are
    address = urlunsplit((parts.scheme, place, parts.path, parts.query, ""))
    old, new = (
        (one.scheme, one.hostname, one.port or _PORTS.get(one.scheme)) for one in (origin, parts)
    )
    is_upgrade = (old[0], new[0], old[2], new[2]) == ("http", "https", 80, 443)
    is_same = old == new or (is_upgrade and old[1] == new[1])
    return quote(address, safe=_SAFE), is_same and status in _KEEPING
