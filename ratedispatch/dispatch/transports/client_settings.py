"""
The settings that sending needs: base URL, headers, key and proxy.

`plain_settings` makes them without the SDK where only a base URL and a key are set: importing the
SDK takes longer than a small job. Anything else in the environment is the SDK's to read; then
`plain_settings` returns ``None``.
Follows: openai-python, ``_client.py`` and ``lib/_client_auth.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING
from urllib.request import getproxies

from ratedispatch.dispatch.transports.http_library import http

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

_DEFAULT_URL = "https://api.openai.com/v1"

#: What the SDK reads of the environment and is known here; by these it is set to nothing else.
#: A key is always handed in, and the log of the SDK is not written where nothing goes through it.
_KNOWN = frozenset({"OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_LOG", "OPENAI_WEBHOOK_SECRET"})
_PREFIX = "OPENAI_"


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """
    The settings of a client that sending needs.

    Args:
        root: The base URL; its path ends in a slash.
        headers: The headers of every request, the key's too unless it has to be requested.
        api_key: As the client has it, so that it can be kept out of files.
        query: The query of every request, without the question mark.
        proxy: Its URL, if requests go over one.
        ask: Gives the key of the next request, where it is a function.
    """

    root: http.URL
    headers: Mapping[str, str]
    api_key: str
    query: str = ""
    proxy: str | None = None
    ask: Callable[[], Awaitable[str]] | None = None


def plain_settings(
    base_url: str | None, api_key: str, environment: Mapping[str, str]
) -> ClientSettings | None:
    """
    Return what ``AsyncOpenAI(base_url=base_url, api_key=api_key)`` is set to.

    Args:
        base_url: ``None`` for that of the environment, or OpenAI's.
        api_key: Not empty.
        environment: As ``os.environ``.

    Returns:
        ``None`` where that is not certain, or where only the SDK can send.
    """
    others = (name for name in environment if name.startswith(_PREFIX) and name not in _KNOWN)
    if any(others) or any(getproxies().values()):
        return None
    if not api_key or not (api_key.isascii() and api_key.isprintable()):
        return None
    try:
        url = http.URL(base_url or environment.get("OPENAI_BASE_URL") or _DEFAULT_URL)
    except (http.InvalidURL, TypeError):
        return None
    if url.userinfo or url.query or url.fragment or not url.host:
        return None
    if not url.raw_path.endswith(b"/"):
        url = url.copy_with(raw_path=url.raw_path + b"/")
    headers = {
        "Authorization": f"Bearer {api_key}",
        "Accept": "application/json",
        "Content-Type": "application/json",
        "User-Agent": own_name(),
    }
    return ClientSettings(url, headers, api_key)


def own_name() -> str:
    """Return what this program calls itself in ``User-Agent``."""
    return f"ratedispatch/{version('ratedispatch')}"
