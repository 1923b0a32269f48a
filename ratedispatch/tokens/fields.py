"""
Typed access to the fields of a request, with errors that name the field.

Every wrong type found while counting becomes an InvalidRequest from here, so that no JSON
document can make counting raise anything else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from ratedispatch.errors import InvalidRequest

# 2**31 - 1: no model has an output or a number of choices near it, and sums stay exact as floats
LARGEST = 2**31 - 1

#: Reserved for the output of a request that sets no cap.
DEFAULT_OUTPUT_TOKENS = 16


def refuse(path: str, expected: str, value: object) -> NoReturn:
    """Raise InvalidRequest: *path* should hold *expected* but holds *value*."""
    got = "null" if value is None else type(value).__name__
    raise InvalidRequest(f"{path}: expected {expected}, got {got}")


def mapping(value: object, path: str) -> Mapping[str, Any]:
    """Return *value* if it is an object."""
    if not isinstance(value, Mapping):
        refuse(path, "an object", value)
    return value


def items(value: object, path: str) -> Sequence[Any]:
    """Return *value* if it is a list."""
    if not isinstance(value, list | tuple):
        refuse(path, "a list", value)
    return value


def text(value: object, path: str) -> str:
    """Return *value* if it is a string."""
    if not isinstance(value, str):
        refuse(path, "a string", value)
    return value


def optional_text(value: object, path: str) -> str:
    """Return *value* if it is a string, and an empty string if it is null."""
    return "" if value is None else text(value, path)


def integer(body: Mapping[str, Any], key: str, *, least: int) -> int | None:
    """Return the integer under *key*, at least *least*; None if it is absent or null."""
    value = body.get(key)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool):
        refuse(key, "an integer", value)
    if value < least:
        raise InvalidRequest(f"{key}: expected an integer of at least {least}, got a smaller one")
    if value > LARGEST:
        raise InvalidRequest(f"{key}: expected an integer up to {LARGEST}, got a larger one")
    return value
