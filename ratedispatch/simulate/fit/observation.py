"""
Gathers observations of a provider, in bounded memory however long a log is.
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
        self.count(one.decision, one.status, one.code)
        is_told = one.decision == "answered" and (one.output is not None or one.latency is not None)
        self.keep(one, self.place() if is_told else None)

    def count(self, decision: str, status: int | None, code: str) -> None:
        """Count an attempt by what came of it."""
        outcome = decision, status, code
        if outcome not in self.outcomes and len(self.outcomes) >= _MOST_CODES:
            outcome = decision, status, ""
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1

    def place(self) -> int | None:
        """
        Count an answer that tells something; return where it is to be kept, None for nowhere.

        Each is kept with the same probability as those before (J. S. Vitter's algorithm R, 1985).
        """
        self.told += 1
        if self.told <= MOST_ANSWERS:
            return self.told - 1
        place = int(self.rng.random() * self.told)
        return place if place < MOST_ANSWERS else None

    @property
    def wants_attempts(self) -> bool:
        """Whether attempts are still kept for what the account is like."""
        return len(self.attempts) < MOST_ATTEMPTS

    def keep(self, one: Observation, place: int | None) -> None:
        """Keep an attempt that is counted, its answer at *place*."""
        if one.sent is not None and self.wants_attempts:
            self.attempts.append(one)
        if place is None:
            return
        if place < len(self.answers):
            self.answers[place] = one
        else:
            self.answers.append(one)
