"""What a job learns of its models."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratedispatch.tokens import TOKENS, Calibration, estimate


def body(**fields: Any) -> dict[str, Any]:
    return {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello!"}], **fields}


def taught(
    pairs: list[tuple[int, int]], outputs: int = 100, *, choices: int = 1, cut: bool = False
) -> Calibration:
    calibration = Calibration(first_guess=16)
    for counted, billed in pairs:
        calibration.learn(
            "gpt-4o", counted=counted, billed=billed, output=outputs, choices=choices, cut=cut
        )
    return calibration


def test_before_there_are_enough_answers_the_setting_holds() -> None:
    """Thirty-one prove nothing."""
    assert Calibration(77).output_tokens("gpt-4o") == 77
    assert taught([(10, 12)] * 31).output_tokens("gpt-4o") == 16
    assert taught([(10, 12)] * 31).correct("gpt-4o", 10) == 10


def test_the_reservation_covers_nineteen_in_twenty() -> None:
    """Outputs 1 to 200: 190 stay within it; another model is another matter."""
    calibration = Calibration(16)
    for length in range(1, 201):
        calibration.learn("gpt-4o", counted=9, billed=9, output=length, choices=1, cut=False)
    assert calibration.output_tokens("gpt-4o") == 191
    assert calibration.output_tokens("gpt-4.1") == 16


def test_only_the_last_answers_count() -> None:
    """A job that moves on to longer answers is followed."""
    calibration = taught([(9, 9)] * 300, outputs=50)
    assert calibration.output_tokens("gpt-4o") == 50
    for _ in range(256):
        calibration.learn("gpt-4o", counted=9, billed=9, output=700, choices=1, cut=False)
    assert calibration.output_tokens("gpt-4o") == 700


def test_an_output_that_was_cut_says_nothing_and_several_are_shared_out() -> None:
    """Three choices with 300 tokens are 100 each."""
    assert taught([(9, 9)] * 40, outputs=5, cut=True).output_tokens("gpt-4o") == 16
    assert taught([(9, 9)] * 40, outputs=300, choices=3).output_tokens("gpt-4o") == 100


@pytest.mark.parametrize(
    ("pairs", "counted", "expected"),
    [
        ([(10, 10), (500, 500)], 80, 80),
        ([(10, 9), (500, 499)], 80, 79),  # one token less for each request
        ([(12, 30), (19, 37), (400, 418)], 80, 98),  # eighteen more
        ([(100, 120), (500, 600), (20, 24)], 80, 96),  # another tokenizer
        ([(100, 5000), (10, 500)], 80, 240),  # history that nobody can count: bounded
        ([(100, 1), (10, 0)], 80, 40),
    ],
)
def test_a_systematic_offset_is_learned(
    pairs: list[tuple[int, int]], counted: int, expected: int
) -> None:
    """A constant or a ratio, whichever explains more, within bounds."""
    assert taught(pairs * 40).correct("gpt-4o", counted) == expected


def test_an_estimate_uses_what_was_learned() -> None:
    """The count is corrected, the answer reserved for, and the reasons still add up."""
    calibration = taught([(9, 27)] * 40, outputs=120)
    plain = estimate(body(), policy=TOKENS)
    cost = estimate(body(), policy=TOKENS, calibration=calibration, explain=True)
    assert (plain.prompt_tokens, plain.output_tokens) == (9, 16)
    assert (cost.counted_tokens, cost.expected_tokens) == (9, 27)
    assert (cost.prompt_tokens, cost.output_tokens, cost.is_capped) == (27, 120, False)
    assert sum(part.tokens for part in cost.parts) == cost.tokens
    capped = estimate(body(max_completion_tokens=50, n=2), policy=TOKENS, calibration=calibration)
    assert (capped.output_tokens, capped.is_capped, capped.choices) == (100, True, 2)


@given(
    answers=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**7)), max_size=90),
    counted=st.integers(0, 10**6),
)
def test_whatever_is_billed_a_correction_stays_within_its_bounds(
    answers: list[tuple[int, int]], counted: int
) -> None:
    """A provider that reports nonsense cannot make a request cost nothing, or the earth."""
    corrected = taught(answers).correct("gpt-4o", counted)
    assert counted // 2 <= corrected <= 3 * counted
