"""
What aiohttp says went wrong, as errors of ours.

Decides whether the server was reached. Keeps no text that can hold a URL, whose query can hold
a key, and leads to no error of aiohttp's: those hold the headers of the request.
"""

from __future__ import annotations

import re

import aiohttp

from ratedispatch.dispatch.transports.exchange import CONNECT_TIMEOUT, sentence
from ratedispatch.errors import AttemptTimeout, TransportError

#: An address in memory, in what aiohttp says of a connection that failed.
_SSL_OBJECT = re.compile(r" ssl:(default|<[^>]*>)")


def fault_of(error: aiohttp.ClientError | TimeoutError, timeout: float) -> TransportError:
    """
    Name what broke, and whether the server was reached before.

    Args:
        error: As aiohttp raised it.
        timeout: Seconds that the attempt was allowed.
    """
    match error:
        case aiohttp.ConnectionTimeoutError():
            text = f"no connection within {min(timeout, CONNECT_TIMEOUT):g} s"
            return TransportError(text, reached=False)
        case TimeoutError():
            return AttemptTimeout(f"no answer within {timeout:g} s")
        case aiohttp.RedirectClientError():
            return TransportError("redirected to what is no HTTP URL")
        case aiohttp.InvalidURL():
            return TransportError("the base URL is no HTTP URL", reached=False)
        case aiohttp.ClientHttpProxyError():
            text = f"the proxy refused with {error.status} {error.message}"
            return TransportError(text, reached=False)
        case aiohttp.TooManyRedirects():
            return TransportError("redirected too many times")
        case aiohttp.ClientResponseError():
            text = " ".join(f"an answer that is no HTTP: {error.message}".split())
            return TransportError(text[:300])
        case aiohttp.ClientConnectorError():
            return TransportError(_SSL_OBJECT.sub("", sentence(error)), reached=False)
    return TransportError(sentence(error))
