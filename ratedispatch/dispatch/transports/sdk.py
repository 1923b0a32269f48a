"""
Sends through the openai SDK: any ``AsyncOpenAI``, Azure's included.

The SDK's own retries are off, because a retry that the budget does not see overdraws it; its
exceptions for status codes become plain responses again.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import aiohttp
import openai

from ratedispatch.dispatch.transports.bodies import MOST_BYTES, BodyBound
from ratedispatch.dispatch.transports.bounded_http import BoundedHttp
from ratedispatch.dispatch.transports.broken import fault_of, fault_of_sdk
from ratedispatch.dispatch.transports.exchange import (
    CONNECT_TIMEOUT,
    KEEPALIVE_EXPIRY,
    headers_of_request,
    read_answer,
    without_lone_surrogates,
)
from ratedispatch.dispatch.transports.http_library import http, proxy_between
from ratedispatch.dispatch.transports.interim import bound_interim
from ratedispatch.dispatch.transports.redirects import LEADING, MOST_REDIRECTS, destination
from ratedispatch.dispatch.transports.sdk_stream import open_stream
from ratedispatch.errors import AttemptTimeout, TransportError

if TYPE_CHECKING:
    from ratedispatch.dispatch.transports.sdk_stream import SdkStream
    from ratedispatch.outcome import Response
    from ratedispatch.request import Request


#: Of versions before 1.91, which know no aiohttp, the SDK's usual one.
_Pool: Any = getattr(openai, "DefaultAioHttpClient", openai.DefaultAsyncHttpxClient)


class OwnHttpClient(_Pool):  # type: ignore[misc]
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
    limits = http.Limits(
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
        most_bytes: Maximum size of an answer in bytes, decompressed; a larger one fails.

    Attributes:
        base_url: Where it sends to.
    """

    def __init__(self, client: openai.AsyncOpenAI, most_bytes: int = MOST_BYTES) -> None:
        self._client = client.with_options(max_retries=0)
        self._bound = BodyBound(most_bytes)
        self.base_url = str(client.base_url)
        self._proxy = proxy_between(client._client, client.base_url)
        # only in our copy of the client: answers of the original are not our concern
        bounded: Any = BoundedHttp(client._client, self._bound)
        self._client._client = bounded

    @property
    def api_key(self) -> str:
        """The client's key, so that it can be kept out of files."""
        return self._client.api_key

    async def warm_up(self, connections: int) -> None:
        """
        Open so many connections; what fails is left to a request.

        An HTTP client opens one only to send: so a ``HEAD`` of the base URL goes over each,
        without a key, and whatever is answered is dropped.
        """

        async def knock() -> None:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                await self._client._client.head(self.base_url, follow_redirects=False)

        _ = self._client.default_headers  # asks for the operating system, and keeps what it says
        await asyncio.gather(*[knock() for _ in range(connections)], return_exceptions=True)

    async def send(self, request: Request, timeout: float) -> Response:
        """Send *request*; see :class:`~ratedispatch.dispatch.transports.protocol.Transport`."""
        options = self._options(request, timeout)
        try:
            async with asyncio.timeout(timeout):  # the SDK's bounds each read, not the whole
                raw, address = await self._exchange(request, options)
        except openai.APIConnectionError as error:
            fault, is_safe = fault_of_sdk(error, timeout, self._proxy)
            if is_safe:
                raise fault from error
        except TimeoutError as error:
            raise AttemptTimeout(f"no answer within {timeout:g} s") from error
        except aiohttp.ClientError as error:  # one that the SDK's adapter has no name for
            fault = fault_of(error, timeout, self._proxy)
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

        def named(error: Exception) -> TransportError:
            return fault_of_sdk(error, timeout, self._proxy)[0]

        return await open_stream(self._client, request, options, timeout, self._bound, named)

    def _options(self, request: Request, timeout: float) -> Any:
        return {
            "timeout": http.Timeout(timeout, connect=min(timeout, CONNECT_TIMEOUT)),
            "max_retries": 0,
            # in lower case, for Azure's clients to find the key among them
            "headers": {name.lower(): text for name, text in headers_of_request(request).items()},
        }

    async def _exchange(self, request: Request, options: Any) -> tuple[http.Response, str]:
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

    async def _post(self, path: str, request: Request, options: Any) -> http.Response:
        try:
            return await self._client.post(
                path, cast_to=http.Response, body=request.body, options=options
            )
        except openai.APIStatusError as error:
            return error.response
        except UnicodeEncodeError:  # half of a surrogate pair has no UTF-8
            text = without_lone_surrogates(json.dumps(request.body, ensure_ascii=False))
        try:
            return await self._client.post(
                path, cast_to=http.Response, body=json.loads(text), options=options
            )
        except openai.APIStatusError as error:
            return error.response
