"""
Keeps what happened in the runs of a job, bounded: a timeline for each, latencies, notes.

`History` is the value; `Recorder` is the listener that makes it of a run's events. The room
``jobs`` makes the same of an event log.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from ratedispatch.events import (
    AttemptEnded,
    AttemptSent,
    JobStopped,
    LimitChanged,
    ProcessLost,
    QueuePaused,
    RouteResumed,
    RouteStopped,
    SharingChanged,
)
from ratedispatch.observe.spread import Spread
from ratedispatch.observe.time_bins import TimeBins
from ratedispatch.outcome import REFUSALS, Decision

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from ratedispatch.events import Event
    from ratedispatch.limits import Rate

#: Runs that keep a timeline; of earlier ones it is only told how many there were.
_MOST_RUNS = 20

#: Notes and codes that are kept of a run.
_MOST_NOTES = 200
_MOST_CODES = 50

#: Changes of limits that are kept of a run; when there are more, each second one is dropped.
_MOST_STEPS = 400

_OTHER = "other"

_REFUSED = frozenset(decision.value for decision in REFUSALS)
_ANSWERED = Decision.ANSWERED.value


class LimitStep(NamedTuple):
    """
    A limit from one instant on.

    Args:
        at: Unix time.
        dimension: As in `Rate`.
        group: The group of models that it is for; empty for all.
        per_minute: The limit; infinite if there is none, or if it is not known.
        is_daily: Whether it is given per day.
    """

    at: float
    dimension: str
    group: str
    per_minute: float
    is_daily: bool = False


class Note(NamedTuple):
    """Something that happened at a time, in a sentence."""

    at: float
    text: str


@dataclass(slots=True)
class PlayedRun:
    """
    What happened in one run.

    Args:
        bins: By time.
        version: The version of the program; empty if it is not known.
        server: What it was sent to; empty if it is not known.
        command: What it was started with, without secrets; empty if it is not known.
        steps: The limits that were in force, in the order of time.
        notes: What else happened, the first ones.
        more_notes: How many notes there were beyond these.
        codes: How often attempts ended in which way other than an answer, by their codes.
        stop: The code and the sentence of its stop; None if it was not stopped.
        closing: The figures at its end, by the names of the fields of `Report`; None if unknown.
        pauses: How often the queue paused.
    """

    bins: TimeBins
    version: str = ""
    server: str = ""
    command: str = ""
    steps: list[LimitStep] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    more_notes: int = 0
    codes: dict[str, int] = field(default_factory=dict)
    stop: tuple[str, str] | None = None
    closing: Mapping[str, Any] | None = None
    pauses: int = 0

    def start(self, at: float) -> None:
        """Let the timeline begin at *at*: the job was opened before, which may take minutes."""
        self.bins.start = self.bins.end = at
        self.steps = [step._replace(at=at) for step in self.steps]

    def note(self, at: float, text: str) -> None:
        """Keep *text*, if it is among the first."""
        self.bins.bin_of(at)
        if len(self.notes) < _MOST_NOTES:
            self.notes.append(Note(at, text))
        else:
            self.more_notes += 1

    def step(self, step: LimitStep) -> None:
        """Keep a change of a limit."""
        self.steps.append(step)
        if len(self.steps) > _MOST_STEPS:
            # the first and the last ones stay: between them the search takes small steps
            self.steps = [*self.steps[:20], *self.steps[20:-20:2], *self.steps[-20:]]

    def count_code(self, code: str) -> None:
        """Count an attempt that was not answered because of *code*."""
        if code not in self.codes and len(self.codes) >= _MOST_CODES:
            code = _OTHER
        self.codes[code] = self.codes.get(code, 0) + 1


class History:
    """
    What happened in the runs of a job.

    Attributes:
        runs: The last runs, in the order of time.
        earlier: How many runs before these there were.
        latencies: Seconds from sending to the whole answer, of the attempts that were answered.
        waits: Seconds in the queue, of all attempts.
        unread: Lines of an event log that could not be read.
        is_coarse: Whether only answers and what was in flight are known.
    """

    def __init__(self) -> None:
        self.runs: list[PlayedRun] = []
        self.earlier = 0
        self.latencies = Spread()
        self.waits = Spread()
        self.unread = 0
        self.is_coarse = False

    def begin(self, at: float) -> PlayedRun:
        """Return a new run that begins at the Unix time *at*."""
        run = PlayedRun(TimeBins(at))
        self.runs.append(run)
        if len(self.runs) > _MOST_RUNS:
            del self.runs[0]
            self.earlier += 1
        return run

    def sent(
        self, run: PlayedRun, at: float, cost: tuple[float, float, float], wait: float
    ) -> None:
        """Count an attempt that left at *at*: its requests, tokens and prompt tokens."""
        bins = run.bins
        number = bins.bin_of(at)
        bins.requests[number] += cost[0]
        bins.tokens[number] += cost[1]
        bins.prompt_tokens[number] += cost[2]
        bins.waited[number] += wait
        bins.longest_wait[number] = max(bins.longest_wait[number], wait)
        self.waits.add(wait)

    def ended(
        self,
        run: PlayedRun,
        at: float,
        latency: float,
        decision: str,
        code: str,
        billed: float = 0,
    ) -> None:
        """Count an attempt that ended at *at*, by its decision and code, and the tokens billed."""
        bins = run.bins
        bins.add_flight(at - latency, at)
        number = bins.bin_of(at)
        if decision == _ANSWERED:
            bins.answers[number] += 1
            bins.billed[number] += billed
            self.latencies.add(latency)
        else:
            if decision in _REFUSED:
                bins.refusals[number] += 1
            else:
                bins.broken[number] += 1
            run.count_code(code or decision)


class Recorder:
    """
    A listener that keeps the history of this run.

    It does not listen to outcomes, so that with several processes answers need not come back with
    all that there is of them.

    Args:
        clock: Tells the time of day.

    Attributes:
        history: What has happened so far.
        run: The run in it that is this one.
    """

    listens_to = frozenset(
        {AttemptSent, AttemptEnded, QueuePaused, LimitChanged, SharingChanged}
        | {RouteStopped, RouteResumed, ProcessLost, JobStopped}
    )

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.history = History()
        self.run = self.history.begin(clock().timestamp())
        self._clock = clock
        self._offset: float | None = None  # from the loop's clock to Unix time

    def __call__(self, event: Event) -> None:
        """Keep *event*."""
        offset = self._offset
        if offset is None:
            offset = self._begin(event)
        match event:
            case AttemptSent():
                cost = event.cost
                amounts = cost.requests, cost.tokens, cost.prompt_tokens
                self.history.sent(self.run, event.at + offset, amounts, event.waited)
            case AttemptEnded():
                billed = 0 if event.usage is None else event.usage.tokens
                said = event.latency, event.decision.value, event.code, billed
                self.history.ended(self.run, event.at + offset, *said)
            case _:
                self._keep(event, offset)

    def _begin(self, event: Event) -> float:
        at = event.at
        now = self._clock().timestamp()
        self._offset = offset = now - at
        self.run.start(now)
        return offset

    def _keep(self, event: Event, offset: float) -> None:
        run, at = self.run, event.at + offset
        match event:
            case QueuePaused():
                pause_in(run, at, event.seconds, event.code, event.group)
            case LimitChanged():
                run.step(step_of(event.rate, event.group, at))
            case SharingChanged():
                run.note(at, event.message)
            case RouteStopped():
                run.note(at, f"{event.route} is left alone: {event.message or event.code}")
            case RouteResumed():
                run.note(at, f"{event.route} has answered and is used again")
            case ProcessLost():
                run.note(at, f"process {event.process}: {event.message}")
            case JobStopped():
                stop_in(run, at, event.code, event.message)


def step_of(rate: Rate, group: str, at: float) -> LimitStep:
    """Return *rate* as a limit from *at* on."""
    return LimitStep(at, rate.dimension, group, rate.per_minute, rate.is_daily)


def pause_in(run: PlayedRun, at: float, seconds: float, code: str, group: str) -> None:
    """Keep in *run* that the queue pauses."""
    if not 0 < seconds < math.inf:
        return
    run.pauses += 1
    run.bins.add_pause(at, seconds)
    of = f" of {group}" if group else ""
    run.note(at, f"the queue{of} pauses for {seconds:,.1f} s: {code or 'no reason given'}")


def stop_in(run: PlayedRun, at: float, code: str, message: str) -> None:
    """Keep in *run* that the job stopped."""
    run.stop = code, message
    run.note(at, f"the job stopped: {message or code}")
