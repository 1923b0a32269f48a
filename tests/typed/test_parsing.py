"""Answers as objects: what fits, and what is said of the rest."""

from __future__ import annotations

import dataclasses
import json
import sys
from typing import TYPE_CHECKING, Any

import openai.types
import openai.types.chat
import pydantic
import pytest

import ratedispatch as rd
from ratedispatch.request import COMPLETIONS, EMBEDDINGS, MODERATIONS, RESPONSES

if TYPE_CHECKING:
    from collections.abc import Callable


class City(pydantic.BaseModel):
    name: str
    people: int


@dataclasses.dataclass
class Town:
    name: str


#: What the SDK makes of a response, if it is new enough to know them.
RESPONSE = getattr(getattr(openai.types, "responses", None), "Response", None)

CHAT_REQUEST = rd.Request.chat(model="gpt-4o", messages=[], custom_id="c-1")
SCHEMA = {
    "title": "city",
    "type": "object",
    "properties": {"name": {"type": "string"}, "people": {"type": "integer"}},
    "required": ["name", "people"],
}
PARIS = '{"name": "Paris", "people": 2100000}'


def completed(body: Any, endpoint: str = "/v1/chat/completions") -> rd.Completed:
    request = rd.Request({"model": "gpt-4o"}, endpoint, custom_id="c-1")
    return rd.Completed(request, rd.Response(200, {"x-request-id": "req-7"}, body), rd.Cost(1))


def chat(content: Any, finish: str = "stop", **message: Any) -> rd.Completed:
    message = {"role": "assistant", "content": content, **message}
    return completed({"choices": [{"index": 0, "message": message, "finish_reason": finish}]})


def response(text: str, status: str = "completed", **more: Any) -> rd.Completed:
    parts = [{"type": "output_text", "text": text, "annotations": []}]
    items = [
        {"type": "reasoning", "summary": []},
        {"type": "message", "role": "assistant", "content": parts},
    ]
    return completed({"object": "response", "status": status, "output": items, **more}, RESPONSES)


@pytest.mark.parametrize(
    "outcome",
    [chat(PARIS), response(PARIS), chat([{"type": "text", "text": PARIS}])],
    ids=["chat", "response", "parts"],
)
def test_an_answer_becomes_an_object_of_the_model(outcome: rd.Completed) -> None:
    assert outcome.parsed(City) == City(name="Paris", people=2_100_000)
    assert outcome.parsed(Town) == Town("Paris")
    assert outcome.parsed(dict[str, Any]) == json.loads(PARIS)
    assert outcome.text == PARIS


def test_an_answer_is_checked_by_a_schema() -> None:
    pytest.importorskip("jsonschema")
    assert chat(PARIS).parsed(SCHEMA) == response(PARIS).parsed(SCHEMA) == json.loads(PARIS)


REFUSED = {"output": [{"type": "message", "content": [{"type": "refusal", "refusal": "I won't."}]}]}


@pytest.mark.parametrize(
    ("outcome", "reason", "message"),
    [
        (chat(None, refusal="I won't."), "refused", "request 'c-1': the model refused: I won't."),
        (completed(REFUSED, RESPONSES), "refused", "the model refused: I won't."),
        (chat(PARIS, "length"), "truncated", "cut off at its output cap"),
        (
            response('{"na', "incomplete", incomplete_details={"reason": "max_output_tokens"}),
            "truncated",
            "cut off at its output cap",
        ),
        (
            response("", "incomplete", incomplete_details={"reason": "content_filter"}),
            "filtered",
            "a content filter",
        ),
        (chat("{}", "content_filter"), "filtered", "a content filter"),
        (chat(None, "tool_calls", tool_calls=[{"id": "1"}]), "empty", "holds no text"),
        (chat("Paris is large."), "no_json", "it begins with 'Paris is large.'"),
        (chat('{"name": "Paris"}'), "misfit", "does not fit"),
        (chat('{"name": 5, "people": []}'), "misfit", "people: "),
        (completed({"data": []}, EMBEDDINGS), "no_text", "holds no text"),
    ],
)
@pytest.mark.parametrize("kind", [City, SCHEMA], ids=["model", "schema"])
def test_an_answer_that_is_none_says_why(
    outcome: rd.Completed, reason: str, message: str, kind: Any
) -> None:
    """One class for all of them, with the reason for machines and the text as it came."""
    if kind is SCHEMA:
        pytest.importorskip("jsonschema")
    with pytest.raises(rd.UnusableAnswer) as caught:
        outcome.parsed(kind)
    assert caught.value.reason == reason
    assert message in str(caught.value)
    assert isinstance(caught.value, ValueError)


def test_the_first_three_faults_are_named_and_the_others_counted() -> None:
    fields: dict[str, Any] = {f"field{number}": (int, ...) for number in range(5)}
    wide: Any = pydantic.create_model("Wide", **fields)
    with pytest.raises(rd.UnusableAnswer, match=r"field0: Field required.*field2.*; and 2 more$"):
        chat("{}").parsed(wide)


def test_a_secret_in_an_answer_is_no_part_of_the_message() -> None:
    """Pydantic's own message would quote the input."""
    with pytest.raises(rd.UnusableAnswer) as caught:
        chat('{"name": "x", "people": "sk-secret"}').parsed(City)
    assert "sk-secret" not in str(caught.value)


def test_a_schema_without_the_package_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jsonschema", None)
    with pytest.raises(ModuleNotFoundError, match="with: pip install jsonschema,"):
        chat(PARIS).parsed(SCHEMA)


@pytest.mark.parametrize(
    "kind",
    [{"type": "json_schema", "json_schema": {"schema": SCHEMA}}, {"$ref": "#/nowhere"}],
    ids=["response_format", "reference"],
)
def test_a_dict_that_is_no_schema_is_told(kind: dict[str, Any]) -> None:
    pytest.importorskip("jsonschema")
    with pytest.raises(
        ValueError,
        match=r"request 'c-1': parsed\(\) was given something that is not a usable JSON schema",
    ):
        chat(PARIS).parsed(kind)


def test_a_request_that_failed_raises_its_reason() -> None:
    """Whatever is asked of it."""
    failed = rd.Failed(CHAT_REQUEST, "invalid_request", "messages: missing", error=OSError("no"))
    asks: list[Callable[[], object]] = [
        lambda: failed.parsed(City),
        lambda: failed.text,
        lambda: failed.completion,
    ]
    for ask in asks:
        with pytest.raises(
            rd.RequestFailed, match="request 'c-1' failed: messages: miss"
        ) as caught:
            ask()
        assert caught.value.code == "invalid_request"
        assert caught.value.outcome is failed
        assert caught.value.__cause__ is failed.error


@pytest.mark.parametrize(
    ("outcome", "kind"),
    [
        (chat("hi"), openai.types.chat.ChatCompletion),
        (response("hi"), RESPONSE),
        (completed({"data": [], "model": "m"}, EMBEDDINGS), openai.types.CreateEmbeddingResponse),
        (completed({"choices": [{"text": "hi"}]}, COMPLETIONS), openai.types.Completion),
        (completed({"results": []}, MODERATIONS), openai.types.ModerationCreateResponse),
        (
            completed({"choices": []}, "/openai/v1/chat/completions"),
            openai.types.chat.ChatCompletion,
        ),
    ],
)
def test_the_completion_is_the_object_of_the_sdk(outcome: rd.Completed, kind: type | None) -> None:
    if kind is None:
        with pytest.raises(LookupError, match="this version of the openai package"):
            _ = outcome.completion
        return
    completion = outcome.completion
    assert (type(completion),) == (kind,)
    assert completion._request_id == "req-7"
    assert completion.to_dict() == outcome.body


def test_the_object_of_the_sdk_is_whole() -> None:
    assert chat("hi").completion.choices[0].message.content == "hi"
    assert response("hi").text == "hi"
    if RESPONSE is not None:
        assert response("hi").completion.output_text == "hi"
    assert completed({"choices": [{"text": "hi"}]}, COMPLETIONS).text == "hi"


def test_an_endpoint_that_the_sdk_has_no_class_for() -> None:
    with pytest.raises(LookupError, match="no class for answers of /v1/rerank"):
        _ = completed({}, "/v1/rerank").completion


def test_a_request_for_a_model_is_the_one_that_the_sdk_sends() -> None:
    """Strict: all fields required, and no others."""
    request = rd.Request.chat(model="gpt-4o", messages=[], response_format=City)
    made = request.body["response_format"]
    assert (made["type"], made["json_schema"]["name"], made["json_schema"]["strict"]) == (
        "json_schema",
        "City",
        True,
    )
    schema = made["json_schema"]["schema"]
    assert schema["required"] == ["name", "people"]
    assert schema["additionalProperties"] is False
    assert json.dumps(request.body)
    assert rd.count_tokens(request.body) > rd.count_tokens({"model": "gpt-4o", "messages": []})


def test_a_response_is_asked_for_by_its_text_format() -> None:
    request = rd.Request.responses(
        model="gpt-4o", input="Where?", text_format=City, text={"verbosity": "low"}, custom_id="r"
    )
    assert (request.endpoint, request.custom_id) == (RESPONSES, "r")
    text = request.body["text"]
    assert text["verbosity"] == "low"
    assert (text["format"]["type"], text["format"]["name"]) == ("json_schema", "City")
    assert rd.Request.responses(model="m", input=[{"role": "user"}]).body == {
        "model": "m",
        "input": [{"role": "user"}],
    }


def test_a_format_that_is_no_type_is_left_as_it_is() -> None:
    plain = {"type": "json_object"}
    request = rd.Request.chat(model="gpt-4o", messages=[], response_format=plain)
    assert request.body["response_format"] is plain
    with pytest.raises(TypeError, match="int"):
        rd.Request.chat(model="gpt-4o", messages=[], response_format=int)
