"""How a run ended, as a person reads it."""

from __future__ import annotations

from ratedispatch.observe.report import Report
from ratedispatch.observe.summary import failures_text, table


def test_a_small_table_says_how_a_run_ended() -> None:
    report = Report(
        answered=290,
        failed=10,
        resumed=100,
        attempts=205,
        refusals=2,
        retries=5,
        seconds=16.2,
        shares={"requests": 0.37, "tokens": 0.991},
        binding="tokens",
        prompt_tokens=131_571,
        expected_tokens=131_000,
        output_tokens=9_000,
        in_doubt=3,
    )
    text = table(report, cost="$0.07", width=60)
    assert text.splitlines() == [
        "rows        290 answered, 10 failed (100 of them by an",
        "            earlier run)",
        "time        16.2 s",
        "requests    205 sent, 2 refused, 5 retried",
        "in doubt    3 given up in flight, which may have been billed",
        "tokens in   131,571 (estimated 131,000, +0.44 %)",
        "tokens out  9,000",
        "cost        $0.07",
        "limits      37% of requests per minute, 99% of tokens per",
        "            minute",
        "bound by    tokens per minute",
    ]


def test_a_run_that_sent_nothing_has_a_short_one() -> None:
    assert table(Report(answered=3, resumed=3), cost=None, width=80).splitlines() == [
        "rows      3 answered, 0 failed (3 of them by an earlier run)",
        "time      0.0 s",
        "requests  0 sent, 0 refused, 0 retried",
    ]


def test_an_earlier_run_is_said_of_the_rows_that_are_done() -> None:
    """Not of those that are still to be answered."""
    rows = "5 answered, 1 failed (4 of them by an earlier run), 7 not yet answered"
    report = Report(answered=5, failed=1, resumed=4, unanswered=7)
    assert report.sentence().startswith(f"{rows} in 0.0 s;")
    assert table(report, cost=None, width=80).splitlines()[0] == f"rows      {rows}"


def test_rows_that_failed_are_summed_up_by_reason() -> None:
    """The most frequent first, and what a server calls them in one safe line."""
    report = Report(failed=7, failures={"b\x1b[2J\n": 1, "invalid_line": 4})
    assert failures_text(report) == (
        "7 rows failed (4 × invalid_line, 1 × b\\x1b[2J\\n, 2 in earlier runs)"
    )
    assert failures_text(Report(failed=1)) == "1 row failed"


def test_the_reasons_beyond_the_first_eight_are_counted_together() -> None:
    report = Report(failed=20, failures={f"code_{number}": 2 for number in range(10)})
    assert failures_text(report).endswith("2 × code_7, 4 for other reasons)")


def test_tokens_that_no_answer_has_told_are_unknown() -> None:
    """A server that counts nothing has not generated nothing."""
    told = Report(answered=3, resumed=2, prompt_tokens=9).as_dict()
    assert (told["prompt_tokens"], told["output_tokens"]) == (9, 0)
    untold = Report(answered=3, resumed=2).as_dict()
    assert (untold["prompt_tokens"], untold["output_tokens"]) == (None, None)
    assert Report(answered=2, resumed=2).as_dict()["prompt_tokens"] == 0
