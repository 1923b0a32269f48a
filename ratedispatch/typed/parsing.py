"""
Reads what an answer says, and makes an object of it.

Pure. Decides whether an answer is whole: one that was cut off at its cap, filtered or refused is
none, whatever its text looks like. Knows the shapes of chat completions, completions and
responses.
Follows: openai-python, ``lib/_parsing/`` (which ends count as cut off).
"""

from __future__ import annotations

import importlib
import json
from typing import TYPE_CHECKING, Any, NamedTuple

from ratedispatch.errors import UnusableAnswer

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Characters of an answer that a message quotes.
_QUOTED = 80

#: Faults that a message names; the error of pydantic or of the validator has them all.
_NAMED = 3

#: Ends of a chat completion after which its text is no whole one.
_CUT_OFF = {"length": "truncated", "content_filter": "filtered"}

#: The same of a response, by the reason why it is incomplete.
_INCOMPLETE = {"max_output_tokens": "truncated", "content_filter": "filtered"}

_WHY = {
    "truncated": "the answer was cut off at its output cap: raise it, or ask for less",
    "filtered": "a content filter took out a part of the answer",
    "empty": "the answer holds no text",
}


class Said(NamedTuple):
    """
    What an answer says.

    Args:
        text: What the model wrote.
        refusal: What it wrote instead, if it refused.
        fault: Why the text is no whole one: ``truncated`` or ``filtered``; empty if it is.
    """

    text: str
    refusal: str = ""
    fault: str = ""


def read_said(body: Any) -> Said | None:
    """Return what *body* says, of several choices the first; None if it can hold no text."""
    if not isinstance(body, dict):
        return None
    choices = body.get("choices")
    if isinstance(choices, list):
        return _of_choice(choices[0]) if choices and isinstance(choices[0], dict) else Said("")
    if isinstance(body.get("output"), list):
        return _of_response(body)
    return None


def _of_choice(choice: Mapping[str, Any]) -> Said:
    message = choice.get("message")
    fault = _CUT_OFF.get(choice.get("finish_reason") or "", "")
    if not isinstance(message, dict):
        return Said(_text(choice.get("text")), "", fault)
    content, refusal = message.get("content"), _text(message.get("refusal"))
    if isinstance(content, list):  # parts, as some providers answer
        parts = [part for part in content if isinstance(part, dict)]
        content = "".join(_text(part.get("text")) for part in parts)
        refusal = refusal or "".join(_text(part.get("refusal")) for part in parts)
    return Said(_text(content), refusal, fault)


def _of_response(body: Mapping[str, Any]) -> Said:
    """The texts of all messages, without a gap, as the SDK's ``output_text``."""
    items = [item for item in body["output"] if isinstance(item, dict)]
    contents = [item.get("content") for item in items if item.get("type") == "message"]
    parts = [part for content in contents if isinstance(content, list) for part in content]
    parts = [part for part in parts if isinstance(part, dict)]
    fault = ""
    if body.get("status") == "incomplete":
        details = body.get("incomplete_details")
        reason = details.get("reason") if isinstance(details, dict) else None
        fault = _INCOMPLETE.get(reason or "", "truncated")
    return Said(
        "".join(_text(part.get("text")) for part in parts),
        "".join(_text(part.get("refusal")) for part in parts),
        fault,
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def text_of_answer(body: Any, name: str) -> str:
    """
    Return the text of *body*; empty if the model wrote none.

    Args:
        body: The JSON of an answer.
        name: How messages name the request.

    Raises:
        UnusableAnswer: It is an answer of a kind that has no text.
    """
    said = read_said(body)
    if said is None:
        raise UnusableAnswer(f"{name}: an answer of this kind holds no text", "no_text", "")
    return said.text


def parse_answer(body: Any, kind: Any, name: str) -> Any:
    """
    Return *body*'s text as a *kind*.

    Args:
        body: The JSON of an answer.
        kind: A pydantic model or any other type that pydantic validates, or a JSON schema.
        name: How messages name the request.

    Raises:
        UnusableAnswer: It refuses, is cut off, is not JSON, or does not fit.
        ValueError: *kind* is a dict, but no JSON schema that can be used.
    """
    said = read_said(body)
    if said is None:
        raise UnusableAnswer(f"{name}: an answer of this kind holds no text", "no_text", "")
    if said.refusal:
        quoted = f"{said.refusal:.{_QUOTED}}"
        raise UnusableAnswer(f"{name}: the model refused: {quoted}", "refused", said.refusal)
    fault = said.fault or ("" if said.text.strip() else "empty")
    if fault:
        raise UnusableAnswer(f"{name}: {_WHY[fault]}", fault, said.text)
    if isinstance(kind, dict):
        return _by_schema(said.text, kind, name)
    return _by_type(said.text, kind, name)


def _by_type(text: str, kind: Any, name: str) -> Any:
    pydantic = importlib.import_module("pydantic")
    if not hasattr(pydantic, "TypeAdapter"):
        raise TypeError("parsed() needs pydantic 2")
    validate = getattr(kind, "model_validate_json", None)
    if validate is None:
        validate = pydantic.TypeAdapter(kind).validate_json
    try:
        return validate(text)
    except pydantic.ValidationError as error:
        faults = error.errors(include_url=False, include_context=False, include_input=False)
        if faults[0]["type"] == "json_invalid":
            raise _no_json(name, faults[0]["msg"], text) from error
        named = [(fault["loc"], fault["msg"]) for fault in faults]
        raise _misfit(name, getattr(kind, "__name__", str(kind)), named, text) from error


def _by_schema(text: str, schema: dict[str, Any], name: str) -> Any:
    try:
        jsonschema = importlib.import_module("jsonschema")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "a JSON schema is checked by the jsonschema package, which is not installed; "
            "install it with: pip install jsonschema, or take json.loads(outcome.text) unchecked",
            name="jsonschema",
        ) from error
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _no_json(name, str(error), text) from error
    validator = jsonschema.validators.validator_for(schema, jsonschema.Draft202012Validator)
    try:
        faults = list(validator(schema).iter_errors(value))
    except Exception as error:  # of jsonschema, and of what it resolves references with
        reason = str(error).partition("\n")[0]
        raise ValueError(
            f"{name}: parsed() was given something that is not a usable JSON schema ({reason}); "
            f"for a response_format, give the schema inside it"
        ) from error
    if faults:
        named = [(tuple(fault.absolute_path), fault.message) for fault in faults]
        title = schema.get("title")
        title = title if isinstance(title, str) else "the schema"
        raise _misfit(name, title, named, text) from faults[0]
    return value


def _no_json(name: str, reason: str, text: str) -> UnusableAnswer:
    begin = text.strip()[:_QUOTED]
    return UnusableAnswer(
        f"{name}: the answer is not JSON ({reason}); it begins with {begin!r}", "no_json", text
    )


def _misfit(
    name: str, kind: str, faults: list[tuple[tuple[Any, ...], str]], text: str
) -> UnusableAnswer:
    named = [f"{'.'.join(map(str, path)) or 'the whole'}: {why}" for path, why in faults[:_NAMED]]
    more = f"; and {len(faults) - _NAMED} more" if len(faults) > _NAMED else ""
    return UnusableAnswer(
        f"{name}: the answer does not fit {kind}: {'; '.join(named)}{more}", "misfit", text
    )
