"""
JSON values as compact text, for what has no rule of its own.

Decides how a value becomes the text that is weighed or remembered by. Knows no model and no
token. A small value goes through the C encoder; it holds the interpreter's lock until it is done,
so a large one is written here in pieces, between which other threads get their turn.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeVar

from ratedispatch.errors import InvalidRequest
from ratedispatch.tokens import blobs
from ratedispatch.tokens.size import is_longer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

# characters: 0.3 ms for the C encoder
_SMALL = 65_536
_STEP = 65_536
_BLOCK = 262_144  # characters that are joined at once
# json.loads gives up at about 1,000 levels, so that no file has more
_DEEPEST = 1_000

_Text = TypeVar("_Text")


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(type(value).__name__)


# check_circular costs time and its only effect is the kind of error, which is caught below
_encoder = json.JSONEncoder(
    ensure_ascii=False, check_circular=False, separators=(",", ":"), default=_plain
)


def compact(value: object, path: str) -> str:
    """
    Return *value* as JSON text without spaces.

    Raises:
        InvalidRequest: *value* is nested too deeply, or is not JSON.
    """
    return _write(value, path, _encode if not is_longer(value, _SMALL) else _encode_slowly)


def without_blobs(value: object, path: str) -> tuple[list[str], list[str]]:
    """
    Return *value* as JSON text without the base64 in its strings, in blocks, and that base64.

    Raises:
        InvalidRequest: *value* is nested too deeply, or is not JSON.
    """
    if not is_longer(value, blobs.LEAST):
        text = compact(value, path)
        if ";base64" not in text.lower():
            return [text], []
    found: list[str] = []

    def strings(text: str) -> Iterator[str]:
        for piece, is_blob in blobs.split(text):
            if is_blob:
                found.append(piece)
            else:
                yield piece

    return _write(value, path, lambda value: list(_blocks(_pieces(value, strings)))), found


def _write(value: object, path: str, encode: Callable[[object], _Text]) -> _Text:
    try:
        return encode(value)
    except RecursionError:
        raise InvalidRequest(f"{path}: nested too deeply to be counted") from None
    except (TypeError, ValueError) as error:
        raise InvalidRequest(f"{path}: not representable as JSON: {error}") from None


def _encode(value: object) -> str:
    return _encoder.encode(value)


def _encode_slowly(value: object) -> str:
    return "".join(_blocks(_pieces(value, lambda text: (text,))))


def _blocks(pieces: Iterable[str]) -> Iterator[str]:
    block: list[str] = []
    size = 0
    for piece in pieces:
        block.append(piece)
        size += len(piece)
        if size > _BLOCK:
            yield "".join(block)
            block.clear()
            size = 0
    yield "".join(block)


def _pieces(value: object, strings: Callable[[str], Iterable[str]]) -> Iterator[str]:
    """Yield the text of *value* in pieces; *strings* gives what is to be written of a string."""
    levels = [(iter([("", value)]), "")]
    while levels:
        entries, closing = levels[-1]
        for lead, one in entries:
            yield lead
            if isinstance(one, str):
                yield '"'
                for text in strings(one):
                    yield from _escaped(text)
                yield '"'
            elif isinstance(one, Mapping):
                yield "{"
                levels.append((_fields(one), "}"))
                break
            elif isinstance(one, list | tuple):
                yield "["
                levels.append((_items(one), "]"))
                break
            else:
                yield _encoder.encode(one)
        else:
            yield closing
            levels.pop()
        if len(levels) > _DEEPEST:
            raise RecursionError


def _fields(value: Mapping[object, object]) -> Iterator[tuple[str, object]]:
    comma = ""
    for key, inner in value.items():
        if isinstance(key, str):
            yield f'{comma}"{"".join(_escaped(key))}":', inner
        else:  # as the encoder writes it, or refuses it
            yield comma + _encoder.encode({key: 0})[1:-2], inner
        comma = ","


def _items(values: Iterable[object]) -> Iterator[tuple[str, object]]:
    comma = ""
    for inner in values:
        yield comma, inner
        comma = ","


def _escaped(text: str) -> Iterator[str]:
    for at in range(0, len(text), _STEP):
        yield _encoder.encode(text[at : at + _STEP])[1:-1]
