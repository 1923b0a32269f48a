"""
How variants take turns, and what a call costs.

Decides the order of measurements and which clock they are read from: processor time, which a
busy machine stretches less than real time. Knows no benchmark.
"""

from __future__ import annotations

import gc
import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

T = TypeVar("T")


def interleave(variants: Mapping[str, Callable[[int], T]], rounds: int) -> dict[str, list[T]]:
    """
    Run all *variants* in turn (A B A B …), so that whatever the machine does meets all of them.

    Args:
        variants: What to run, by name; each is called with the number of the round, from 0.
        rounds: How often.

    Returns:
        What each returned, in the order of the rounds.
    """
    found: dict[str, list[T]] = {name: [] for name in variants}
    for number in range(rounds):
        for name, run in variants.items():
            found[name].append(run(number))
    return found


def cpu_seconds(run: Callable[[], object]) -> float:
    """
    Return the processor seconds (user and system, all threads) of one call of *run*.

    Garbage of before is collected first; what *run* leaves behind is collected as it would be in
    use, since allocating is part of what a thing costs.
    """
    gc.collect()
    started = time.process_time()
    run()
    return time.process_time() - started


def costs(
    variants: Mapping[str, Callable[[], object]], operations: int, rounds: int
) -> dict[str, list[float]]:
    """
    Return microseconds of processor time for an operation, by variant and round.

    One round more than asked is run first and left out: in it caches fill and code is specialised.

    Args:
        variants: Each does *operations* of its own kind in one call.
        operations: How many a call does.
        rounds: How many rounds count.
    """
    timed = {
        name: lambda _, run=run: 1e6 * cpu_seconds(run) / operations
        for name, run in variants.items()
    }
    return {name: values[1:] for name, values in interleave(timed, rounds + 1).items()}
