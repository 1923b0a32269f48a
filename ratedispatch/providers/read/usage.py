"""
The tokens that an answer reports.

Pure. Decides which of the reported numbers count; knows nothing of what was reserved.
Names: OpenAI's two APIs, and Anthropic's, whose ``input_tokens`` leave out what a cache held.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ratedispatch.outcome import Usage

if TYPE_CHECKING:
    from collections.abc import Mapping


def read_usage(body: Any) -> Usage | None:
    """
    Return the usage that an answer reports, in any API's names; ``None`` without one.

    Anthropic's tokens written to a cache are prompt tokens that count against its limit, and
    those read from a cache are not (platform.claude.com/docs/en/api/rate-limits).
    """
    usage = body.get("usage") if isinstance(body, dict) else None
    if not isinstance(usage, dict):
        return None
    prompt, output = usage.get("prompt_tokens"), usage.get("completion_tokens")
    if type(prompt) is int and type(output) is int and prompt >= 0 and output >= 0:
        return Usage(prompt, output)  # nearly every answer there is
    return _read_unusual(usage)


def _read_unusual(usage: Mapping[Any, Any]) -> Usage | None:
    prompt = _count(usage, "prompt_tokens")
    if prompt is None and usage.get("prompt_tokens") is None:
        prompt = _count(usage, "input_tokens")
        if prompt is not None:
            prompt += _count(usage, "cache_creation_input_tokens") or 0
    name = "completion_tokens" if usage.get("completion_tokens") is not None else "output_tokens"
    output = _count(usage, name) if usage.get(name) is not None else 0
    return None if prompt is None or output is None else Usage(prompt, output)


def _count(usage: Mapping[Any, Any], name: str) -> int | None:
    value = usage.get(name)
    is_count = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    return value if is_count else None
