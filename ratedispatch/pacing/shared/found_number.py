"""
A number in flight as several processes know it, and the part of each.

Where the parts are no whole numbers each process has one more for a while and one less for a while,
in turn with the others, so that the parts of all make up the number at every instant: four places
are not eight because eight processes want one.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

from ratedispatch.pacing.shared.store import LEARNED, TOTALS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ratedispatch.pacing.shared.store import Sheet

#: A turn takes so many times the latency: a change leaves one more in flight for half a latency.
_TURN_LATENCIES = 16.0

#: No number that is found, and none of a round, is larger.
_MOST = 1e9

#: Seconds that a turn takes at least.
SHORTEST_TURN = 0.5


@dataclasses.dataclass(frozen=True, slots=True)
class Found:
    """
    The content of the store.

    Args:
        total: How many all together may have in flight.
        owner: The number of the process that searches; 0 if it has left.
        beat: Changes as long as that one is there.
        number: The number of the round: a higher one when the total has changed.
        proven: The number that has proved itself; 0 if none has.
        turn: Seconds in which each process has had one more once.
    """

    total: float
    owner: float
    beat: float
    number: float
    proven: float
    turn: float

    def numbers(self) -> tuple[float, ...]:
        """Return it as a store carries it."""
        told = dataclasses.astuple(self)
        return (*told, *[0.0] * (LEARNED - len(told)))

    @classmethod
    def of(cls, numbers: Sequence[float]) -> Found:
        """Return what *numbers* say."""
        return cls(*numbers[:6])


def is_sound(sheet: Sheet) -> bool:
    """Return whether *sheet* is about a number in flight, in numbers that can be reckoned with."""
    if len(sheet.limits) != 1 or not math.isfinite(sheet.now + sheet.epoch + sheet.news):
        return False
    limit = sheet.limits[0]
    if len(limit.totals) != TOTALS or not math.isfinite(sum(map(abs, limit.totals))):
        return False
    learned = limit.learned
    if learned is None:
        return True
    if len(learned) != LEARNED or not all(map(math.isfinite, learned)):
        return False
    found = Found.of(learned)
    return (
        1 <= found.total <= _MOST
        and 0 <= found.proven <= _MOST
        and 0 <= found.number <= _MOST
        and found.turn >= SHORTEST_TURN
    )


def turn_of(latency: float) -> float:
    """Return the seconds of a turn; they are not to change with each answer's *latency*."""
    return float(2.0 ** round(math.log2(max(SHORTEST_TURN, _TURN_LATENCIES * latency))))


def part_of(
    total: int, wanting: int, place: float, instant: float, turn: float
) -> tuple[int, float]:
    """
    Return the part of one process, and the seconds until it may rise in its turn.

    Args:
        total: For all.
        wanting: Processes that are short of room.
        place: The place of this one among those that have come.
        instant: Seconds of a clock that all have.
        turn: Seconds in which each has one more once.
    """
    part, rest = divmod(total, wanting)
    if not rest:
        return part, math.inf
    phase = (_spread(int(place)) + instant / turn) % 1.0
    return part + (phase < rest / wanting), (1.0 - phase) * turn


def _spread(place: int) -> float:
    """Return a share of a turn: those of places that follow one another are spread evenly."""
    share, half = 0.0, 0.5  # van der Corput's sequence
    while place:
        share += half * (place & 1)
        place >>= 1
        half /= 2
    return share
