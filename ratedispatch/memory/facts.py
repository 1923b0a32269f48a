"""
What is kept of an account: single facts, each with the instant at which it was true.

Everything that comes from a file is checked here: a fact that is not known, out of its range, too
old or of the future is left out. Values only; reads no clock and no file.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from ratedispatch.dimension import DAY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

LIMIT = "limit"
REACHED = "reached"
RULE = "rule"
SPENT = "spent"
SPENT_BY_ALL = "spent by all"  # found by those that share a limit; kept as what was spent
RATE = "rate"
IN_FLIGHT = "in_flight"
ROOM = "room"
LATENCY = "latency"
SLOWEST = "slowest"
OUTPUT = "output"


@dataclass(frozen=True, slots=True)
class AgeTuning:
    """
    For how long facts count.

    Args:
        account_days: Days of what belongs to the account: its limits and how it is charged.
            Providers move accounts between tiers by the month, and a number that is wrong costs
            less than a minute.
        server_days: Days of what changes with the load of a server and with the job: numbers in
            flight, latencies and lengths of answers. A week has one of each weekday.
        spent_days: Days of what was spent of a day; the day has flowed back by then.
        ahead_days: Days that a fact may be of the future: a clock that was set back by more was
            wrong before.
        most_facts: Facts of one account, the newest first; most are lengths by model.
        most_name: Characters of a model or a dimension.
    """

    account_days: float = 30.0
    server_days: float = 7.0
    spent_days: float = 1.0
    ahead_days: float = 1.0
    most_facts: int = 256
    most_name: int = 200


TUNING = AgeTuning()


class Fact(NamedTuple):
    """
    One thing that was learned.

    Args:
        kind: What it is about; one of the constants of this module.
        of: The dimension or the model that it holds for; empty if it holds for all.
        value: A number, or several.
        at: When it was true, in seconds of the wall clock.
    """

    kind: str
    of: str
    value: Any
    at: float


def is_number(value: object, least: float, most: float) -> bool:
    """Return whether *value* is a number from *least* to *most*."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return least <= value <= most  # not if it is not a number


def _amount(value: object) -> bool:
    return is_number(value, 1e-3, 1e12)


def _count(value: object) -> bool:
    return isinstance(value, int) and is_number(value, 1, 1_000_000)


def _seconds(value: object) -> bool:
    return is_number(value, 1e-6, 86_400)


def _two(first: Callable[[object], bool], second: Callable[[object], bool]) -> Any:
    def check(value: object) -> bool:
        return isinstance(value, list) and len(value) == 2 and first(value[0]) and second(value[1])

    return check


def _rule(value: object) -> bool:
    if not (isinstance(value, list) and len(value) == 3):
        return False
    prompt, *flags = value
    is_place = isinstance(prompt, int) and is_number(prompt, 0, 3)
    return is_place and all(isinstance(flag, bool) for flag in flags)


def _spent(value: object) -> bool:
    return is_number(value, 0, 1e12)


#: How the value of each kind is checked, and the field of `AgeTuning` with its age.
_KINDS: dict[str, tuple[Callable[[object], bool], str]] = {
    LIMIT: (_amount, "account_days"),
    REACHED: (_amount, "account_days"),
    RULE: (_rule, "account_days"),
    SPENT: (_two(_spent, _amount), "spent_days"),
    RATE: (_amount, "account_days"),
    IN_FLIGHT: (_count, "server_days"),
    ROOM: (_count, "server_days"),
    LATENCY: (_seconds, "server_days"),
    SLOWEST: (_two(_seconds, _seconds), "server_days"),
    OUTPUT: (_count, "server_days"),
}


def fact_of(kind: object, of: object, value: object, at: object) -> Fact | None:
    """Return the fact that these make; None if they make none."""
    if not (isinstance(kind, str) and isinstance(of, str)) or len(of) > TUNING.most_name:
        return None
    if kind not in _KINDS or not of.isprintable() or not _KINDS[kind][0](value):
        return None
    if not is_number(at, 0, 1e12):
        return None
    assert isinstance(at, int | float)
    return Fact(kind, of, value, float(at))


def fresh(facts: Iterable[Fact], now: float, tuning: AgeTuning = TUNING) -> list[Fact]:
    """Return those of *facts* that count at *now*, the newest of each kind, newest first."""
    newest: dict[tuple[str, str], Fact] = {}
    for fact in sorted(facts, key=lambda one: one.at):
        age = (now - fact.at) / DAY
        if -tuning.ahead_days <= age <= getattr(tuning, _KINDS[fact.kind][1]):
            newest[fact.kind, fact.of] = fact
    return sorted(newest.values(), key=lambda one: -one.at)[: tuning.most_facts]


def merged(
    known: Iterable[Fact], found: Iterable[Fact], own: dict[str, Fact], now: float
) -> list[Fact]:
    """
    Return what is kept once *found* has come to what is *known*.

    What was spent of a day is added, as other processes may have spent of it meanwhile: what is
    there, less what has flowed back, and what this process has added since the last time.

    Args:
        known: What is there.
        found: What this process has found.
        own: What this process knew to be spent the last time, by dimension; changed to what it
            knows now.
        now: Seconds of the wall clock.
    """
    there = {(fact.kind, fact.of): fact for fact in fresh(known, now)}
    for fact in found:
        place = fact.kind, fact.of
        if fact.kind == SPENT:
            spent, per_day = fact.value
            added = spent - _left(own.get(fact.of), now)
            both = max(0.0, _left(there.get(place), now) + added)
            own[fact.of] = fact
            there[place] = Fact(SPENT, fact.of, [min(both, per_day), per_day], now)
        elif fact.kind == SPENT_BY_ALL:  # what the others have spent is in it
            there[SPENT, fact.of] = own[fact.of] = fact._replace(kind=SPENT)
        else:
            there[place] = fact
    return fresh(there.values(), now)


def _left(fact: Fact | None, now: float) -> float:
    """Return what is still spent at *now* of what *fact* says."""
    if fact is None:
        return 0.0
    spent, per_day = fact.value
    return leaked(spent, now - fact.at, per_day)


def leaked(spent: float, seconds: float, per_day: float) -> float:
    """
    Return what of *spent* has not flowed back after *seconds*, of a limit *per_day*.

    After a clock was set back *seconds* are below zero: then nothing has flowed back.
    """
    if not math.isfinite(seconds):
        return spent
    return max(0.0, spent - max(0.0, seconds) * per_day / DAY)
