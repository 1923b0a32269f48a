"""
Function definitions as the TypeScript text in which older models saw them.

Pure text: knows no tokenizer. Enters whatever it is given without complaint; what it does not
know is left out or becomes ``any``.
Follows: hmarr/openai-chat-tokens, whose expected values were checked against the API.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

_DEEPEST = 64
_SHOWN = 2  # descriptions stand only at an indent below this


def render(functions: Any) -> str:
    """Return the namespace text of *functions*, each an object with at least a ``name``."""
    lines = ["namespace functions {", ""]
    for function in functions:
        if function.get("description"):
            lines.append(f"// {function['description']}")
        parameters = function.get("parameters")
        properties = parameters.get("properties") if isinstance(parameters, Mapping) else None
        if isinstance(properties, Mapping) and properties:
            lines.append(f"type {function['name']} = (_: {{")
            lines += _properties(parameters, 0)
            lines.append("}) => any;")
        else:
            lines.append(f"type {function['name']} = () => any;")
        lines.append("")
    lines.append("} // namespace functions")
    return "\n".join(lines)


def _properties(schema: Mapping[str, Any], indent: int) -> list[str]:
    lines = []
    properties, required = schema.get("properties"), schema.get("required")
    if not isinstance(properties, Mapping):
        return []
    named = required if isinstance(required, list | tuple) else ()
    needed = {name for name in named if isinstance(name, str)}
    for key, value in properties.items():
        description = value.get("description") if isinstance(value, Mapping) else None
        if isinstance(description, str) and description and indent < _SHOWN:
            lines.append(f"// {description}")
        mark = "" if key in needed else "?"
        lines.append(f"{key}{mark}: {_type(value, indent)},")
    return [" " * indent + line for line in lines]


def _type(schema: Any, indent: int) -> str:
    if not isinstance(schema, Mapping) or indent > _DEEPEST:
        return "any"
    alternatives = schema.get("anyOf")
    if isinstance(alternatives, list | tuple) and alternatives:
        return " | ".join(_type(alternative, indent) for alternative in alternatives)
    kind = schema.get("type")
    if isinstance(kind, list | tuple):
        kinds = dict.fromkeys(one for one in kind if isinstance(one, str))
        return " | ".join(_of_kind(one, schema, indent) for one in kinds) or "any"
    return _of_kind(kind, schema, indent)


def _of_kind(kind: Any, schema: Mapping[str, Any], indent: int) -> str:
    enum = schema.get("enum")
    if kind in ("string", "number", "integer") and isinstance(enum, list | tuple) and enum:
        return " | ".join(json.dumps(item, ensure_ascii=False, default=str) for item in enum)
    if kind == "array":
        items = schema.get("items")
        return f"{_type(items, indent)}[]" if items else "any[]"
    if kind == "object":
        return "\n".join(["{", *_properties(schema, indent + 2), "}"])
    return {"integer": "number"}.get(kind, kind) if isinstance(kind, str) else "any"
