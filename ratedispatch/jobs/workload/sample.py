"""
Chooses a representative sample of the rows of a file. Pure.

Rows are laid out by what an answer's length may follow, and taken from that line at even steps: by
kind, then by cap, by the size of the prompt, and by the place in the file. The share of the sample
in each stratum is that of the file, so a plain mean of the sample estimates that of the file, with
the variance within strata only. No chance: the same file gives the same rows, and a larger sample
contains a smaller one.

Source: stratified systematic sampling with proportional allocation (Cochran, Sampling Techniques,
chapters 5 and 8), in serpentine order; steps of the golden section, each of whose beginnings is
spread evenly (Knuth, The Art of Computer Programming, 6.4).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ratedispatch.jobs.workload.counted import Counted

#: Parts that the rows of a kind are cut into by their caps (by their place where all are alike),
#: and parts of each of these by their prompts, which are more unlike. With more of them a sample
#: of 200 has no room for the place in the file, which a change of texts half-way down follows.
_PARTS_BY_CAP = 4
_PARTS_BY_PROMPT = 8

#: The golden section of 2³².
_STEP = 2_654_435_769


def sample(counted: Counted, most: int) -> list[int]:
    """
    Return the indexes of *most* rows of *counted*, or of all if there are no more, ascending.

    Args:
        counted: The rows of a file.
        most: How many; at least 1.
    """
    size = len(counted.workload)
    if most >= size:
        return list(range(size))
    line = _laid_out(counted)
    places: set[int] = set()
    for place in _evenly(size):
        places.add(place)
        if len(places) == most:
            break
    return sorted(line[place] for place in places)


def _laid_out(counted: Counted) -> list[int]:
    """Return the indexes of all rows, those that are like each other side by side."""
    workload = counted.workload
    by_kind: list[list[int]] = [[] for _ in workload.kinds]
    for index, kind in enumerate(workload.kind):
        by_kind[kind].append(index)
    line: list[int] = []
    turns = 0
    for rows in by_kind:
        rows.sort(key=workload.cap.__getitem__)
        for number, capped in enumerate(_parts(rows, _PARTS_BY_CAP)):
            capped.sort(key=workload.prompt.__getitem__, reverse=number % 2 == 1)
            for sized in _parts(capped, _PARTS_BY_PROMPT):
                # there and back: what a step leaves out at one end it takes at the other
                line += sorted(sized, reverse=turns % 2 == 1)
                turns += 1
    return line


def _parts(rows: list[int], count: int) -> Iterator[list[int]]:
    for part in range(count):
        yield rows[part * len(rows) // count : (part + 1) * len(rows) // count]


def _evenly(size: int) -> Iterator[int]:
    """Yield places in a line of *size*, each in one of the widest gaps that the others leave."""
    place = _STEP // 2
    while True:
        yield place * size >> 32
        place = (place + _STEP) % 2**32
