"""Servers that answer by a script, and a transport of each kind to ask them."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import openai
import pytest

import ratedispatch as rd
from ratedispatch.dispatch.transports.bulk import BulkTransport, bulk_for
from ratedispatch.dispatch.transports.read_client import takes_key_functions, unsupported_reason
from ratedispatch.dispatch.transports.sdk import SdkTransport, make_client
from ratedispatch.simulate.server.server import FakeServer
from ratedispatch.simulate.settings import ProviderSettings

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator

    from ratedispatch.dispatch.transports.protocol import Transport

KEY = "sk-123456789-secret"

#: Whether `make_client` sends through aiohttp. The SDK knows it since 1.91.
ON_AIOHTTP = hasattr(openai, "DefaultAioHttpClient")

KEY_FUNCTIONS = pytest.mark.skipif(
    not takes_key_functions(), reason="a key is a text in this version of the SDK"
)


def chat(text: str = "hi", name: str | None = "c-1", **more: Any) -> rd.Request:
    messages = [{"role": "user", "content": text}]
    return rd.Request.chat(model="gpt-4o", messages=messages, max_tokens=5, custom_id=name, **more)


class Direct(BulkTransport):
    """A bulk transport that is direct with its first request already."""

    async def send(self, request: rd.Request, timeout: float) -> rd.Response:
        url = self._url(request.endpoint)
        if self._can_be_direct and url.host and request.endpoint not in self._direct:
            self._make_direct(request.endpoint, url)
        return await super().send(request, timeout)


@contextlib.asynccontextmanager
async def transport(
    kind: str, base_url: str, *, connections: int = 9, **options: Any
) -> AsyncIterator[Transport]:
    """A transport of *kind*: ours, the same once it is direct, or the SDK on either pool."""
    options = {"api_key": KEY, **options}
    if kind == "sdk as it comes":
        async with openai.AsyncOpenAI(base_url=base_url, **options) as client:
            yield SdkTransport(client)
        return
    made = make_client(base_url=base_url, api_key=KEY, max_connections=connections)
    async with made, made.with_options(**options) as client:
        if kind == "sdk":
            yield SdkTransport(client)
            return
        bulk = bulk_for(client, connections)
        assert bulk is not None, unsupported_reason(client)
        if kind == "direct":
            bulk = Direct(client, connections=connections)
        async with bulk:
            yield bulk


#: Those that follow a redirect without asking where it came from once more.
FOLLOWING = ["bulk", "sdk", "sdk as it comes"]


async def exchange(kind: str, base_url: str, request: rd.Request, timeout: float) -> rd.Response:
    async with transport(kind, base_url) as one:
        return await one.send(request, timeout)


def send(
    kind: str, request: rd.Request | None = None, *, fault: str | None = None, timeout: float = 5.0
) -> tuple[rd.Response, int]:
    """Send once to a provider with *fault*; return the response, and how often it was asked."""

    async def main() -> tuple[rd.Response, int]:
        faults = {fault: 1.0} if fault is not None else {}
        server = FakeServer(ProviderSettings(latency=0.01, faults=faults, charge="characters"))
        url = f"http://127.0.0.1:{await server.start('127.0.0.1', 0)}/v1"
        try:
            response = await exchange(kind, url, request or chat(), timeout)
            return response, server.stats()["arrived"]
        finally:
            await server.stop()

    return asyncio.run(main())


@dataclass
class Seen:
    """A request as it came over the wire."""

    target: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Scripted:
    """A server that gives each request the next of its answers, and the last one ever after."""

    answers: list[bytes]
    delay: float = 0.0
    closes: bool = False
    context: ssl.SSLContext | None = None
    seen: list[Seen] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    opened: int = 0
    port: int = 0

    async def __aenter__(self) -> Scripted:
        self._writers: set[asyncio.StreamWriter] = set()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self.context)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for writer in list(self._writers):
            writer.close()
        await asyncio.sleep(0.01)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.opened += 1
        self._writers.add(writer)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                first, *lines = head.removesuffix("\r\n\r\n").split("\r\n")
                pairs = (line.split(": ", 1) for line in lines)
                headers = {name.lower(): value for name, value in pairs}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                self.seen.append(Seen(first.split(" ")[1], headers, body))
                self.asked.set()
                answer = self.answers[min(len(self.seen), len(self.answers)) - 1]
                await asyncio.sleep(self.delay)
                writer.write(answer)
                await writer.drain()
                if self.closes:
                    break
        writer.close()
        self._writers.discard(writer)


def answer(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


OK = answer(b'{"ok": true}', "Content-Type: application/json")


def over(
    kind: str,
    *answers: bytes,
    request: rd.Request | None = None,
    times: int = 1,
    path: str = "/v1",
    **options: Any,
) -> tuple[rd.Response, list[Seen]]:
    """Send to a scripted server; return the last response and what the server saw."""

    async def main() -> tuple[rd.Response, list[Seen]]:
        async with Scripted(list(answers) or [OK]) as server:
            url = f"http://127.0.0.1:{server.port}{path}"
            async with transport(kind, url, **options) as one:
                for _ in range(times):
                    response = await one.send(request or chat(), 5)
            return response, server.seen

    return asyncio.run(main())
