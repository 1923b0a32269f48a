"""The workload of a file against the plan of the same file: the same rows at the same cost."""

from __future__ import annotations

import csv
import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ratedispatch.errors import JobError
from ratedispatch.groups import LimitGroup, LimitGroups
from ratedispatch.jobs.inputs.template import Template
from ratedispatch.jobs.plan.findings import MOST_FINDINGS, MOST_GROUPS, OTHERS
from ratedispatch.jobs.plan.planner import plan_file
from ratedispatch.jobs.shard import Shard
from ratedispatch.jobs.workload.counted import Counting
from ratedispatch.jobs.workload.file_workload import read_workload
from ratedispatch.jobs.workload.row_reading import Reading
from ratedispatch.limits import Limits
from ratedispatch.request import CHAT, EMBEDDINGS, Cost, Request
from ratedispatch.simulate.forecast.workload import Kind, Row
from ratedispatch.tokens import ANTHROPIC, TOKENS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ratedispatch.jobs.plan.model import Plan
    from ratedispatch.jobs.workload.counted import Counted

AMPLE = Limits(6_000, 6_000_000)
IMAGE = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}


def line(number: int, content: Any = "hello there", **body: Any) -> str:
    """A row in Batch format."""
    messages = [{"role": "user", "content": content}]
    row = {"custom_id": f"r{number}", "url": CHAT, "method": "POST"}
    return json.dumps({**row, "body": {"model": "gpt-4o-mini", "messages": messages, **body}})


def embedding(number: int, tokens: int, model: str = "text-embedding-3-small") -> str:
    """A row that costs exactly *tokens*."""
    body = {"model": model, "input": [7] * tokens}
    return json.dumps({"custom_id": f"r{number}", "url": EMBEDDINGS, "body": body})


def sums_of(counted: Counted) -> dict[tuple[str, str], tuple[int, ...]]:
    """Rows, prompt, output, billed prompt and cap of each kind."""
    found: dict[tuple[str, str], list[int]] = {}
    for row, most in zip(counted.workload, counted.billed_outputs, strict=True):
        kind = counted.workload.kinds[row.kind]
        sums = found.setdefault((kind.endpoint, kind.model), [0] * 5)
        for place, number in enumerate((1, row.prompt, row.output, row.billed, most)):
            sums[place] += number
    return {kind: tuple(sums) for kind, sums in found.items()}


def sums_in(plan: Plan) -> dict[tuple[str, str], tuple[int, ...]]:
    return {
        (one.endpoint, one.model): (
            one.rows,
            one.prompt_tokens,
            one.output_tokens,
            one.input_tokens,
            one.cap_tokens,
        )
        for one in plan.groups
    }


def test_rows_stand_in_the_order_of_the_file_with_their_lines(tmp_path: Path) -> None:
    """Blank lines and bad rows are left out; each of the others has the number of its line."""
    path = tmp_path / "in.jsonl"
    lines = [embedding(1, 5), "", "{", line(3, max_tokens=30, n=2), line(3), embedding(5, 9)]
    path.write_text("\n".join(lines))
    counted = read_workload(path, reading=Reading(policy=TOKENS))
    assert counted.workload.kinds == [
        Kind(EMBEDDINGS, "text-embedding-3-small"),
        Kind(CHAT, "gpt-4o-mini"),
    ]
    prompt = counted.workload[1].prompt
    assert list(counted.workload) == [
        Row(0, 5, 0, 5, 0),
        Row(1, prompt, 60, prompt, 30),
        Row(0, 9, 0, 9, 0),
    ]
    assert list(counted.lines) == [1, 4, 6]
    assert list(counted.billed_outputs) == [0, 60, 0]
    plan = plan_file(path, AMPLE, policy=TOKENS)
    assert (counted.rows, counted.counts, counted.findings) == (5, plan.counts, plan.findings)
    assert [finding.line for finding in counted.findings] == [3, 5]


def test_an_output_that_no_limit_is_charged_keeps_its_cap(tmp_path: Path) -> None:
    """Anthropic's limit is charged the prompt only; the cap is billed all the same."""
    path = tmp_path / "in.jsonl"
    path.write_text(line(1, max_tokens=30) + "\n" + line(2))
    counted = read_workload(path, reading=Reading(policy=ANTHROPIC, default_output_tokens=70))
    assert [(row.output, row.cap) for row in counted.workload] == [(0, 30), (0, 0)]
    assert list(counted.billed_outputs) == [30, 70]


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    rows=st.lists(
        st.one_of(
            st.builds(lambda n: ("embed", n), st.integers(1, 60)),
            st.builds(lambda n: ("capped", n), st.integers(1, 60)),
            st.just(("open", 0)),
            st.just(("image", 0)),
            st.just(("bad", 0)),
        ),
        min_size=1,
        max_size=12,
    ),
    tokens=st.integers(1, 120),
    others=st.booleans(),
)
def test_what_limits_can_never_grant_is_found_as_the_plan_finds_it(
    tmp_path: Path, rows: list[tuple[str, int]], tokens: int, others: bool
) -> None:
    """
    Whatever the rows and the limits.

    What is assumed (an output without a cap, an image that cannot be measured) is lowered first.
    """
    path = tmp_path / "in.jsonl"
    makers: dict[str, Callable[[int, int], str]] = {
        "embed": embedding,
        "capped": lambda i, n: line(i, max_tokens=n),
        "open": lambda i, _: line(i),
        "image": lambda i, _: line(i, [IMAGE]),
        "bad": lambda *_: "[]",
    }
    lines = [makers[name](i, n) for i, (name, n) in enumerate(rows, 2)]
    path.write_text("\n".join([embedding(1, 1), *lines]))  # a file of bad rows alone is refused
    group = LimitGroup("chat", ("gpt-4o-mini",), Limits(60, tokens * 20))
    default = Limits(tokens_per_minute=tokens, burst_seconds=1) if others else None
    reading = Reading(policy=TOKENS, default_output_tokens=50)
    for limits in (Limits(60, tokens, burst_seconds=1), LimitGroups((group,), default)):
        plan = plan_file(path, limits, policy=TOKENS, default_output_tokens=50)
        counted = read_workload(path, limits, reading=reading)
        assert sums_of(counted) == sums_in(plan)
        assert counted.counts == plan.counts
        assert counted.rows == plan.rows
        places = [(one.line, one.code) for one in counted.findings]
        assert places == [(one.line, one.code) for one in plan.findings]
        assert len(counted.lines) == len(counted.workload) == plan.sendable


def test_limits_that_grant_every_row_cost_no_pass(tmp_path: Path) -> None:
    """The rows are those that were counted, not copies."""
    path = tmp_path / "in.jsonl"
    path.write_text("\n".join(line(n) for n in range(1, 9)))
    counted = read_workload(path)
    assert counted.under(AMPLE) is counted
    assert counted.under(Limits(60)) is counted


def test_tables_shards_and_packed_files_are_read_as_plan_reads_them(tmp_path: Path) -> None:
    """A CSV with a template, a third of it, and a Batch file that is packed."""
    table = tmp_path / "in.csv"
    with table.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text"])
        writer.writerows([[f"word {'more ' * n}"] for n in range(30)])
    template = Template("Translate: {text}", model="gpt-4o-mini", max_tokens=20)
    for shard in (None, Shard(1, 3)):
        plan = plan_file(table, AMPLE, template=template, shard=shard)
        counted = read_workload(table, AMPLE, reading=Reading(template=template, shard=shard))
        assert sums_of(counted) == sums_in(plan)
        assert len(counted.workload) == (30 if shard is None else 10)
    packed = tmp_path / "in.jsonl.gz"
    packed.write_bytes(gzip.compress(line(1).encode()))
    assert sums_of(read_workload(packed)) == sums_in(plan_file(packed, AMPLE))


def test_a_file_that_cannot_be_read_is_refused_as_plan_refuses_it(tmp_path: Path) -> None:
    """A missing one, an empty one."""
    with pytest.raises(JobError, match="does not exist"):
        read_workload(tmp_path / "none.jsonl")
    empty = tmp_path / "in.jsonl"
    empty.write_text("\n\n")
    with pytest.raises(JobError, match="is empty"):
        read_workload(empty)


def test_what_is_kept_of_a_hostile_file_is_bounded() -> None:
    """Kinds beyond a thousand are one; tokens beyond 31 bits are the most there can be."""
    counting = Counting()
    huge = Cost(2**40, 2**40, counted_tokens=2**40, choices=1, expected_output_tokens=2**40)
    for number in range(MOST_GROUPS + 5):
        counting.add_counted(Request({"model": f"m{number}"}, row=number + 1), Cost(1))
    counting.add_counted(Request({"model": "m3"}, row=2_000), Cost(1))
    counting.add_counted(Request({"model": "x" * 10_000}, row=2_001), huge)
    for row in range(MOST_FINDINGS + 5):
        counting.add_uncountable(Request({}, custom_id="x" * 10_000, row=row + 3_000), "y" * 10_000)
    counted = counting.counted()
    workload = counted.workload
    assert len(workload.kinds) == MOST_GROUPS + 1
    assert workload.kinds[-1] == Kind(CHAT, OTHERS)
    assert workload[-2].kind == 3
    most = 2**31 - 1
    assert workload[-1] == Row(MOST_GROUPS, most, most, most, most)
    assert len(counted.findings) == MOST_FINDINGS
    assert counted.counts == {"invalid_request": MOST_FINDINGS + 5}
    assert max(len(f.message) for f in counted.findings) <= 500
    assert not counted.is_whole


def test_more_rows_than_are_kept_leave_nothing_behind() -> None:
    """Memory is bounded where the counts are only kept for the next command."""
    counting = Counting(most_rows=3)
    for number in range(5):
        assert counting.is_complete == (number <= 3)
        counting.add_counted(Request({"model": "m"}, row=number + 1), Cost(1))
    assert not counting.is_complete
    assert len(counting.counted().workload) == 0
