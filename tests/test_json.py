"""The fast reader of JSON gives what Python's own gives, and refuses what that refuses."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ratedispatch import _json

ODD = (
    b"",
    b" ",
    b"-0",
    b"-0.0",
    b"01",
    b"1.",
    b".5",
    b"1e400",
    b"-1e400",
    b"1e-400",
    b"18446744073709551616",
    b"-9223372036854775809",
    b"1" * 400,
    b"1" * 5_000,
    b"0." + b"1" * 5_000,
    b"4.9406564584124654e-324",
    b"2.2250738585072011e-308",
    b"9007199254740993.0",
    b"NaN",
    b"[Infinity, -Infinity]",
    b'"\\ud800"',
    b'"\\ude00\\ud83d"',
    b'"\\ud83d\\ude00"',
    b'"\xf0\x9f\x98\x80"',
    b'"\xed\xa0\x80"',
    b'"\xff"',
    b'"\\u0000 \x7f \xe2\x80\xa8"',
    b'"a\x00"',
    b'"\n"',
    b'"\\x41"',
    b'"\\/"',
    b"'a'",
    b"\xef\xbb\xbf1",
    '{"a": 1}'.encode("utf-16"),
    b'{"a": 1, "a": {"b": 2, "b": 3}}',
    b'{"a": 1,}',
    b"[1,]",
    b"{1: 2}",
    b"[1] [2]",
    b" [1,\t2,\r\n3] ",
    b"/* */ 1",
    b"true",
    b"nul",
    b"[" * 900 + b"]" * 900,
    b"[" * 10_000 + b"]" * 10_000,
    b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    b"[" * 10_000,
)

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def outcome(read: Any, text: bytes) -> tuple[str, str]:
    """The type and the text of what *read* gives, or of its error; floats to the last bit."""
    try:
        value = read(text)
    except (ValueError, RecursionError) as error:
        return type(error).__name__, str(error)
    return "value", repr(value)


def strict(text: bytes) -> Any:
    return json.loads(text.decode(), parse_constant=_json.refuse_constant)


def assert_alike(text: bytes) -> None:
    assert outcome(_json.loads, text) == outcome(json.loads, text)
    ours = outcome(lambda data: _json.loads(data, is_strict=True), text)
    assert ours == outcome(strict, text)


@pytest.mark.parametrize("text", ODD, ids=lambda text: repr(text[:24]))
def test_odd_texts_mean_what_they_mean_to_python(text: bytes) -> None:
    """Values, types and errors are those of ``json``, for texts at the edges of the format."""
    assert_alike(text)


@given(VALUES, st.booleans(), st.sampled_from([None, 1]))
def test_every_value_survives(value: Any, is_ascii: bool, indent: int | None) -> None:
    """What Python writes is read as Python reads it: big integers, surrogates and NaN too."""
    text = json.dumps(value, ensure_ascii=is_ascii, indent=indent)
    assert_alike(text.encode("utf-8", "surrogatepass"))


@given(st.binary())
@example(b'{"a": [1, 2.5e3, "\\u00e9", null]}')
def test_any_bytes_are_read_or_refused_alike(text: bytes) -> None:
    """No bytes are accepted that ``json`` refuses, none refused that it accepts."""
    assert_alike(text)


@given(st.text(alphabet='{}[],:"\\ue+-.0123456789NaInfty \n', max_size=30))
def test_near_json_is_read_or_refused_alike(text: str) -> None:
    """The same for texts made of what JSON is made of."""
    assert_alike(text.encode())


def test_large_integers_keep_every_digit() -> None:
    """An integer beyond 64 bits is that integer, not the nearest float."""
    assert _json.loads(b"[123456789012345678901234567890]") == [123456789012345678901234567890]


def test_constants_are_floats_unless_refused() -> None:
    """NaN in an answer is kept; in a row it is for the caller to refuse."""
    assert math.isnan(_json.loads(b"NaN"))
    with pytest.raises(ValueError, match="NaN is not a JSON number"):
        _json.loads(b'{"a": NaN}', is_strict=True)
