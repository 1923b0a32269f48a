"""
Gets an answer in parts through the openai SDK, as its own typed events.

What the SDK raises for a status, or for an error among the events, becomes a response or an event
again. A body that is not a stream of events is read whole.
"""

from __future__ import annotations

import asyncio
import importlib
from typing import TYPE_CHECKING, Any, Self

import aiohttp
import openai

from ratedispatch.dispatch.transports.exchange import read_answer, sentence
from ratedispatch.dispatch.transports.http_library import errors
from ratedispatch.dispatch.transports.redirects import LEADING, MOST_REDIRECTS, destination
from ratedispatch.errors import AttemptTimeout, TransportError
from ratedispatch.request import CHAT, COMPLETIONS, RESPONSES, endpoint_like

if TYPE_CHECKING:
    from collections.abc import Callable

    from ratedispatch.dispatch.transports.bodies import BodyBound
    from ratedispatch.outcome import Response
    from ratedispatch.request import Request

#: The class of an event of each endpoint.
_EVENTS = {
    CHAT: ("openai.types.chat", "ChatCompletionChunk"),
    COMPLETIONS: ("openai.types", "Completion"),
    RESPONSES: ("openai.types.responses", "ResponseStreamEvent"),
}


class SdkStream:
    """
    An answer in parts.

    Follows :class:`~ratedispatch.dispatch.transports.protocol.StreamedResponse`; its events are
    the SDK's objects.

    Attributes:
        status, headers: Of the head.
    """

    def __init__(self, stream: Any, name_fault: Callable[[Exception], TransportError]) -> None:
        self.status: int = stream.response.status_code
        self.headers = _lower(stream.response)
        self._stream = stream
        self._events = aiter(stream)
        self._name_fault = name_fault

    def __aiter__(self) -> Self:
        """Return itself: the events come once."""
        return self

    async def __anext__(self) -> Any:
        """Return the next event."""
        try:
            return await anext(self._events)
        except StopAsyncIteration:
            raise
        except openai.APIConnectionError as error:
            fault = self._name_fault(error)
        except openai.APIError as error:  # an error among the events
            return {"error": error.body or {"message": error.message}}
        except Exception as error:  # of the HTTP library, or an event that is not JSON
            fault = TransportError(sentence(error))
        # outside of the except clause: such an error may hold the headers, the key among them
        raise fault

    async def aclose(self) -> None:
        """Drop what has not come yet, and the connection with it."""
        await self._stream.close()


async def open_stream(
    client: openai.AsyncOpenAI,
    request: Request,
    options: Any,
    timeout: float,
    bound: BodyBound,
    name_fault: Callable[[Exception], TransportError],
) -> SdkStream | Response:
    """
    Send *request* and return the head of its answer; the whole of one that is not streamed.

    Args:
        client: The client, which must not retry.
        request: What to send.
        options: The options of the SDK, for each of its requests.
        timeout: Seconds to the head.
        bound: How large an answer may be that comes whole.
        name_fault: Says what really broke, of an error of the SDK.

    Raises:
        TransportError: No head came back.
        AttemptTimeout: It did not come in time.
    """
    try:
        async with asyncio.timeout(timeout):
            return await _open(client, request, options, bound, name_fault)
    except openai.APIConnectionError as error:
        fault = name_fault(error)
    except TransportError:
        raise
    except TimeoutError:
        fault = AttemptTimeout(f"no answer within {timeout:g} s")
    except aiohttp.ClientError as error:
        fault = TransportError(sentence(error))
    except errors("HTTPError", "StreamError") as error:
        fault = TransportError(sentence(error))
    # outside of the except clause: such an error may hold the headers, the key among them
    raise fault


async def _open(
    client: openai.AsyncOpenAI,
    request: Request,
    options: Any,
    bound: BodyBound,
    name_fault: Callable[[Exception], TransportError],
) -> SdkStream | Response:
    """Send, follow redirects, and return what came."""
    path = request.endpoint.removeprefix("/v1")  # the base URL has the version
    for _ in range(MOST_REDIRECTS):
        stream, raw = await _post(client, path, request, options)
        headers = _lower(raw)
        if stream is not None and "json" not in headers.get("content-type", ""):
            return SdkStream(stream, name_fault)
        content = b""
        try:
            content = await bound.collect(b"", raw.aiter_bytes())
        finally:
            await raw.aclose()
        location = headers.get("location")
        if raw.status_code not in LEADING or location is None:
            return read_answer(raw.status_code, headers, content)
        path, is_followed = destination(str(raw.request.url), raw.status_code, location)
        if not is_followed:
            return read_answer(raw.status_code, {**headers, "location": path}, content)
    raise TransportError("redirected too many times")


async def _post(
    client: openai.AsyncOpenAI, path: str, request: Request, options: Any
) -> tuple[Any, Any]:
    """Return the SDK's stream, or None for a status of an error, and its response."""
    kind = _event_of(request.endpoint)
    stream_of: Any = openai.AsyncStream
    try:
        stream: Any = await client.post(
            path,
            cast_to=kind,
            body={**request.body, "stream": True},
            options=options,
            stream=True,
            stream_cls=stream_of[kind],
        )
    except openai.APIStatusError as error:
        return None, error.response
    return stream, stream.response


def _event_of(endpoint: str) -> Any:
    """Return the class of the events of *endpoint*; ``object`` where the SDK has none yet."""
    module, name = _EVENTS.get(endpoint_like(endpoint) or "", _EVENTS[CHAT])
    try:
        return getattr(importlib.import_module(module), name)
    except ImportError:  # responses came with 1.66
        return object


def _lower(raw: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in raw.headers.items()}
