"""What is refused, and what the refusal says."""

from __future__ import annotations

from enum import IntEnum
from types import MappingProxyType
from typing import Any, NoReturn, cast

import pytest

from ratedispatch.errors import InvalidRequest
from ratedispatch.tokens import Counter, UnreadValueWarning, count_tokens, estimate
from ratedispatch.tokens.typescript import render

CHAT = "/v1/chat/completions"
RESPONSES = "/v1/responses"
EMBEDDINGS = "/v1/embeddings"
COMPLETIONS = "/v1/completions"
#: The head of a picture of 64 × 64 px.
PNG = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAEAAAABACAIAAAAlC+aJ"


def chat(*messages: Any, **more: Any) -> dict[str, Any]:
    return {"model": "gpt-4o", "messages": list(messages), **more}


def user(content: Any, **more: Any) -> dict[str, Any]:
    return {"role": "user", "content": content, **more}


def deep(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(levels):
        schema = {"type": "object", "properties": {"x": schema}}
    return schema


def tool(**function: Any) -> dict[str, Any]:
    return {"type": "function", "function": function}


BAD: list[tuple[str, Any, str]] = [
    (CHAT, {"model": "gpt-4o"}, "messages: expected a list, got nothing"),
    (CHAT, {"model": "gpt-4o", "messages": "hi"}, "messages: expected a list, got str"),
    (CHAT, chat("hi"), "messages[0]: expected an object, got str"),
    (CHAT, chat(user("a"), user("b"), user("c"), user(7)),
     "messages[3].content: expected a string or a list of parts, got int"),
    (CHAT, chat(user({"text": "a"})), "messages[0].content: expected a string or a list of parts"),
    (CHAT, chat({"content": "a"}), "messages[0].role: expected a string, got null"),
    (CHAT, chat({"role": ["user"], "content": "a"}), "messages[0].role: expected a string"),
    (CHAT, chat(user("a", name=1)), "messages[0].name: expected a string, got int"),
    (CHAT, chat(user("a", refusal=1)), "messages[0].refusal: expected a string, got int"),
    (CHAT, chat(user([7])), "messages[0].content[0]: expected an object, got int"),
    (CHAT, chat(user([{"text": "a"}])), "messages[0].content[0].type: expected a string, got null"),
    (CHAT, chat(user([{"type": "text"}])), "messages[0].content[0].text: expected a string"),
    (CHAT, chat(user([{"type": "refusal", "refusal": 1}])),
     "content[0].refusal: expected a string"),
    (CHAT, chat(user([{"type": "image_url"}])), "content[0].image_url: expected an object with a"),
    (CHAT, chat(user([{"type": "image_url", "image_url": 7}])), "image_url: expected an object"),
    (CHAT, chat(user([{"type": "image_url", "image_url": {}}])),
     "image_url.url: expected a string"),
    (CHAT, chat(user([{"type": "image_url", "image_url": {"url": "x", "detail": 1}}])),
     "content[0].detail: expected a string, got int"),
    (CHAT, chat(user([{"type": "input_audio", "input_audio": 1}])), "input_audio: expected an obj"),
    (CHAT, chat(user([{"type": "input_audio", "input_audio": {}}])),
     "input_audio.data: expected a"),
    (CHAT, chat(user([{"type": "file", "file": None}])), "content[0].file: expected an object"),
    (CHAT, chat(user([{"type": "file", "file": {"file_data": 1}}])),
     "file_data: expected a string"),
    (CHAT, chat(user("a", tool_calls={})), "messages[0].tool_calls: expected a list, got dict"),
    (CHAT, chat(user("a", tool_calls=[1])), "messages[0].tool_calls[0]: expected an object"),
    (CHAT, chat(user("a", tool_calls=[{}])),
     "tool_calls[0].function: expected an object, got null"),
    (CHAT, chat(user("a", function_call=[])), "messages[0].function_call: expected an object"),
    (CHAT, chat(user("a", function_call={"name": 1})), "function_call.name: expected a string"),
    (CHAT, chat(tools={}), "tools: expected a list, got dict"),
    (CHAT, chat(tools=[1]), "tools[0]: expected an object, got int"),
    (CHAT, chat(tools=[{"type": "function"}]), "tools[0].function: expected an object, got null"),
    (CHAT, chat(tools=[tool()]), "tools[0].function.name: expected a string, got null"),
    (CHAT, chat(tools=[tool(name="a", description=1)]), "tools[0].function.description: expected"),
    (CHAT, chat(tools=[tool(name="a", parameters=[])]), "tools[0].function.parameters: expected"),
    (CHAT, chat(functions=3), "functions: expected a list, got int"),
    (CHAT, chat(functions=[{"name": 1}], model="gpt-4"), "functions[0].name: expected a string"),
    (CHAT, chat(functions=[1], model="gpt-4"), "functions[0]: expected an object, got int"),
    (CHAT, chat(prediction="x"), "prediction: expected an object, got str"),
    (CHAT, chat(prediction={"content": 1}), "prediction.content: expected a string or a list of"),
    (CHAT, chat(user("a", audio="x")), "messages[0].audio: expected an object, got str"),
    (CHAT, chat(user("a", audio={"data": 1})), "messages[0].audio.data: expected a string"),
    (CHAT, chat(user([{"type": "image", "source": {"data": 1}}])),
     "content[0].source.data: expected a string"),
    (CHAT, chat(tool_choice=1), "tool_choice: expected an object, got int"),
    (CHAT, chat(function_call=[]), "function_call: expected an object, got list"),
    (CHAT, chat(response_format="json"), "response_format: expected an object, got str"),
    (CHAT, chat(n="two"), "n: expected an integer from 1 to 2147483647, got str"),
    (CHAT, chat(n=True), "n: expected an integer from 1 to 2147483647, got bool"),
    (CHAT, chat(n=0), "n: expected an integer from 1 to 2147483647, got a smaller one"),
    (CHAT, chat(max_tokens=-1), "max_tokens: expected an integer from 0 to 2147483647, got a sm"),
    (CHAT, chat(max_tokens=10**5_000), "max_tokens: expected an integer from 0 to 2147483647"),
    (CHAT, chat(max_completion_tokens=1.5),
     "max_completion_tokens: expected an integer from 0 to 2147483647, got float"),
    (RESPONSES, {}, "input: expected a string or a list of items, got nothing"),
    (RESPONSES, {"input": 1}, "input: expected a string or a list of items, got int"),
    (RESPONSES, {"input": ["a"]}, "input[0]: expected an object, got str"),
    (RESPONSES, {"input": [{"type": 1}]}, "input[0].type: expected a string, got int"),
    (RESPONSES, {"input": [{"content": "a"}]}, "input[0].role: expected a string, got null"),
    (RESPONSES, {"input": [user([{"type": "input_text"}])]}, "input[0].content[0].text: expected"),
    (RESPONSES, {"input": "a", "instructions": 7}, "instructions: expected a string or a list"),
    (RESPONSES, {"input": "a", "tools": [{"type": "function"}]},
     "tools[0].name: expected a string"),
    (RESPONSES, {"input": "a", "text": []}, "text: expected an object, got list"),
    (RESPONSES, {"input": "a", "text": {"format": 1}}, "text.format: expected an object, got int"),
    (RESPONSES, {"input": "a", "max_output_tokens": []}, "max_output_tokens: expected an integer"),
    (EMBEDDINGS, {}, "input: expected a string, a list of strings, or token ids, got nothing"),
    (EMBEDDINGS, {"input": {}}, "input: expected a string, a list of strings, or token ids, got"),
    (EMBEDDINGS, {"input": [None]}, "input[0]: expected a string or a list of token ids, got null"),
    (EMBEDDINGS, {"input": [1, "a"]}, "input[1]: expected a token id, got str"),
    (EMBEDDINGS, {"input": [[1], [True]]}, "input[1][0]: expected a token id, got bool"),
    (COMPLETIONS, {"prompt": None}, "prompt: expected a string, a list of strings, or token ids"),
    (COMPLETIONS, {"prompt": "a", "suffix": 1}, "suffix: expected a string, got int"),
    (COMPLETIONS, {"prompt": "a", "best_of": []}, "best_of: expected an integer from 1 to"),
]  # fmt: skip


#: What cannot be sent at all, whatever the server takes.
REFUSED: list[tuple[str, Any, str]] = [
    (CHAT, [], "body: expected an object, got list"),
    (CHAT, None, "body: expected an object, got null"),
    (CHAT, chat(tools=[tool(name="a", parameters=deep(10_000))]), "tools: nested too deeply"),
    (CHAT, chat(tools=[tool(name="a", parameters={"x": {1, 2}})]), "tools: not representable as"),
    (CHAT, chat(tools=[tool(name="a", parameters={"x": 10**5_000})]), "tools: not representable"),
    ("/v1/images", {}, "endpoint: expected one of /v1/chat/completions"),
]  # fmt: skip


@pytest.mark.parametrize(("endpoint", "body", "message"), REFUSED)
def test_what_is_no_json_is_refused_by_its_field(endpoint: str, body: Any, message: str) -> None:
    """An InvalidRequest says where, what was expected, what came."""
    for weigh in (count_tokens, estimate):
        with pytest.raises(InvalidRequest) as caught:
            weigh(body, endpoint)
        assert message in str(caught.value)


@pytest.mark.parametrize(("endpoint", "body", "message"), BAD)
def test_what_cannot_be_read_is_counted_and_named_once(
    endpoint: str, body: Any, message: str
) -> None:
    """Counting estimates and the server judges; one warning says where, and what was expected."""
    counter = Counter()
    if isinstance(body, dict) and not body.get("model"):
        body = {"model": "gpt-4o", **body}
    with pytest.warns(UnreadValueWarning) as caught:
        cost = counter.estimate(body, endpoint)
    assert message in str(caught[0].message)
    assert cost.prompt_tokens > 0
    assert counter.estimate(body, endpoint) == cost  # without a second warning


def test_an_unread_request_weighs_its_text_and_its_pictures() -> None:
    """A million characters of base64 stay a picture, and all of the weight is an assumption."""
    body = chat(user([7, {"type": "image_url", "image_url": {"url": PNG + "A" * 1_000_000}}]))
    with pytest.warns(UnreadValueWarning):
        cost = Counter().estimate(body)
    assert 255 < cost.prompt_tokens < 400  # one tile of a picture
    assert cost.assumed_tokens == cost.prompt_tokens


@pytest.mark.parametrize(
    ("fields", "cap", "choices"),
    [
        ({"max_tokens": None}, None, 1),
        ({"max_tokens": "100", "n": "2"}, 100, 2),
        ({"max_tokens": 1e3, "n": 2.0}, 1_000, 2),
        ({"max_tokens": 0}, 0, 1),
    ],
)
def test_numbers_are_read_as_leniently_as_servers_do(
    fields: dict[str, Any], cap: int | None, choices: int
) -> None:
    """Digits in a string and a float without a fraction are numbers, and nothing is said."""
    cost = Counter().estimate(chat(user("hello"), **fields), default_output_tokens=7)
    assert (cost.is_capped, cost.choices) == (cap is not None, choices)
    assert cost.expected_output_tokens == (7 if cap is None else cap) * choices


HELLO = 8  # user "hello": hmarr/openai-chat-tokens


@pytest.mark.parametrize(
    "body",
    [
        chat(user("hello")),
        chat(user("hello"), tools=None, tool_choice=None, n=None, max_tokens=None),
        chat(user("hello"), tools=[], functions=[], response_format={"type": "text"}),
        chat(user("hello"), tools=(), functions=(), model="gpt-4"),
        chat(user("hello", name=None, refusal=None, tool_calls=None, function_call=None)),
        chat(user([{"type": "text", "text": "hello"}])),
        chat(user(["hello"])),
        chat(user("hello"), tool_choice="auto", function_call="auto", temperature=0),
        chat(MappingProxyType(user("hello"))),
        MappingProxyType({"model": "gpt-4o", "messages": (user("hello"),)}),
        {"messages": [user("hello")], "temperature": 1},
    ],
)
def test_other_spellings_count_the_same(body: Any) -> None:
    """Nulls, parts, empty lists and other mappings change nothing."""
    assert count_tokens(body) == HELLO


@pytest.mark.parametrize(
    "endpoint",
    [
        "/v1/chat/completions",
        "/chat/completions",
        "chat/completions",
        "/openai/deployments/mine/chat/completions?api-version=2024-10-21",
        "https://api.openai.com/v1/chat/completions/",
    ],
)
def test_endpoints_are_known_by_their_end(endpoint: str) -> None:
    """Addresses of other providers end like OpenAI's."""
    assert count_tokens(chat(user("hello")), endpoint) == HELLO


def test_moderations_are_free() -> None:
    """Moderation costs a request and no tokens, whatever its model."""
    body = {"model": "omni-moderation-latest", "input": "hello"}
    assert count_tokens(body, "/v1/moderations") == 0
    cost = estimate(body, "/v1/moderations")
    assert (cost.tokens, cost.requests) == (0, 1)
    assert count_tokens({"model": 5}, "/v1/moderations") == 0
    with pytest.raises(InvalidRequest, match="body: expected an obj"):
        count_tokens(cast("Any", []), "/v1/moderations")


@pytest.mark.parametrize(
    ("endpoint", "encoding", "message"),
    [
        (None, None, "endpoint: expected a string, got null"),
        ([], None, "endpoint: expected a string, got list"),
        (b"x", None, "endpoint: expected a string, got bytes"),
        (CHAT, [], "encoding: expected a string, got list"),
        (CHAT, 7, "encoding: expected a string, got int"),
    ],
)
def test_wrong_arguments_are_named(endpoint: Any, encoding: Any, message: str) -> None:
    """What stands beside the body is checked as the body is."""
    for weigh in (count_tokens, estimate):
        with pytest.raises(ValueError, match=message):
            weigh(chat(user("hello")), endpoint, encoding=encoding)


def test_additions_raise_the_count() -> None:
    """Whatever is added to a request is counted in some way."""
    plain = count_tokens(chat(user("hello")))
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    custom = {"id": "call_1", "type": "custom", "custom": {"name": "f", "input": "run"}}
    schema = {"type": "json_schema", "json_schema": {"name": "x", "schema": deep(2)}}
    for body in (
        chat(user("hello", name="ann")),
        chat(user("hello", tool_calls=[call])),
        chat(user("hello", tool_calls=[custom])),
        chat(user("hello", function_call={"name": "f", "arguments": {"a": 1}})),
        chat(user("hello", function_call={"name": "f"})),
        chat(user("hello"), tools=[MappingProxyType(tool(name="f"))]),
        chat(user("hello", refusal="no")),
        chat(user("hello", audio={"id": "audio_1"})),
        chat(user("hello"), prediction={"type": "content", "content": "hello"}),
        chat(user("hello"), tools=[tool(name="f")]),
        chat(user("hello"), tools=[{"type": "custom", "custom": {"name": "f"}}]),
        chat(user("hello"), tool_choice="none"),
        chat(user("hello"), tool_choice=tool(name="f")),
        chat(user("hello"), tool_choice={"type": "allowed_tools", "allowed_tools": {}}),
        chat(user("hello"), response_format=schema),
        chat(user("hello"), {"role": "tool", "tool_call_id": "call_1", "content": "1"}),
        chat(user([{"type": "text", "text": "hello"}, {"type": "video_url", "video_url": "x"}])),
    ):
        assert count_tokens(body) > plain


def test_nested_tools_weigh_more_than_flat_ones() -> None:
    """Every property of a nested schema is counted, and so is what no rule describes."""
    sizes = [
        count_tokens(chat(tools=[tool(name="f", parameters=parameters)]))
        for parameters in (
            deep(0),
            deep(1),
            deep(2),
            deep(3),
            {"type": "object", "properties": {"x": {"type": "array", "items": deep(3)}}},
            {**deep(90), "$defs": {"a": deep(20)}},
        )
    ]
    assert sizes == sorted(set(sizes))
    odd = {"properties": ["x"], "items": True}
    assert count_tokens(chat(tools=[tool(name="f", parameters=odd)])) > sizes[0]
    union = {"properties": {"x": {"type": ["string", "null"], "enum": ["a", None]}}}
    assert count_tokens(chat(tools=[tool(name="f", parameters=union)])) > sizes[0]


def test_schemas_of_other_properties_are_counted() -> None:
    """What stands below additionalProperties is seen by the model; true and false are not."""
    inner = {"type": "object", "properties": {"a": {"type": "string", "description": "word " * 50}}}
    plain, closed, open_ = (
        count_tokens(chat(tools=[tool(name="f", parameters={"type": "object", **more})]))
        for more in ({}, {"additionalProperties": False}, {"additionalProperties": inner})
    )
    assert plain == closed
    assert open_ > plain + 50


class _Schema(dict[str, Any]):
    """A schema that may be asked for a field, but not be copied."""

    def keys(self) -> NoReturn:
        raise AssertionError("it was copied")


def test_each_type_of_a_list_is_rendered_without_a_copy() -> None:
    """A list of types takes time by its length, not by its length times the schema's."""
    schema = _Schema({"type": ["string", "integer", "null", "string"], "enum": ["a", 1]})
    function = {"name": "f", "parameters": {"properties": {"x": schema}}}
    assert 'x?: "a" | 1 | "a" | 1 | null,' in render([function])


def test_older_functions_with_odd_schemas_are_rendered_somehow() -> None:
    """TypeScript rendering takes any schema: unions, arrays, depth, and what is no schema."""
    for parameters in (
        deep(100),
        {"properties": {"a": 7, "b": {"type": ["object", "null"]}, "c": {"type": []}}},
        {"properties": {"a": {"type": "array"}, "b": {"type": {}}, "c": {"anyOf": []}}},
        {"properties": {"a": {"type": "object", "properties": 3}}, "required": "a"},
        {"properties": 9},
    ):
        function = {"name": "f", "parameters": parameters}
        assert count_tokens(chat(functions=[function], model="gpt-4")) > 10
    with_system = chat({"role": "system", "content": []}, functions=[{"name": "f"}], model="gpt-4")
    assert count_tokens(with_system) > 10


def test_responses_items_are_counted() -> None:
    """Every kind of item adds to the count, and stored input may stand for missing input."""
    assert count_tokens({"model": "gpt-4.1", "previous_response_id": "r"}, RESPONSES) == 3
    plain = count_tokens({"model": "gpt-5", "input": [user("hello")]}, RESPONSES)
    for more in (
        {"type": "function_call", "name": "f", "arguments": "{}", "call_id": "c"},
        {"type": "custom_tool_call", "name": "f", "input": "run"},
        {"type": "function_call_output", "output": "1"},
        {"type": "computer_call_output", "output": {"type": "computer_screenshot"}},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "so"}]},
        {"type": "reasoning", "summary": [], "encrypted_content": "gAAAA"},
        {"type": "web_search_call", "id": "ws_1", "action": {"type": "search", "query": "x"}},
        {"role": "assistant", "content": [{"type": "output_text", "text": "hi"}]},
    ):
        body = {"model": "gpt-5", "input": [user("hello"), more]}
        assert count_tokens(body, RESPONSES) > plain
    settings: list[tuple[str, Any]] = [
        ("instructions", "Be brief."),
        ("prompt", {"id": "p", "variables": {"x": "y"}}),
        ("tools", [{"type": "web_search"}]),
        ("tools", [{"type": "function", "name": "f"}]),
        ("tool_choice", {"type": "function", "name": "f"}),
        ("text", {"format": {"type": "json_schema", "name": "x", "schema": deep(1)}}),
    ]
    for key, value in settings:
        body = {"model": "gpt-5", "input": [user("hello")], key: value}
        assert count_tokens(body, RESPONSES) > plain
    assert count_tokens({"model": "gpt-5", "input": "hello", "text": {}}, RESPONSES) == plain


class _Id(IntEnum):
    HELLO = 15339
    WORLD = 1917


def test_plain_inputs_of_all_shapes() -> None:
    """Texts count their tokens and lists of ids their length, alone or several at once."""
    # "hello world" has two tokens in both encodings: see the published vectors
    for given, tokens in (
        ("hello world", 2),
        (["hello world", "hello world"], 4),
        ([15339, 1917, 0], 3),
        ([[15339], [1917, 0]], 3),
        ([_Id.HELLO, _Id.WORLD], 2),
        (list(range(70_000)), 70_000),
        ("", 0),
        ([], 0),
    ):
        for endpoint, key in ((EMBEDDINGS, "input"), (COMPLETIONS, "prompt")):
            assert count_tokens({"model": "davinci-002", key: given}, endpoint) == tokens
    body = {"model": "davinci-002", "prompt": "hello world", "suffix": "hello world"}
    assert count_tokens(body, COMPLETIONS) == 4
