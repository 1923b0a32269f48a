"""
Finds streams that nobody can read any more, where calls wait for their places in flight.

A stream that was left early is part of a cycle, and keeps its place until garbage is collected.
That happens when new objects are made, but a program whose calls all wait makes none: it would wait
forever.
"""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

from ratedispatch.dispatch.thread_alarm import ThreadAlarm

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ratedispatch.pacing.admission import Admission

#: Seconds between two looks, and without any progress until garbage is collected.
_LOOK_SECONDS = 1.0

#: Looks without progress from one collection to the next at most: each stops all threads.
_MOST_LOOKS = 60


class LostStreams:
    """
    The open streams of a gate, which is examined while there are any.

    Args:
        admissions: Gives the queues of the gate.
    """

    def __init__(self, admissions: Callable[[], Iterable[Admission]]) -> None:
        self._admissions = admissions
        self._open: set[object] = set()
        self._alarm = ThreadAlarm()
        self._granted: dict[Admission, int] = {}  # of those that were stuck at the last look
        self._looks = 0  # without progress
        self._next = 1

    def begin(self, stream: object) -> None:
        """Hear that *stream* is open."""
        self._open.add(stream)
        if not self._alarm.number:
            self._set()

    def end(self, stream: object) -> None:
        """Hear that it is settled."""
        self._open.discard(stream)

    def look(self) -> None:
        """Collect garbage if calls wait for a place in flight, and none has got one for long."""
        stuck = {
            admission: sum(lane.brake.granted for lane in admission.lanes)
            for admission in self._admissions()
            if admission.waiting and any(lane.is_full for lane in admission.lanes)
        }
        if any(self._granted.get(admission) == granted for admission, granted in stuck.items()):
            self._looks += 1
            if self._looks == self._next:
                self._next += min(2 * self._next, _MOST_LOOKS)
                gc.collect()
        else:
            self._looks, self._next = 0, 1
        self._granted = stuck
        if self._open:
            self._set()

    def _set(self) -> None:
        self._alarm.set(self._alarm.time() + _LOOK_SECONDS, self.look)
