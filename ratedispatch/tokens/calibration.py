"""
Learns from answers how long those of a model are, and how far its counts are off.

Gives the reservation for an answer without a cap, and the correction of a prompt count. Takes
numbers and gives numbers; no request comes here.
"""

from __future__ import annotations

import statistics
from bisect import bisect_left, insort
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Answers of one model that are remembered: enough for a steady 95th percentile, few enough that
#: a job which moves on to other prompts is followed within a few seconds.
_SAMPLE = 256

#: Answers of one model before anything is concluded from them.
_ENOUGH = 32

#: The share of answers that a reservation is to cover. Below the longest: a reservation that
#: always covers leaves most of the limit idle, and the settled usage corrects the rest.
_COVERED = 0.95

#: Models that are told apart; a file that names more is not worth learning from.
_MODELS = 1000

#: A correction beyond these shares of the count says that something else is wrong, for example
#: history that a conversation adds.
_LEAST, _MOST = 0.5, 3.0


class Calibration:
    """
    What was learned about each model.

    The reservation for an answer without a cap is the 95th percentile of the last 256 answers, once
    there are 32 of them. A count is corrected by a constant difference (another chat format) or a
    constant ratio (another tokenizer), whichever explains the answers better, within half and
    three times the count.

    Args:
        first_guess: Tokens to reserve for an answer without a cap before anything is known.
    """

    def __init__(self, first_guess: int = 16) -> None:
        self._first_guess = first_guess
        self._models: dict[str, _Model] = {}

    def output_tokens(self, model: str) -> int:
        """Return what to reserve for one answer of *model* without a cap."""
        return self.apply(model, 0)[1]

    def correct(self, model: str, counted: int) -> int:
        """Return what *counted* prompt tokens of *model* are likely to be billed."""
        return self.apply(model, counted)[0]

    def apply(self, model: str, counted: int) -> tuple[int, int]:
        """Return both: *counted* prompt tokens as corrected, and the reservation for an answer."""
        known = self._models.get(model)
        if known is None:
            return counted, self._first_guess
        ratio, difference = known.correction
        corrected = round(counted * ratio + difference)
        corrected = max(round(_LEAST * counted), min(corrected, round(_MOST * counted)))
        output = known.outputs.covering
        return corrected, self._first_guess if output is None else output

    def recall(self, outputs: Mapping[str, int]) -> None:
        """Begin with the reservations *outputs* of an earlier run, by model."""
        for model, output in outputs.items():
            if model not in self._models and len(self._models) < _MODELS:
                self._models[model] = known = _Model()
                known.outputs.covering = output

    def found(self) -> dict[str, int]:
        """Return the reservations that rest on enough answers of this run, by model."""
        models = list(self._models.items())  # at once: other threads add to it
        return {
            model: known.outputs.covering
            for model, known in models
            if known.outputs.is_enough and known.outputs.covering is not None
        }

    def learn(
        self, model: str, *, counted: int, billed: int, output: int, choices: int, cut: bool
    ) -> None:
        """
        Take in an answer.

        Args:
            model: Who answered.
            counted: Prompt tokens as the tokenizer counts them, uncorrected.
            billed: Prompt tokens as the provider reports them.
            output: Output tokens as the provider reports them, of all choices.
            choices: How many answers it gave.
            cut: Whether a cap cut the answer, so that its length says nothing.
        """
        known = self._models.get(model)
        if known is None:
            if len(self._models) >= _MODELS:
                return
            known = self._models[model] = _Model()
        if not cut and choices > 0:
            known.outputs.add(-(-output // choices))
        known.add(counted, billed)


class _Model:
    """Outputs and counts of one model, and the correction that follows."""

    __slots__ = ("_pairs", "_since", "correction", "outputs")

    def __init__(self) -> None:
        self.outputs = _Sample()
        self.correction = 1.0, 0.0  # ratio and difference, replaced together for other threads
        self._pairs: deque[tuple[int, int]] = deque(maxlen=_SAMPLE)
        self._since = 0

    def add(self, counted: int, billed: int) -> None:
        self._pairs.append((counted, billed))
        self._since += 1
        if self._since >= _ENOUGH:  # not with every answer: it goes over the whole sample
            self._since = 0
            self._fit()

    def _fit(self) -> None:
        differences = [billed - counted for counted, billed in self._pairs]
        if min(differences) == max(differences):  # nothing is left for a ratio to explain
            self.correction = 1.0, float(differences[0])
            return
        difference = statistics.median(differences)
        total = sum(counted for counted, _ in self._pairs)
        ratio = sum(billed for _, billed in self._pairs) / total if total else 1.0
        by_difference = sum(abs(b - c - difference) for c, b in self._pairs)
        by_ratio = sum(abs(b - c * ratio) for c, b in self._pairs)
        if by_difference <= by_ratio:
            self.correction = 1.0, difference
        else:
            self.correction = ratio, 0.0


class _Sample:
    """
    The last values, in their order and sorted.

    Attributes:
        covering: The value that a share of 0.95 of them does not exceed; while there are too few
            that of an earlier run, or None.
    """

    __slots__ = ("_recent", "_sorted", "covering")

    def __init__(self) -> None:
        self.covering: int | None = None
        self._recent: deque[int] = deque()
        self._sorted: list[int] = []

    @property
    def is_enough(self) -> bool:
        """Whether there are enough to conclude something from."""
        return len(self._sorted) >= _ENOUGH

    def add(self, value: int) -> None:
        """Add *value* in place of the oldest one, once there are enough."""
        if len(self._recent) >= _SAMPLE:
            del self._sorted[bisect_left(self._sorted, self._recent.popleft())]
        self._recent.append(value)
        insort(self._sorted, value)
        held = len(self._sorted)
        if held >= _ENOUGH:
            self.covering = self._sorted[min(held - 1, int(_COVERED * held))]
