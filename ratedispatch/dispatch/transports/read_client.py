"""
Reads the settings of an SDK client, where another transport can send with the same ones.

Reads headers, key and proxy, and says why a client is not supported. Sends nothing. Anything may
be put into a client in Python, so a client that is not known to be plain is not supported.
Follows: openai-python, ``_base_client.py`` and ``lib/_client_auth.py``.
"""

from __future__ import annotations

import functools
import inspect
from typing import Any, cast

import openai

from ratedispatch.dispatch.transports.client_settings import ClientSettings, own_name
from ratedispatch.dispatch.transports.sdk import OwnHttpClient

#: What is used of the SDK beyond its public names; without it, only the SDK itself can send.
_PRIVATE = ("_client",)
_OF_A_KEY_FUNCTION = ("_api_key_provider", "_refresh_api_key")


def unsupported_reason(client: openai.AsyncOpenAI) -> str | None:
    """
    Return why only the SDK can send the requests of *client*, as a sentence.

    Returns:
        ``None`` if another transport can send them as well.
    """
    return _reason_of_kind(client) or _reason_of_route(client) or _reason_of_headers(client)


def _reason_of_kind(client: openai.AsyncOpenAI) -> str | None:
    kind = type(client)
    if kind is not openai.AsyncOpenAI:
        return f"{kind.__name__} builds requests in its own way"
    used = _PRIVATE + _OF_A_KEY_FUNCTION if takes_key_functions() else _PRIVATE
    if not all(hasattr(client, name) for name in used):
        return "this version of the openai package is not supported"
    if client.custom_auth is not None or getattr(client, "workload_identity", None) is not None:
        return "the client signs requests or fetches tokens for them"
    if type(client._client) not in _plain_http_clients():
        return "the client was given an http_client"
    return None


@functools.cache
def takes_key_functions() -> bool:
    """Whether the clients of the installed version take a function as their key."""
    key = inspect.signature(openai.AsyncOpenAI).parameters["api_key"].annotation
    return "Callable" in str(key)


def _reason_of_route(client: openai.AsyncOpenAI) -> str | None:
    http, url = client._client, client.base_url
    if any(http.event_hooks.values()):
        return "the client's http_client has event hooks"
    if url.userinfo or url.query:
        return "the base URL contains a password or a query"
    if http._transport_for_url(url) is not http._transport and proxy_of(client) is None:
        return "the base URL is reached through a proxy that only the SDK can use"
    return None


def _reason_of_headers(client: openai.AsyncOpenAI) -> str | None:
    headers = headers_of(client)
    has_key = headers.get("Authorization", "Bearer").strip() != "Bearer"  # as early versions wrote
    if not asks_for_key(client) and not has_key:
        return "the client has no API key"
    if not all(text.isascii() and text.isprintable() for item in headers.items() for text in item):
        return "a header of the client contains a character that a header cannot have"
    return None


def settings_of(client: openai.AsyncOpenAI) -> ClientSettings:
    """Return the settings of *client*, as they are now. It must be supported."""
    headers = headers_of(client)
    asks = asks_for_key(client) and "Authorization" not in headers
    return ClientSettings(
        client.base_url,
        headers,
        client.api_key,
        client.qs.stringify(cast("Any", client.default_query)),
        proxy_of(client),
        functools.partial(ask_for_key, client) if asks else None,
    )


def _plain_http_clients() -> tuple[type, ...]:
    """The types of HTTP clients that only the SDK and `make_client` set up."""
    return OwnHttpClient, getattr(openai._base_client, "AsyncHttpxClientWrapper", OwnHttpClient)


def asks_for_key(client: openai.AsyncOpenAI) -> bool:
    """Whether the key is a function, to be asked before each request."""
    return getattr(client, "_api_key_provider", None) is not None  # not before 1.106


async def ask_for_key(client: openai.AsyncOpenAI) -> str:
    """
    Return what the function that is the key gives now.

    Raises:
        TypeError: It gives none.
        ValueError: It gives something that no header can hold.
    """
    key: str | None = await client._refresh_api_key()
    if key is None:  # version 1 only keeps it
        key = client.api_key
    if not key:
        raise TypeError("the function for the API key returned none")
    if not (key.isascii() and key.isprintable()):
        raise ValueError("the API key contains a character that a key cannot have")
    return key


def headers_of(client: openai.AsyncOpenAI) -> dict[str, str]:
    """
    Return the headers of every request; without a key that has to be requested.

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
