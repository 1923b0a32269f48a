"""The parts of the live benchmarks that need no server: files, bounds, and the check of rows."""

from __future__ import annotations

import json
import statistics
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks.frame.bounds import (
    Account,
    Allowance,
    Step,
    Target,
    Wait,
    end_of,
    quiet_seconds,
    share_of_rate,
    spent_at,
    tpm_for,
)
from benchmarks.frame.workload import Row, Workload, mixed, short, with_large
from benchmarks.live import adaptation
from benchmarks.live.main_job import table
from benchmarks.live.parts.conditions import SHALLOW, TRIALS
from benchmarks.live.parts.figures import Ended, Targets, figures, summarise
from benchmarks.live.parts.rowcheck import check_files, check_rows
from benchmarks.live.parts.scenario import BASELINES, SCENARIOS, waits
from ratedispatch.tokens import count_tokens

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.live.parts.figures import Figures


def answer(custom_id: str, text: str | None = None) -> str:
    content = f"answer to {custom_id}" if text is None else text
    body = {"choices": [{"message": {"role": "assistant", "content": content}}]}
    response = {"status_code": 200, "body": body}
    return json.dumps({"custom_id": custom_id, "response": response, "error": None})


def failure(custom_id: str, *, status: int | None = None, code: str | None = None) -> str:
    response = None if status is None else {"status_code": status, "body": {}}
    error = None if code is None else {"code": code, "message": "why"}
    return json.dumps({"custom_id": custom_id, "response": response, "error": error})


def rows(*tokens: int) -> Workload:
    return Workload("rows", tuple(Row(f"r{n}", {}, size) for n, size in enumerate(tokens)))


def test_short_rows_are_short_and_all_different() -> None:
    """Short rows have 20 to 60 tokens, none is like another, and a seed fixes them."""
    workload = short(300, 7)
    assert len(set(workload.ids)) == 300
    assert len({json.dumps(row.body) for row in workload.rows}) == 300
    assert all(20 <= row.tokens <= 60 for row in workload.rows)
    assert short(20, 7) == short(20, 7)
    assert short(20, 7) != short(20, 8)


def test_mixed_rows_have_the_median_and_the_longest_that_are_asked() -> None:
    """Log-normal lengths: half below about 200 tokens, none above 4,000, some above 2,000."""
    sizes = [row.tokens for row in mixed(600, 0).rows]
    assert 180 <= statistics.median(sizes) <= 220
    assert min(sizes) >= 30
    assert 2000 < max(sizes) <= 4010


def test_one_row_in_ten_is_large() -> None:
    """Every ten rows have one of about 3,000 tokens; the others are small."""
    workload = with_large(50, 0)
    for start in range(0, 50, 10):
        sizes = sorted(row.tokens for row in workload.rows[start : start + 10])
        assert sizes[-2] < 80
        assert 2980 <= sizes[-1] <= 3010


def test_a_row_is_charged_its_prompt_and_its_cap() -> None:
    """What counts as work is what the tokenizer counts plus the output cap."""
    row = short(1, 0).rows[0]
    assert row.tokens == count_tokens(row.body) + row.body["max_tokens"]


def test_a_file_holds_the_rows_in_batch_format(tmp_path: Path) -> None:
    """One line for each row, in order."""
    workload = short(3, 0)
    workload.write(tmp_path / "in.jsonl")
    lines = [json.loads(text) for text in (tmp_path / "in.jsonl").read_text("utf-8").splitlines()]
    assert [line["custom_id"] for line in lines] == list(workload.ids)
    assert lines[0]["method"] == "POST"
    assert lines[0]["url"] == "/v1/chat/completions"
    assert lines[0]["body"] == workload.rows[0].body


@pytest.mark.parametrize(
    ("requests", "tokens", "expected"),
    [
        # 3,000 rpm are 50 a second; 50 of 1,500 go at once, 1,450 take 29 s; 0.2 s to answer
        (1500, 0, 29.2),
        # 60,000 tpm are 1,000 a second; 1,000 of 41,000 go at once, 40,000 take 40 s
        (10, 41_000, 40.2),
        # both at once: the slower one binds
        (1500, 41_000, 40.2),
        # all within the burst: nothing but the latency
        (50, 1000, 0.2),
        (1, 1, 0.2),
    ],
)
def test_lower_bound(requests: int, tokens: int, expected: float) -> None:
    """The bound is that of the slower bucket, and one latency."""
    account = Account(rpm=3000, tpm=60_000, burst_seconds=1.0, latency=0.2)
    assert account.lower_bound(requests, tokens) == pytest.approx(expected)


def test_token_limit_for_a_bound() -> None:
    """448,000 tokens in 39.8 s with a bucket 5 s deep need 10,000 a second: 600,000 a minute."""
    assert tpm_for(40.0, 448_000, 5.0, 0.2) == 600_000


def test_wait_of_a_row_beside_what_its_place_explains() -> None:
    """A floor stands in for places that explain next to nothing."""
    assert Wait("r", 3.0, 2.0).ratio(0.2) == 1.5
    assert Wait("r", 0.3, 0.0).ratio(0.2) == pytest.approx(1.5)
    assert Wait("r", 3.0, 2.0).lateness == 1.0


def test_large_rows_are_judged_apart_from_the_others() -> None:
    """The worst ratio of each kind, by the tokens that stand before a row."""
    # 60,000 tpm are 1,000 tokens a second; 1,000 go at once
    account = Account(rpm=3000, tpm=60_000, burst_seconds=1.0, latency=0.2)
    workload = rows(100, 3000, 100, 3000)
    # places explain 0, 2.1, 2.2 and 5.2 s
    found = waits(workload, account, {"r0": 0.0, "r1": 4.2, "r2": 2.2, "r3": 5.3}, 1.0)
    assert found["large_rows"] == 2
    assert found["large_rows_above_target"] == 1
    assert found["worst_wait_ratio"] == pytest.approx(2.0)
    assert found["worst_wait_late_s"] == pytest.approx(2.1)
    assert found["worst_small_wait_ratio"] == pytest.approx(1.0)
    assert found["worst_small_wait_late_s"] == pytest.approx(0.0)


def test_every_row_once_is_exact() -> None:
    """Answers and failures together hold each row once."""
    check = check_rows(["a", "b", "c"], [answer("b"), answer("a")], [failure("c", code="timeout")])
    assert check.is_exact
    assert (check.answered, check.failed) == (2, 1)


@pytest.mark.parametrize(
    ("output", "errors", "wrong"),
    [
        ([answer("a")], [], "lost"),
        ([answer("a"), answer("b"), answer("a")], [], "doubled"),
        ([answer("a"), answer("b")], [failure("b", status=500)], "doubled"),
        ([answer("a"), answer("b"), answer("z")], [], "unknown"),
        ([answer("a"), answer("b"), '{"custom_id": "b", "resp'], [], "unknown"),
        ([answer("a"), answer("b", "answer to a")], [], "swapped"),
        ([answer("a")], [failure("b")], "unexplained"),
        ([answer("a")], [failure("b", status=200)], "unexplained"),
    ],
)
def test_the_check_finds_what_is_wrong(output: list[str], errors: list[str], wrong: str) -> None:
    """One row that is lost, doubled or otherwise wrong is found and named."""
    check = check_rows(["a", "b"], output, errors)
    assert getattr(check, wrong) >= 1
    assert not check.is_exact
    others = {"lost", "doubled", "unknown", "swapped", "unexplained"} - {wrong}
    # a line cut in the middle is no answer either
    assert sum(getattr(check, name) for name in others) <= (wrong == "unknown")


def test_answers_without_an_echo_are_not_held_to_it(tmp_path: Path) -> None:
    """A client that sends no name gets none back; and a file that is missing has no lines."""
    output = tmp_path / "out.jsonl"
    output.write_text(answer("a", "answer to 0123") + "\n", "utf-8")
    assert check_files(["a"], output, tmp_path / "none", echoes=False).is_exact
    assert check_files(["a"], output, tmp_path / "none").swapped == 1


def make_run(*, makespan: float = 30.0, refused: int = 0, lost: int = 0) -> Figures:
    stats: dict[str, Any] = {
        "admitted": 2,
        "admitted_rows": 2,
        "tokens_charged": 41_000,
        "makespan": makespan,
        "refused": {"requests": refused},
        "faults": {},
        "arrived": 2 + refused,
        "admissions_too_many": 0,
        "answered_twice": 0,
        "in_flight_peak": 2,
        "connections_peak": 2,
        "latency": {"p50": 0.2},
    }
    output = [answer("r0"), answer("r1")][lost:]
    return figures(
        rows(40_000, 1000),
        Account(rpm=3000, tpm=60_000, burst_seconds=1.0, latency=0.2),
        stats,
        ended=Ended(41.0, 0),
        rows=check_rows(["r0", "r1"], output, []),
        server_seed=0,
        load_average=0.5,
    )


def test_targets_name_what_is_missed() -> None:
    """A slow run, a refusal and a lost row each miss their target; a good run misses none."""
    targets = Targets(ratio=1.03, refusals=0)
    assert targets.misses(make_run(makespan=40.3)) == []
    assert targets.misses(make_run(makespan=42.21)) == ["makespan 1.050 × the lower bound"]
    assert targets.misses(make_run(makespan=40.3, refused=3)) == ["3 refusals"]
    assert "lost=1" in Targets().misses(make_run(lost=1))[0]


def test_a_charge_that_is_not_the_work_is_an_error() -> None:
    """If the server charges otherwise than counted, the lower bound means nothing."""
    stats = {"admitted": 1, "admitted_rows": 1, "tokens_charged": 9}
    with pytest.raises(RuntimeError, match="charged 9 tokens for rows of 10"):
        figures(
            rows(10),
            Account(1, 1, 1.0, 0.0),
            stats,
            ended=Ended(0.0, 0),
            rows=check_rows([], [], []),
            server_seed=0,
            load_average=0.0,
        )


def test_summary_is_median_and_spread() -> None:
    """The median of an odd number of runs is one of them; texts are left out."""
    runs = [{"ratio": value, "last_words": ""} for value in (1.03, 1.01, 1.02)]
    assert summarise(runs) == {"ratio": {"median": 1.02, "lowest": 1.01, "highest": 1.03}}


def test_table_names_misses_and_exit_codes() -> None:
    """What went wrong stands below the table, with its run."""
    run = {**make_run(makespan=60.0).as_dict(), "misses": ["too slow"], "exit_code": 1}
    result = {
        "scenario": "paced",
        "is_on_target": False,
        "summary": summarise([run]),
        "runs": [run],
    }
    text = table([result])
    assert "MISSED" in text
    assert "paced, run 1: too slow" in text
    assert "paced, run 1: exit code 1" in text


def test_token_bound_scenarios_have_a_bound_of_forty_seconds() -> None:
    """The limit chosen for a file makes its lower bound what the scenario says."""
    bound = [scenario for scenario in SCENARIOS if scenario.bound is not None]
    assert {scenario.name for scenario in bound} == {
        "large",
        "large-burst",
        "mixed",
        "mixed-burst",
    }
    for scenario in bound:
        workload = rows(*[300] * 600)
        account = scenario.account(workload)
        assert account.lower_bound(600, workload.tokens) == pytest.approx(40.0, abs=0.001)
    assert [scenario.name for scenario in BASELINES] == ["paced", "backoff", "limiters"]


@pytest.mark.parametrize(
    ("allowance", "work", "first", "expected"),
    [
        # 50 of 1,500 at once, 1,450 at 50 a second, 0.2 s to answer
        (Allowance(50.0, burst=50.0, latency=0.2), 1500, 0.7, 29.2),
        # all in a deep bucket that is full
        (Allowance(50.0, burst=3000.0, latency=0.2), 2500, 0.7, 0.2),
        # one that starts empty holds 40 when the first arrives after 0.8 s
        (Allowance(50.0, is_empty=True, latency=0.2), 1500, 0.8, 29.4),
        # 50 at once, 350 from 1 to 8 s, the other 1,100 at 25 a second
        (Allowance(50.0, burst=50.0, later=(Step(8.0, 25.0),)), 1500, 1.0, 51.0),
        # 400 by 8 s, nothing for 5 s, 50 at once, 1,050 at 50 a second: until 34 s
        (
            Allowance(50.0, burst=50.0, later=(Step(8.0, 0.0), Step(13.0, 50.0, 50.0))),
            1500,
            1.0,
            33.0,
        ),
        # done before anything changes
        (Allowance(50.0, burst=50.0, later=(Step(8.0, 0.0),)), 400, 1.0, 7.0),
    ],
)
def test_lower_bound_while_limits_move(
    allowance: Allowance, work: float, first: float, expected: float
) -> None:
    """What moves counts from the server's start, what is asked from the first arrival."""
    assert allowance.lower_bound(work, first) == pytest.approx(expected)


def test_what_is_never_allowed_has_no_bound() -> None:
    """A rate that ends at zero is a mistake of the scenario."""
    with pytest.raises(ValueError, match="100 of 500 are never allowed"):
        Allowance(50.0, burst=50.0, later=(Step(8.0, 0.0),)).lower_bound(500, 1.0)


def test_figures_of_single_seconds() -> None:
    """Shares, silence and spent piles are read from numbers per second."""
    amounts = [50, 50, 0, 0, 25, 24, 0]
    assert end_of(amounts) == 6
    assert end_of([0, 0]) == 0
    assert share_of_rate(amounts, 4, 6, 25.0) == pytest.approx(0.98)
    assert share_of_rate(amounts, 4, 6, 50.0, more=51.0) == pytest.approx(1.0)
    assert share_of_rate(amounts, 6, 6, 25.0) is None
    assert quiet_seconds(amounts, 2) == 2
    assert quiet_seconds(amounts, 4) == 0
    assert quiet_seconds(amounts, 6) is None
    assert spent_at(amounts, 99.0) == 1
    assert spent_at(amounts, 100.0) == 4
    assert spent_at(amounts, 1000.0) == 7


@pytest.mark.parametrize(
    ("target", "value", "miss"),
    [
        (Target("ratio", most=1.02), 1.02, None),
        (Target("ratio", most=1.02), 1.03, "ratio 1.03, not <= 1.02"),
        (Target("ratio", most=1.02), None, "ratio unknown, not <= 1.02"),
        (Target("share", least=0.95), 0.95, None),
        (Target("share", least=0.95), 0.94, "share 0.94, not >= 0.95"),
    ],
)
def test_a_target_is_met_at_its_bound(target: Target, value: float | None, miss: str) -> None:
    """A figure on the bound meets it, one beyond or unknown does not."""
    assert target.miss({target.figure: value}) == miss


def test_conditions_are_named_once_and_told_only_what_they_say() -> None:
    """Each scenario has a name of its own; the one that learns its limits is not told them."""
    by_name = {trial.name: trial for trial in TRIALS}
    assert len(by_name) == len(TRIALS)
    assert "--rpm 3000 --tpm 2M" in SHALLOW.commands()["run"]
    auto = by_name["auto"].commands()
    assert auto["server"] == SHALLOW.commands()["server"]
    assert "--rpm" not in auto["run"]
    assert "--limits limits.toml" in by_name["groups"].commands()["run"]


def test_rows_of_settles_reserve_far_more_than_they_get() -> None:
    """About 100 tokens of prompt and a cap of 1,000; two models take turns in groups."""
    by_name = {trial.name: trial for trial in TRIALS}
    settles, groups = (by_name[name].workload(0) for name in ("settles", "groups"))
    assert len(settles.rows) == 3000
    assert all(1095 <= row.tokens <= 1110 for row in settles.rows)
    first = settles.rows[0]
    assert first.tokens == count_tokens(first.body) + first.body["max_tokens"]
    assert [row.body["model"] for row in groups.rows[:4]] == ["a", "b", "a", "b"]


def test_table_of_adaptation_names_figures_targets_and_misses() -> None:
    """A line for each scenario; below it what its targets ask, and which run missed them."""
    run = {
        **make_run(makespan=60.0).as_dict(),
        "refused_share": 0.0123,
        "cpu_s": 3.0,
        "new_limit_share": 0.9,
        "misses": ["new_limit_share 0.9, not >= 0.95"],
        "last_words": "a word",
    }
    result = {
        "scenario": "halved-told",
        "targets": {"new_limit_share": ">= 0.95"},
        "is_on_target": False,
        "summary": summarise([run]),
        "runs": [run],
    }
    text = adaptation.table([result])
    assert "1.23" in text.splitlines()[1]
    assert text.splitlines()[1].endswith("MISSED")
    assert "halved-told: new_limit_share 0.9 [>= 0.95]" in text
    assert "halved-told, run 1: MISSED: new_limit_share 0.9, not >= 0.95 (a word)" in text
