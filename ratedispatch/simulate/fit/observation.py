"""
What was seen of a provider, and where it is gathered: in bounded memory, however long a log is.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Answers that are kept, drawn evenly from all. A mean of them is known to 1/140 of the spread.
MOST_ANSWERS = 20_000

#: Attempts in a row that are kept for what the account is like: two hours at 170 a minute.
MOST_ATTEMPTS = 20_000

#: Models that are told apart.
MOST_MODELS = 200

#: Reasons of failures that are counted apart.
_MOST_CODES = 200


class Observation(NamedTuple):
    """
    One attempt.

    Args:
        model: As the row names it.
        prompt: Tokens of its prompt as they were counted, else as they were billed; 0 if untold.
        billed: Tokens billed for its prompt; 0 if untold.
        output: Tokens billed for its outputs together; None if untold.
        cap: The most tokens of its outputs together; 0 if it names none, None if that is not known.
        is_cut: Whether an output ended at its cap.
        latency: Seconds from sending to the whole answer; None if untold.
        decision: What was made of it, as `Decision` calls it.
        status: The HTTP status; None if no answer came.
        code: The reason, if it was not answered.
        sent: When it was sent, in seconds; None if untold.
        tokens: What was reserved for it.
        remaining: What the provider said was left of each limit.
    """

    model: str
    prompt: int = 0
    billed: int = 0
    output: int | None = None
    cap: int | None = None
    is_cut: bool = False
    latency: float | None = None
    decision: str = "answered"
    status: int | None = 200
    code: str = ""
    sent: float | None = None
    tokens: int = 0
    remaining: Mapping[str, float] | None = None


@dataclass(slots=True)
class Evidence:
    """
    All that was seen.

    Args:
        rng: Draws which answers are kept.
        tells_attempts: Whether attempts that were not answered would be seen, too.

    Attributes:
        limits: The limits per minute that were told or found, by dimension.
        answers: Of all answers that tell how long they are, evenly drawn ones.
        told: How many answers told it.
        attempts: The first attempts that say when they were sent.
        outcomes: How many attempts came to what, by decision, status and code.
        skipped: Lines that told nothing that can be used.
    """

    rng: random.Random = field(default_factory=lambda: random.Random(1))
    tells_attempts: bool = True
    limits: dict[str, float] = field(default_factory=dict)
    answers: list[Observation] = field(default_factory=list)
    told: int = 0
    attempts: list[Observation] = field(default_factory=list)
    outcomes: dict[tuple[str, int | None, str], int] = field(default_factory=dict)
    skipped: int = 0

    def add(self, one: Observation) -> None:
        """Take in an attempt."""
        outcome = one.decision, one.status, one.code
        if outcome not in self.outcomes and len(self.outcomes) >= _MOST_CODES:
            outcome = one.decision, one.status, ""
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1
        if one.sent is not None and len(self.attempts) < MOST_ATTEMPTS:
            self.attempts.append(one)
        if one.decision == "answered" and (one.output is not None or one.latency is not None):
            self._keep(one)

    def _keep(self, one: Observation) -> None:
        """Keep it with the same probability as each answer before (algorithm R of Vitter's)."""
        self.told += 1
        if len(self.answers) < MOST_ANSWERS:
            self.answers.append(one)
            return
        place = self.rng.randrange(self.told)
        if place < MOST_ANSWERS:
            self.answers[place] = one
