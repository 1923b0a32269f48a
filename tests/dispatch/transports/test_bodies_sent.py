"""A body that was read from JSON is written by another encoder, to the same effect."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratedispatch.dispatch.transports.exchange import write_body
from ratedispatch.jobs.batchfile import parse_line
from ratedispatch.request import Request

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(st.dictionaries(st.text(), VALUES))
def test_what_was_read_is_written_with_the_same_value(body: dict[str, object]) -> None:
    """And refused alike, if a number is beyond a double."""
    if "inf" in repr(body) and not all(map(math.isfinite, numbers(body))):
        with pytest.raises(ValueError, match="not JSON compliant"):
            write_body(body, was_read=True)
        return
    assert json.loads(write_body(body, was_read=True)) == json.loads(write_body(body))


def numbers(value: object) -> list[float]:
    if isinstance(value, dict):
        return [number for item in value.values() for number in numbers(item)]
    if isinstance(value, list):
        return [number for item in value for number in numbers(item)]
    return [value] if isinstance(value, float) else []


def test_text_and_numbers_are_written_as_the_sdk_writes_them() -> None:
    """Byte for byte, but for the exponent of a number."""
    body = {"model": "m", "t": 'é\u2028\x7f\x00"/', "n": [1, -0.0, 0.1, 10**30], "e": {}}
    assert write_body(body, was_read=True) == write_body(body)
    assert write_body({"n": 1e16}, was_read=True) == b'{"n":1e16}'


def test_half_of_a_surrogate_pair_is_replaced_all_the_same() -> None:
    assert write_body({"t": "\ud800"}, was_read=True) == '{"t":"\ufffd"}'.encode()


def test_a_row_of_a_file_was_read_and_a_callers_own_request_was_not() -> None:
    """A caller may put dates or NaN into a body."""
    row = parse_line(b'{"custom_id":"a","url":"/v1/embeddings","body":{"model":"m"}}', 1)
    assert isinstance(row, Request)
    assert row.was_read
    assert not Request({"model": "m"}).was_read
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_body({"n": math.nan})
