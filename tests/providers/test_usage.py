"""The tokens that an answer reports."""

from __future__ import annotations

from typing import Any

import pytest

from ratedispatch.outcome import Usage
from ratedispatch.providers.read.usage import read_usage


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        # Anthropic leaves cached tokens out of input_tokens; what is read from a cache is free
        (
            {
                "input_tokens": 10,
                "cache_creation_input_tokens": 100,
                "cache_read_input_tokens": 1000,
                "output_tokens": 5,
            },
            Usage(110, 5),
        ),
        ({"input_tokens": 10, "cache_creation_input_tokens": None}, Usage(10, 0)),
        # a proxy in OpenAI's dialect has them in prompt_tokens
        (
            {"prompt_tokens": 1110, "completion_tokens": 5, "cache_creation_input_tokens": 100},
            Usage(1110, 5),
        ),
        ({"prompt_tokens": 7, "completion_tokens": None}, Usage(7, 0)),
        ({"prompt_tokens": None, "input_tokens": 7, "output_tokens": 1}, Usage(7, 1)),
        ({"output_tokens": 1}, None),
        ({"prompt_tokens": True}, None),
        ({"prompt_tokens": -1}, None),
        ({"prompt_tokens": 1.5}, None),
        # counts as some servers write them
        ({"prompt_tokens": "7", "completion_tokens": 8.0}, Usage(7, 8)),
        ({"prompt_tokens": 7.0, "completion_tokens": "8.0", "total_tokens": 15.0}, Usage(7, 8)),
        ({"prompt_tokens": 7, "completion_tokens": "8 or so"}, None),
        ({"prompt_tokens": float("nan"), "completion_tokens": 1}, None),
        ({"prompt_tokens": 10**5000, "completion_tokens": 1}, None),
        ({"prompt_tokens": 7, "completion_tokens": 1, "total_tokens": 10**5000}, Usage(7, 1)),
        # what the total has beyond both is output: reasoning beside the completion
        ({"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 30}, Usage(7, 23)),
        ({"input_tokens": 7, "output_tokens": 2, "total_tokens": 30}, Usage(7, 23)),
        ({"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 3}, Usage(7, 2)),
        ({"prompt_tokens": 7, "completion_tokens": "?", "total_tokens": 30}, Usage(7, 23)),
        ({"completion_tokens": 2, "total_tokens": 30}, Usage(28, 2)),
        # no part is larger than the whole, so this one stands beside it
        (
            {
                "prompt_tokens": 7,
                "completion_tokens": 2,
                "completion_tokens_details": {"reasoning_tokens": 21},
            },
            Usage(7, 23),
        ),
        (
            {
                "input_tokens": 7,
                "output_tokens": 23,
                "total_tokens": 30,
                "output_tokens_details": {"reasoning_tokens": 21},
            },
            Usage(7, 23),
        ),
        # of a server that does not count
        ({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}, None),
        ({"prompt_tokens": "x", "input_tokens": 7}, None),
        ([], None),
    ],
)
def test_usage_counts_what_the_limit_counts(usage: Any, expected: Usage | None) -> None:
    """Prompt tokens as the provider charges them; nothing from what is not a count."""
    assert read_usage({"usage": usage}) == expected
