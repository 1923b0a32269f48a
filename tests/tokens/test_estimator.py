"""The estimator: each request counted once, long ones in a thread, corrected by their answers."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest

from ratedispatch.errors import InvalidRequest
from ratedispatch.outcome import Usage
from ratedispatch.request import Request
from ratedispatch.tokens import ANTHROPIC, OPENAI, TOKENS, Counter, Estimator, estimator

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ratedispatch.request import Cost


def chat(content: str = "Hello!", **fields: Any) -> Request:
    return Request.chat(model="gpt-4o", messages=[{"role": "user", "content": content}], **fields)


class Watched(Counter):
    """Notes in which thread it counts."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: list[int] = []

    def estimate(self, body: Mapping[str, Any], *args: Any, **options: Any) -> Cost:
        """Count as any other."""
        self.threads.append(threading.get_ident())
        return super().estimate(body, *args, **options)


def test_a_thread_counts_what_is_long_and_what_has_to_be_loaded() -> None:
    """The first of a model, and each text above 3,000 characters; the rest in the loop."""
    counter = Watched()
    here = threading.get_ident()

    async def main() -> None:
        made = Estimator(TOKENS, counter=counter, in_thread=asyncio.to_thread)
        assert made.estimate_now(chat()) is None
        await made.estimate(chat())
        assert made.estimate_now(chat()) == await made.estimate(chat())
        assert made.estimate_now(chat("word " * 700)) is None
        await made.estimate(chat("word " * 700))

    asyncio.run(main())
    assert [thread == here for thread in counter.threads] == [False, True, True, False]


def test_what_was_asked_for_ahead_is_not_counted_again() -> None:
    """Once for the same object; what is kept is given out once."""
    counter = Watched()

    async def main() -> None:
        made = Estimator(TOKENS, counter=counter, in_thread=asyncio.to_thread)
        request = chat()
        ahead = await made.estimate_ahead(request)
        assert await made.estimate(request) is ahead
        assert len(counter.threads) == 1
        assert await made.estimate(request) == ahead
        assert await made.estimate(chat()) == ahead
        assert len(counter.threads) == 3

    asyncio.run(main())


def test_what_is_never_asked_for_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest goes first."""
    monkeypatch.setattr(estimator, "_MOST_KEPT", 2)
    counter = Watched()

    async def main() -> None:
        made = Estimator(TOKENS, counter=counter, in_thread=asyncio.to_thread)
        requests = [chat() for _ in range(3)]
        for request in requests:
            await made.estimate_ahead(request)
        for request in requests:
            await made.estimate(request)

    asyncio.run(main())
    assert len(counter.threads) == 4


@pytest.mark.parametrize(("policy", "reserved"), [(OPENAI, 100), (ANTHROPIC, 0)])
def test_the_bill_is_expected_whatever_the_limit_is_charged(policy: Any, reserved: int) -> None:
    """The output of an answer, where a limit is not charged for it too."""
    cost = asyncio.run(
        Estimator(policy, in_thread=asyncio.to_thread).estimate(chat(max_tokens=50, n=2))
    )
    assert (cost.output_tokens, cost.expected_output_tokens) == (reserved, 100)


def test_answers_correct_what_is_expected() -> None:
    """After 32 of them; one that its cap has cut says nothing of the length."""

    async def main() -> None:
        made = Estimator(TOKENS, default_output_tokens=7, in_thread=asyncio.to_thread)
        request, capped = chat(), chat(max_tokens=5)
        cost, cut = await made.estimate(request), await made.estimate(capped)
        assert (cost.expected_tokens, cost.expected_output_tokens) == (9, 7)
        for _ in range(32):
            made.learn(capped, cut, Usage(12, 5))
        after = await made.estimate(request)
        assert (after.expected_tokens, after.expected_output_tokens) == (12, 7)
        for _ in range(32):
            made.learn(request, after, Usage(12, 40))
        after = await made.estimate(request)
        assert (after.expected_tokens, after.expected_output_tokens) == (12, 40)

    asyncio.run(main())


def test_amounts_of_the_callers_own_are_carried_along() -> None:
    """Counted in a thread and in the loop."""

    async def main() -> None:
        made = Estimator(TOKENS, in_thread=asyncio.to_thread)
        request = Request(chat().body, custom={"images": 3})
        for _ in range(2):
            assert (await made.estimate(request)).amount("images") == 3

    asyncio.run(main())


def test_what_cannot_be_counted_is_refused() -> None:
    """The message names the field, asked ahead or not; a model that is no string is refused too."""

    async def main() -> None:
        made = Estimator(TOKENS, in_thread=asyncio.to_thread)
        for ask in (made.estimate, made.estimate_ahead):
            with pytest.raises(InvalidRequest, match=r"^messages: "):
                await ask(Request({"model": "gpt-4o", "messages": 7}))
            with pytest.raises(InvalidRequest, match=r"^model: "):
                await ask(Request({"model": ["gpt-4o"], "messages": []}))

    asyncio.run(main())
