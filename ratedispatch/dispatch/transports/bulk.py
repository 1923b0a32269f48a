"""
Sends through an aiohttp session, at a quarter of the processor time of the SDK.

Sends the same requests to the same URL as the SDK client it is made from, and returns the same
responses. Does not sign or rewrite requests and calls no hooks, as the SDK can: for a client that
needs any of that `bulk_for` returns ``None``.
Follows: openai-python, ``_base_client.py`` (headers, URL, body), and aiohttp's client.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Self

import aiohttp
from yarl import URL

from ratedispatch.dispatch.deadlines import Deadlines
from ratedispatch.dispatch.transports.bodies import MOST_BYTES, BodyBound
from ratedispatch.dispatch.transports.broken import fault_of
from ratedispatch.dispatch.transports.client_settings import ClientSettings, plain_settings
from ratedispatch.dispatch.transports.direct import Answer, DirectExchange, encoding_of, is_known
from ratedispatch.dispatch.transports.exchange import (
    CONNECT_TIMEOUT,
    KEEPALIVE_EXPIRY,
    headers_of_request,
    read_answer,
    with_headers,
    write_body,
)
from ratedispatch.dispatch.transports.http_library import http
from ratedispatch.dispatch.transports.interim import bound_interim
from ratedispatch.dispatch.transports.redirects import LEADING, MOST_REDIRECTS, destination
from ratedispatch.errors import TransportError
from ratedispatch.request import CHAT

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping
    from types import TracebackType

    import openai

    from ratedispatch.dispatch.transports.sdk import SdkTransport
    from ratedispatch.dispatch.transports.sdk_stream import SdkStream
    from ratedispatch.outcome import Response
    from ratedispatch.request import Request

#: Bytes above which aiohttp wants a body as a file, to write it piece by piece.
_LARGE_BODY = 2**20

#: Bytes of an answer's status line and of each of its headers; aiohttp's own is 8,190.
_LONGEST_HEADER = 65_536

#: Endpoints whose URL is remembered. A file names five at the most.
_URLS_KEPT = 64


def bulk_for(
    client: openai.AsyncOpenAI, connections: int, most_bytes: int = MOST_BYTES
) -> BulkTransport | None:
    """Return a transport with the settings of *client*, or ``None`` if there can be none."""
    from ratedispatch.dispatch.transports.read_client import unsupported_reason

    return (
        BulkTransport(client, connections=connections, most_bytes=most_bytes)
        if unsupported_reason(client) is None
        else None
    )


def plain_bulk(
    base_url: str | None,
    api_key: str,
    connections: int,
    environment: Mapping[str, str],
    most_bytes: int = MOST_BYTES,
) -> BulkTransport | None:
    """
    Return the transport that `bulk_for` gives for a client with this URL and key, without one.

    The SDK is not even imported, which takes longer than a small job.

    Args:
        base_url: ``None`` for that of the environment, or OpenAI's.
        api_key: Not empty.
        connections: How many may be open at once.
        environment: As ``os.environ``.
        most_bytes: Maximum size of an answer in bytes, decompressed.

    Returns:
        ``None`` if the environment sets anything that only a client can read.
    """
    settings = plain_settings(base_url, api_key, environment)
    if settings is None:
        return None
    return BulkTransport(settings, connections=connections, most_bytes=most_bytes)


class BulkTransport:
    """
    Sends through an aiohttp session with the settings of an SDK client.

    Base URL, headers and query are read once, as in the copy of the client that the SDK's
    transport makes; an ``api_key`` that is a function is asked before each request.

    Args:
        client: Where to send and as whom; or its settings. It sends nothing itself, and stays
            the caller's to close.
        connections: How many may be open at once; what is sent beyond them waits for one.
        most_bytes: Maximum size of an answer in bytes, decompressed; a larger one fails.

    Attributes:
        base_url: Where it sends to.

    Raises:
        TypeError: *client* does something with its requests that only the SDK can do.
    """

    def __init__(
        self,
        client: openai.AsyncOpenAI | ClientSettings,
        *,
        connections: int,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        if connections < 1:
            raise ValueError(f"connections must be at least 1, not {connections}")
        self._client = None if isinstance(client, ClientSettings) else client
        self._settings = settings = (
            client if isinstance(client, ClientSettings) else _settings_of(client)
        )
        self.base_url = str(settings.root)
        self._headers = {
            name: value
            for name, value in settings.headers.items()
            if name.lower() != "accept-encoding"
        } | {"Accept-Encoding": "gzip, deflate"}  # what can be decompressed
        self._connections = connections
        self._bound = BodyBound(most_bytes)
        self._urls: dict[str, URL] = {}
        self._direct: dict[str, DirectExchange] = {}
        self._can_be_direct = settings.proxy is None and is_known()
        self._session: aiohttp.ClientSession | None = None
        self._deadlines = Deadlines()
        self._streaming: SdkTransport | None = None

    @property
    def api_key(self) -> str:
        """The client's key, so that it can be kept out of files."""
        # a key that is a function leaves what it gave last in the client
        return self._settings.api_key if self._client is None else self._client.api_key

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections. What is in flight ends as a broken connection."""
        if self._session is not None:
            await self._session.close()

    async def warm_up(self, connections: int) -> None:
        """Open *connections* without sending anything; a failure is left to the next request."""
        if not self._can_be_direct:
            return
        session, url = self._session or self._open(), self._url(CHAT)
        opener = DirectExchange(session, url, self._headers, _LONGEST_HEADER, self._bound)
        await opener.open(min(connections, self._connections))

    async def stream(self, request: Request, timeout: float) -> SdkStream | Response:
        """
        Send *request* through the client that this was made from, and ask for its answer in parts.

        See :class:`~ratedispatch.dispatch.transports.protocol.StreamingTransport`.

        Raises:
            TypeError: It was made from settings, without a client.
        """
        if self._client is None:
            raise TypeError("answers cannot be streamed without a client")
        if self._streaming is None:  # the SDK parses the events, and is needed for nothing else
            from ratedispatch.dispatch.transports.sdk import SdkTransport

            self._streaming = SdkTransport(self._client, self._bound.most)
        return await self._streaming.stream(request, timeout)

    async def send(self, request: Request, timeout: float) -> Response:
        """Send *request*; see :class:`~ratedispatch.dispatch.transports.protocol.Transport`."""
        body = write_body(request.body, was_read=request.was_read)
        headers = headers_of_request(request)
        try:
            with self._deadlines.within(timeout):
                answer = await self._exchange(
                    request.endpoint, body, headers, may_be_direct=request.headers is None
                )
        except (aiohttp.ClientError, TimeoutError) as error:
            broken = fault_of(error, timeout, self._settings.proxy)
        else:
            lower = _lower(answer.headers)
            if answer.moved_to:
                lower["location"] = answer.moved_to
            return read_answer(answer.status, lower, answer.content)
        # outside of the except clause: aiohttp's errors hold the headers, the key among them
        raise broken

    async def _exchange(
        self, endpoint: str, body: bytes, headers: dict[str, str], *, may_be_direct: bool
    ) -> Answer:
        """Send directly where that is known to work, else through the session; follow redirects."""
        if self._settings.ask is not None:
            key = {"Authorization": f"Bearer {await self._settings.ask()}"}
            headers = with_headers(key, headers)
        # the session lets a request's own headers replace the client's
        direct = self._direct.get(endpoint) if may_be_direct else None
        if direct is not None and len(body) <= _LARGE_BODY:
            answer = await direct.post(body, headers)
        else:
            url = self._urls.get(endpoint) or self._url(endpoint)
            answer = await self._post(url, body, headers)
            if self._can_be_direct and endpoint in self._urls:
                self._make_direct(endpoint, url)
        if answer.status in LEADING and "Location" in answer.headers:
            return await self._follow(str(self._url(endpoint)), answer, body, headers)
        return answer

    async def _follow(
        self, url: str, answer: Answer, body: bytes, headers: Mapping[str, str]
    ) -> Answer:
        """Return what *answer* leads to, or itself with the address if that is not followed."""
        for _ in range(MOST_REDIRECTS):
            location = answer.headers.get("Location")
            if answer.status not in LEADING or location is None:
                return answer
            url, is_followed = destination(url, answer.status, location)
            if not is_followed:
                return answer._replace(moved_to=url)
            answer = await self._post(URL(url, encoded=True), body, headers)
        raise TransportError("redirected too many times")

    async def _post(self, url: URL, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Send through the session."""
        session = self._session or self._open()
        data = body if len(body) <= _LARGE_BODY else io.BytesIO(body)
        async with session.post(url, data=data, headers=headers, allow_redirects=False) as raw:
            packed = await self._bound.read(raw.content)
        content = self._bound.unpack(packed, encoding_of(raw.headers))
        return Answer(raw.status, raw.headers, content)

    def _make_direct(self, endpoint: str, url: URL) -> None:
        session = self._session or self._open()
        self._direct[endpoint] = DirectExchange(
            session, url, self._headers, _LONGEST_HEADER, self._bound
        )

    def _url(self, endpoint: str) -> URL:
        """Return the URL of *endpoint*: below the base URL, with the query of the client."""
        path = http.URL(endpoint.removeprefix("/v1"))  # the base URL has the version
        url = path
        if path.is_relative_url:
            root = self._settings.root
            url = root.copy_with(raw_path=root.raw_path + path.raw_path.lstrip(b"/"))
        if self._settings.query:
            url = url.copy_merge_params(http.QueryParams(self._settings.query))
        made = URL(str(url), encoded=True)
        if len(self._urls) < _URLS_KEPT:
            self._urls[endpoint] = made
        return made

    def _open(self) -> aiohttp.ClientSession:
        trust: ssl.SSLContext | bool = True
        if self._settings.root.scheme != "http":  # it takes as long as a hundred requests
            trust = http.create_ssl_context()  # the SDK's: the system's, or SSL_CERT_FILE
            trust.set_alpn_protocols(["http/1.1"])
        connector = aiohttp.TCPConnector(
            limit=self._connections, keepalive_timeout=KEEPALIVE_EXPIRY, ssl=trust
        )
        bound_interim(connector)
        self._session = aiohttp.ClientSession(
            connector=connector,
            headers=self._headers,
            auto_decompress=False,
            # nothing bounds the wait for a free connection but the attempt's own timeout
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT),
            cookie_jar=aiohttp.DummyCookieJar(),
            max_line_size=_LONGEST_HEADER,
            max_field_size=_LONGEST_HEADER,
            proxy=self._settings.proxy,  # no trust_env: it asks the file system before each request
        )
        return self._session


def _settings_of(client: openai.AsyncOpenAI) -> ClientSettings:
    from ratedispatch.dispatch.transports.read_client import settings_of, unsupported_reason

    reason = unsupported_reason(client)
    if reason is not None:
        raise TypeError(f"{reason}, so it can only send through SdkTransport")
    return settings_of(client)


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers by lower-case name, repeated ones joined, and no half of a surrogate pair."""
    lower: dict[str, str] = {}
    for name, value in headers.items():
        text = value if value.isascii() else _decoded(value)
        known = name.lower()
        lower[known] = f"{lower[known]}, {text}" if known in lower else text
    return lower


def _decoded(value: str) -> str:
    """A header that aiohttp took for UTF-8; if it was none, it is Latin-1 by tradition."""
    content = value.encode("utf-8", "surrogateescape")
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content.decode("latin-1")
