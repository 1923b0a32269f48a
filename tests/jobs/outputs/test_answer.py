"""The answer on one line of results."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratedispatch.jobs.batchfile import BadRow, answer_line, bad_row_line, failure_line
from ratedispatch.jobs.outputs.answer import Answer, read_answer, text_of
from ratedispatch.jobs.outputs.cell_text import UNWRITABLE
from ratedispatch.outcome import Completed, Failed, Response
from ratedispatch.request import Cost, Request
from tests.jobs.outputs.lines import chat, result

#: What readers look for, so that odd values are found where they look.
KEYS = (
    *("choices", "message", "content", "text", "tool_calls", "refusal", "audio", "transcript"),
    *("output", "type", "data", "embedding", "results", "usage", "prompt_tokens"),
    *("response", "status_code", "body", "error", "code"),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4)
    ),
    max_leaves=12,
)

CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
MESSAGE = {"type": "message", "content": [{"type": "output_text", "text": "Hel"}]}


def message(*parts: Any) -> dict[str, Any]:
    return {"type": "message", "content": list(parts)}


@pytest.mark.parametrize(
    ("body", "text"),
    [
        # /v1/chat/completions
        (chat("Hello"), "Hello"),
        (chat(""), ""),
        (chat(None), None),
        (chat([{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo"}]), "Hello"),
        (chat([{"type": "refusal", "refusal": "No."}]), "No."),
        (chat([{"type": "image", "url": "u"}]), '[{"type":"image","url":"u"}]'),
        (chat({"é": 1}), '{"é":1}'),
        (chat(None, refusal="I cannot."), "I cannot."),
        (chat(None, tool_calls=[{"id": "1"}]), '[{"id":"1"}]'),
        (chat("", tool_calls=[{"id": "1"}]), '[{"id":"1"}]'),
        (chat("Let me see", tool_calls=[CALL]), "Let me see"),
        (chat(None, function_call={"name": "f"}), '{"name":"f"}'),
        (chat(None, audio={"data": "UklG", "transcript": "Hi"}), "Hi"),
        ({"choices": [*chat("a")["choices"], *chat(None)["choices"]]}, '["a",null]'),
        ({"choices": [{"message": None}]}, '{"message":null}'),
        # /v1/completions
        ({"choices": [{"text": " world", "index": 0}]}, " world"),
        ({"choices": [{"text": "a"}, {"text": "é\n"}]}, '["a","é\\n"]'),
        # /v1/responses
        ({"output": [{"type": "reasoning", "summary": []}, MESSAGE]}, "Hel"),
        ({"output": [MESSAGE, message({"type": "output_text", "text": "lo"})]}, "Hello"),
        ({"output": [message({"type": "refusal", "refusal": "No."})]}, "No."),
        ({"output": [message()]}, ""),
        ({"output": [{"type": "message", "content": "Hi"}]}, "Hi"),
        ({"output": [{"type": "reasoning"}]}, None),
        ({"output": [{"type": "function_call", "name": "f"}, MESSAGE]}, "Hel"),
        (
            {"output": [{"type": "reasoning"}, {"type": "function_call", "name": "f"}]},
            '[{"type":"function_call","name":"f"}]',
        ),
        # /v1/embeddings
        ({"object": "list", "data": [{"embedding": [0.1, -2]}]}, "[0.1,-2]"),
        ({"data": [{"embedding": [1]}, {"embedding": [2]}]}, "[[1],[2]]"),
        ({"data": [{"embedding": "AACAPw=="}]}, "AACAPw=="),
        # /v1/moderations
        ({"id": "modr-1", "results": [{"flagged": False}]}, '[{"flagged":false}]'),
        # anything else
        ({"choices": [], "x": 1}, '{"choices":[],"x":1}'),
        ({"data": [{"b64_json": "x"}]}, '{"data":[{"b64_json":"x"}]}'),
        ([1, {"a": None}], '[1,{"a":null}]'),
        ("plain", "plain"),
        (None, None),
        (0, "0"),
    ],
)
def test_every_endpoint_has_a_text(body: Any, text: str | None) -> None:
    """What a person would call the answer, and JSON where there is no such text."""
    assert text_of(body) == text
    assert read_answer(result(1, body)).text == text


def test_a_line_of_an_answer_and_the_object_on_it_say_the_same() -> None:
    """Text, status and tokens."""
    line = result(1, chat("Hello"))
    assert read_answer(line) == Answer("answered", 200, "Hello", 7, 3, None)
    assert read_answer(json.loads(line)) == read_answer(line)


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        ({"prompt_tokens": 7, "completion_tokens": 3}, (7, 3)),
        ({"input_tokens": 7, "output_tokens": 3}, (7, 3)),
        ({"prompt_tokens": 7, "total_tokens": 7}, (7, 0)),
        ({"prompt_tokens": 10**30, "completion_tokens": 2**63 - 1}, (None, None)),
        ({"prompt_tokens": "7"}, (7, 0)),
        ({"prompt_tokens": "many"}, (None, None)),
        ([], (None, None)),
        (None, (None, None)),
    ],
)
def test_tokens_have_either_name(usage: Any, tokens: tuple[int | None, int | None]) -> None:
    """Those of chats and of responses; what no column could hold is unknown."""
    answer = read_answer(result(1, {"usage": usage}))
    assert (answer.prompt_tokens, answer.output_tokens) == tokens


@pytest.mark.parametrize(
    ("line", "status", "error"),
    [
        (
            result(1, {"error": {"message": "Too long.", "code": "too_long"}}, status=400),
            400,
            "Too long. (too_long)",
        ),
        (result(1, {"error": {"type": "server_error"}}, status=500), 500, None),
        (
            result(1, {"detail": [{"loc": ["body"]}]}, status=422),
            422,
            'HTTP status 422: {"detail": [{"loc": ["body"]}]}',
        ),
        (result(1, None, status=503), 503, "HTTP status 503"),
        (result(1, {"error": "nope"}, status=404), 404, "nope"),
        (
            result(1, error={"code": "timeout", "message": "no answer in 60 s"}),
            None,
            "no answer in 60 s (timeout)",
        ),
        (result(1, error={"message": "odd"}), None, "odd"),
        (result(1, error={"code": "odd"}), None, "odd"),
        (result(1, error={"code": 7, "message": ["odd"]}), None, '["odd"] (7)'),
        (result(1, error={"other": 1}), None, "the row failed, and the result does not say why"),
        (result(1, error="odd"), None, "odd"),
        (b'{"error":""}', None, "the row failed, and the result does not say why"),
        (b'{"response":{"body":1},"error":null}', None, "the result of this row has no status"),
        (b'{"response":{"status_code":true}}', None, "the result of this row has no status"),
        (b"{}", None, "the result of this row has no status"),
        (b"[]", None, "the result of this row cannot be read: it is not a JSON object"),
    ],
)
def test_a_failure_is_a_sentence_with_its_code(
    line: bytes, status: int | None, error: str | None
) -> None:
    """The provider's words, or ours, and never the text of an answer."""
    if error is None:
        error = "HTTP status 500 (server_error)"
    assert read_answer(line) == Answer("failed", status, error=error)


@pytest.mark.parametrize("line", [b"{", b"\xff", b"[" * 90_000, b"1" * 5_000])
def test_a_line_that_cannot_be_read_is_a_failure(line: bytes) -> None:
    """It says why, and no exception leaves."""
    answer = read_answer(line)
    assert answer.status == "failed"
    assert answer.error is not None
    assert answer.error.startswith("the result of this row cannot be read: ")


def test_an_answer_with_an_error_in_it_keeps_both() -> None:
    """A response that was broken off has status 200, some text, and an error."""
    body = {"output": [MESSAGE], "error": {"code": "server_error", "message": "It broke."}}
    assert read_answer(result(1, body)) == Answer(
        "answered", 200, "Hel", None, None, "It broke. (server_error)"
    )


def test_lines_of_a_job_are_read() -> None:
    """An answer, a refusal, a row that was never sent, and a line that is no request."""
    request = Request({"model": "m", "messages": []}, "/v1/chat/completions", "q-1", 1)
    answered = Completed(request, Response(200, {}, chat("Hi")), Cost(1, 1), None, 1, 0.1)
    assert read_answer(answer_line(answered)) == Answer("answered", 200, "Hi", 7, 3)
    body = {"error": {"message": "Bad.", "type": "invalid_request_error", "code": None}}
    refused = Failed(request, "bad", "refused", Response(400, {}, body), 1)
    assert read_answer(failure_line(refused)) == Answer(
        "failed", 400, error="Bad. (invalid_request_error)"
    )
    lost = Failed(request, "connection", "It broke.", None, 3)
    assert read_answer(failure_line(lost)) == Answer("failed", error="It broke. (connection)")
    bad = read_answer(bad_row_line(BadRow(3, None, "invalid_line", "line 3: not JSON")))
    assert bad == Answer("failed", error="line 3: not JSON (invalid_line)")


def test_a_body_that_cannot_be_written_does_not_stop_a_table() -> None:
    """One that contains itself, say."""
    endless: list[Any] = []
    endless.append(endless)
    assert read_answer({"response": {"status_code": 200, "body": endless}}).text == UNWRITABLE


@settings(max_examples=50, deadline=None)
@given(JSON)
def test_any_value_is_an_answer(value: Any) -> None:
    """As a body, as a response, as a line."""
    for line in (
        {"response": {"status_code": 200, "body": value}, "error": None},
        {"response": {"status_code": 400, "body": value}, "error": None},
        {"response": value, "error": value},
        {"response": None, "error": value},
        value,
    ):
        answer = read_answer(line if isinstance(line, dict) else json.dumps(line).encode())
        assert isinstance(answer.text, str | None)
        assert isinstance(answer.error, str | None)
        assert (answer.status == "answered") or answer.error
