"""
The events of an answer that is sent while it is made.

Decides shapes and their order: chat and legacy completions come in chunks, responses in events
with names. One delta for each token of the output, as usage counts them; the text is divided
evenly among them. Knows nothing of limits, clocks or connections.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from ratedispatch.request import CHAT, RESPONSES
from ratedispatch.simulate.provider.answers import (
    CREATED,
    answer_text,
    quoted,
    response_object,
    usage_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ratedispatch.simulate.provider.calls import Call

_FAILURE = "The server had an error while processing your request. Sorry about that!"


class Event(NamedTuple):
    """
    One event of a stream.

    Args:
        token: How many tokens of the output have been made when it is sent.
        data: What follows ``data:``: JSON, or ``[DONE]``.
        name: What follows ``event:``; empty for events without a name.
    """

    token: int
    data: str
    name: str = ""

    @property
    def frame(self) -> bytes:
        """The event as it is written."""
        head = f"event: {self.name}\n" if self.name else ""
        return f"{head}data: {self.data}\n\n".encode()


@dataclass(frozen=True, slots=True)
class Stream:
    """
    An answer in parts.

    Args:
        events: In order; made while they are asked for, and only once.
        first: Seconds from the request's arrival to the head and the first event.
        token_time: Seconds from one token to the next.
        end: What follows the last event: the orderly end (``done``), a connection that is closed
            in the middle (``cut``), or nothing any more (``stall``).
    """

    events: Iterable[Event]
    first: float
    token_time: float
    end: Literal["done", "cut", "stall"] = "done"


_ENDS: dict[str, Literal["done", "cut", "stall"]] = {
    "truncate": "cut",
    "stream_cut": "cut",
    "stream_stall": "stall",
}


def make_stream(
    call: Call,
    output_tokens: int,
    finish: str,
    number: int,
    *,
    delay: float,
    token_time: float,
    fault: str | None = None,
) -> Stream:
    """
    Return the answer to *call* in parts; together they say what `answer_body` says.

    Args:
        call: What was asked.
        output_tokens: Tokens reported for each of the ``n`` outputs.
        finish: ``stop`` or ``length``.
        number: The provider's running number of this request; it makes the ids.
        delay: Seconds from arrival to the last event.
        token_time: Seconds of them for each token.
        fault: What strikes; from the middle of the output on, if it is one of a stream.
    """
    if call.endpoint == RESPONSES:
        events = _responses(call, output_tokens, finish, number)
    else:
        events = _chunks(call, output_tokens, finish, number)
    if fault in _ENDS or fault == "stream_error":
        events = _first_half(events, output_tokens)
        if fault == "stream_error":
            events = _broken(events, is_named=call.endpoint == RESPONSES)
    first = max(0.0, delay - token_time * output_tokens)
    return Stream(events, first, token_time, _ENDS.get(fault or "", "done"))


def _pieces(text: str, count: int) -> Iterator[str]:
    """Divide *text* evenly; where there are more pieces than characters, some are empty."""
    size = len(text)
    for index in range(count):
        yield text[index * size // count : (index + 1) * size // count]


def _chunks(call: Call, output_tokens: int, finish: str, number: int) -> Iterator[Event]:
    """Yield what chat and legacy completions send; put together by hand, as it is many."""
    is_chat = call.endpoint == CHAT
    kind, made = ("chat.completion.chunk", "chatcmpl") if is_chat else ("text_completion", "cmpl")
    tier = '"service_tier":"default",' if is_chat else ""
    options = call.body.get("stream_options")
    with_usage = isinstance(options, dict) and bool(options.get("include_usage"))
    head = (
        f'{{"id":"{made}-{number:024x}","object":"{kind}","created":{CREATED},'
        f'"model":{quoted(call.model)},'
        f'{tier}"choices":['
    )
    tail = '],"usage":null}' if with_usage else "]}"

    def chunk(token: int, index: int, part: str, finish_reason: str = "null") -> Event:
        """Return a chunk of the output *index*; *part* is its delta."""
        return Event(
            token,
            f'{head}{{"index":{index},{part},"logprobs":null,"finish_reason":{finish_reason}}}'
            f"{tail}",
        )

    outputs = range(call.outputs)
    if is_chat:
        role = '"delta":{"role":"assistant","content":"","refusal":null}'
        for index in outputs:
            yield chunk(0, index, role)
    for token, piece in enumerate(_pieces(answer_text(call), output_tokens), 1):
        text = quoted(piece)
        part = f'"delta":{{"content":{text}}}' if is_chat else f'"text":{text}'
        for index in outputs:
            yield chunk(token, index, part)
    for index in outputs:
        part = '"delta":{}' if is_chat else '"text":""'
        yield chunk(output_tokens, index, part, f'"{finish}"')
    if with_usage:
        usage = json.dumps(usage_of(call, output_tokens), separators=(",", ":"))
        yield Event(output_tokens, f'{head}],"usage":{usage}}}')
    yield Event(output_tokens, "[DONE]")


def _responses(call: Call, output_tokens: int, finish: str, number: int) -> Iterator[Event]:
    """Yield the events of a response with one message of one text."""
    done = response_object(call, output_tokens, finish, number)
    message = done["output"][0]
    content = message["content"][0]
    begun = {
        **done,
        "status": "in_progress",
        "incomplete_details": None,
        "output": [],
        "usage": None,
    }
    place = {"item_id": message["id"], "output_index": 0, "content_index": 0}
    sequence = 0

    def event(token: int, name: str, fields: dict[str, Any]) -> Event:
        """Return the next event, called *name*."""
        nonlocal sequence
        data = {"type": name, "sequence_number": sequence, **fields}
        sequence += 1
        return Event(token, json.dumps(data, separators=(",", ":")), name)

    yield event(0, "response.created", {"response": begun})
    yield event(0, "response.in_progress", {"response": begun})
    item = {**message, "status": "in_progress", "content": []}
    yield event(0, "response.output_item.added", {"output_index": 0, "item": item})
    yield event(0, "response.content_part.added", {**place, "part": {**content, "text": ""}})
    for token, piece in enumerate(_pieces(content["text"], output_tokens), 1):
        delta = {**place, "delta": piece, "logprobs": []}
        yield event(token, "response.output_text.delta", delta)
    text = {**place, "text": content["text"], "logprobs": []}
    yield event(output_tokens, "response.output_text.done", text)
    yield event(output_tokens, "response.content_part.done", {**place, "part": content})
    item = {"output_index": 0, "item": message}
    yield event(output_tokens, "response.output_item.done", item)
    yield event(output_tokens, f"response.{done['status']}", {"response": done})


def _first_half(events: Iterator[Event], output_tokens: int) -> Iterator[Event]:
    """Yield the events of the first half of the output, and of its first token at least."""
    for event in events:
        if event.token > max(1, output_tokens // 2) or event.data == "[DONE]":
            return
        yield event


def _broken(events: Iterator[Event], *, is_named: bool) -> Iterator[Event]:
    """Yield *events* and then an error, as the provider writes it into an answer it has begun."""
    token = count = 0
    for count, event in enumerate(events, 1):  # noqa: B007 - used after the loop
        token = event.token
        yield event
    if is_named:
        fields = {"code": "server_error", "message": _FAILURE, "param": None}
        data: dict[str, Any] = {"type": "error", "sequence_number": count, **fields}
    else:
        error = {"message": _FAILURE, "type": "server_error", "param": None, "code": None}
        data = {"error": error}
    yield Event(token, json.dumps(data, separators=(",", ":")), "error" if is_named else "")
