"""What a job will take: arithmetic by hand, quantiles by law, memory by bounds."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratedispatch.cli.plan_text import describe
from ratedispatch.errors import JobError
from ratedispatch.groups import LimitGroup, LimitGroups
from ratedispatch.jobs.batchfile import BadRow
from ratedispatch.jobs.plan.findings import MOST_FINDINGS, MOST_GROUPS, OTHERS
from ratedispatch.jobs.plan.histogram import RELATIVE_ERROR, Bar, Histogram
from ratedispatch.jobs.plan.model import Need, Plan
from ratedispatch.jobs.plan.planner import Planner, plan_file
from ratedispatch.jobs.plan.prices import Price
from ratedispatch.limits import Limits, Rate
from ratedispatch.observe.human import duration_text
from ratedispatch.request import EMBEDDINGS, Request
from ratedispatch.tokens import ANTHROPIC, TOKENS, Counter, count_tokens

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LIMITS = Limits(requests_per_minute=60, tokens_per_minute=6_000, burst_seconds=1)


def embedding(tokens: int, model: str = "text-embedding-3-small", row: int = 1) -> Request:
    """A request that costs exactly *tokens*: token ids are counted as they are."""
    return Request({"model": model, "input": [7] * tokens}, EMBEDDINGS, f"r{row}", row)


def plan_of(*requests: Request, limits: Limits | LimitGroups = LIMITS, **options: Any) -> Plan:
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
    assert Need(Rate("tokens", per_minute, burst), work).seconds == pytest.approx(seconds)


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


def test_less_than_one_request_a_minute_fits_all_the_same() -> None:
    """As the budget decides it: one request always goes, in its time; here one in two minutes."""
    made = plan_of(embedding(1, row=1), embedding(1, row=2), limits=Limits(0.5, 6_000))
    assert made.is_sound
    assert made.seconds == pytest.approx(120.0)


def test_a_day_goes_at_once_and_the_rest_at_the_rate_of_a_day() -> None:
    """5 rows at 2 a day: 2 at once, 3 more take a day and a half."""
    made = plan_of(*(embedding(9, row=row) for row in range(5)), limits=Limits(requests_per_day=2))
    (need,) = made.needs
    assert (need.dimension, need.rate.burst, need.rate.is_daily) == ("requests_per_day", 2, True)
    assert need.rate.limit == pytest.approx(2)
    assert made.seconds == pytest.approx(1.5 * 86_400)
    text = describe(made)
    assert "requests: 5 at 2 per day take 36 h" in text
    assert "requests per day bind\n" in text
    assert "with a burst of 0.7 s of rate, and of a whole day where a day is limited" in text
    assert plan_of(embedding(9), limits=Limits(requests_per_day=2)).seconds == 0


def test_what_binds_beside_several_that_fit_into_the_burst() -> None:
    """They are not named one by one."""
    limits = Limits(60, 6_000, 1, requests_per_day=100, tokens_per_day=100_000)
    text = describe(plan_of(embedding(1, row=1), embedding(1, row=2), limits=limits))
    assert "requests bind: the others all fit into the burst" in text


def test_a_row_may_be_as_large_as_a_day_or_one_of_its_own_limits() -> None:
    """100 a day, 60 of them input: the first limit that is too small is named."""
    day = Limits(tokens_per_day=100)
    assert plan_of(embedding(100), limits=day).is_sound
    made = plan_of(embedding(101), limits=day)
    assert made.counts == {"cost_exceeds_limit": 1}
    assert "101 tokens" in made.findings[0].message
    made = plan_of(embedding(61), limits=Limits(tokens_per_day=100, input_tokens_per_minute=60))
    assert "61 input" in made.findings[0].message
    chat = Request.chat(model="gpt-4o", messages=[], max_tokens=50)
    assert plan_of(chat, limits=Limits(output_tokens_per_minute=50)).is_sound
    assert not plan_of(chat, limits=Limits(output_tokens_per_minute=49)).is_sound


def test_input_and_output_are_limited_apart() -> None:
    """4 rows of 30 output tokens: 120 at 60 a minute, of which 1 goes at once: 119 s."""
    rows = [Request.chat(model="gpt-4o", messages=[], max_tokens=30) for _ in range(4)]
    limits = Limits(input_tokens_per_minute=600, output_tokens_per_minute=60, burst_seconds=1)
    made = plan_of(*rows, limits=limits)
    assert [need.dimension for need in made.needs] == ["input_tokens", "output_tokens"]
    assert made.needs[0].work == made.prompt_tokens
    assert made.needs[1].work == 120
    assert made.seconds == pytest.approx(119.0)
    assert "output tokens bind: " in describe(made)


def test_outputs_that_are_charged_as_they_are_written_are_not_in_the_time() -> None:
    """And that is said, with the most that they can be."""
    chat = Request.chat(model="gpt-4o", messages=[], max_tokens=30)
    made = plan_of(chat, limits=Limits(output_tokens_per_minute=60), policy=ANTHROPIC)
    assert made.seconds == 0
    assert "output tokens: at most 30 at 60 per minute; charged as they are" in describe(made)


def test_a_limit_that_is_to_be_learned_is_not_in_the_time() -> None:
    """Nor can a row be too large for it."""
    made = plan_of(embedding(500_000), limits=Limits(60, "auto"))
    assert made.is_sound
    assert [need.dimension for need in made.needs] == ["requests"]
    assert made.limit_groups[0].unknown == ("tokens",)
    assert "tokens: the limit is not known yet, so it is left out of the time" in describe(made)
    made = plan_of(embedding(5), limits=Limits("auto", "auto"))
    assert (made.seconds, made.needs) == (0, ())
    assert "No limit is known, so the time is not known either." in describe(made)


def test_dimensions_of_ones_own() -> None:
    """3 images and 4 at 60 a minute, of which 1 goes at once; 61 are too many."""
    limits = Limits(custom={"images": 60.0}, burst_seconds=1)
    rows = [
        Request(embedding(1).body, EMBEDDINGS, row=number, custom={"images": images})
        for number, images in enumerate((3, 4, 61), 1)
    ]
    made = plan_of(*rows, embedding(1), limits=limits)
    assert made.sendable == 3
    assert [finding.line for finding in made.findings] == [3]
    assert made.needs[0].work == 7
    assert made.seconds == pytest.approx(6.0)


GROUPS = LimitGroups(
    (
        LimitGroup("small", ("text-embedding-3-small",), Limits(60, burst_seconds=1)),
        LimitGroup("large", ("text-embedding-3-large",), Limits(None, 60, burst_seconds=0)),
    )
)


def test_the_slowest_group_is_the_time_of_the_job() -> None:
    """3 requests at 1 a second take 2 s; 2 × 20 tokens at 1 a second, of which 1 at once, 39 s."""
    small = [embedding(5_000, row=row) for row in range(3)]
    large = [embedding(20, "text-embedding-3-large", row) for row in range(2)]
    made = plan_of(*small, *large, limits=GROUPS)
    assert [(part.name, part.rows) for part in made.limit_groups] == [("small", 3), ("large", 2)]
    assert [part.seconds for part in made.limit_groups] == pytest.approx([2.0, 39.0])
    assert made.seconds == pytest.approx(39.0)
    assert made.binding is made.limit_groups[1].needs[0]
    assert made.burst_seconds is None
    assert {group.model: group.limits for group in made.groups} == {
        "text-embedding-3-small": "small",
        "text-embedding-3-large": "large",
    }
    text = describe(made)
    assert "small (text-embedding-3-small): 3 rows\n  requests: 3 at 60 per minute" in text
    assert "large (text-embedding-3-large): 2 rows\n  tokens: 40 at 60 per minute" in text
    assert "The job takes at least 39.0 s, the time of large, plus the latency" in text
    assert "each group's seconds of rate" in text
    time = made.as_dict()["time"]
    assert [need["group"] for need in time["needs"]] == ["small", "large"]
    assert [(part["name"], part["binding"]) for part in time["groups"]] == [
        ("small", "requests"),
        ("large", "tokens"),
    ]
    json.dumps(time, allow_nan=False)


@pytest.mark.filterwarnings("ignore::ratedispatch.tokens.CountingWarning")
def test_models_without_limits_cannot_be_sent_unless_others_have_some() -> None:
    """The row and the model are named; a group without rows is not shown."""
    made = plan_of(embedding(1, "mine"), embedding(2, row=2), limits=GROUPS)
    assert made.counts == {"no_limits": 1}
    assert made.findings[0].message.startswith("line 1: no group of limits names the model 'mine'")
    assert "large" not in describe(made)
    others = LimitGroups(GROUPS.groups, Limits(60, burst_seconds=1))
    made = plan_of(*(embedding(1, f"mine-{n}") for n in range(5)), limits=others)
    assert made.is_sound
    assert [(part.name, part.rows) for part in made.limit_groups] == [
        ("small", 0),
        ("large", 0),
        ("", 5),
    ]
    assert "the other models (mine-0, mine-1, mine-2, …): 5 rows" in describe(made)


def test_rows_that_cannot_be_counted_are_named() -> None:
    """The sentence names the line and the field."""
    made = plan_of(Request({"model": "gpt-4o", "messages": {7}}, custom_id="a", row=3))
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
    assert "so there is no total" in describe(only)


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
    assert made.needs[0].work == MOST_GROUPS + 51
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
    seen: list[tuple[int, int]] = []
    made = plan_file(path, LIMITS, on_progress=lambda done, there: seen.append((done, there)))
    assert made.sendable == 600
    assert len(seen) == 3
    assert seen == sorted(seen)
    assert seen[-1] == (path.stat().st_size, path.stat().st_size)
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
    assert duration_text(seconds) == text
