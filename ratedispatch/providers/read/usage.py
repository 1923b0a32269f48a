"""
The tokens that an answer reports.

Pure. Decides which of the reported numbers count, and what is a number; knows nothing of what was
reserved.
Names: OpenAI's two APIs, and Anthropic's, whose ``input_tokens`` leave out what a cache held.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ratedispatch.outcome import Usage
from ratedispatch.providers.read.amounts import parse_amount

if TYPE_CHECKING:
    from collections.abc import Mapping


#: More tokens than any answer has: what is beyond is garbage.
_MOST = 10**12


def read_usage(body: Any) -> Usage | None:
    """
    Return the usage that an answer reports, in any API's names; ``None`` without one.

    What ``total_tokens`` has beyond prompt and completion is output: reasoning that is counted
    beside the completion is billed as such. Zeros alone are the usage of a server that does not
    count.

    Anthropic's tokens written to a cache are prompt tokens that count against its limit, and
    those read from a cache are not (platform.claude.com/docs/en/api/rate-limits).
    """
    usage = body.get("usage") if isinstance(body, dict) else None
    if not isinstance(usage, dict):
        return None
    prompt, output = usage.get("prompt_tokens"), usage.get("completion_tokens")
    if type(prompt) is int and type(output) is int and 0 < prompt < _MOST and output >= 0:
        details = usage.get("completion_tokens_details")
        if usage.get("total_tokens") == prompt + output and not details:
            return Usage(prompt, output)  # nearly every answer there is
    return _read_unusual(usage)


def _read_unusual(usage: Mapping[Any, Any]) -> Usage | None:
    has_prompt, has_output = (
        usage.get(name) is not None for name in ("prompt_tokens", "completion_tokens")
    )
    total = _count(usage, "total_tokens")
    prompt = _count(usage, "prompt_tokens" if has_prompt else "input_tokens")
    if prompt is not None and not has_prompt:
        prompt += _count(usage, "cache_creation_input_tokens") or 0
    name = "completion_tokens" if has_output else "output_tokens"
    output = _count(usage, name) if usage.get(name) is not None else 0
    if output is None and total is not None and prompt is not None:
        output = total - prompt
    if prompt is None and total is not None and output is not None:
        prompt = total - output
    if prompt is None or output is None or prompt < 0 or output < 0:
        return None
    reasoning = _reasoning(usage)
    if reasoning > output:  # no part of a number can be larger than it: it stands beside
        output += reasoning
    output = max(output, (total or 0) - prompt)
    return Usage(prompt, output) if prompt or output else None


def _reasoning(usage: Mapping[Any, Any]) -> int:
    """Tokens of reasoning, where they are told; 0 if not."""
    for name in ("completion_tokens_details", "output_tokens_details"):
        details = usage.get(name)
        if isinstance(details, dict):
            return _count(details, "reasoning_tokens") or 0
    return 0


def _count(usage: Mapping[Any, Any], name: str) -> int | None:
    """A whole number of tokens, also as a float or in quotes; None for anything else."""
    value = usage.get(name)
    if isinstance(value, str):
        amount = parse_amount(value)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        amount = value
    else:
        return None
    # NaN is in no range, and neither is an integer of thousands of digits
    is_count = amount is not None and 0 <= amount < _MOST and amount == int(amount)
    return int(amount) if is_count and amount is not None else None
