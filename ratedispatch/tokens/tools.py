"""
What tools, functions and schemas weigh.

Decides between two published methods, by the parameter and the family of the model:
``functions`` of gpt-3.5 and gpt-4 as TypeScript, everything else by the cookbook's constants.
Sources: OpenAI cookbook, How_to_count_tokens_with_tiktoken.ipynb, `num_tokens_for_tools`;
hmarr/openai-chat-tokens (for `functions`), whose expected values were checked against the API.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ratedispatch.tokens import fields
from ratedispatch.tokens.documents import compact
from ratedispatch.tokens.memory import key_of
from ratedispatch.tokens.token_count import RESPONSE_FORMAT, TOOL_CHOICE, TOOLS
from ratedispatch.tokens.typescript import render

if TYPE_CHECKING:
    from collections.abc import Callable

    from ratedispatch.tokens.token_count import Scale, TokenCount

# OpenAI cookbook: prop_init, prop_key, enum_init, enum_item, func_end; the same for all models
_PROPERTIES = 3
_PROPERTY = 3
_ENUM = -3
_ENUM_ITEM = 3
_ONCE = 12
# hmarr/openai-chat-tokens: the frame around the rendered text
_TYPESCRIPT_FRAME = 9
_TYPESCRIPT_SYSTEM = -4
_CALL_NONE = 1
_CALL_NAMED = 4
# BerriAI/litellm, token_counter: a named tool_choice, whose object is larger than function_call's
_CHOICE_NAMED = 7
# keywords of a schema that the cookbook's vectors have and that weigh nothing there
_FREE = frozenset({"required", "title", "$schema", "strict"})
_COUNTED = (
    frozenset({"type", "description", "enum", "properties", "items", "additionalProperties"})
    | _FREE
)
_DEEPEST = 64


def weigh_tools(
    tools: object, key: str, scale: Scale, total: TokenCount, *, flat: bool = False
) -> None:
    """
    Add what ``tools`` weigh; *flat* for the shape of Responses, where no ``function`` nests.

    Raises:
        InvalidRequest: They are no list of objects, or a function has no name.
    """
    if tools is None:
        return
    tools = fields.items(tools, key)
    if not tools:
        return
    rule = scale.family.tools
    document = key_of(f"{key}{rule.per_function}{flat:d}{compact(tools, key)}")
    tokens = scale.documents.get(document)
    if tokens is None:
        tokens = _ONCE
        for index, tool in enumerate(tools):
            path = f"{key}[{index}]"
            entry = fields.mapping(tool, path)
            function = entry
            if key == "tools" and entry.get("type", "function") != "function":
                tokens += rule.per_function + scale.count_once(compact(entry, path))
                continue
            if key == "tools" and not (flat and "function" not in entry):
                path = f"{path}.function"
                function = fields.mapping(entry.get("function"), path)
            tokens += rule.per_function + _by_constants(function, path, scale.count_once)
        scale.documents.put(document, tokens)
    total.add(TOOLS, tokens)


def weigh_functions(
    functions: object, scale: Scale, total: TokenCount, *, has_system: bool
) -> bool:
    """
    Add what the older ``functions`` weigh; return whether they were rendered as TypeScript.

    Raises:
        InvalidRequest: They are no list of objects, or one has no name.
    """
    if functions is None or functions in ([], ()):
        return False
    if not scale.family.tools.typescript:
        weigh_tools(functions, "functions", scale, total)
        return False
    functions = fields.items(functions, "functions")
    document = key_of(f"typescript{compact(functions, 'functions')}")
    tokens = scale.documents.get(document)
    if tokens is None:
        for index, function in enumerate(functions):
            path = f"functions[{index}]"
            _checked(fields.mapping(function, path), path)
        tokens = scale.count_once(render(functions)) + _TYPESCRIPT_FRAME
        scale.documents.put(document, tokens)
    total.add(TOOLS, tokens + (_TYPESCRIPT_SYSTEM if has_system else 0))
    return True


def weigh_choice(choice: object, key: str, scale: Scale, total: TokenCount) -> None:
    """Add what ``tool_choice`` or the older ``function_call`` weighs."""
    if choice is None:
        return
    if isinstance(choice, str):
        total.add(TOOL_CHOICE, 0 if choice in ("auto", "required") else _CALL_NONE)
        return
    choice = fields.mapping(choice, key)
    named = choice if key == "function_call" else choice.get("function", choice)
    name = named.get("name") if isinstance(named, Mapping) else None
    if isinstance(name, str):
        frame = _CALL_NAMED if key == "function_call" else _CHOICE_NAMED
        total.add(TOOL_CHOICE, frame + scale.count(name))
    else:
        total.add(TOOL_CHOICE, scale.count(compact(choice, key)))


def weigh_format(response_format: object, key: str, scale: Scale, total: TokenCount) -> None:
    """Add a JSON schema for the answer, as its compact text: an upper bound, no rule is known."""
    if response_format is None:
        return
    response_format = fields.mapping(response_format, key)
    if response_format.get("type") != "json_schema":
        return
    text = compact(response_format, key)
    document = key_of(text)
    tokens = scale.documents.get(document)
    if tokens is None:
        tokens = scale.count_once(text)
        scale.documents.put(document, tokens)
    total.add(RESPONSE_FORMAT, tokens)


def _checked(function: Mapping[str, Any], path: str) -> tuple[str, str, Mapping[str, Any]]:
    name = fields.text(function.get("name"), f"{path}.name")
    description = fields.optional_text(function.get("description"), f"{path}.description")
    parameters = function.get("parameters")
    if parameters is None:
        parameters = {}
    return name, description, fields.mapping(parameters, f"{path}.parameters")


def _by_constants(function: Mapping[str, Any], path: str, count: Callable[[str], int]) -> int:
    name, description, parameters = _checked(function, path)
    return count(f"{name}:{description.removesuffix('.')}") + _inside(
        parameters, f"{path}.parameters", count, 0
    )


def _inside(schema: Mapping[str, Any], path: str, count: Callable[[str], int], depth: int) -> int:
    """Return the tokens of what *schema* holds besides its own type, description and enum."""
    if depth > _DEEPEST:
        return count(compact(schema, path))
    tokens = 0
    properties = schema.get("properties")
    if isinstance(properties, Mapping):
        tokens += _PROPERTIES if properties else 0
        for key, value in properties.items():
            tokens += _property(str(key), value, path, count, depth)
    elif properties is not None:
        tokens += count(compact(properties, path))
    items = schema.get("items")
    if items is not None:
        tokens += _property("items", items, path, count, depth)
    others = schema.get("additionalProperties")
    if isinstance(others, Mapping) and others:  # true and false are in the vectors and free
        tokens += _property("additionalProperties", others, path, count, depth)
    for key, value in schema.items():
        # beyond the cookbook: const, anyOf, $defs, default, … as their text, which errs high
        if key not in _COUNTED:
            tokens += count(f"{key}:{compact(value, path)}")
    return tokens


def _property(key: str, value: Any, path: str, count: Callable[[str], int], depth: int) -> int:
    if not isinstance(value, Mapping):
        return _PROPERTY + count(f"{key}:{compact(value, path)}")
    kind, description, enum = value.get("type"), value.get("description"), value.get("enum")
    kind = kind if isinstance(kind, str) else "" if kind is None else compact(kind, path)
    description = description.removesuffix(".") if isinstance(description, str) else ""
    tokens = _PROPERTY + count(f"{key}:{kind}:{description}")
    if isinstance(enum, list | tuple) and enum:
        tokens += _ENUM
        for item in enum:
            label = item if isinstance(item, str) else compact(item, path)
            tokens += _ENUM_ITEM + count(label)
    return tokens + _inside(value, path, count, depth + 1)
