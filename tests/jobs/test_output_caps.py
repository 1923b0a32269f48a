"""The cap of a run on the outputs of rows in Batch format."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratedispatch.jobs.batchfile import BadRow
from ratedispatch.jobs.output_caps import CappedRows, capped
from ratedispatch.jobs.plan.planner import plan_file
from ratedispatch.jobs.rowformat import BatchRows
from ratedispatch.limits import Limits
from ratedispatch.request import CHAT, COMPLETIONS, EMBEDDINGS, MODERATIONS, RESPONSES, Request
from ratedispatch.simulate.server.child import FakeServerProcess
from tests.cli.run_command import lines, row, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.mark.parametrize(
    ("endpoint", "body", "changes"),
    [
        (CHAT, {"max_tokens": 900}, {"max_tokens": 100}),
        (CHAT, {"max_completion_tokens": 900}, {"max_completion_tokens": 100}),
        (CHAT, {"max_tokens": 50}, {}),
        (CHAT, {"max_tokens": 100.0}, {}),
        (CHAT, {"max_tokens": 50, "max_completion_tokens": 900}, {"max_completion_tokens": 100}),
        (CHAT, {"max_tokens": None}, {"max_tokens": 100}),
        (CHAT, {"model": "gpt-4.1-mini"}, {"max_tokens": 100}),
        (CHAT, {"model": "llama-3"}, {"max_tokens": 100}),
        (CHAT, {"model": "gpt-5-mini"}, {"max_completion_tokens": 100}),
        (CHAT, {"model": "openai/o4-mini"}, {"max_completion_tokens": 100}),
        (RESPONSES, {}, {"max_output_tokens": 100}),
        (RESPONSES, {"max_output_tokens": 101}, {"max_output_tokens": 100}),
        (COMPLETIONS, {}, {}),
        (COMPLETIONS, {"max_tokens": 500}, {"max_tokens": 100}),
        (EMBEDDINGS, {"input": "a"}, {}),
        (MODERATIONS, {"input": "a"}, {}),
        (CHAT, {"max_tokens": "many"}, {}),
        (CHAT, {"max_tokens": True}, {}),
    ],
)
def test_a_cap_that_is_higher_or_missing_becomes_that_of_the_run(
    endpoint: str, body: dict[str, Any], changes: dict[str, Any]
) -> None:
    """In the field of its endpoint and model; nothing else of the row changes."""
    request = Request(body, endpoint, "a", 7, was_read=True)
    lowered = capped(request, 100)
    assert lowered.body == {**body, **changes}
    assert (lowered.custom_id, lowered.row, lowered.was_read) == ("a", 7, True)
    assert request.body == body


def test_endpoints_have_bounds_of_their_own() -> None:
    """A response takes no cap below 16, and a completion without a cap has 16."""
    assert capped(Request({}, RESPONSES), 5).body == {"max_output_tokens": 16}
    assert capped(Request({}, COMPLETIONS), 5).body == {"max_tokens": 5}


@given(
    st.dictionaries(
        st.sampled_from(["max_tokens", "max_completion_tokens", "max_output_tokens", "x"]),
        st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.lists(st.integers()),
    ),
    st.sampled_from([CHAT, RESPONSES, COMPLETIONS, EMBEDDINGS]),
    st.integers(16, 10_000),
)
def test_a_cap_never_rises_and_lowering_twice_is_lowering_once(
    body: dict[str, Any], endpoint: str, most: int
) -> None:
    """A row that names a number keeps the smaller of both."""
    once = capped(Request(body, endpoint), most)
    assert capped(once, most) == once
    for name, value in once.body.items():
        before = body.get(name)
        assert value == (before if name in body and value != most else most)
        if type(before) is int and value != before:
            assert value < before


def test_lines_are_the_same_rows_as_without_the_cap() -> None:
    """A line that is no request stays one, and names are found as before."""
    rows = CappedRows(BatchRows(), 100)
    assert isinstance(rows.parse(b"broken", 3), BadRow)
    assert rows.names is not None
    assert rows.names.name(row("a").encode(), 2) == "a"
    assert rows.cells(row("a").encode(), 2) == ({}, "a")


@pytest.fixture(scope="module")
def server() -> Iterator[FakeServerProcess]:
    """Answers that are as long as their caps allow."""
    with FakeServerProcess("--latency", "0.01", "--output-share", "1") as child:
        yield child


def test_the_cap_of_a_run_is_what_is_sent_and_reserved(
    tmp_path: Path, server: FakeServerProcess
) -> None:
    """The run sends it, the plan counts it, and a run without it finds every row done."""
    texts = [row("a").replace('max_tokens": 5', 'max_tokens": 900'), row("b")]
    (tmp_path / "in.jsonl").write_text("\n".join(texts))
    result = run(tmp_path, "--max-tokens", "7", "--base-url", server.base_url)
    assert result.exit_code == 0, result.output
    used = {
        one["custom_id"]: one["response"]["body"]["usage"]["completion_tokens"]
        for one in lines(tmp_path / "out.jsonl")
    }
    assert used == {"a": 7, "b": 5}
    again = run(tmp_path, "--base-url", server.base_url)
    assert again.exit_code == 0, again.output
    assert len(lines(tmp_path / "out.jsonl")) == 2
    plans = [
        plan_file(tmp_path / "in.jsonl", Limits(tokens_per_minute=1e6), max_tokens=most)
        for most in (None, 7)
    ]
    sums = [sum(group.output_tokens for group in plan.groups) for plan in plans]
    assert sums == [905, 12]


def test_no_cap_is_below_one() -> None:
    """As with every number of an option."""
    from ratedispatch.jobs.job_options import JobOptions

    with pytest.raises(ValueError, match="max_tokens must be at least 1, not 0"):
        JobOptions(max_tokens=0)
    assert json.loads(row("a"))["custom_id"] == "a"
