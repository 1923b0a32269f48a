"""
Decides what happens to a job when one of its processes has ended early: killed, or out of memory.

Decides whether and when another process takes its place. None does if several ended one after
another and nothing was answered meanwhile, or if the same row was in flight each time: then the job
stops, and can be resumed.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ratedispatch.events import AttemptEnded, AttemptSent
from ratedispatch.outcome import Decision
from ratedispatch.request import Cost

if TYPE_CHECKING:
    from collections.abc import Collection

    from ratedispatch.events import Event
    from ratedispatch.jobs.processes.member import OpenRow


#: Delays are doubled no more often than this.
_MOST_DOUBLINGS = 20


@dataclass(frozen=True, slots=True)
class LossTuning:
    """
    The constants.

    Args:
        barren: Processes in a row that end without an outcome, of any, and stop the job.
        of_one_row: Processes in a row that end while the same row is in flight, and stop it.
        first_delay: Seconds before a process replaces the second one in a row that has
            ended before its first outcome; before each further one it is doubled.
        most_delay: Seconds that this may come to.
    """

    # the first may be bad luck, the second may be the same bad luck
    barren: int = 3
    of_one_row: int = 3
    # to start takes as long, of a processor that the others could use
    first_delay: float = 0.5
    most_delay: float = 30.0


class Losses:
    """
    The processes that a job has lost.

    Args:
        tuning: The constants.

    Attributes:
        count: How many.
        rows: Rows that were in flight there, summed up.
        delay: Seconds before another process is to replace the last one.
    """

    def __init__(self, tuning: LossTuning = LossTuning()) -> None:
        self._tuning = tuning
        self._barren = 0
        self._early = 0
        self._outcomes = 0
        self.delay = 0.0
        self.count = 0
        self.rows = 0

    def add(self, own: int, outcomes: int, in_flight: Collection[OpenRow]) -> str | None:
        """
        Count a process that has ended.

        Args:
            own: Outcomes that it had brought.
            outcomes: Those that all processes have brought.
            in_flight: Rows whose attempts broke off.

        Returns:
            Why the job must stop; None if it continues.
        """
        self.count += 1
        self.rows += len(in_flight)
        tuning = self._tuning
        self._barren = 1 if outcomes > self._outcomes else self._barren + 1
        self._outcomes = outcomes
        self._early = 0 if own else self._early + 1
        doublings = min(self._early, _MOST_DOUBLINGS) - 2
        self.delay = min(tuning.first_delay * 2**doublings, tuning.most_delay)
        if self._early < 2:
            self.delay = 0.0
        for row in in_flight:
            row.losses += 1
        if self._barren >= tuning.barren:
            return f"{self._barren} processes ended one after another without answering any row"
        worst = max(in_flight, key=lambda row: row.losses, default=None)
        if worst is not None and worst.losses >= tuning.of_one_row:
            return f"{worst.losses} processes ended one after another at {worst.request.label}"
        return None

    @property
    def notes(self) -> list[str]:
        """A sentence on all of them, if there was one."""
        if not self.count:
            return []
        ended = "1 process" if self.count == 1 else f"{self.count:,} processes"
        rows = "1 row" if self.rows == 1 else f"{self.rows:,} rows"
        return [f"{ended} of this run ended early, with {rows} in flight"]


def events_of_loss(row: OpenRow, left: int, now: float) -> list[Event]:
    """
    Return the events to report for *row* of a process that is gone; none if it only waited.

    Args:
        row: It knows afterwards that none of its attempts is in flight.
        left: Times that it has left in this run, by the journal.
        now: The time of the loop.
    """
    events: list[Event] = []
    cost = row.cost or Cost(0)
    if left > row.sent:  # the process had no time to say so
        row.sent += 1
        events.append(AttemptSent(row.request, row.sent, cost, 0.0, now, row.route))
    if row.sent > row.ended:
        row.ended = row.sent
        broken = None, Decision.TRANSIENT, "process_lost", 0.0
        events.append(AttemptEnded(row.request, row.sent, cost, *broken, now, row.route))
    row.before = row.sent
    return events


def ended_how(code: int, in_flight: int, *, goes_on: bool) -> str:
    """
    Return how a process has ended, as the rest of a sentence.

    Args:
        code: Its exit code; the number of the signal that ended it, below 0.
        in_flight: Rows that were in flight there.
        goes_on: Whether another one takes its place.
    """
    if code >= 0:
        text = f"ended with exit code {code}"
    else:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        text = f"was ended by {name}" + (" (out of memory?)" if name == "SIGKILL" else "")
    if goes_on:
        text += "; another process takes its place"
    if in_flight:
        rows = "row" if in_flight == 1 else "rows"
        text += f"; {in_flight:,} {rows} in flight may have been billed"
    return text
