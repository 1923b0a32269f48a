"""
Sends through the openai SDK: any ``AsyncOpenAI``, Azure's included.

The SDK's own retries are off, because a retry that the budget does not see overdraws it; its
exceptions for status codes become plain responses again.
"""

from __future__ import annotations

import asyncio
import functools
import json
from typing import TYPE_CHECKING, Any

import aiohttp
import httpx2
import openai

from ratedispatch.dispatch.transports.bodies import MOST_BYTES, BodyBound
from ratedispatch.dispatch.transports.broken import fault_of
from ratedispatch.dispatch.transports.exchange import (
    CONNECT_TIMEOUT,
    KEEPALIVE_EXPIRY,
    headers_of_request,
    read_answer,
    sentence,
    without_lone_surrogates,
)
from ratedispatch.dispatch.transports.interim import bound_interim
from ratedispatch.dispatch.transports.redirects import LEADING, MOST_REDIRECTS, destination
from ratedispatch.dispatch.transports.sdk_stream import open_stream
from ratedispatch.errors import AttemptTimeout, TransportError

if TYPE_CHECKING:
    from ratedispatch.dispatch.transports.sdk_stream import SdkStream
    from ratedispatch.outcome import Response
    from ratedispatch.request import Request


#: Headers that describe a body on its way, and no longer the one that was read.
_OF_THE_WIRE = frozenset({b"content-encoding", b"content-length", b"transfer-encoding"})


class OwnHttpClient(openai.DefaultAioHttpClient):
    """The HTTP client of `make_client`; its type tells it from one that the caller set up."""

    def _init_transport(self, *arguments: Any, **settings: Any) -> Any:
        return _bounded(super()._init_transport(*arguments, **settings))

    def _init_proxy_transport(self, *arguments: Any, **settings: Any) -> Any:
        return _bounded(super()._init_proxy_transport(*arguments, **settings))


def _bounded(way: Any) -> Any:
    """Return the SDK's adapter to aiohttp with its connections bounded."""
    if getattr(way, "client", way) is None and hasattr(way, "get_client"):

        def make() -> aiohttp.ClientSession:
            way.client = None
            session: aiohttp.ClientSession = way.get_client()
            bound_interim(session.connector)
            return session

        way.client = make
    return way


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
        http_client=OwnHttpClient(limits=limits),
    )


class SdkTransport:
    """
    Sends through an ``openai`` client.

    Args:
        client: Any ``AsyncOpenAI``. It stays the caller's to close.
        most_bytes: Of an answer, unpacked; a larger one fails.

    Attributes:
        base_url: Where it sends to.
    """

    def __init__(self, client: openai.AsyncOpenAI, most_bytes: int = MOST_BYTES) -> None:
        self._client = client.with_options(max_retries=0)
        self._bound = BodyBound(most_bytes)
        self.base_url = str(client.base_url)
        # on the copy of the client: its own answers are none of ours
        self._send_request: Any = getattr(self._client, "_send_request", None)
        if self._send_request is not None:
            self._client._send_request = self._send_bounded  # type: ignore[method-assign]

    @property
    def api_key(self) -> str:
        """The client's key, so that it can be kept out of files."""
        return self._client.api_key

    async def send(self, request: Request, timeout: float) -> Response:
        """Send *request*; see :class:`~ratedispatch.dispatch.transports.protocol.Transport`."""
        options = self._options(request, timeout)
        try:
            async with asyncio.timeout(timeout):  # the SDK's bounds each read, not the whole
                raw, address = await self._exchange(request, options)
        except openai.APIConnectionError as error:
            raise _transport_error(error, timeout) from error
        except TimeoutError as error:
            raise AttemptTimeout(f"no answer within {timeout:g} s") from error
        except aiohttp.ClientError as error:  # one that the SDK's adapter has no name for
            fault = fault_of(error, timeout)
        else:
            headers = {name.lower(): value for name, value in raw.headers.items()}
            if address:
                headers["location"] = address
            return read_answer(raw.status_code, headers, raw.content)
        # outside of the except clause: such an error holds the headers, the key among them
        raise fault

    async def stream(self, request: Request, timeout: float) -> SdkStream | Response:
        """
        Send *request* and ask for its answer in parts, as the SDK's objects.

        See :class:`~ratedispatch.dispatch.transports.protocol.StreamingTransport`.
        """
        options = self._options(request, timeout)
        named = functools.partial(_transport_error, timeout=timeout)
        return await open_stream(self._client, request, options, timeout, self._bound, named)

    def _options(self, request: Request, timeout: float) -> Any:
        return {
            "timeout": httpx2.Timeout(timeout, connect=min(timeout, CONNECT_TIMEOUT)),
            "max_retries": 0,
            "headers": self._headers(request),
            "follow_redirects": False,  # the rules for that are not httpx's
        }

    def _headers(self, request: Request) -> dict[str, str]:
        """The headers of *request*, as the client spells those that they take the place of."""
        headers = headers_of_request(request)
        if request.headers:
            spelled = {name.lower(): name for name in self._client.default_headers}
            headers = {spelled.get(name.lower(), name): text for name, text in headers.items()}
        return headers

    async def _exchange(self, request: Request, options: Any) -> tuple[httpx2.Response, str]:
        """Send, follow redirects, and return the address of one that is not followed."""
        path = request.endpoint.removeprefix("/v1")  # the base URL has the version
        for _ in range(MOST_REDIRECTS):
            raw = await self._post(path, request, options)
            location = raw.headers.get("location")
            if raw.status_code not in LEADING or location is None:
                return raw, ""
            path, is_followed = destination(str(raw.request.url), raw.status_code, location)
            if not is_followed:
                return raw, path
        raise TransportError("redirected too many times")

    async def _send_bounded(self, request: Any, **settings: Any) -> Any:
        """Send *request* as the client does, and read no more of the answer than is allowed."""
        request.headers["Accept-Encoding"] = "gzip, deflate"
        response = await self._send_request(request, **{**settings, "stream": True})
        if settings.get("stream") and response.is_success:
            return response  # read in parts
        try:
            packed = await self._bound.collect(b"", response.aiter_raw())
        finally:
            await response.aclose()
        content = self._bound.unpack(packed, response.headers.get("content-encoding", ""))
        headers = [
            (name, value)
            for name, value in response.headers.raw
            if name.lower() not in _OF_THE_WIRE
        ]
        return type(response)(
            response.status_code,
            headers=headers,
            content=content,
            request=response.request,
            extensions=response.extensions,
        )

    async def _post(self, path: str, request: Request, options: Any) -> httpx2.Response:
        try:
            return await self._client.post(
                path, cast_to=httpx2.Response, body=request.body, options=options
            )
        except openai.APIStatusError as error:
            return error.response
        except UnicodeEncodeError:  # half of a surrogate pair has no UTF-8
            text = without_lone_surrogates(json.dumps(request.body, ensure_ascii=False))
        try:
            return await self._client.post(
                path, cast_to=httpx2.Response, body=json.loads(text), options=options
            )
        except openai.APIStatusError as error:
            return error.response


def _transport_error(error: Exception, timeout: float) -> TransportError:
    """
    Name what really broke.

    The SDK's aiohttp adapter reports every broken connection, a refused one included, as a
    connect timeout, so the causes are looked through for what aiohttp and the system said.
    """
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
            return TransportError(sentence(cause), reached=False)
    for cause in causes:
        if isinstance(cause, late):
            return AttemptTimeout(f"no answer within {timeout:g} s")
        if isinstance(cause, aiohttp.ClientError):
            return TransportError(sentence(cause))
    # only now: the aiohttp adapter says connect timeout of connections that broke later, too
    is_reached = not any(isinstance(cause, httpx2.ConnectTimeout) for cause in causes)
    return TransportError(sentence(causes[-1]), reached=is_reached)
