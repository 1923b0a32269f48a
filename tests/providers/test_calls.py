"""The number of Python calls that an answer costs to interpret."""

from __future__ import annotations

import gc
import sys
from typing import TYPE_CHECKING, Any

from ratedispatch.outcome import Decision, Response, Usage
from ratedispatch.providers.read import error_body
from ratedispatch.providers.registry import PROVIDERS

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType


def calls(of: Callable[[], object]) -> list[str]:
    """Names of the Python functions that are entered while *of* runs, itself left out."""
    entered: list[str] = []

    def profile(frame: FrameType, event: str, _: Any) -> None:
        if event == "call":
            entered.append(frame.f_code.co_qualname)

    before = sys.getprofile()
    gc.disable()  # Hypothesis and others listen to collections, which fall due at any call
    sys.setprofile(profile)
    try:
        of()
    finally:
        sys.setprofile(before)
        gc.enable()
    return entered[1:]


def answer(used: int) -> Response:
    headers = {
        "date": f"Mon, 23 Nov 2026 10:00:{used:02} GMT",
        "x-ratelimit-limit-requests": "10000",
        "x-ratelimit-remaining-requests": str(10_000 - used),
        # no other test may have read these: what was read lately is not parsed again
        "x-ratelimit-reset-requests": f"{6 * used}.7310459ms",
        "x-ratelimit-limit-tokens": "2000000",
        "x-ratelimit-remaining-tokens": str(2_000_000 - 1_001 * used),
        "x-ratelimit-reset-tokens": f"{30 * used + 1}.7310459ms",
    }
    usage = {"prompt_tokens": 200, "completion_tokens": used, "total_tokens": 200 + used}
    choice = {"message": {"content": "hi"}, "finish_reason": "stop"}
    body = {"object": "chat.completion", "choices": [choice], "usage": usage}
    return Response(200, headers, body)


def test_an_ordinary_answer_is_interpreted_in_seventeen_calls() -> None:
    """Steady state: only the limits are the same as in the answer before."""
    interpret = PROVIDERS["openai"].interpret
    interpret(answer(17))
    second = answer(19)
    entered = calls(lambda: interpret(second))
    assert len(entered) == 17, entered
    found = interpret(second)
    assert (found.decision, found.usage) == (Decision.ANSWERED, Usage(200, 19))
    assert [reading.remaining for reading in found.readings] == [9_981, 1_980_981]


def test_an_error_body_is_parsed_once() -> None:
    """Decision, wait, limit and readings come from one reading of it."""
    message = "on tokens per min (TPM): Limit 30000, Used 22999, Requested 12528. Try again in 9s"
    response = Response(429, {}, {"error": {"message": message, "type": "tokens"}})
    entered = calls(lambda: PROVIDERS["generic"].interpret(response))
    assert entered.count(error_body.read_error.__qualname__) == 1
    assert entered.count("read_refusal") == 1
