"""What a cost can be lowered to."""

from __future__ import annotations

import pytest

from ratedispatch.request import Cost


@pytest.mark.parametrize(
    ("cost", "dimension", "most", "expected"),
    [
        (Cost(90, 20, is_capped=False), "tokens", 100.5, (90, 10)),
        (Cost(90, 20), "tokens", 100, None),  # its cap is its own
        (Cost(90, 20, assumed_tokens=40), "tokens", 100, (80, 20)),
        (Cost(90, 20, assumed_tokens=40, is_capped=False), "tokens_per_day", 60, (60, 0)),
        (Cost(90, 20, assumed_tokens=40), "tokens", 60, None),
        (Cost(90, 20, assumed_tokens=40, is_capped=False), "input_tokens", 60, (60, 20)),
        (Cost(90, 20, assumed_tokens=40, is_capped=False), "output_tokens", 15, (90, 15)),
        (Cost(90, 20, assumed_tokens=90, is_capped=False), "requests", 0.5, None),
        (Cost(90, 20, assumed_tokens=40), "tokens", 200, None),  # nothing is to be lowered
    ],
)
def test_what_is_assumed_is_no_proof(
    cost: Cost, dimension: str, most: float, expected: tuple[int, int] | None
) -> None:
    """An output without a cap is lowered first, then what the prompt assumes."""
    lowered = cost.lowered(dimension, most)
    found = None if lowered is None else (lowered.prompt_tokens, lowered.output_tokens)
    assert found == expected
