"""
Sends one request on a pooled connection of aiohttp, without its request and response objects.

aiohttp still opens, pools and closes connections, speaks TLS and parses answers. Left out is the
work of its session for each request: merging headers, building a request, a task that writes the
body, cookies and redirects. That is more than half of the session's cost.

For POSTs of bytes to one URL only, without a proxy. Follows no redirect. Uses private parts of
aiohttp, so `is_known` says whether this module was written for the installed version; with any
other the session does all the work.
Follows: aiohttp 3.13 and 3.14, ``client.py``, `ClientSession._request`, and ``client_reqrep.py``,
`ClientRequest.send` and `ClientResponse.start`.
"""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any, NamedTuple

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import HttpProcessingError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp.connector import Connection
    from multidict import CIMultiDictProxy
    from yarl import URL

    from ratedispatch.dispatch.transports.bodies import BodyBound

#: Bytes of an answer that are kept before the connection is told to wait; as in aiohttp's session.
_BUFFER = 2**16

_SWITCHING = 101

#: Statuses that are followed by another one.
_INTERIM = range(100, 200)

_ENCODING = "Content-Encoding"

_PARAMETERS = frozenset(
    {"read_until_eof", "auto_decompress", "read_bufsize", "max_line_size", "max_field_size"}
)


class Answer(NamedTuple):
    """
    What came back.

    Args:
        status: HTTP status code.
        headers: As they came.
        content: The body without its encodings.
        moved_to: The address of a redirect that is not followed.
    """

    status: int
    headers: CIMultiDictProxy[str]
    content: bytes
    moved_to: str = ""


def encoding_of(headers: Mapping[str, str]) -> str:
    """Return the encodings that *headers* name, in any number of lines."""
    if _ENCODING not in headers:
        return ""
    return ", ".join(value for name, value in headers.items() if name.title() == _ENCODING)


def is_known() -> bool:
    """Whether this version of aiohttp keeps to itself what is used here."""
    if not aiohttp.__version__.startswith(("3.13.", "3.14.")):
        return False
    names = set(inspect.signature(ResponseHandler.set_response_params).parameters)
    return names >= _PARAMETERS


class DirectExchange:
    """
    POSTs to one URL.

    Args:
        session: Whose connector and timeouts are used.
        url: Where to.
        headers: The headers of every request, besides those that aiohttp adds.
        longest_header: Bytes of an answer's status line and of each of its headers.
        bound: How large an answer may be.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        url: URL,
        headers: Mapping[str, str],
        longest_header: int,
        bound: BodyBound,
    ) -> None:
        assert session.connector is not None
        self._connector = session.connector
        self._timeout = session.timeout
        self._longest_header = longest_header
        self._bound = bound
        # not sent: it has the headers that aiohttp adds, and says which connections can be used
        self._model = aiohttp.ClientRequest(
            "POST", url, headers=headers, loop=asyncio.get_running_loop()
        )
        lines = [f"POST {url.raw_path_qs} HTTP/1.1"]
        for name, value in self._model.headers.items():
            if name.lower() not in {"content-length", "transfer-encoding"}:
                lines.append(f"{name}: {value}")
        self._head = "\r\n".join([*lines, "Content-Length: "]).encode()

    async def post(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        """
        Send *body* and return the answer.

        Args:
            body: At most a megabyte: it is handed to the connection at once.
            headers: Further ones, of printable ASCII.

        Raises:
            aiohttp.ClientError: As aiohttp's session.
            AnswerTooLarge: It is larger than allowed.
        """
        head = b"%b%d\r\n" % (self._head, len(body))
        for name, value in headers.items():
            head += f"{name}: {value}\r\n".encode("ascii")
        try:
            connection = await self._connector.connect(
                self._model, traces=[], timeout=self._timeout
            )
        except TimeoutError as error:
            raise aiohttp.ConnectionTimeoutError("no connection in time") from error
        except aiohttp.ClientError:
            raise
        except OSError as error:
            raise aiohttp.ClientOSError(*error.args) from error
        try:
            answer = await self._exchange(connection, b"%b\r\n%b" % (head, body))
        except BaseException:
            connection.close()
            raise
        connection.release()  # closes it if the server wants it closed
        return answer

    async def open(self, count: int) -> None:
        """Open *count* connections for the pool; those that cannot be opened are left out."""
        opening = [
            self._connector.connect(self._model, traces=[], timeout=self._timeout)
            for _ in range(count)
        ]
        for connection in await asyncio.gather(*opening, return_exceptions=True):
            if not isinstance(connection, BaseException):
                connection.release()

    async def _exchange(self, connection: Connection, data: bytes) -> Answer:
        protocol = connection.protocol
        assert protocol is not None
        protocol.set_response_params(
            read_until_eof=True,
            auto_decompress=False,
            read_bufsize=_BUFFER,
            max_line_size=self._longest_header,
            max_field_size=self._longest_header,
        )
        transport = protocol.transport
        if transport is None:
            raise aiohttp.ClientConnectionResetError("Cannot write to closing transport")
        transport.write(data)
        message: Any
        try:
            message, payload = await protocol.read()
            while message.code in _INTERIM and message.code != _SWITCHING:
                message, payload = await protocol.read()
        except HttpProcessingError as error:
            raise aiohttp.ClientResponseError(
                self._model.request_info, (), status=error.code, message=error.message
            ) from error
        packed = await self._bound.read(payload)
        content = self._bound.unpack(packed, encoding_of(message.headers))
        if message.code == _SWITCHING:
            connection.close()
        return Answer(message.code, message.headers, content)
