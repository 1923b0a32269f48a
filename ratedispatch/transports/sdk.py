"""
The openai SDK as a transport.

Sends bytes out and brings status, headers and body in, through any ``AsyncOpenAI`` (Azure's
included). Knows nothing of limits. The SDK's own retries are off, because a retry that the
budget does not see overdraws it; its exceptions for status codes become plain responses again.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import httpx2
import openai

from ratedispatch.errors import AttemptTimeout, TransportError
from ratedispatch.outcome import Response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ratedispatch.request import Request

#: Seconds to open a connection, as in the SDK. One that takes longer uses up no attempt: the line
#: holds and probes.
CONNECT_TIMEOUT = 5.0

#: Seconds an idle connection is kept. Just below the 5 s after which uvicorn, the most common
#: server in this field, closes its end: a request sent into a closing connection is lost.
KEEPALIVE_EXPIRY = 4.0


def make_client(
    *, base_url: str | None, api_key: str | None, max_connections: int
) -> openai.AsyncOpenAI:
    """
    Return an SDK client on aiohttp, whose pool holds *max_connections*.

    Above a few hundred connections aiohttp costs a third of the CPU of the SDK's usual
    transport, whose pool gets slower with every connection.
    """
    limits = httpx2.Limits(
        max_connections=max_connections,
        max_keepalive_connections=max_connections,
        keepalive_expiry=KEEPALIVE_EXPIRY,
    )
    return openai.AsyncOpenAI(
        base_url=base_url,
        api_key=api_key,
        max_retries=0,
        http_client=openai.DefaultAioHttpClient(limits=limits),
    )


class SdkTransport:
    """
    Sends through an ``openai`` client.

    Args:
        client: Any ``AsyncOpenAI``. It stays the caller's to close.

    Attributes:
        base_url: Where it sends to.
    """

    def __init__(self, client: openai.AsyncOpenAI) -> None:
        self._client = client.with_options(max_retries=0)
        self.base_url = str(client.base_url)

    async def send(self, request: Request, timeout: float) -> Response:
        """Send *request*; see :class:`~ratedispatch.transports.base.Transport`."""
        options: Any = {
            "timeout": httpx2.Timeout(timeout, connect=min(timeout, CONNECT_TIMEOUT)),
            "max_retries": 0,
            "headers": _request_headers(request),
        }
        try:
            async with asyncio.timeout(timeout):  # the SDK's bounds each read, not the whole
                raw = await self._post(request, options)
        except openai.APIConnectionError as error:
            raise _transport_error(error, timeout) from error
        except TimeoutError as error:
            raise AttemptTimeout(f"no answer within {timeout:g} s") from error
        return _response(raw)

    async def _post(self, request: Request, options: Any) -> httpx2.Response:
        path = request.endpoint.removeprefix("/v1")  # the base URL has the version
        try:
            return await self._client.post(
                path, cast_to=httpx2.Response, body=request.body, options=options
            )
        except openai.APIStatusError as error:
            return error.response
        except UnicodeEncodeError:  # half of a surrogate pair has no UTF-8
            body = _without_lone_surrogates(request.body)
        try:
            return await self._client.post(
                path, cast_to=httpx2.Response, body=body, options=options
            )
        except openai.APIStatusError as error:
            return error.response


def _request_headers(request: Request) -> dict[str, str]:
    """The header by which a provider's support finds a request whose answer never came."""
    name = request.custom_id
    if name and len(name) <= 512 and name.isascii() and name.isprintable():
        return {"X-Client-Request-Id": name}
    return {}


def _response(raw: httpx2.Response) -> Response:
    headers = {name.lower(): value for name, value in raw.headers.items()}
    content = raw.content
    try:
        return Response(raw.status_code, headers, json.loads(content))
    except (ValueError, RecursionError):
        text = content.decode("utf-8", "replace")
        return Response(raw.status_code, headers, text, is_json=False)


def _transport_error(error: openai.APIConnectionError, timeout: float) -> TransportError:
    """
    Name what really broke.

    The SDK's aiohttp adapter reports every broken connection, a refused one included, as a
    connect timeout, so the causes are looked through for what aiohttp and the system said.
    """
    import aiohttp

    causes: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in causes:
        causes.append(cause)
        cause = cause.__cause__ or cause.__context__
    unreached = (
        aiohttp.ClientConnectorError,
        aiohttp.ConnectionTimeoutError,
        ConnectionRefusedError,
        httpx2.ConnectError,
        httpx2.UnsupportedProtocol,
    )
    late = (aiohttp.ServerTimeoutError, httpx2.ReadTimeout, httpx2.WriteTimeout, httpx2.PoolTimeout)
    for cause in causes:
        if isinstance(cause, unreached):
            return TransportError(_sentence(cause), reached=False)
    for cause in causes:
        if isinstance(cause, late):
            return AttemptTimeout(f"no answer within {timeout:g} s")
        if isinstance(cause, aiohttp.ClientError):
            return TransportError(_sentence(cause))
    return TransportError(_sentence(causes[-1]))


def _sentence(error: BaseException) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__


def _without_lone_surrogates(body: Mapping[str, Any]) -> Any:
    text = json.dumps(body, ensure_ascii=False)
    return json.loads(text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))
