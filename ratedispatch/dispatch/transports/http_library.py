"""
The HTTP library of the installed openai package: httpx2 since its 3.0, httpx before.

The only module that asks which of the two it is: all others take ``http`` from here, whose names
are alike in both. The package's own requirements tell, so that neither the package nor the other
library is imported for it; importing the package takes longer than a small job.
A client of httpx is taken by openai 3 as well, so errors may be those of either library.
"""

from __future__ import annotations

import re
import sys
from importlib import import_module
from importlib.metadata import requires
from typing import TYPE_CHECKING, Any

__all__ = ["errors", "http", "library_of", "proxy_between"]

_NEW, _OLD = "httpx2", "httpx"


def library_of(requirements: list[str]) -> str:
    """Return the name of the library that a package with these *requirements* sends through."""
    names = {re.split(r"[^\w.-]", one, maxsplit=1)[0] for one in requirements if "extra" not in one}
    return _NEW if _NEW in names else _OLD


if TYPE_CHECKING:
    import httpx2 as http
else:
    http = import_module(library_of(requires("openai") or []))


def errors(*names: str) -> tuple[type[BaseException], ...]:
    """Return the classes of errors of these *names*, of each of the libraries that is loaded."""
    loaded: list[Any] = [sys.modules[name] for name in (_NEW, _OLD) if name in sys.modules]
    return tuple(getattr(module, name) for module in loaded for name in names)


def proxy_between(client: http.AsyncClient, url: http.URL) -> str | None:
    """Return the URL of the proxy that *client* takes to *url*, as far as it can be told."""
    way: Any = client._transport_for_url(url)
    proxy = getattr(way, "proxy", None)
    if proxy is not None:  # aiohttp's way
        return str(proxy.url)
    place = getattr(getattr(way, "_pool", None), "_proxy_url", None)
    if place is None:
        return None
    port = f":{place.port}" if place.port else ""
    return f"{place.scheme.decode()}://{place.host.decode()}{port}"
