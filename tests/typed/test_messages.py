"""Messages and items that are objects of the SDK, as an answer gives them."""

from __future__ import annotations

from typing import Any

import pytest

import ratedispatch as rd
from ratedispatch.request import RESPONSES, Cost
from tests.sdk_features import needs_newer_sdk

CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
MESSAGE = {"role": "assistant", "content": None, "tool_calls": [CALL]}
ITEM = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
ASKED = {"role": "user", "content": [{"type": "text", "text": "x"}]}


def answered(request: rd.Request, body: dict[str, Any]) -> Any:
    return rd.Completed(request, rd.Response(200, {}, body), Cost(1), None, 1, 0.1).completion


def test_a_chat_goes_on_from_a_message_of_an_answer() -> None:
    """As the SDK sends it: what the model did not say is not said back."""
    first = rd.Request.chat(model="gpt-4o", messages=[ASKED])
    said = answered(first, {"choices": [{"index": 0, "message": MESSAGE}]}).choices[0].message
    assert type(said).__name__ == "ChatCompletionMessage"
    whole = rd.Request.chat(model="gpt-4o", messages=[ASKED, said])
    held = rd.Request.chat(
        model="gpt-4o",
        messages=[ASKED, {"role": "assistant", "content": None, "tool_calls": said.tool_calls}],
    )
    assert whole.body["messages"] == held.body["messages"] == [ASKED, MESSAGE]


@needs_newer_sdk
def test_a_response_goes_on_from_the_output_of_another() -> None:
    first = rd.Request.responses(model="gpt-4o", input=[ASKED])
    output = answered(first, {"output": [ITEM], "status": "completed"}).output
    assert rd.Request.responses(model="gpt-4o", input=[ASKED, *output]).body["input"] == [
        ASKED,
        ITEM,
    ]
    assert first.endpoint == RESPONSES


@pytest.mark.parametrize("odd", [{1, 2}, object(), b"x"])
def test_anything_else_is_left_as_it_is(odd: object) -> None:
    """To be told by who counts it."""
    made = rd.Request.chat(model="gpt-4o", messages=[{"role": "user", "content": odd}])
    assert made.body["messages"][0]["content"] is odd
