"""
The text of an answer: a sentence, JSON of the requested shape, or a function's arguments.

Decides the text only. JSON is the smallest that a schema allows, with the sentence where it has
strings; a schema's ``pattern`` and what it says about several fields at once are not examined.
Follows: OpenAI's guides on structured outputs and on function calling.
"""

from __future__ import annotations

import contextlib
import json
import math
from typing import TYPE_CHECKING, Any, NamedTuple

from ratedispatch.request import CHAT, RESPONSES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ratedispatch.simulate.provider.calls import Call

#: Fields of a body that ask for a shape.
_SHAPING = frozenset({"response_format", "text", "tool_choice"})

#: Schemas within each other from which on nothing is written that can be left out; below twice
#: that, what refers to itself without an end is cut off.
_DEEP = 6

_FORMATS = {
    "date": "2025-06-15",
    "date-time": "2025-06-15T15:06:40Z",
    "time": "15:06:40Z",
    "duration": "PT1S",
    "email": "answer@example.com",
    "uri": "https://example.com/answer",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "ipv4": "127.0.0.1",
    "ipv6": "::1",
}


class Content(NamedTuple):
    """
    What an answer says.

    Args:
        text: The text, or the arguments of a function as JSON.
        function: The function that is called; empty for none.
    """

    text: str
    function: str = ""


def content_of(call: Call) -> Content:
    """
    Return what every output of the answer to *call* says.

    A schema that makes no sense is answered with the sentence.
    """
    sentence = f"answer to {call.echo}"
    body = call.body
    if _SHAPING.isdisjoint(body):
        return Content(sentence)
    with contextlib.suppress(ArithmeticError, AttributeError, LookupError, TypeError):
        return _shaped(call.endpoint, body, sentence)
    return Content(sentence)


def _shaped(endpoint: str, body: Mapping[str, Any], sentence: str) -> Content:
    function = _wanted_function(endpoint, body)
    if function is not None:
        arguments = _Example(function.get("parameters"), sentence).json()
        return Content(arguments, str(function.get("name")))
    form = _wanted_form(endpoint, body)
    kind = form.get("type")
    if kind == "json_object":
        return Content(json.dumps({"answer": sentence}))
    if kind == "json_schema":
        return Content(_Example(form.get("schema"), sentence).json())
    return Content(sentence)


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _wanted_form(endpoint: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return ``type`` and ``schema`` of the text, wherever the endpoint has them."""
    if endpoint == RESPONSES:
        return _object(_object(body.get("text")).get("format"))
    form = _object(body.get("response_format"))
    return {**form, **_object(form.get("json_schema")), "type": form.get("type")}


def _wanted_function(endpoint: str, body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """
    Return the function that has to be called; None if none has to.

    That is the one named, or the last where any will do: programs that give the model functions
    to work with and one to answer with name the latter last.
    """
    choice, tools = body.get("tool_choice"), body.get("tools")
    if not isinstance(tools, list) or endpoint not in {CHAT, RESPONSES}:
        return None

    def inner(value: object) -> Mapping[str, Any]:
        """Return what describes a function: of chat, an object in the tool."""
        return _object(_object(value).get("function")) if endpoint == CHAT else _object(value)

    functions = [inner(tool) for tool in tools if _object(tool).get("type") == "function"]
    if isinstance(choice, dict):
        name = inner(choice).get("name")
        functions = [function for function in functions if function.get("name") == name]
    elif choice != "required":
        return None
    return functions[-1] if functions else None


class _Example:
    """A value of the shape *schema*, with *sentence* in its strings."""

    def __init__(self, schema: object, sentence: str) -> None:
        self._root = schema
        self._sentence = sentence

    def json(self) -> str:
        """Return the value as JSON; an object, where the schema says nothing."""
        return json.dumps(self._value(self._root or {"type": "object"}, 0))

    def _value(self, schema: object, depth: int) -> Any:
        found = self._resolved(schema)
        if depth > 2 * _DEEP:
            return None
        if "const" in found:
            return found["const"]
        if found.get("enum"):
            return found["enum"][0]
        for name in ("anyOf", "oneOf", "allOf"):
            if found.get(name):
                kinds = found[name]
                is_cut = depth >= _DEEP and {"type": "null"} in kinds
                return None if is_cut else self._value(kinds[0], depth + 1)
        kind = found.get("type")
        if isinstance(kind, list):
            kind = kind[0] if kind else None
        if kind in {"integer", "number"}:
            return _number(found)
        if kind in {"object", "array"}:
            return self._parts(found, kind, depth + 1)
        return {"boolean": True, "null": None}.get(str(kind), self._string(found))

    def _parts(self, schema: Mapping[str, Any], kind: str, depth: int) -> Any:
        """Return an object with what is required, or a list with one item, to be seen."""
        if kind == "array":
            count = max(schema.get("minItems", 0), 1 if depth <= _DEEP else 0)
            return [self._value(schema.get("items"), depth)] * count
        properties = _object(schema.get("properties"))
        return {
            name: self._value(properties.get(name), depth)
            for name in schema.get("required", properties)
        }

    def _resolved(self, schema: object) -> Mapping[str, Any]:
        """Return *schema*, or what it refers to."""
        found = _object(schema)
        for _ in range(_DEEP):
            reference = found.get("$ref")
            if not isinstance(reference, str):
                break
            target: object = self._root
            for part in reference.removeprefix("#").strip("/").split("/"):
                target = _object(target).get(part) if part else target
            found = _object(target)
        return found

    def _string(self, schema: Mapping[str, Any]) -> str:
        text = _FORMATS.get(str(schema.get("format")), self._sentence)
        text = text.ljust(schema.get("minLength", 0), ".")
        return text[: schema.get("maxLength", len(text))]


def _number(schema: Mapping[str, Any]) -> float:
    """Return the number nearest to 1 that *schema* allows, as far as bounds and multiples go."""
    step = schema.get("multipleOf", 1)
    least = schema.get("minimum", schema.get("exclusiveMinimum", -math.inf) + step)
    most = schema.get("maximum", schema.get("exclusiveMaximum", 1 + step) - step)
    number = max(min(step, most), least)
    return -(-number // step) * step  # type: ignore[no-any-return]
