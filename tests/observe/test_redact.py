"""Keys in what a server says."""

from __future__ import annotations

import json

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
