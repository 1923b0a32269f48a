"""
In which order the rows of a file are read.

A file that is sorted, short rows first, is bound by requests per minute in one half and by tokens
per minute in the other, and takes as long as both. Read from many places in turn, each stretch of
the order has all kinds of rows in the shares that they have in the file, and both limits are used
at once. Pure.
"""

from __future__ import annotations


def spread(count: int) -> list[int]:
    """
    Return the numbers from 0 to *count* − 1, so that any stretch of them is evenly spread.

    Neighbours in the order are far apart, so that a block of long rows is met one at a time.

    Source: the sequence of J. G. van der Corput (1935), the reversal of the bits of a number.
    """
    bits = max(0, count - 1).bit_length()
    numbers = (int(f"{number:0{bits}b}"[::-1], 2) if bits else 0 for number in range(1 << bits))
    return [number for number in numbers if number < count]
