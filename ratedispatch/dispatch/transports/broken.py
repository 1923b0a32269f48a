"""
Turns errors of aiohttp and of the openai SDK into transport errors.

Decides whether the server was reached. The new error holds no URL, whose query may hold a key,
and no reference to aiohttp's error, which holds the headers of the request.
"""

from __future__ import annotations

import os
import re

import aiohttp

from ratedispatch.dispatch.transports.exchange import CONNECT_TIMEOUT, sentence
from ratedispatch.dispatch.transports.http_library import errors
from ratedispatch.dispatch.transports.ways import trusting, without_password
from ratedispatch.errors import AttemptTimeout, TransportError

#: What OpenSSL says about a server that answers a TLS handshake in clear.
_NO_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE")

#: And of a certificate that nobody it trusts vouches for.
_NO_TRUST = "CERTIFICATE_VERIFY_FAILED"

#: An address in memory, in what aiohttp says about a connection that failed.
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
        return TransportError(unreached + _over(proxy), reached=False)
    match error:
        case aiohttp.ClientResponseError():
            text = " ".join(f"a response that is not HTTP: {error.message}".split())
            return TransportError(text[:300])
        case aiohttp.ServerDisconnectedError(message=message) if not isinstance(message, str):
            return TransportError("the answer ends within its headers")  # aiohttp tells what it has
    return TransportError(sentence(error))


def _text_if_unreached(error: aiohttp.ClientError | TimeoutError, timeout: float) -> str | None:
    """Return what went wrong before the server was reached; ``None`` if it was reached."""
    match error:
        case aiohttp.ConnectionTimeoutError():
            return f"no connection within {min(timeout, CONNECT_TIMEOUT):g} s"
        case aiohttp.InvalidURL():
            return "the base URL is not an HTTP URL"
        case aiohttp.ClientHttpProxyError():
            return f"the proxy refused with {error.status} {error.message}"
        case aiohttp.ClientConnectorError():
            text = _SSL_OBJECT.sub("", sentence(error))
            is_plain = any(sign in text for sign in _NO_TLS)
            if is_plain:
                return f"{text}; the port does not speak TLS; should the URL begin with http://?"
            return text + _way_to_trust(text)
    return None


def _way_to_trust(text: str) -> str:
    """What helps where nobody vouches for the certificate of the server."""
    return trusting(os.environ) if _NO_TRUST in text else ""


def _over(proxy: str | None) -> str:
    return "" if proxy is None else f" (over the proxy {without_password(proxy)})"


def fault_of_sdk(
    error: Exception, timeout: float, proxy: str | None = None
) -> tuple[TransportError, bool]:
    """
    Name what really broke, and say whether *error* may be its cause: some hold the key.

    The SDK's aiohttp adapter reports every broken connection, a refused one included, as a
    connect timeout, so the causes are searched for what aiohttp and the system said.
    Versions before 3 report an error of anything that has to do with sending.

    Args:
        error: As the SDK raised it.
        timeout: Seconds that the attempt was allowed.
        proxy: The URL of the proxy on the way, if there is one.
    """
    causes = _causes_of(error)
    for cause in causes:
        if isinstance(cause, TransportError):  # its own cause would lead back to it
            return cause, False
        if isinstance(cause, aiohttp.ClientResponseError):
            return fault_of(cause, timeout, proxy), False
    unreached: tuple[type[BaseException], ...] = (
        aiohttp.ClientConnectorError,
        aiohttp.ConnectionTimeoutError,
        ConnectionRefusedError,
        *errors("ConnectError", "UnsupportedProtocol"),
    )
    late: tuple[type[BaseException], ...] = (
        aiohttp.ServerTimeoutError,
        *errors("ReadTimeout", "WriteTimeout", "PoolTimeout"),
    )
    for cause in causes:
        if isinstance(cause, unreached):
            text = sentence(cause)
            return TransportError(text + _way_to_trust(text) + _over(proxy), reached=False), True
    for cause in causes:
        if isinstance(cause, late):
            return AttemptTimeout(f"no answer within {timeout:g} s"), True
        if isinstance(cause, aiohttp.ClientError):
            return TransportError(sentence(cause)), True
    # only now: the aiohttp adapter says connect timeout of connections that broke later, too
    is_reached = not any(isinstance(cause, errors("ConnectTimeout")) for cause in causes)
    text = sentence(causes[-1]) + ("" if is_reached else _over(proxy))
    return TransportError(text, reached=is_reached), True


def _causes_of(error: BaseException) -> list[BaseException]:
    """Return *error*, its cause, the cause of that, and so on."""
    causes: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in causes:
        causes.append(cause)
        cause = cause.__cause__ or cause.__context__
    return causes
