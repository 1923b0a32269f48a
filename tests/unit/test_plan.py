"""What a job will take: arithmetic by hand, quantiles by law, memory by bounds."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratedispatch.cli.plan import describe, for_people
from ratedispatch.errors import JobError
from ratedispatch.jobs.batchfile import BadRow
from ratedispatch.jobs.histogram import RELATIVE_ERROR, Bar, Histogram
from ratedispatch.jobs.plan import (
    MOST_FINDINGS,
    MOST_GROUPS,
    OTHERS,
    Need,
    Plan,
    Planner,
    plan_file,
)
from ratedispatch.jobs.prices import Price
from ratedispatch.limits import Limits
from ratedispatch.request import EMBEDDINGS, Request
from ratedispatch.tokens import ANTHROPIC, TOKENS, Counter, count_tokens

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LIMITS = Limits(requests_per_minute=60, tokens_per_minute=6_000, burst_seconds=1)


def embedding(tokens: int, model: str = "text-embedding-3-small", row: int = 1) -> Request:
    """A request that costs exactly *tokens*: token ids are counted as they are."""
    return Request({"model": model, "input": [7] * tokens}, EMBEDDINGS, f"r{row}", row)


def plan_of(*requests: Request, limits: Limits = LIMITS, **options: Any) -> Plan:
    planner = Planner(limits, **{"policy": TOKENS, **options})
    for request in requests:
        planner.add(request)
    return planner.plan()


def filled(*amounts: int) -> Histogram:
    histogram = Histogram()
    for amount in amounts:
        histogram.add(amount)
    return histogram


@pytest.mark.parametrize(
    ("work", "per_minute", "burst", "seconds"),
    [
        # 60 a minute are 1 a second; 1 goes at once, 120 take 120 s
        (121, 60, 1, 120.0),
        # 6,000 a minute are 100 a second; 100 go at once, 900 take 9 s
        (1_000, 6_000, 100, 9.0),
        # all within the burst
        (100, 6_000, 100, 0.0),
        (3, 6_000, 100, 0.0),
        (0, 60, 1, 0.0),
    ],
)
def test_time_is_what_is_beyond_the_burst_by_the_rate(
    work: int, per_minute: float, burst: float, seconds: float
) -> None:
    """(work − burst) / rate, at least 0."""
    assert Need("tokens", per_minute, burst, work).seconds == pytest.approx(seconds)


def test_the_slower_limit_binds() -> None:
    """4 requests take 3 s at 1 a second; 1,000 tokens 9 s at 100 a second: 3 times as long."""
    made = plan_of(*(embedding(250, row=row) for row in range(1, 5)))
    assert made.binding is not None
    assert made.binding.dimension == "tokens"
    assert made.seconds == pytest.approx(9.0)
    assert made.ratio == pytest.approx(3.0)
    assert [need.work for need in made.needs] == [4, 1_000]
    assert made.tokens.max == 250


def test_requests_bind_when_rows_are_small() -> None:
    """11 rows of 10 tokens: 10 s for requests, 0.1 s for tokens."""
    made = plan_of(*(embedding(10, row=row) for row in range(1, 12)))
    assert made.binding is not None
    assert made.binding.dimension == "requests"
    assert made.seconds == pytest.approx(10.0)
    assert made.ratio == pytest.approx(100.0)


def test_what_fits_into_the_burst_takes_no_time() -> None:
    """Nothing binds, so there is no ratio; and it is said."""
    made = plan_of(embedding(50))
    assert made.binding is None
    assert (made.seconds, made.ratio) == (0.0, None)
    assert "Everything fits into the burst" in describe(made)


def test_one_limit_alone() -> None:
    """A limit that the account does not have is not in the plan."""
    made = plan_of(embedding(200), limits=Limits(tokens_per_minute=6_000, burst_seconds=1))
    assert [need.dimension for need in made.needs] == ["tokens"]
    assert (made.seconds, made.ratio) == (1.0, None)
    assert "tokens bind\n" in describe(made)
    assert plan_of(embedding(200), limits=Limits()).seconds == 0


def test_a_row_above_the_minute_can_never_fit_and_is_left_out() -> None:
    """6,000 fit, 6,001 do not; what is left out costs neither time nor money."""
    made = plan_of(embedding(6_000, row=1), embedding(6_001, row=2))
    assert made.counts == {"cost_exceeds_limit": 1}
    assert made.findings[0].line == 2
    assert made.findings[0].message.startswith("line 2: request 'r2' costs 6,001 tokens but")
    assert (made.rows, made.sendable, made.tokens.max) == (2, 1, 6_000)
    assert made.needs[1].work == 6_000
    assert not made.is_sound


def test_less_than_one_request_a_minute_fits_nothing() -> None:
    """As the dispatcher decides it: one request is above a whole minute of the limit."""
    made = plan_of(embedding(1), limits=Limits(0.5, 6_000))
    assert made.counts == {"cost_exceeds_limit": 1}
    assert "1 requests" in made.findings[0].message


def test_rows_that_cannot_be_counted_are_named() -> None:
    """The sentence names the line and the field."""
    made = plan_of(Request({"model": "gpt-4o", "messages": 7}, custom_id="a", row=3))
    assert made.counts == {"invalid_request": 1}
    assert made.findings[0].message.startswith("line 3: messages: ")


def test_cost_by_hand() -> None:
    """1,000 tokens at 0.02 USD a million, and the given price for everything if there is one."""
    rows = [embedding(400, row=1), embedding(600, row=2)]
    made = plan_of(*rows)
    assert made.usd == pytest.approx(0.00002)
    assert plan_of(*rows, price=Price("", 5.0, 9.0)).usd == pytest.approx(0.005)
    assert made.unpriced == ()


def test_models_without_a_price_are_left_out_and_named() -> None:
    """The sum holds the others."""
    made = plan_of(embedding(1_000, row=1), embedding(500, "text-embedding-ada-002", 2))
    assert made.usd == pytest.approx(0.00002)
    assert [(group.model, group.rows) for group in made.unpriced] == [("text-embedding-ada-002", 1)]
    text = describe(made)
    assert "No price is known for text-embedding-ada-002 (1 row, not in this sum)" in text
    only = plan_of(embedding(500, "text-embedding-ada-002"))
    assert only.usd is None
    assert "so there is no sum" in describe(only)


def test_output_is_priced_at_its_cap_whatever_the_limit_counts() -> None:
    """A provider that limits input only bills output all the same."""
    request = Request.chat(model="gpt-4o", messages=[], max_tokens=1_000)
    prompt = count_tokens(request.body)
    made = plan_of(request, policy=ANTHROPIC)
    assert (made.output_tokens, made.groups[0].cap_tokens) == (0, 1_000)
    assert made.usd == pytest.approx((prompt * 2.5 + 1_000 * 10) / 1e6)


def test_a_charge_by_characters_is_not_billed() -> None:
    """600 characters are charged 150 and 2 for the message, though they are fewer tokens."""
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "yesterday " * 60}]}
    planner = Planner(Limits(60, 6_000))
    planner.add(Request(body))
    group = planner.plan().groups[0]
    assert group.prompt_tokens >= 152
    assert group.input_tokens == count_tokens(body) < group.prompt_tokens


@pytest.mark.parametrize(
    ("cap", "uncapped"),
    [({}, 1), ({"max_tokens": None}, 1), ({"max_tokens": 5}, 0), ({"max_completion_tokens": 5}, 0)],
)
def test_rows_without_a_cap_are_counted(cap: dict[str, Any], uncapped: int) -> None:
    """What is reserved for them bounds nothing, and that is said."""
    made = plan_of(Request({"model": "gpt-4o", "messages": [], **cap}), default_output_tokens=40)
    assert made.uncapped == uncapped
    assert made.output_tokens == (40 if uncapped else 5)
    assert ("without an output cap may cost more: 40 tokens" in describe(made)) == bool(uncapped)


def test_groups_by_endpoint_and_model_most_rows_first() -> None:
    """Two endpoints and two models: three groups."""
    chat = Request.chat(model="gpt-4o", messages=[])
    rows = [embedding(5, "b"), embedding(6, "b"), embedding(7, "gpt-4o"), chat]
    with pytest.warns(match="'b' is not known"):
        made = plan_of(*rows)
    assert [(g.model, g.endpoint, g.rows) for g in made.groups] == [
        ("b", EMBEDDINGS, 2),
        ("gpt-4o", "/v1/chat/completions", 1),
        ("gpt-4o", EMBEDDINGS, 1),
    ]
    assert made.groups[0].prompt_tokens == 11


@pytest.mark.filterwarnings("ignore::ratedispatch.tokens.CountingWarning")
def test_what_a_plan_keeps_is_bounded() -> None:
    """A thousand models and a thousand findings, and all of them counted."""
    planner = Planner(Limits(60, 6_000), counter=Counter(memory=1_000))
    for row in range(MOST_GROUPS + 50):
        planner.add(embedding(1, f"m{row}"))
    planner.add(embedding(1, "m" * 10_000))
    for row in range(MOST_FINDINGS + 50):
        planner.add_bad_row(BadRow(row, "x" * 10_000, "invalid_line", "line 1: " + "y" * 10_000))
    made = planner.plan()
    assert len(made.groups) == MOST_GROUPS + 1
    assert made.groups[0].model == OTHERS
    assert made.groups[0].rows == 51
    assert len(made.findings) == MOST_FINDINGS
    assert made.counts == {"invalid_line": MOST_FINDINGS + 50}
    assert len(json.dumps(made.as_dict())) < 1_500_000


def test_a_negative_default_output_is_refused() -> None:
    """With both the name and the number."""
    with pytest.raises(ValueError, match="default_output_tokens must not be negative, got -1"):
        Planner(LIMITS, default_output_tokens=-1)


def test_plan_of_a_file_reports_where_it_is(tmp_path: Path) -> None:
    """Bytes read, now and then, and all of them at the end."""
    body = {"model": "text-embedding-3-small", "input": [7, 7]}
    rows = [{"custom_id": f"r{n}", "url": EMBEDDINGS, "body": body} for n in range(600)]
    path = tmp_path / "in.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    seen: list[int] = []
    made = plan_file(path, LIMITS, on_progress=seen.append)
    assert made.sendable == 600
    assert len(seen) == 3
    assert seen == sorted(seen)
    assert seen[-1] == path.stat().st_size
    assert plan_file(str(path), LIMITS).as_dict() == made.as_dict()
    with pytest.raises(JobError, match="does not exist"):
        plan_file(tmp_path / "none", LIMITS)


@given(st.lists(st.integers(0, 10**9), min_size=1), st.floats(0, 1))
def test_a_quantile_is_within_its_error(amounts: list[int], share: float) -> None:
    """Of the nearest rank among the amounts themselves, for any amounts."""
    exact = sorted(amounts)[max(0, math.ceil(share * len(amounts)) - 1)]
    found = filled(*amounts).quantile(share)
    assert abs(found - exact) <= RELATIVE_ERROR * exact
    assert min(amounts) <= found <= max(amounts)
    if exact < 128:
        assert found == exact
    assert RELATIVE_ERROR <= 0.01


@given(st.lists(st.integers(0, 10**9), min_size=1), st.integers(1, 30))
def test_bars_hold_every_amount_once(amounts: list[int], most: int) -> None:
    """Without gaps, in order, and the counts of each are exact."""
    bars = filled(*amounts).bars(most)
    for one, other in pairwise(bars):
        assert other.low == one.high + 1
    for bar in bars:
        assert bar.rows == sum(bar.low <= amount <= bar.high for amount in amounts)
    assert sum(bar.rows for bar in bars) == len(amounts)


def test_bars_divide_an_octave_when_there_is_room() -> None:
    """200 and 300 lie in two octaves of 128 to 511; 1 to 1,000 in ten."""
    assert filled(200, 300).bars(4) == [Bar(192, 255, 1), Bar(256, 383, 1)]
    assert [bar.low for bar in filled(1, 1_000).bars(10)] == [2**n for n in range(10)]
    assert Histogram().bars() == []


def test_the_number_of_bins_does_not_depend_on_the_number_of_rows() -> None:
    """100,000 different amounts fill some 700 bins."""
    histogram = filled(*range(100_000))
    assert len(histogram._bins) < 800
    assert (histogram.count, histogram.total) == (100_000, 4_999_950_000)


def test_an_empty_histogram_and_wrong_amounts() -> None:
    """No rows, no tokens; and what is refused."""
    assert Histogram().quantile(0.5) == 0
    wrong: list[Callable[[], object]] = [
        lambda: filled(-1),
        lambda: filled(1).quantile(1.1),
        lambda: filled(1).quantile(-0.1),
    ]
    for call in wrong:
        with pytest.raises(ValueError, match="must"):
            call()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"),
        (8.34, "8.3 s"),
        (59.96, "1 min"),
        (725, "12 min 5 s"),
        (3599.6, "1 h"),
        (11_520, "3 h 12 min"),
        (86_400, "24 h"),
        (187_200, "2 d 4 h"),
        (172_800, "2 d"),
    ],
)
def test_times_for_people(seconds: float, text: str) -> None:
    """Two units at most."""
    assert for_people(seconds) == text
