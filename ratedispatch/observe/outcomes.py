"""
Adds up the results of a job: answers, lengths, models, and why rows failed. Bounded.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ratedispatch.observe.spread import Spread

#: Models and reasons that are told apart; they are the provider's words, and may be as many as
#: the rows.
_MOST_MODELS = 100
_MOST_REASONS = 100

#: Rows that are shown for a reason.
_EXAMPLES = 3

OTHER = "other"


@dataclass(slots=True)
class ModelSums:
    """
    What came from one model.

    Args:
        answers: Rows that it answered.
        prompt_tokens: As the provider reports them.
        output_tokens: The same.
        without_usage: Answers that report no tokens.
    """

    answers: int = 0
    prompt_tokens: int = 0
    output_tokens: int = 0
    without_usage: int = 0


@dataclass(frozen=True, slots=True)
class Example:
    """A row that failed: its number if that is known, its name, and why in a sentence."""

    row: int | None
    custom_id: str
    message: str


@dataclass(slots=True)
class Reason:
    """How many rows failed for one reason, and some of them."""

    rows: int = 0
    examples: list[Example] = field(default_factory=list)


@dataclass(slots=True)
class Outcomes:
    """
    The outcome of the rows of a job, in all of its runs.

    Args:
        rows: Rows of the input; None if the job file does not tell.
        answered: Rows that were answered.
        failed: Rows that failed.
        models: What came from each model, by the name that the provider gives it.
        reasons: Why rows failed, by code.
        prompts: Lengths of prompts in tokens, as the provider reports them.
        outputs: Lengths of answers in tokens.
        unread: Lines that could not be read.
        notes: Sentences on what could not be told.
    """

    rows: int | None = None
    answered: int = 0
    failed: int = 0
    models: dict[str, ModelSums] = field(default_factory=dict)
    reasons: dict[str, Reason] = field(default_factory=dict)
    prompts: Spread = field(default_factory=Spread)
    outputs: Spread = field(default_factory=Spread)
    unread: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def left(self) -> int:
        """Rows that have no result."""
        return max(0, (self.rows or 0) - self.answered - self.failed)

    def add_answer(self, model: str, usage: tuple[int, int] | None) -> None:
        """Count an answer of *model*, with its tokens of prompt and output if they are known."""
        self.answered += 1
        if model not in self.models and len(self.models) >= _MOST_MODELS:
            model = OTHER
        sums = self.models.get(model)
        if sums is None:
            sums = self.models[model] = ModelSums()
        sums.answers += 1
        if usage is None:
            sums.without_usage += 1
            return
        sums.prompt_tokens += usage[0]
        sums.output_tokens += usage[1]
        self.prompts.add(usage[0])
        self.outputs.add(usage[1])

    def add_failure(self, code: str, example: Example) -> None:
        """Count a row that failed for *code*."""
        self.failed += 1
        if code not in self.reasons and len(self.reasons) >= _MOST_REASONS:
            code = OTHER
        reason = self.reasons.setdefault(code, Reason())
        reason.rows += 1
        if len(reason.examples) < _EXAMPLES:
            reason.examples.append(example)
