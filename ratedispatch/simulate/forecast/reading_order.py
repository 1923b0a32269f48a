"""
The order in which the rows of a file are read, by their numbers. Pure.

A file is read from many places in turn where that uses both limits at once. Follows: the
checkpoints of a scan, which are equally many lines apart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

#: A checkpoint is kept for every n-th line, and n doubles when there would be more.
MAX_CHECKPOINTS = 512


def interleaved(count: int) -> list[int]:
    """
    Return the numbers from 0 to *count* − 1, so that any stretch of them is evenly spread.

    Neighbours in the order are far apart, so that a block of long rows is met one at a time.

    Source: the sequence of J. G. van der Corput (1935), the reversal of the bits of a number.
    """
    bits = max(0, count - 1).bit_length()
    numbers = (int(f"{number:0{bits}b}"[::-1], 2) if bits else 0 for number in range(1 << bits))
    return [number for number in numbers if number < count]


def reading_order(rows: int, order: str) -> Sequence[int]:
    """Return the numbers 0 to *rows* - 1 in the *order* in which the rows are read."""
    if order != "interleave":
        return range(rows)
    stride = 1
    while stride * MAX_CHECKPOINTS < rows:
        stride *= 2
    sections = [number * stride for number in interleaved(-(-rows // stride))]
    return [first + step for step in range(stride) for first in sections if first + step < rows]
