"""
Watches a provider and reports how well requests were dispatched to it.

Counts what arrived, what was admitted and refused, what was answered twice, and by how much any
window of time exceeded the limits. Decides nothing about a request. Memory does not grow
with time beyond a few bytes per second of running and about 200 bytes per distinct row.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Self

from ratedispatch.simulate.meters import Excess, GroupCounts, Latencies
from ratedispatch.simulate.provider.schedule import Competitor
from ratedispatch.simulate.timeline import Timeline

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ratedispatch.simulate.provider.engine_slots import EngineSlots
    from ratedispatch.simulate.provider.provider import Provider
    from ratedispatch.simulate.provider.reply import Reply

_REFUSALS = (
    "requests",
    "tokens",
    "requests_per_day",
    "tokens_per_day",
    "too_large",
    "quota",
    "outage",
    "queue_full",
)


class Referee:
    """
    What happened at a provider since *now* (loop time in seconds).

    Args:
        limits: Per minute, by dimension; None where there is none.
        burst_seconds: What may be spent at once, in seconds of the rate.
        now: When it starts to watch.
        models: The names with their own limits.
        competitor: The books of another client of the account.
        slots: The provider's places of work; None if they are not bounded.
    """

    def __init__(
        self,
        limits: dict[str, float | None],
        burst_seconds: float,
        now: float,
        *,
        models: Iterable[str] = (),
        competitor: Competitor | None = None,
        slots: EngineSlots | None = None,
    ) -> None:
        self._start = now
        self._burst_seconds = burst_seconds
        self._competitor = competitor or Competitor()
        self._slots = slots
        self._groups = {name: GroupCounts() for name in models}
        if self._groups:
            self._groups[""] = GroupCounts()
        self._first: float | None = None
        self._last: float | None = None
        self._last_answer: float | None = None
        self._arrived = 0
        self._admitted = 0
        self._answered = 0
        self._tokens = 0
        self._tokens_returned = 0
        self._abandoned = 0
        self._in_flight = 0
        self._in_flight_peak = 0
        self._kinds: Counter[str] = Counter()
        self._timeline = Timeline(now)
        self._admitted_rows: set[int] = set()
        self._answered_rows: set[int] = set()
        self._answered_twice: set[int] = set()
        self._latencies = Latencies()
        self._streams = 0
        self._streams_whole = 0
        self._first_events = Latencies()
        self._limits = dict(limits)
        self._excess = {
            (side, name): Excess(limit, self._burst(limit), now)
            for side in ("offered", "admitted")
            for name, limit in limits.items()
        }

    @classmethod
    def of(cls, provider: Provider, now: float) -> Self:
        """Return a referee of *provider*, which has just started and tells it of new limits."""
        settings = provider.settings
        referee = cls(
            provider.limits,
            settings.burst_seconds,
            now,
            models=settings.models,
            competitor=provider.competitor,
            slots=provider.slots,
        )
        provider.on_limits = referee.set_limits
        return referee

    @classmethod
    def of_all(cls, now: float) -> Self:
        """
        Return a referee of several providers together; each has one of its own too.

        It knows of no limits, and counts what was admitted or answered twice, wherever.
        """
        return cls({"requests": None, "tokens": None}, 0.0, now)

    def _burst(self, limit: float | None) -> float:
        return 0.0 if limit is None else limit / 60.0 * self._burst_seconds

    def set_limits(self, limits: dict[str, float | None], now: float) -> None:
        """Measure against other limits from now on."""
        self._limits = dict(limits)
        for (_, name), excess in self._excess.items():
            excess.resize(limits[name], self._burst(limits[name]), now)

    def arrive(self, reply: Reply, now: float) -> None:
        """Note a request that arrived, and what it gets."""
        if reply.kind == "other":
            return
        self._arrived += 1
        self._kinds[reply.kind] += 1
        if self._first is None:
            self._first = now
        self._last = now
        timeline = self._timeline
        second = timeline.second(now)
        timeline.arrived[second] += 1
        call = reply.call
        if call is None:
            return
        is_admitted = reply.is_admitted
        if self._groups:
            self._groups[reply.group].add(is_admitted, second)
        if not reply.group:
            excess = self._excess
            excess["offered", "requests"].add(1, now)
            excess["offered", "tokens"].add(call.tokens, now)
            if is_admitted:
                excess["admitted", "requests"].add(1, now)
                excess["admitted", "tokens"].add(call.tokens, now)
        if not is_admitted:
            timeline.refused[second] += 1
            return
        self._admitted += 1
        self._tokens += call.tokens
        timeline.admitted[second] += 1
        timeline.tokens_charged[second] += call.tokens
        self._admitted_rows.add(call.row)
        self._in_flight += 1
        self._in_flight_peak = max(self._in_flight_peak, self._in_flight)

    def begin_stream(self, now: float, *, arrived: float) -> None:
        """Note the first event of an answer in parts; times as of `finish`."""
        self._streams += 1
        self._first_events.add(now - arrived)

    def finish(
        self, reply: Reply, now: float, *, arrived: float, sent: bool = True, returned: int = 0
    ) -> None:
        """
        Note the end of a request, once for each that arrived.

        Args:
            reply: What it got.
            now: Loop time in seconds.
            arrived: Loop time of its arrival.
            sent: Whether everything was written before the client went away.
            returned: Tokens given back to the limits.
        """
        if not reply.is_admitted:
            return
        self._in_flight -= 1
        if returned:
            self._tokens_returned += returned
            if not reply.group:
                self._excess["admitted", "tokens"].add(-returned, now)
        if not sent:
            self._abandoned += 1
            return
        if reply.stream is not None and reply.kind == "answer":
            self._streams_whole += 1
        if reply.kind != "answer" or reply.call is None:
            return
        self._answered += 1
        self._timeline.tokens_actual[int(arrived - self._start)] += reply.actual
        self._last_answer = now
        self._latencies.add(now - arrived)
        row = reply.call.row
        if row in self._answered_rows:
            self._answered_twice.add(row)
        else:
            self._answered_rows.add(row)

    def report(self) -> dict[str, Any]:
        """Return everything as JSON types; instants are seconds since the referee started."""
        return {
            "limits": self._limits,
            **self._counts(),
            **self._instants(),
            "excess": {
                side: {
                    name: _rounded(self._excess[side, name].value)
                    for name in ("requests", "tokens")
                }
                for side in ("offered", "admitted")
            },
            "latency": self._latencies.report(),
            "streams": {
                "begun": self._streams,
                "whole": self._streams_whole,
                "first_event": self._first_events.report(),
            },
            "seconds": [
                [second, count, self._timeline.tokens_charged[second]]
                for second, count in enumerate(self._timeline.admitted)
                if count
            ],
            "per_second": self._timeline.report(),
            "competitor": {
                "admitted": self._competitor.admitted,
                "refused": self._competitor.refused,
                "tokens": self._competitor.tokens,
            },
            "queue_peak": 0 if self._slots is None else self._slots.queue_peak,
            "slots_busy_share": self._busy_share(),
            **self._by_model(),
        }

    def _counts(self) -> dict[str, Any]:
        """Return how many requests and tokens came to what."""
        refused = {name: self._kinds[name] for name in _REFUSALS if self._kinds[name]}
        outcomes = {*_REFUSALS, "answer", "invalid"}
        total = sum(refused.values())
        return {
            "arrived": self._arrived,
            "admitted": self._admitted,
            "refused": refused,
            "refused_share": total / self._arrived if self._arrived else 0.0,
            "invalid": self._kinds["invalid"],
            "faults": {name: count for name, count in self._kinds.items() if name not in outcomes},
            "answered": self._answered,
            "answered_rows": len(self._answered_rows),
            "answered_twice": len(self._answered_twice),
            "answers_too_many": self._answered - len(self._answered_rows),
            "admitted_rows": len(self._admitted_rows),
            "admissions_too_many": self._admitted - len(self._admitted_rows),
            "abandoned": self._abandoned,
            "tokens_charged": self._tokens,
            "tokens_returned": self._tokens_returned,
            "in_flight": self._in_flight,
            "in_flight_peak": self._in_flight_peak,
        }

    def _instants(self) -> dict[str, float | None]:
        """Return when the first and the last arrived and the last was answered."""
        first, last_answer = self._first, self._last_answer
        return {
            "first_arrival": self._since(first),
            "last_arrival": self._since(self._last),
            "last_answer": self._since(last_answer),
            "makespan": None if first is None or last_answer is None else last_answer - first,
        }

    def _busy_share(self) -> float | None:
        """Return the share of all places' time that was taken until the last answer."""
        first, last, slots = self._first, self._last_answer, self._slots
        if slots is None or first is None or last is None or last <= first:
            return None
        return slots.busy(last) / (slots.slots * (last - first))

    def _by_model(self) -> dict[str, Any]:
        if not self._groups:
            return {}
        seconds = len(self._timeline)
        return {"by_model": {name: group.report(seconds) for name, group in self._groups.items()}}

    def _since(self, instant: float | None) -> float | None:
        return None if instant is None else instant - self._start


def _rounded(excess: float | None) -> float | None:
    """Drop what the rounding of sums leaves: a client exactly at the limit exceeds it by 0."""
    return None if excess is None else round(excess, 3) + 0.0
