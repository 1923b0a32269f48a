"""Answers of a shape that was asked for: structured outputs and calls of functions."""

from __future__ import annotations

import datetime  # noqa: TC003 - pydantic reads it
import enum
import json
from typing import TYPE_CHECKING, Any, Literal

import openai
import pytest
from pydantic import BaseModel, Field

from ratedispatch.request import CHAT, RESPONSES
from ratedispatch.simulate.server.child import FakeServerProcess
from tests.sdk_features import needs_newer_sdk
from tests.simulate.providers import ask, chat, make_provider

if TYPE_CHECKING:
    from collections.abc import Iterator

MESSAGES: Any = [{"role": "user", "content": "Who is Joseph Conrad?"}]


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Node(BaseModel):
    name: str
    left: Node | None
    right: Node | None


class Author(BaseModel):
    name: str
    born: datetime.date
    books: int = Field(ge=3, le=40)
    ratio: float
    is_read: bool
    colour: Colour
    kind: Literal["novelist", "poet"]
    titles: list[str] = Field(min_length=2)
    tree: Node
    short: str = Field(max_length=4)
    either: int | str
    nothing: None


@pytest.fixture(scope="module")
def server() -> Iterator[FakeServerProcess]:
    with FakeServerProcess("--charge", "characters", "--latency", "0") as server:
        yield server


@pytest.fixture(scope="module")
def client(server: FakeServerProcess) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=server.base_url, api_key="any", max_retries=0) as client:
        yield client


def check(author: Author | None) -> None:
    assert author is not None
    assert author.name.startswith("answer to ")
    assert (author.books, author.short, author.colour) == (3, "answ", Colour.RED)
    assert len(author.titles) == 2


@needs_newer_sdk
def test_the_sdk_parses_models(client: openai.OpenAI) -> None:
    """Chat and responses; whole and as streams, with every event checked by the helper."""
    model: Any = {"model": "gpt-5-mini", "max_output_tokens": 500}
    chat_model: Any = {"model": "gpt-5-mini", "max_completion_tokens": 500, "messages": MESSAGES}
    completion = client.chat.completions.parse(**chat_model, response_format=Author)
    check(completion.choices[0].message.parsed)
    response = client.responses.parse(**model, input="Hi", text_format=Author)
    check(response.output_parsed)
    with client.chat.completions.stream(**chat_model, response_format=Author) as chunks:
        check(chunks.get_final_completion().choices[0].message.parsed)
    with client.responses.stream(**model, input="Hi", text_format=Author) as events:
        check(events.get_final_response().output_parsed)


@needs_newer_sdk
def test_the_sdk_parses_calls_of_functions(client: openai.OpenAI) -> None:
    """The function that is named, or the last where any will do; whole and as streams."""
    tools = [openai.pydantic_function_tool(Node), openai.pydantic_function_tool(Author)]
    options: Any = {
        "model": "gpt-5-mini",
        "messages": MESSAGES,
        "max_completion_tokens": 500,
        "tools": tools,
    }
    choice: Any
    for choice in ("required", {"type": "function", "function": {"name": "Author"}}):
        completion = client.chat.completions.parse(**options, tool_choice=choice)
        with client.chat.completions.stream(**options, tool_choice=choice) as chunks:
            streamed = chunks.get_final_completion()
        for found in (completion, streamed):
            assert found.choices[0].finish_reason == "tool_calls"
            calls = found.choices[0].message.tool_calls
            assert calls is not None
            (call,) = calls
            assert call.function.name == "Author"
            check(Author.model_validate_json(call.function.arguments))
    plain = client.chat.completions.create(**options)
    assert plain.choices[0].message.content is not None


@needs_newer_sdk
def test_responses_call_functions(client: openai.OpenAI) -> None:
    parameters = Author.model_json_schema()
    options: Any = {
        "model": "gpt-5-mini",
        "input": "Hi",
        "max_output_tokens": 500,
        "tools": [{"type": "function", "name": "author", "parameters": parameters, "strict": True}],
        "tool_choice": {"type": "function", "name": "author"},
    }
    whole = client.responses.create(**options)
    with client.responses.stream(**options) as events:
        names = {event.type for event in events}
        streamed = events.get_final_response()
    assert "response.function_call_arguments.delta" in names
    for found in (whole, streamed):
        item: Any
        (item,) = found.output
        assert item.type == "function_call"
        assert item.name == "author"
        check(Author.model_validate_json(item.arguments))


def text(body: dict[str, Any], path: str = CHAT) -> str:
    found = json.loads(ask(make_provider(), body, path=path).body)
    if path == RESPONSES:
        return str(found["output"][0]["content"][0]["text"])
    return str(found["choices"][0]["message"]["content"])


def test_json_mode_is_an_object() -> None:
    assert set(json.loads(text(chat(response_format={"type": "json_object"})))) == {"answer"}
    body = {"model": "m", "input": "Hi", "text": {"format": {"type": "json_object"}}}
    assert set(json.loads(text(body, RESPONSES))) == {"answer"}


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array", "minItems": "two"},
        {"type": "object", "required": 7},
        {"type": "number", "multipleOf": 0},
        {"type": "integer", "minimum": "x"},
        {"type": "string", "maxLength": {}},
    ],
)
def test_a_schema_that_makes_no_sense_is_answered_with_the_sentence(schema: Any) -> None:
    shape = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    assert text(chat(response_format=shape)).startswith("answer to ")


def test_a_schema_that_has_no_end_is_cut_off() -> None:
    """Two of itself in each: what can be left out is, and the rest is cut."""
    schema = {"type": "object", "properties": {"a": {"$ref": "#"}, "b": {"$ref": "#"}}}
    shape = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    assert len(text(chat(response_format=shape))) < 200_000


@pytest.mark.parametrize(
    ("bounds", "number"),
    [
        ({}, 1),
        ({"minimum": 5}, 5),
        ({"maximum": -3}, -3),
        ({"exclusiveMinimum": 1}, 2),
        ({"exclusiveMaximum": 1}, 0),
        ({"minimum": 7, "multipleOf": 5}, 10),
    ],
)
def test_numbers_keep_to_their_bounds(bounds: dict[str, int], number: int) -> None:
    schema = {"type": "integer", **bounds}
    shape = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    assert json.loads(text(chat(response_format=shape))) == number
