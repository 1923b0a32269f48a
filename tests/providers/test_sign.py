"""What counts as an answer, by endpoint, and what is made of a status 200 without one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratedispatch.outcome import Decision, Response, Usage
from ratedispatch.providers.read.sign import holds_answer
from ratedispatch.providers.read.statuses import LASTING, PASSING
from ratedispatch.providers.registry import PROVIDERS
from ratedispatch.request import CHAT, COMPLETIONS, EMBEDDINGS, ENDPOINTS, MODERATIONS, RESPONSES

interpret = PROVIDERS["generic"].interpret


def chat(message: Any = None, finish_reason: Any = "stop", **more: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "message": message, "finish_reason": finish_reason, **more}]}


CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
ANSWERS: list[tuple[str, Any]] = [
    (CHAT, chat({"role": "assistant", "content": "fine"})),
    (CHAT, chat({"role": "assistant", "content": "cut off"}, "length")),
    (CHAT, chat({"content": "in an ending of its own"}, "eos_token")),
    (CHAT, chat({"content": "without an ending"}, None)),
    (CHAT, chat({"content": [{"type": "text", "text": "in parts"}]})),
    (CHAT, chat({"role": "assistant", "content": None, "tool_calls": [CALL]}, "tool_calls")),
    (CHAT, chat({"content": None, "function_call": {"name": "f", "arguments": ""}}, "stop")),
    (CHAT, chat({"content": None, "refusal": "I cannot"})),
    (CHAT, chat({"content": None, "audio": {"id": "a", "data": "UklGR", "transcript": "hi"}})),
    (CHAT, chat({"content": None, "reasoning_content": "thought for long"}, "length")),
    (CHAT, chat({"role": "assistant", "content": ""})),  # what the model chose to say
    (CHAT, chat({"role": "assistant", "content": ""}, "length")),  # the cap went into thinking
    (CHAT, chat({"role": "assistant", "content": None}, "content_filter")),
    (CHAT, chat(None, "content_filter")),
    *(
        (
            CHAT,
            {
                **chat({"content": None}, reason),
                "usage": {"prompt_tokens": 9, "completion_tokens": 5},
            },
        )
        for reason in ("MAX_TOKENS", "SAFETY", "end_turn", "refusal")
    ),
    (CHAT, {"choices": [{"error": {"code": 502}}, *chat({"content": "fine"})["choices"]]}),
    (CHAT, {"error": {"message": "told late"}, **chat({"content": "fine"})}),
    (COMPLETIONS, {"choices": [{"text": "fine", "finish_reason": "length"}]}),
    (COMPLETIONS, {"choices": [{"text": "", "finish_reason": "stop"}]}),
    (EMBEDDINGS, {"data": [{"object": "embedding", "index": 0, "embedding": [0.1]}]}),
    (EMBEDDINGS, {"data": [{"embedding": "zczMPQ=="}]}),
    (RESPONSES, {"object": "response", "status": "completed", "error": None, "output": []}),
    (RESPONSES, {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}),
    (RESPONSES, {"output": [{"type": "message"}]}),
    (MODERATIONS, {"results": [{"flagged": False}]}),
    ("/v1/rerank", {"results": [{"index": 0}]}),
    ("/v1/chat/completions?api-version=1", chat({"content": "fine"})),
    ("/v1/audio/speech", {"text": "fine"}),
]


@pytest.mark.parametrize(("endpoint", "body"), ANSWERS)
def test_an_answer_has_a_sign(endpoint: str, body: Any) -> None:
    """Something said, or a known reason to say nothing."""
    assert interpret(Response(200, {}, body), endpoint).decision is Decision.ANSWERED


NOTHING: list[tuple[str, Any, str]] = [
    *((endpoint, {}, "no_answer") for endpoint in sorted(ENDPOINTS)),
    (CHAT, {"choices": None}, "no_answer"),
    (CHAT, {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 0}}, "no_answer"),
    (CHAT, {"choices": [{}]}, "no_answer"),
    (CHAT, {"choices": [None]}, "no_answer"),
    (CHAT, {"choices": {"0": "x"}}, "no_answer"),
    (CHAT, chat(None), "no_answer"),
    (CHAT, chat({"role": "assistant", "content": None}), "no_answer"),
    (CHAT, chat({"role": "assistant", "content": ""}, None), "no_answer"),
    (CHAT, chat({"role": "assistant", "tool_calls": []}, "tool_calls"), "no_answer"),
    (CHAT, chat({"role": "assistant", "content": "half"}, "error"), "no_answer"),
    (CHAT, chat({"role": "assistant", "content": "half"}, {"type": "abort"}), "no_answer"),
    (CHAT, chat({"content": "", "provider_specific_fields": {"citations": None}}, ""), "no_answer"),
    (CHAT, {**chat({"content": ""}), "usage": {"prompt_tokens": 9, "completion_tokens": 0}},
     "no_answer"),
    (CHAT, chat({"content": ""}, "end_turn"), "no_answer"),
    (CHAT, {**chat({"content": "half"}, "network_error"),
            "usage": {"prompt_tokens": 9, "completion_tokens": 5}}, "no_answer"),
    (CHAT, {"output": [{"type": "message"}]}, "no_answer"),
    (CHAT, chat({"content": ""}, "stop", error={"message": "Provider failed"}), "error_in_answer"),
    (CHAT, {"status": "error", "message": "no worker"}, "error_in_answer"),
    (CHAT, {"detail": "no worker"}, "error_in_answer"),
    (CHAT, {"success": False, "errors": [{"message": "no worker"}]}, "error_in_answer"),
    (CHAT, {"base_resp": {"status_code": 1002, "status_msg": "no worker"}}, "1002"),
    (CHAT, {"error": "no worker", "choices": None}, "error_in_answer"),
    (CHAT, {"error": {"type": "upstream_error", "message": "no worker"}}, "upstream_error"),
    (CHAT, {"error": {"code": 504, "message": "Loading model"}}, "504"),
    (CHAT, chat({"content": ""}, "error", error={"code": 502, "message": "no"}), "502"),
    (EMBEDDINGS, {"object": "list", "data": []}, "no_answer"),
    (EMBEDDINGS, {"data": [{"embedding": []}]}, "no_answer"),
    (RESPONSES, {"status": "cancelled", "output": []}, "no_answer"),
    (RESPONSES, {"status": "failed", "error": {"code": "server_error", "message": "x"}},
     "server_error"),
    (RESPONSES, {"status": "completed", "output": [], "error": {"code": "x", "message": "y"}}, "x"),
    (RESPONSES, chat({"content": "fine"}), "no_answer"),
    (MODERATIONS, {"results": []}, "no_answer"),
    ("/v1/audio/speech", {"object": "error"}, "no_answer"),
]  # fmt: skip


@pytest.mark.parametrize(("endpoint", "body", "code"), NOTHING)
def test_what_has_none_is_tried_again(endpoint: str, body: Any, code: str) -> None:
    """The failure of an upstream looks like anything, so its own words decide nothing."""
    found = interpret(Response(200, {}, body), endpoint)
    assert (found.decision, found.code) == (Decision.TRANSIENT, code)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, {"object": "response", "status": "queued", "output": []}),
        (200, {"status": "in_progress"}),
        (202, {"id": "job-1", "status": "accepted"}),
        (202, {}),
        (202, ""),
    ],
)
def test_a_receipt_is_not_asked_for_again(status: int, body: Any) -> None:
    """The work has been taken in: a second request would have it done and billed twice."""
    found = interpret(Response(status, {}, body, is_json=body != ""), RESPONSES)
    assert (found.decision, found.code) == (Decision.FAIL, "not_finished")


def test_a_receipt_that_names_a_time_is_tried_again() -> None:
    """It asks to come again."""
    found = interpret(Response(202, {"retry-after": "4"}, {"status": "loading"}), CHAT)
    assert (found.decision, found.delay) == (Decision.TRANSIENT, 4.0)


def test_an_answer_with_202_is_an_answer() -> None:
    """The sign decides, not the status."""
    found = interpret(Response(202, {}, chat({"content": "fine"})), CHAT)
    assert found.decision is Decision.ANSWERED


PAGE = "<!DOCTYPE html>\n<html><head><title>\n Web &amp; UI</title></head><body>app</body></html>"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (PAGE, 'status 200, but no JSON object: a web page, "Web & UI"'),
        ("<html>no title", "status 200, but no JSON object: a web page"),
        ("", "status 200, but no JSON object: an empty body"),
        ("see\n\tother", "status 200, but no JSON object: see other"),
    ],
)
def test_a_page_is_told_by_its_title(text: str, told: str) -> None:
    """It is tried again: what all rows get is for others to see."""
    found = interpret(Response(200, {}, text, is_json=False), CHAT)
    assert (found.decision, found.code, found.message) == (
        Decision.TRANSIENT, "garbled_answer", told,
    )  # fmt: skip
    assert interpret(Response(502, {}, PAGE, is_json=False)).message == (
        'HTTP status 502: a web page, "Web & UI"'
    )


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"errors": {"general": {"msg": "too hot"}}}, "too hot"),
        ({"fault": {"faultstring": "too hot", "detail": {"errorcode": "x"}}}, "too hot"),
        ({"error": True, "message": "too hot"}, "too hot"),
        ({"error": [{"message": "too hot"}]}, "too hot"),
        ({"error": "Overheated", "message": "too hot"}, "Overheated: too hot"),
        ({"detail": [{"loc": ["body"], "msg": "too hot"}]}, "too hot"),
        ({"title": "too hot", "status": 500}, "too hot"),
        ({"Message": "too hot"}, "too hot"),
        ({"a": {"b": 1}}, 'HTTP status 500: {"a": {"b": 1}}'),
        ({}, "HTTP status 500"),
        (None, "HTTP status 500"),
    ],
)
def test_an_error_is_found_in_any_shape(body: Any, message: str) -> None:
    """Wherever its message stands; without one the body is told."""
    assert interpret(Response(500, {}, body)).message == message


@pytest.mark.parametrize(
    "status", [*PASSING, 101, 304, 307, 420, 444, 460, 500, 502, 504, 520, 524, 530, 599]
)
def test_statuses_that_pass(status: int) -> None:
    """By the table, or because nobody has said what they mean; whatever the body is."""
    assert interpret(Response(status, {}, "", is_json=False)).decision is Decision.TRANSIENT


@pytest.mark.parametrize("status", [*LASTING, 400, 405, 410, 415, 418, 422, 451])
def test_statuses_that_last(status: int) -> None:
    """And so for the same request."""
    assert interpret(Response(status, {}, "", is_json=False)).decision is Decision.FAIL


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        (460, {}, {"error": {"message": "No room now. Please try again later."}}),
        (400, {"retry-after": "2"}, {}),
        (403, {}, {"message": "secondary limit, retry in a few minutes"}),
        (400, {}, {"message": "Service temporarily unavailable"}),
        (404, {}, {"error": "The model is loading, try again in 20 seconds"}),
    ],
)
def test_who_asks_to_come_again_is_asked_again(
    status: int, headers: dict[str, str], body: Any
) -> None:
    """With any status: by a time, or in words, which only costs a few requests."""
    assert interpret(Response(status, headers, body)).decision is Decision.TRANSIENT


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["choices", "message", "content", "finish_reason", "error", "status", "data",
                 "usage", "prompt_tokens", "total_tokens", "type", "msg", "delta", "index"]
            ),
            inner,
        )
    ),
    max_leaves=12,
)  # fmt: skip


@given(
    status=st.sampled_from([200, 202, 204, 400, 498, 501, 599]),
    endpoint=st.sampled_from([*sorted(ENDPOINTS), "", "/x?y"]),
    body=VALUES,
)
def test_no_body_makes_it_raise(status: int, endpoint: str, body: Any) -> None:
    """Whatever shape it has, there is a decision and a sentence."""
    found = interpret(Response(status, {}, body, is_json=not isinstance(body, str)), endpoint)
    assert isinstance(found.message, str)
    assert found.usage is None or found.usage.tokens > 0


def test_depth_counts_as_said() -> None:
    """A body nested without end is not followed to its bottom."""
    value: Any = "x"
    for _ in range(5_000):
        value = [value]
    assert holds_answer(chat({"content": value}), CHAT, Usage(1, 1))
    assert not holds_answer(chat({"content": None, "role": value}), CHAT, Usage(1, 1))
    interpret(Response(500, {}, {"error": value}))
    interpret(Response(500, {}, {"a": value}))


def test_a_proxy_that_asks_for_a_password_stops_the_job() -> None:
    """No row is at fault, and neither is the key."""
    found = interpret(Response(407, {}, "", is_json=False))
    assert (found.decision, found.code) == (Decision.STOP, "proxy_authentication")
