"""The estimator: each request counted once, long ones in a thread, corrected by their answers."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from ratedispatch.errors import InvalidRequest
from ratedispatch.outcome import Usage
from ratedispatch.request import CHAT, MODERATIONS, Request
from ratedispatch.tokens import ANTHROPIC, OPENAI, TOKENS, Counter, Estimator, estimator
from ratedispatch.tokens.vocabulary import Vocabulary

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ratedispatch.request import Cost


def chat(content: str = "Hello!", **fields: Any) -> Request:
    return Request.chat(model="gpt-4o", messages=[{"role": "user", "content": content}], **fields)


class Watched(Counter):
    """Notes in which thread it counts."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: list[int] = []
        self.loads: list[tuple[int, str]] = []

    def load(self, model: str, endpoint: str = CHAT) -> Callable[[str], int] | None:
        """Load as any other; what it returns notes its texts."""
        count_text = super().load(model, endpoint)
        assert count_text is not None
        self.loads.append((threading.get_ident(), model))

        def count_noted(text: str) -> int:
            self.loads.append((threading.get_ident(), text))
            return count_text(text)

        return count_noted

    def estimate(self, body: Mapping[str, Any], *args: Any, **options: Any) -> Cost:
        """Count as any other."""
        self.threads.append(threading.get_ident())
        return super().estimate(body, *args, **options)


def test_a_thread_counts_what_is_long_and_loads_what_is_needed() -> None:
    """Each text above 3,000 characters, and the vocabulary of each model; the rest in the loop."""
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
    assert [thread == here for thread in counter.threads] == [True, True, True, False]


def test_the_loop_counts_first_even_if_the_first_text_is_long() -> None:
    """The tokenizer is faster in the thread that used it first."""
    counter = Watched()
    here = threading.get_ident()

    async def main() -> None:
        made = Estimator(TOKENS, counter=counter, in_thread=asyncio.to_thread)
        await made.estimate(chat("word " * 700))
        assert [(thread == here, text) for thread, text in counter.loads] == [
            (False, "gpt-4o"),
            (True, "a"),
        ]
        await made.estimate(chat("word " * 700))

    asyncio.run(main())
    assert len(counter.loads) == 2
    assert [thread == here for thread in counter.threads] == [False, False]


def test_what_has_no_tokens_loads_no_vocabulary() -> None:
    """Requests of moderation are free."""

    class NoVocabulary(Vocabulary):
        def encoding(self, name: str) -> NoReturn:
            raise AssertionError(name)

    async def main() -> Cost:
        counter = Counter(vocabulary=NoVocabulary())
        made = Estimator(TOKENS, counter=counter, in_thread=asyncio.to_thread)
        return await made.estimate(Request({"model": "m", "input": "Hello!"}, MODERATIONS))

    cost = asyncio.run(main())
    assert (cost.tokens, cost.output_tokens) == (0, 0)


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
    """The message names the field, asked ahead or not."""

    async def main() -> None:
        made = Estimator(TOKENS, in_thread=asyncio.to_thread)
        for ask in (made.estimate, made.estimate_ahead):
            with pytest.raises(InvalidRequest, match=r"^messages: "):
                await ask(Request({"model": "gpt-4o", "messages": {1, 2}}))

    asyncio.run(main())
