"""Streams that nobody has asked for, put together."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratedispatch.dispatch.transports.exchange import read_answer
from ratedispatch.outcome import Decision, Usage
from ratedispatch.providers.read.event_stream import read_stream
from ratedispatch.providers.registry import PROVIDERS
from ratedispatch.request import CHAT, COMPLETIONS, RESPONSES

SSE = {"content-type": "text/event-stream"}
USAGE = {"prompt_tokens": 12, "completion_tokens": 2, "total_tokens": 14}


def chunk(delta: Any = None, finish_reason: str | None = None, **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta or {}, "finish_reason": finish_reason}
    head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return {**head, "choices": [choice], **more}


def stream(*events: Any, end: str = "\n\n", done: bool = True) -> bytes:
    texts = [f"data: {json.dumps(event)}{end}" for event in events]
    return "".join([*texts, f"data: [DONE]{end}" if done else ""]).encode()


SAID = (
    chunk({"role": "assistant", "content": ""}),
    chunk({"content": "fi"}),
    chunk({"content": "ne"}),
)


@pytest.mark.parametrize("end", ["\n\n", "\r\n\r\n", "\r\r", "\n"])
def test_chunks_become_one_answer(end: str) -> None:
    """With the usage of the last of them."""
    content = stream(*SAID, chunk({}, "stop"), chunk(choices=[], usage=USAGE), end=end)
    response = read_answer(200, SSE, content)
    assert response.is_json
    assert response.text is None
    assert response.body == {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "fine"},
                "finish_reason": "stop",
            }
        ],
        "usage": USAGE,
    }
    found = PROVIDERS["generic"].interpret(response, CHAT)
    assert (found.decision, found.usage) == (Decision.ANSWERED, Usage(12, 2))


def test_lines_of_json_are_a_stream_too() -> None:
    """As some servers send them, each line a chunk."""
    content = b"\n".join(json.dumps(part).encode() for part in (*SAID, chunk({}, "stop")))
    body = read_answer(200, {}, content).body
    assert body["choices"][0]["message"]["content"] == "fine"


def test_calls_of_tools_are_joined_by_their_places() -> None:
    """Names and ids come once, arguments in pieces."""
    function = {"name": "find", "arguments": ""}
    first = {"index": 0, "id": "call_1", "type": "function", "function": function}
    content = stream(
        chunk({"role": "assistant", "content": None, "tool_calls": [first]}),
        chunk({"tool_calls": [{"index": 0, "function": {"arguments": '{"a":'}}]}),
        chunk({"tool_calls": [{"index": 1, "id": "call_2", "function": {"arguments": "{}"}}]}),
        chunk({"tool_calls": [{"index": 0, "id": "", "function": {"arguments": "1}"}}]}),
        chunk({}, "tool_calls"),
    )
    message = read_answer(200, SSE, content).body["choices"][0]["message"]
    assert message["content"] is None
    assert message["tool_calls"] == [
        {"id": "call_1", "type": "function", "function": {"name": "find", "arguments": '{"a":1}'}},
        {"id": "call_2", "function": {"arguments": "{}"}},
    ]


def test_several_choices_and_their_probabilities() -> None:
    """Each has its place, in whichever order they come."""

    def part(index: int, text: str, reason: str | None = None) -> dict[str, Any]:
        logprobs = {"tokens": [text], "token_logprobs": [-0.5]}
        choice = {"index": index, "text": text, "logprobs": logprobs, "finish_reason": reason}
        return {"object": "text_completion", "choices": [choice]}

    content = stream(part(1, "b"), part(0, "a"), part(1, "d", "stop"), part(0, "c", "length"))
    body = read_answer(200, SSE, content).body
    assert [(one["index"], one["text"], one["finish_reason"]) for one in body["choices"]] == [
        (0, "ac", "length"),
        (1, "bd", "stop"),
    ]
    assert body["choices"][0]["logprobs"] == {"tokens": ["a", "c"], "token_logprobs": [-0.5, -0.5]}
    response = read_answer(200, SSE, content)
    assert PROVIDERS["generic"].interpret(response, COMPLETIONS).decision is Decision.ANSWERED


@pytest.mark.parametrize("named", [True, False])
def test_a_response_is_the_last_of_its_events(named: bool) -> None:
    """It holds all that the others told in pieces."""
    whole = {"object": "response", "status": "completed", "output": [{"type": "message"}]}
    last = {"response": whole} if named else {"type": "response.completed", "response": whole}
    delta = {"type": "response.output_text.delta", "delta": "fi"}
    content = f"event: x\ndata: {json.dumps(delta)}\n\nevent: response.completed\n"
    response = read_answer(200, SSE, f"{content}data: {json.dumps(last)}\n\n".encode())
    assert response.body == whole
    assert PROVIDERS["generic"].interpret(response, RESPONSES).decision is Decision.ANSWERED


ERROR = {"message": "The request queue is full.", "code": 503}


@pytest.mark.parametrize(
    "content",
    [
        stream({"error": ERROR}),
        stream(*SAID, {"error": ERROR}, done=False),
        stream(*SAID, chunk({}, "error", error=ERROR)),
        b"event: error\n" + stream(ERROR),
        stream({"type": "error", **ERROR}),
    ],
)
def test_an_error_in_a_stream_is_read(content: bytes) -> None:
    """Whatever came before it is no whole answer."""
    response = read_answer(200, SSE, content)
    found = PROVIDERS["generic"].interpret(response, CHAT)
    assert (found.decision, found.message) == (Decision.QUEUE_FULL, ERROR["message"])


def test_an_error_after_the_end_changes_nothing() -> None:
    """All was said."""
    response = read_answer(200, SSE, stream(*SAID, chunk({}, "stop"), {"error": ERROR}))
    assert PROVIDERS["generic"].interpret(response, CHAT).decision is Decision.ANSWERED


@pytest.mark.parametrize(
    "content",
    [
        stream(*SAID, done=False),
        stream(*SAID, done=False)[:-9],
        b": keep-alive\n\n",
        b"data:\n\n",
        b"data: [DONE]\n\n",
        b'data: {"type": "response.created", "response": {}}\n\n',
        b'{"choices": [',
    ],
)
def test_what_breaks_off_is_none(content: bytes) -> None:
    """Nobody knows what is missing: it is tried again, as any answer that is torn."""
    response = read_answer(200, SSE, content)
    assert not response.is_json
    found = PROVIDERS["generic"].interpret(response, CHAT)
    assert (found.decision, found.code) == (Decision.TRANSIENT, "garbled_answer")


def test_one_event_that_is_the_answer() -> None:
    """A gateway that wraps what it got in one event."""
    whole = {"object": "chat.completion", "choices": [{"message": {"content": "fine"}}]}
    assert read_answer(200, SSE, stream(whole)).body == whole


@pytest.mark.parametrize("coding", ["utf-8-sig", "utf-16", "utf-16-be", "utf-32", "latin-1"])
def test_json_in_any_coding(coding: str) -> None:
    """By its own bytes, or by what the answer says of them."""
    headers = {"content-type": f'application/json; charset="{coding}"; x=y'}
    response = read_answer(200, headers, '{"a": "näh"}'.encode(coding))
    assert (response.is_json, response.body) == (True, {"a": "näh"})


PIECES = st.sampled_from(
    ["data: ", "event: error", "{", "}", "[", "]", '"choices":', '"delta":', '"index":', '"error":',
     "1", '"x"', ",", "\n", "\n\n", "[DONE]", "\r", "null", '{"choices":[{"delta":{"a":"b"}}]}',
     '{"choices":[{"index":[],"delta":{"tool_calls":[{"index":0}]},"logprobs":{"a":[1]}}]}',
     '{"choices":[{"delta":{"a":[1]},"text":1}]}', '{"choices":[{"delta":{"a":{"b":"c"}}}]}']
)  # fmt: skip


@given(st.lists(PIECES, max_size=30).map("".join), st.booleans())
def test_no_stream_makes_it_raise(text: str, starts: bool) -> None:
    """There is an object, or there is none."""
    found = read_stream(f"data: {text}" if starts else text)
    assert found is None or isinstance(found, dict)


def test_a_long_stream_is_read_in_one_pass() -> None:
    """A hundred thousand pieces, and calls with places beyond any list."""
    text = json.dumps(chunk({"content": "x", "tool_calls": [{"index": 10**9, "id": "a"}]}))
    content = (f"data: {text}\n\n" * 20_000).encode() + stream(chunk({}, "stop"))
    message = read_answer(200, SSE, content).body["choices"][0]["message"]
    assert len(message["content"]) == 20_000
    assert len(message["tool_calls"]) == 1
