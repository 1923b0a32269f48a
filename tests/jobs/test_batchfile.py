"""The lines of Batch files."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratedispatch import _json
from ratedispatch.jobs.batchfile import (
    BadRow,
    Head,
    answer_line,
    bad_row_line,
    failure_line,
    head_of,
    moved,
    outcome_line,
    parse_line,
    row_of,
)
from ratedispatch.outcome import Completed, Failed, Response
from ratedispatch.request import Cost, Request

GOOD: dict[str, Any] = {
    "custom_id": "a",
    "method": "POST",
    "url": "/v1/chat/completions",
    "body": {"model": "gpt-4o", "messages": []},
}


def line(**changes: Any) -> bytes:
    value = {**GOOD, **changes}
    return json.dumps({name: item for name, item in value.items() if item is not ...}).encode()


@pytest.mark.parametrize(
    "url",
    [
        "/v1/chat/completions",
        "/v1/responses",
        "/v1/embeddings",
        "/v1/completions",
        "/v1/moderations",
    ],
)
def test_a_row_of_each_endpoint(url: str) -> None:
    """The five may be mixed in one file."""
    assert parse_line(line(url=url), 3) == Request(GOOD["body"], url, "a", 3)
    assert isinstance(parse_line(line(method=...), 3), Request)


@pytest.mark.parametrize(
    ("changes", "endpoint", "expected"),
    [
        ({"url": "/chat/completions"}, None, "/v1/chat/completions"),
        ({"url": "/v4/chat/completions", "method": "post"}, None, "/v1/chat/completions"),
        ({"url": "https://host/v1/embeddings/"}, None, "/v1/embeddings"),
        ({"url": ...}, None, "/v1/chat/completions"),
        ({"url": ..., "body": {"input": "x"}}, "/v1/embeddings", "/v1/embeddings"),
        ({"url": "/v1/responses"}, "/v1/embeddings", "/v1/responses"),
    ],
)
def test_a_row_of_another_provider(
    changes: dict[str, Any], endpoint: str | None, expected: str
) -> None:
    """Without a version, as a whole address, in small letters, or without an address."""
    found = parse_line(line(**changes), 3, endpoint)
    assert isinstance(found, Request)
    assert found.endpoint == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"hello", "not JSON"),
        (b"{", "not JSON"),
        (b'{"custom_id": NaN}', "line 17: not JSON: NaN is not a JSON number"),
        (b"[1]", "expected a JSON object, got an array"),
        (b"null", "got null"),
        (b'"text"', "got a string"),
        (b"\xff\xfe", "not UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"custom_id":"a","n":' + b"9" * 5000 + b"}", "JSON that cannot be read"),
        (line(custom_id=...), "custom_id is missing"),
        (line(custom_id=5), "custom_id must be a non-empty string"),
        (line(custom_id=""), "custom_id must be a non-empty string"),
        (line(url=..., body={"input": "x"}), "url is missing; name the endpoint"),
        (line(url="/v1/nothing"), "url '/v1/nothing' is not one of"),
        (line(url=["x"]), "is not one of"),
        (line(method="GET"), "method must be 'POST'"),
        (line(body=...), "body is missing"),
        (line(body=[]), "body must be a JSON object, got an array"),
        (line(body={"stream": True}), "stream"),
        (line(body={"background": True}), "background"),
    ],
)
def test_a_line_that_is_no_request_names_its_number_and_reason(text: bytes, reason: str) -> None:
    """The row fails alone; the others run."""
    bad = parse_line(text, 17)
    assert isinstance(bad, BadRow)
    assert bad.message.startswith("line 17: ")
    assert reason in bad.message
    written = json.loads(bad_row_line(bad))
    assert written["error"] == {"code": "invalid_line", "message": bad.message, "line": 17}
    assert written["response"] is None


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_no_line_makes_the_reader_raise(text: bytes) -> None:
    """Anything read from outside is data."""
    assert isinstance(parse_line(text, 1), BadRow | Request)


def test_output_lines_are_in_batch_format_and_tell_their_row() -> None:
    """With a request id, the body as it came, and the row in the first bytes."""
    request = Request(GOOD["body"], custom_id="a", row=42)
    response = Response(200, {"x-request-id": "req_1"}, {"text": "ü\n\ud800"})
    text = answer_line(Completed(request, response, Cost(1)))
    assert text.count(b"\n") == 1
    assert json.loads(text) == {
        "id": "batch_req_000000000042",
        "custom_id": "a",
        "response": {"status_code": 200, "request_id": "req_1", "body": response.body},
        "error": None,
    }
    assert row_of(text) == 42


def test_a_refused_row_keeps_the_response_and_a_broken_one_has_an_error() -> None:
    """As in the Batch API's error file."""
    request = Request(GOOD["body"], custom_id="a", row=1)
    refused = Failed(request, "bad", "m", Response(400, {}, {"error": {"message": "m"}}), 1)
    written = json.loads(failure_line(refused))
    assert written["response"]["status_code"] == 400
    assert written["error"] is None
    for failed in (
        Failed(request, "timeout", "no answer", None, 3),
        Failed(request, "garbled_answer", "not JSON", Response(200, {}, "<html>", False), 3),
    ):
        written = json.loads(failure_line(failed))
        assert written["response"] is None
        assert written["error"] == {"code": failed.code, "message": failed.message}


@pytest.mark.parametrize(
    "text", [b"", b"{}", b'{"id":"batch_req_12"}', b'{"id":"batch_req_00000000004x"}', b"x" * 99]
)
def test_a_line_of_another_program_tells_no_row(text: bytes) -> None:
    """So it is not mistaken for an answer."""
    assert row_of(text) is None


@given(st.integers(0, 10**12 - 1), st.sampled_from(["", "0123456789abcdef"]), st.integers(1, 10**9))
def test_a_result_line_tells_row_and_digest_and_can_be_moved(
    row: int, digest: str, place: int
) -> None:
    """In its first bytes; moved to another row, the rest of it stays."""
    request = Request(GOOD["body"], custom_id='{"id":"batch_req_', row=row)
    text = outcome_line(Failed(request, "bad", "batch_req_1", None, 1), digest)
    assert head_of(text) == Head(row, digest)
    assert row_of(text) == row
    there = moved(text, place)
    assert head_of(there) == Head(place, digest)
    assert {**json.loads(there), "id": ""} == {**json.loads(text), "id": ""}


def test_a_row_without_a_name_has_null_in_its_place() -> None:
    """And its number all the same."""
    text = bad_row_line(BadRow(5, None, "invalid_line", "line 5: no"), "0" * 16)
    assert json.loads(text)["custom_id"] is None
    assert head_of(text) == Head(5, "0" * 16)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=10,
    ),
    st.sampled_from([None, 2]),
    st.booleans(),
    st.text(min_size=1),
)
def test_an_answer_is_written_as_it_came_or_from_its_value(
    value: Any, indent: int | None, ascii_only: bool, name: str
) -> None:
    """The line says the same either way, and is one line."""
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only).encode("utf-8", "replace")
    body, is_plain = _json.read(text)
    request = Request({}, custom_id=name, row=3)
    response = Response(200, {}, body, text=text if is_plain else None)
    line = answer_line(Completed(request, response, Cost(1)), "0123456789abcdef")
    without = dataclasses.replace(response, text=None)
    plain = answer_line(Completed(request, without, Cost(1)), "0123456789abcdef")
    assert line.count(b"\n") == 1
    assert line.endswith(b'},"error":null}\n')
    assert json.loads(line) == json.loads(plain)


def test_numbers_that_json_has_not_are_null() -> None:
    """Python reads them in an answer; nobody else would read the line."""
    body = {"logprob": float("-inf"), "all": [float("nan"), 1.5]}
    line = answer_line(Completed(Request({}, row=1), Response(200, {}, body), Cost(1)))
    assert json.loads(line)["response"]["body"] == {"logprob": None, "all": [None, 1.5]}
