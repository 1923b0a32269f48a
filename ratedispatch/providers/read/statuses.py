"""
The statuses after which the same request may be answered when it is sent again.

A table, with a source for each. What is registered and not in it is the request's own fault,
unless the answer itself asks to come again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Statuses below 500 that pass, and who says so. A 429 is a refusal, and decided apart.
PASSING: Mapping[int, str] = {
    408: "RFC 9110, 15.5.9: the client may repeat the request on a new connection",
    409: "openai-python and anthropic-sdk-python, _should_retry: a lock that timed out",
    423: "RFC 4918, 11.3: the resource is locked, as long as others work on it",
    424: "Amazon Bedrock, API reference, InvokeModel: ModelErrorException, as gateways pass it on",
    425: "RFC 8470, 5.2: the request may be repeated once the handshake is complete",
    498: "Groq, API error codes: flex tier capacity exceeded, try again later",
    499: "nginx, ngx_http_request.h: the client has left; a gateway says it of itself",
}

#: Statuses below 500 that somebody has registered (IANA, "HTTP Status Code Registry"). Any other
#: was invented by a server or a proxy, and says nothing about the request.
_REGISTERED = frozenset({*range(400, 419), 421, 422, 423, 424, 425, 426, 428, 429, 431, 451})

#: Statuses from 500 that do not, and who says so. The others do, those that proxies have
#: invented too: Cloudflare's 520 to 530, Anthropic's 529.
LASTING: Mapping[int, str] = {
    501: "RFC 9110, 15.6.2: the server cannot do this at all",
    505: "RFC 9110, 15.6.6: the server does not speak this version of HTTP",
}

#: From here on a status finds fault, first with the request (RFC 9110, 15.5).
_AT_FAULT = 400


def passes(status: int) -> bool:
    """
    Return whether the same request may be answered later in spite of *status*.

    Below 400 it finds no fault with the request: a 304 comes from a cache on the way, a 101 from a
    proxy for something else.
    """
    if status < _AT_FAULT or status in PASSING:
        return True
    return status not in (_REGISTERED if status < 500 else LASTING)
