"""Keys in what a server says."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import quote

import pytest

from ratedispatch.observe.redact import contains_key, is_secret, redact_text, redact_value

KEY = 'sk-"quoted"-1'


@pytest.mark.parametrize("key", ["any", "k", "", "assistant", "response", "1234567"])
def test_a_word_or_a_short_key_is_left_alone(key: str) -> None:
    """Servers without keys are given anything, and it may stand in an answer."""
    assert not is_secret(key)
    assert redact_text(f"the {key} of it", key) == f"the {key} of it"
    assert not contains_key(f'{{"{key}": 1}}'.encode(), key)


def test_a_key_is_hidden_in_texts_and_names_but_not_in_numbers() -> None:
    """Whatever is around it stays JSON."""
    value = {KEY: [f"a {KEY} b", 1, None, {"x": KEY}]}
    assert redact_value(value, KEY) == {
        "[key removed]": ["a [key removed] b", 1, None, {"x": "[key removed]"}]
    }
    assert redact_value({"n": 12345678, "t": "12345678"}, "12345678") == {
        "n": 12345678,
        "t": "[key removed]",
    }


def test_an_escaped_key_is_found_too() -> None:
    """Quotes and backslashes look different in JSON."""
    assert contains_key(json.dumps({"x": KEY}).encode(), KEY)
    assert not contains_key(b'{"x": 1}', KEY)


@pytest.mark.parametrize(
    "echo", [rb"k3y\u002bcd\/EF0123", rb"k3y+cd\/EF0123", rb"k3y\u002Bcd/EF0123"]
)
def test_a_key_is_found_however_it_is_escaped(echo: bytes) -> None:
    """Other programs escape what need not be."""
    assert contains_key(b'{"said":"Bearer ' + echo + b'"}', "k3y+cd/EF0123")
    assert not contains_key(b'{"said":"\\u002b and \\/"}', "k3y+cd/EF0123")


LONG = "sk-proj-Ab12Cd34Ef56_gh-78IjKl+x/9Z"
BASIC = base64.b64encode(f"Bearer {LONG}".encode()).decode()


@pytest.mark.parametrize(
    "echo",
    [
        LONG,
        LONG.encode().hex(),
        f"Bearer {LONG}".encode().hex().upper(),
        BASIC,
        base64.b64encode(LONG.encode()).decode(),
        base64.urlsafe_b64encode(f"user:{LONG}".encode()).decode(),
        f"{BASIC[:20]}\n{BASIC[20:]}",
        quote(LONG, safe=""),
        quote(quote(LONG, safe=""), safe=""),
        "".join(f"%{ord(character):02X}" for character in LONG),
        "".join(f"\\u{ord(character):04x}" for character in LONG),
        json.dumps("".join(f"\\u{ord(character):04x}" for character in LONG)),
        LONG.replace("/", "\\/"),
        json.dumps(json.dumps(LONG.replace("+", "\\u002b"))),
        f"{LONG[:11]}\n{LONG[11:]}",
        f"{LONG[:8]}\\n  {LONG[8:20]}\r\n\t{LONG[20:]}",
    ],
)
def test_a_key_is_found_however_it_is_written(echo: str) -> None:
    """As a server or a gateway on the way may write it."""
    assert "[key removed]" in redact_text(f"x {echo} y", LONG)
    assert contains_key(json.dumps({"a": echo}).encode(), LONG)
    assert redact_value({echo: [echo]}, LONG) == {
        redact_text(echo, LONG): [redact_text(echo, LONG)]
    }
    for start in range(len(LONG) - 12):
        assert LONG[start : start + 12] not in redact_text(echo, LONG)


@pytest.mark.parametrize(
    "text", ["sk-proj-Ab***/9Z", "a 50% share, %20%20%20%20%20", "\\u0041\\u0042\\u0043\\u0044", ""]
)
def test_what_is_no_key_stays(text: str) -> None:
    """A key that the provider itself has shortened, too."""
    assert redact_text(text, LONG) == text
    assert not contains_key(json.dumps(text).encode(), LONG)


def test_a_value_without_a_bottom_is_cut_off() -> None:
    """Rather than the job."""
    value: Any = LONG
    for _ in range(5_000):
        value = [value]
    assert LONG not in repr(redact_value({"a": [1, "b"], "c": 1}, LONG))
    redact_value(value, LONG)
