"""
Learns from answers by how much the bill of a request may exceed its expectation.

Some providers bill reasoning beside the output that a cap bounds, some put text of their own before
a prompt, and an output without a cap has no bound at all. What the last answers of a model have
exceeded, the next is taken to exceed too. Pure: costs and usages in, tokens out.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from ratedispatch.outcome import Usage
    from ratedispatch.request import Cost

#: Answers of a model whose worst is expected of the next: enough to have met a long one, few
#: enough to forget one that was an exception.
_WINDOW = 64

#: Models that are told apart; what others are billed is not learned.
_MODELS = 1_000


class _Excess(NamedTuple):
    """
    By how much a bill exceeded what was expected: as a factor, and in tokens.

    For an output without a cap, nothing is expected, and both are its tokens for each choice.
    """

    prompt_factor: float = 1.0
    prompt_tokens: int = 0
    output_factor: float = 1.0
    output_tokens: int = 0
    free_tokens: int = 0


class Bills:
    """
    What the answers of each model were billed, beside what was expected.

    Attributes:
        answers: Answers that were taken in.
        version: Another number each time when `most` would give something else.
    """

    def __init__(self) -> None:
        self.answers = 0
        self.version = 0
        self._recent: dict[str, deque[_Excess]] = {}
        self._worst: dict[str, _Excess] = {}

    def knows(self, model: str) -> bool:
        """Whether an answer of *model* has come that told its usage."""
        return model in self._worst

    def learn(self, model: str, cost: Cost, usage: Usage | None) -> None:
        """Take in that the answer to a request of *cost* was billed *usage*; None if untold."""
        self.answers += 1
        recent = self._recent.get(model)
        if usage is None or (recent is None and len(self._recent) >= _MODELS):
            return
        if recent is None:
            recent = self._recent[model] = deque(maxlen=_WINDOW)
        recent.append(_excess_of(cost, usage))
        worst = _Excess(*map(max, zip(*recent, strict=True)))
        if worst != self._worst.get(model):
            self._worst[model] = worst
            self.version += 1

    def most(self, model: str, cost: Cost) -> tuple[int, int]:
        """Return how many prompt and output tokens a request of *cost* may be billed."""
        prompt, output = cost.expected_tokens, cost.expected_output_tokens
        worst = self._worst.get(model)
        if worst is None:
            return prompt, output
        # both bounds held for all of the last answers: the lower one holds as well
        counted = cost.counted_tokens
        by_factor = round(counted * worst.prompt_factor)
        prompt = max(prompt, min(by_factor, counted + worst.prompt_tokens))
        if cost.is_capped:
            by_factor = round(output * worst.output_factor)
            output = min(by_factor, output + worst.output_tokens * cost.choices)
        elif worst.free_tokens:
            output = worst.free_tokens * cost.choices
        return prompt, output


def _excess_of(cost: Cost, usage: Usage) -> _Excess:
    counted, expected = cost.counted_tokens, cost.expected_output_tokens
    prompt = max(0, usage.prompt_tokens - counted)
    choices = max(1, cost.choices)
    prompt_factor = 1 + prompt / max(1, counted)
    if not cost.is_capped:
        return _Excess(prompt_factor, prompt, free_tokens=-(-usage.output_tokens // choices))
    output = max(0, usage.output_tokens - expected)
    return _Excess(prompt_factor, prompt, 1 + output / max(1, expected), -(-output // choices))
