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
    quoted,
    response_object,
    tool_call,
    usage_of,
)
from ratedispatch.simulate.provider.shaped_text import content_of

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
        events: In order; made while they are requested, and only once.
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
    text, function = content_of(call)
    if function:
        finish = "tool_calls" if finish == "stop" else finish
        called = json.dumps({"index": 0, **tool_call(function, "", number)})
        role = f'"delta":{{"role":"assistant","content":null,"tool_calls":[{called}]}}'
        form = '"delta":{"tool_calls":[{"index":0,"function":{"arguments":%s}}]}'
    elif is_chat:
        role = '"delta":{"role":"assistant","content":"","refusal":null}'
        form = '"delta":{"content":%s}'
    else:
        role, form = "", '"text":%s'
    for index in outputs if role else ():
        yield chunk(0, index, role)
    for token, piece in enumerate(_pieces(text, output_tokens), 1):
        part = form % quoted(piece)
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
    """Yield the events of a response with one message, or with one call of a function."""
    done = response_object(call, output_tokens, finish, number)
    item = done["output"][0]
    begun = {
        **done,
        "status": "in_progress",
        "incomplete_details": None,
        "output": [],
        "usage": None,
    }
    place: dict[str, Any] = {"item_id": item["id"], "output_index": 0}
    events: list[tuple[int, str, dict[str, Any]]] = [
        (0, "created", {"response": begun}),
        (0, "in_progress", {"response": begun}),
    ]
    if item["type"] == "message":
        place["content_index"] = 0
        content = item["content"][0]
        text, kind, made = content["text"], "output_text", {"text": content["text"], "logprobs": []}
        empty: dict[str, Any] = {"content": []}
        part = {**place, "part": {**content, "text": ""}}
        opening = [(0, "content_part.added", part)]
        closing = [(output_tokens, "content_part.done", {**place, "part": content})]
    else:
        text, kind = item["arguments"], "function_call_arguments"
        made = {"arguments": text, "name": item["name"]}
        empty = {"arguments": ""}
        opening = closing = []
    added = {"output_index": 0, "item": {**item, "status": "in_progress", **empty}}
    events += [(0, "output_item.added", added), *opening]
    more: dict[str, Any] = {"logprobs": []} if item["type"] == "message" else {}
    events += [
        (token, f"{kind}.delta", {**place, "delta": piece, **more})
        for token, piece in enumerate(_pieces(text, output_tokens), 1)
    ]
    events += [
        (output_tokens, f"{kind}.done", {**place, **made}),
        *closing,
        (output_tokens, "output_item.done", {"output_index": 0, "item": item}),
        (output_tokens, done["status"], {"response": done}),
    ]
    for sequence, (token, name, fields) in enumerate(events):
        data = {"type": f"response.{name}", "sequence_number": sequence, **fields}
        yield Event(token, json.dumps(data, separators=(",", ":")), f"response.{name}")


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
