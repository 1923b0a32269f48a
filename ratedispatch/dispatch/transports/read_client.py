"""
What an SDK client is set to, as far as another client can do the same.

Decides whether it can, and reads headers, key and proxy. Sends nothing. A client may be given
anything in Python, so what is not known to be plain counts as a hindrance.
Follows: openai-python, ``_base_client.py`` and ``lib/_client_auth.py``.
"""

from __future__ import annotations

import functools
from typing import Any, cast

import openai

from ratedispatch.dispatch.transports.client_settings import Wire, own_name
from ratedispatch.dispatch.transports.sdk import OwnHttpClient

#: What is used of the SDK beyond its public names; without it, only the SDK itself can send.
_PRIVATE = ("_api_key_provider", "_client", "_refresh_api_key")


def hindrance(client: openai.AsyncOpenAI) -> str | None:
    """Return what *client* does with its requests that only the SDK can do, as a sentence."""
    kind = type(client)
    if kind is not openai.AsyncOpenAI:
        return f"{kind.__name__} builds requests in a way of its own"
    if not all(hasattr(client, name) for name in _PRIVATE):
        return "this version of the openai package is not known well enough"
    if client.custom_auth is not None or client.workload_identity is not None:
        return "the client signs requests or gets tokens for them"
    http = client._client
    if type(http) not in _plain_http_clients():
        return "the client was given an http_client"
    if any(http.event_hooks.values()):
        return "the client's http_client has event hooks"
    url = client.base_url
    if url.userinfo or url.query:
        return "the base URL holds a password or a query"
    if http._transport_for_url(url) is not http._transport and proxy_of(client) is None:
        return "the way to the base URL leads over a proxy that only the SDK can use"
    headers = headers_of(client)
    if not asks_for_key(client) and "Authorization" not in headers:
        return "the client has no API key"
    if not all(text.isascii() and text.isprintable() for item in headers.items() for text in item):
        return "a header of the client holds a character that no header can have"
    return None


def wire_of(client: openai.AsyncOpenAI) -> Wire:
    """Return the settings of *client*, which has no hindrance, as they are now."""
    headers = headers_of(client)
    asks = asks_for_key(client) and "Authorization" not in headers
    return Wire(
        client.base_url,
        headers,
        client.api_key,
        client.qs.stringify(cast("Any", client.default_query)),
        proxy_of(client),
        functools.partial(ask_for_key, client) if asks else None,
    )


def _plain_http_clients() -> tuple[type, ...]:
    """The types of HTTP clients that nobody but the SDK and `make_client` has set up."""
    return OwnHttpClient, getattr(openai._base_client, "AsyncHttpxClientWrapper", OwnHttpClient)


def asks_for_key(client: openai.AsyncOpenAI) -> bool:
    """Whether the key is a function, to be asked before each request."""
    return client._api_key_provider is not None


async def ask_for_key(client: openai.AsyncOpenAI) -> str:
    """
    Return what the function that is the key gives now.

    Raises:
        TypeError: It gives none.
        ValueError: It gives something that no header can hold.
    """
    key = await client._refresh_api_key()
    if not key:
        raise TypeError("the function that gives the API key gave none")
    if not (key.isascii() and key.isprintable()):
        raise ValueError("the API key holds a character that no key has")
    return key


def headers_of(client: openai.AsyncOpenAI) -> dict[str, str]:
    """
    Return the headers of every request; without a key that has to be asked for.

    Those in which the SDK describes itself and the machine are left out, and ``User-Agent``
    names this program unless the client was given one.
    """
    merged: dict[str, tuple[str, str]] = {}
    auth = {} if asks_for_key(client) else client.auth_headers
    for name, value in (*auth.items(), *client.default_headers.items()):
        known = name.lower()
        if not isinstance(value, str):  # Omit
            merged.pop(known, None)
        elif not known.startswith("x-stainless-"):
            own = known == "user-agent" and value == client.user_agent
            merged[known] = name, own_name() if own else value
    if "authorization" in merged:
        merged["authorization"] = "Authorization", merged["authorization"][1]
    return dict(merged.values())


def proxy_of(client: openai.AsyncOpenAI) -> str | None:
    """Return the proxy of the environment for the base URL, if aiohttp can use it as it is."""
    way = client._client._transport_for_url(client.base_url)
    proxy = getattr(way, "proxy", None)
    if proxy is None or proxy.auth is not None or proxy.url.scheme != "http":
        return None
    return str(proxy.url)
