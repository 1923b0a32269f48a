"""
Typed access to the fields of a request, with errors that name the field.

Every wrong type found while counting becomes an InvalidRequest from here; the counter then counts
the request as its JSON text. A number is read as leniently as a server may read it, and never
refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from ratedispatch.errors import InvalidRequest

# 2**31 - 1: no model has an output or a number of choices near it, and sums stay exact as floats
LARGEST = 2**31 - 1

#: Characters of a number in a string; a longer one is none that a server takes.
_LONGEST_NUMBER = 16

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


def integer(
    body: Mapping[str, Any], key: str, *, least: int, unread: list[str] | None = None
) -> int | None:
    """
    Return the integer under *key*, at least *least*; None if it is absent, null, or cannot be read.

    Digits in a string and a float without a fraction are integers, as many servers take them.

    Args:
        body: The object.
        key: The field.
        least: The least value that means something; what is below may mean anything, as -1 means
            no cap for some servers.
        unread: Takes a sentence on a value that cannot be read.
    """
    value = body.get(key)
    if value is None:
        return None
    number = _number(value)
    if number is not None and least <= number <= LARGEST:
        return number
    if unread is not None:
        got = type(value).__name__
        if number is not None:
            got = "a smaller one" if number < least else "a larger one"
        unread.append(f"{key}: expected an integer from {least} to {LARGEST}, got {got}")
    return None


def _number(value: object) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    if isinstance(value, str) and len(value) <= _LONGEST_NUMBER and value.strip().isdecimal():
        return int(value)
    return None


def check_default(tokens: object) -> None:
    """Raise a ValueError if *tokens* cannot be reserved for an output without a cap."""
    expected = f"default_output_tokens must be an integer from 0 to {LARGEST}"
    if not isinstance(tokens, int) or isinstance(tokens, bool):
        raise ValueError(f"{expected}, got {type(tokens).__name__}")
    if tokens < 0:
        raise ValueError(f"{expected}, got a negative one")
    if tokens > LARGEST:
        raise ValueError(f"{expected}, got a larger one")
