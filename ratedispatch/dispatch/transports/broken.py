"""
Turns errors of aiohttp into transport errors.

Decides whether the server was reached. The new error holds no URL, whose query may hold a key,
and no reference to aiohttp's error, which holds the headers of the request.
"""

from __future__ import annotations

import re

import aiohttp

from ratedispatch.dispatch.transports.exchange import CONNECT_TIMEOUT, sentence
from ratedispatch.dispatch.transports.ways import without_password
from ratedispatch.errors import AttemptTimeout, TransportError

#: What OpenSSL says of a server that answers a TLS handshake in clear.
_NO_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE")

#: An address in memory, in what aiohttp says of a connection that failed.
_SSL_OBJECT = re.compile(r" ssl:(default|<[^>]*>)")


def fault_of(
    error: aiohttp.ClientError | TimeoutError, timeout: float, proxy: str | None = None
) -> TransportError:
    """
    Name what broke, and whether the server was reached before.

    Args:
        error: As aiohttp raised it.
        timeout: Seconds that the attempt was allowed.
        proxy: The URL of the proxy on the way, if there is one.
    """
    if isinstance(error, TimeoutError) and not isinstance(error, aiohttp.ConnectionTimeoutError):
        return AttemptTimeout(f"no answer within {timeout:g} s")
    unreached = _text_if_unreached(error, timeout)
    if unreached is not None:
        if proxy is not None:
            unreached += f" (over the proxy {without_password(proxy)})"
        return TransportError(unreached, reached=False)
    match error:
        case aiohttp.ClientResponseError():
            text = " ".join(f"an answer that is no HTTP: {error.message}".split())
            return TransportError(text[:300])
    return TransportError(sentence(error))


def _text_if_unreached(error: aiohttp.ClientError | TimeoutError, timeout: float) -> str | None:
    """Return what went wrong before the server was reached; ``None`` if it was reached."""
    match error:
        case aiohttp.ConnectionTimeoutError():
            return f"no connection within {min(timeout, CONNECT_TIMEOUT):g} s"
        case aiohttp.InvalidURL():
            return "the base URL is no HTTP URL"
        case aiohttp.ClientHttpProxyError():
            return f"the proxy refused with {error.status} {error.message}"
        case aiohttp.ClientConnectorError():
            text = _SSL_OBJECT.sub("", sentence(error))
            is_plain = any(sign in text for sign in _NO_TLS)
            return f"{text}; the port does not speak TLS: is http:// meant?" if is_plain else text
    return None
