"""
What a run begins with, and what it leaves: the facts of one account as its parts take them.

A value. Which part gets what is decided by whoever has the parts.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from ratedispatch.memory import facts
from ratedispatch.memory.facts import Fact, fact_of
from ratedispatch.pacing.limit.charge_rule import ChargeRule
from ratedispatch.pacing.limit.limit_memory import LimitMemory

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ratedispatch.limits import Limits


class Remembered:
    """
    The facts of one account.

    Args:
        known: The facts, one of each kind.
        now: When they are requested, in seconds of the wall clock: a day's budget has flowed back
            meanwhile.

    Attributes:
        facts: The argument of this name.
    """

    def __init__(self, known: Iterable[Fact] = (), now: float = 0.0) -> None:
        self.facts = tuple(known)
        self._now = now

    def __bool__(self) -> bool:
        return bool(self.facts)

    @property
    def limits(self) -> tuple[LimitMemory, ...]:
        """What is known of each limit."""
        found: dict[str, dict[str, object]] = {}
        for kind, of, value, at in self.facts:
            if kind == facts.LIMIT:
                found.setdefault(of, {})["per_minute"] = value
            elif kind == facts.REACHED:
                found.setdefault(of, {})["reached"] = value
            elif kind == facts.RULE:
                found.setdefault(of, {})["rule"] = ChargeRule(*value)
            elif kind == facts.SPENT:
                left = facts.leaked(value[0], self._now - at, value[1])
                found.setdefault(of, {})["spent"] = left
        memories = []
        for dimension, fields in found.items():
            with contextlib.suppress(ValueError):  # a rule that its dimension has not
                memories.append(LimitMemory(dimension, **fields))  # type: ignore[arg-type]
        return tuple(memories)

    def has_rate(self, limits: Limits) -> bool:
        """Return whether a limit per minute of *limits* is given, or was found before."""
        known = {memory.dimension for memory in self.limits if memory.per_minute is not None}
        return any(
            not rate.is_daily and (not rate.is_auto or rate.dimension in known)
            for rate in limits.rates()
        )

    @property
    def per_second(self) -> float | None:
        """The rate of requests that refusals taught where none was set."""
        return self._value(facts.RATE)

    @property
    def in_flight(self) -> int | None:
        """The number in flight that was needed."""
        return self._whole(facts.IN_FLIGHT)

    @property
    def room(self) -> int | None:
        """The number in flight beyond which the server refused."""
        return self._whole(facts.ROOM)

    @property
    def latency(self) -> float | None:
        """Seconds that an answer took."""
        return self._value(facts.LATENCY)

    @property
    def slowest(self) -> tuple[float, float] | None:
        """Seconds of the slowest answer, and of a token of output at most."""
        for fact in self.facts:
            if fact.kind == facts.SLOWEST:
                return fact.value[0], fact.value[1]
        return None

    @property
    def outputs(self) -> dict[str, int]:
        """The output tokens that 95 % of the answers stayed within, by model."""
        return {fact.of: fact.value for fact in self.facts if fact.kind == facts.OUTPUT}

    def _value(self, kind: str) -> float | None:
        return next((float(fact.value) for fact in self.facts if fact.kind == kind), None)

    def _whole(self, kind: str) -> int | None:
        value = self._value(kind)
        return None if value is None else int(value)


def facts_of(
    now: float,
    *,
    limits: Iterable[LimitMemory] = (),
    numbers: Mapping[str, float | None] | None = None,
    slowest: tuple[float, float] | None = None,
    outputs: Mapping[str, int] | None = None,
) -> list[Fact]:
    """
    Return the facts that a run leaves at *now*; what it has not learned is left out.

    Args:
        now: Seconds of the wall clock.
        limits: What was found of each limit.
        numbers: Those of the kinds that are one number, by kind.
        slowest: As in :class:`Remembered`.
        outputs: As in :class:`Remembered`.
    """
    made: list[Fact | None] = []
    for limit in limits:
        of = limit.dimension
        if limit.spent is not None:
            spent = fact_of(facts.SPENT, of, [limit.spent, limit.per_day], now)
            if spent is not None and limit.is_shared:
                spent = spent._replace(kind=facts.SPENT_BY_ALL)
            made.append(spent)
        elif limit.per_minute is not None:
            made.append(fact_of(facts.LIMIT, of, limit.per_minute, now))
        elif limit.reached is not None:
            made.append(fact_of(facts.REACHED, of, limit.reached, now))
        if limit.rule is not None:
            made.append(fact_of(facts.RULE, of, list(limit.rule), now))
    for kind, number in (numbers or {}).items():
        if number is not None:
            made.append(fact_of(kind, "", number, now))
    if slowest is not None:
        made.append(fact_of(facts.SLOWEST, "", list(slowest), now))
    for model, output in (outputs or {}).items():
        made.append(fact_of(facts.OUTPUT, model, output, now))
    return [fact for fact in made if fact is not None]
