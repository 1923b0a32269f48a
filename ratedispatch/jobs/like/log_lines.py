"""
Reads the lines of an event log: attempts, limits, and the settings of a run.

A log may hold runs against several servers: only what comes after the last change counts. Lines
that were cut off, and lines of other programs, are skipped and counted.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from ratedispatch.jobs.like.numbers import amount_in, name_in, seconds_in, tokens_in
from ratedispatch.outcome import Decision
from ratedispatch.simulate.fit.observation import Evidence, Observation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_DECISIONS = frozenset(one.value for one in Decision)

#: Seconds that a limit is for whose rate is wanted.
_MINUTE = 60

#: Dimensions of limits, as a run line names them; the rest of it are words.
_DIMENSIONS = ("requests", "tokens", "input_tokens", "output_tokens")


def is_of_log(line: Any) -> bool:
    """Return whether the JSON value of a line is one of a log: it names an event and its time."""
    return (
        isinstance(line, dict)
        and name_in(line.get("event")) != ""
        and isinstance(line.get("at"), str)
    )


class LogLines:
    """
    Gathers the evidence of a log.

    Args:
        on_answer: Called with the place of a row that was answered, and its usage; not for rows
            of another input.
        is_input: Tells whether a run was on the input that places are wanted of, by the flags on
            its first line.

    Attributes:
        evidence: What was seen of the last server.
        former: Attempts of servers before it.
    """

    def __init__(
        self,
        on_answer: Callable[[int, int, int], None],
        is_input: Callable[[Mapping[str, Any]], bool],
    ) -> None:
        self.evidence = Evidence()
        self.former = 0
        self._server = ""
        self._on_answer = on_answer
        self._is_input = is_input
        self._is_ours = False
        self._attempts = 0

    def add(self, line: Any) -> None:
        """Take in the JSON value of a line."""
        event = name_in(line.get("event")) if isinstance(line, dict) else ""
        if event == "attempt":
            self._attempt(line)
        elif event == "run":
            self._run(line)
        elif event == "limit":
            self._limit(line)
        elif not is_of_log(line):
            self.evidence.skipped += 1

    def _run(self, line: Mapping[str, Any]) -> None:
        server = name_in(line.get("server"))
        if self._server and server and server != self._server:
            self.former += self._attempts
            self._attempts = 0
            self.evidence = Evidence(skipped=self.evidence.skipped)
        self._server = server or self._server
        flags = line.get("flags")
        self._is_ours = isinstance(flags, dict) and self._is_input(flags)
        limits = line.get("limits")
        for one in limits if isinstance(limits, list) else ():
            if not isinstance(one, dict) or one.get("group"):
                continue
            for dimension in _DIMENSIONS:
                limit = amount_in(one.get(dimension))
                if limit:
                    self.evidence.limits[dimension] = limit

    def _limit(self, line: Mapping[str, Any]) -> None:
        dimension, limit = name_in(line.get("dimension")), amount_in(line.get("limit"))
        if line.get("group") or dimension not in _DIMENSIONS or line.get("window_s") != _MINUTE:
            return
        if limit:
            self.evidence.limits[dimension] = limit
        elif line.get("limit") is None:
            self.evidence.limits.pop(dimension, None)

    def _attempt(self, line: Mapping[str, Any]) -> None:
        decision, latency = name_in(line.get("decision")), seconds_in(line.get("latency"))
        if decision not in _DECISIONS or latency is None:
            self.evidence.skipped += 1
            return
        self._attempts += 1
        status = line.get("status")
        status = status if isinstance(status, int) and 100 <= status <= 999 else None
        evidence, code = self.evidence, name_in(line.get("code"))
        evidence.count(decision, status, code)
        place = evidence.place() if decision == "answered" else None
        row = tokens_in(line.get("place")) if self._is_ours else None
        if place is None and row is None and not evidence.wants_attempts:
            return  # it is counted, and of so many nothing else is kept
        one = _observation(line, latency)._replace(decision=decision, status=status, code=code)
        evidence.keep(one, place)
        if row and one.output is not None and one.billed:
            self._on_answer(row, one.billed, one.output)


def _observation(line: Mapping[str, Any], latency: float) -> Observation:
    """Return what a line says about an attempt, but for what came of it."""
    usage = line.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    billed, output = tokens_in(usage.get("prompt")), tokens_in(usage.get("output"))
    cost = line.get("cost")
    cap = tokens_in(line.get("cap"))
    if "cap" in line and line["cap"] is None:
        cap = 0
    return Observation(
        model=name_in(line.get("model")),
        prompt=tokens_in(line.get("prompt")) or billed or 0,
        billed=billed or 0,
        output=output,
        cap=cap,
        is_cut=bool(cap) and output is not None and cap is not None and output >= cap,
        latency=latency,
        sent=None if line.get("route") else _sent(line.get("at"), latency),
        tokens=(tokens_in(cost.get("tokens")) if isinstance(cost, dict) else None) or 0,
        remaining=_remaining(line.get("remaining")),
    )


def _sent(at: object, latency: float) -> float | None:
    """Return when an attempt was sent that ended *at*."""
    if not isinstance(at, str):
        return None
    try:
        return datetime.fromisoformat(at).timestamp() - latency
    except (ValueError, OverflowError, OSError):
        return None


def _remaining(value: object) -> dict[str, float] | None:
    if not isinstance(value, dict):
        return None
    found = {name: amount_in(value.get(name)) for name in _DIMENSIONS if name in value}
    return {name: left for name, left in found.items() if left is not None} or None
