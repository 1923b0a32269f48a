"""
Removes API keys from texts of a server, and logins from addresses.

A server may repeat the key that it was sent, most often in an error message; the key must not
reach a file or a terminal. It may come as it is, or as a server or a gateway writes it: escaped
once or twice, with percent signs, split by white space, in hexadecimal digits, or in base64, alone
or behind ``Bearer``.
"""

from __future__ import annotations

import base64
import functools
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

_PLACEHOLDER = "[key removed]"

_SHORTEST = 8

#: Who logs in, in an address: a name, a password that may stand alone, or a token.
_LOGIN = re.compile(r"(?<=\w://)[^/?#\s]*@")

#: A value in the query of an address that is a secret by its name.
_SECRET = re.compile(
    r"([?&][^=&#\s]*(?:key|token|secret|passw|sig|auth)[^=&#\s]*=)[^&#\s]+", re.IGNORECASE
)

#: What may stand between two characters of a key that was wrapped: white space, also escaped.
_GAP = r"(?:\s|\\+[nrt])*"

#: Characters of a piece by which a key shows itself. A key that is split has some whole ones.
_PIECE = 5

#: Escapes that follow each other, as of a text of which every character is escaped.
_PERCENT = re.compile(rb"%(?:25)?[0-9A-Fa-f]{2}(?:%(?:25)?[0-9A-Fa-f]{2}){3}")
_UNICODE = re.compile(rb"\\u00[0-7][0-9A-Fa-f](?:\\+u00[0-7][0-9A-Fa-f]){3}")


def is_secret(key: str) -> bool:
    """
    Return whether *key* is removed.

    Servers without keys are given any word, which may well occur in an answer: a key that is
    short, or all letters, counts as a word.
    """
    return len(key) >= _SHORTEST and not key.isalpha()


def without_login(word: str) -> str:
    """Return *word* without the login and the secrets in the query of an address in it."""
    return _SECRET.sub(r"\1", _LOGIN.sub("", word)) if "://" in word else word


def redact_text(text: str, key: str | Sequence[str]) -> str:
    """Return *text* with *key*, or each of several, replaced by ``[key removed]``."""
    if not isinstance(key, str):
        return functools.reduce(redact_text, key, text)
    if not is_secret(key) or not _may_hold(text.encode("utf-8", "replace"), key):
        return text
    return _forms(key).pattern.sub(_PLACEHOLDER, text)


def contains_key(line: bytes, key: str) -> bool:
    """Return whether the JSON *line* holds *key*, as it is or written in another way."""
    if not is_secret(key) or not _may_hold(line, key):
        return False
    return _forms(key).pattern.search(line.decode("utf-8", "replace")) is not None


class _Forms(NamedTuple):
    """
    How a key may be written.

    Args:
        pattern: Matches all of it.
        pieces: Some of these stand in whatever it matches, unless every character is escaped.
    """

    pattern: re.Pattern[str]
    pieces: tuple[bytes, ...]


@lru_cache(maxsize=64)
def _forms(key: str) -> _Forms:
    cores = {
        core for code in (base64.b64encode, base64.urlsafe_b64encode) for core in _cores(key, code)
    }
    plain = _GAP.join(_written(character) for character in key)
    packed = (_GAP.join(re.escape(character) for character in core) for core in cores)
    digits = key.encode("utf-8", "replace").hex()
    pattern = re.compile("|".join([plain, *packed, f"(?i:{digits})"]))
    start = min(3, len(key) - _PIECE)  # most keys begin alike
    pieces = {key[at : at + _PIECE] for at in range(start, len(key) - _PIECE + 1, _PIECE)}
    for core in cores:
        pieces |= {core[:_PIECE], core[-_PIECE:]}
    pieces |= {digits[-2 * _PIECE :], digits[-2 * _PIECE :].upper()}
    return _Forms(pattern, tuple(piece.encode("utf-8", "replace") for piece in sorted(pieces)))


def _written(character: str) -> str:
    """A pattern for *character* as it is, behind backslashes, or as an escape."""
    code = ord(character)
    return rf"(?:\\*{re.escape(character)}|%(?:25)?(?i:{code:02x})|\\+u(?i:{code:04x}))"


def _cores(key: str, code: Any) -> list[str]:
    """What *key* is in base64, behind any text: without the digits that neighbours share."""
    content = key.encode("utf-8", "replace")
    cores = []
    for before, shared in ((0, 0), (1, 2), (2, 3)):
        digits = code(bytes(before) + content).decode("ascii")
        cores.append(digits[shared : (before + len(content)) * 8 // 6])
    return cores


def _may_hold(text: bytes, key: str) -> bool:
    """Whether there is any sign of *key* in *text*; quick, for it is asked of every answer."""
    if any(piece in text for piece in _forms(key).pieces):
        return True
    if b"%" in text and _PERCENT.search(text) is not None:
        return True
    return b"\\u00" in text and _UNICODE.search(text) is not None


def redact_value(value: Any, key: str | Sequence[str]) -> Any:
    """Return the JSON *value* with *key*, or each of several, replaced in its strings and names."""
    try:
        if isinstance(value, str):
            return redact_text(value, key)
        if isinstance(value, list):
            return [redact_value(item, key) for item in value]
        if isinstance(value, dict):
            return {redact_text(name, key): redact_value(item, key) for name, item in value.items()}
    except RecursionError:  # nobody nests so deeply but to break something
        return "[nested too deeply]"
    return value
