"""
What one bucket costs, against aiolimiter alone.

Microseconds of processor time for one operation. `acquire` is what anybody would call on an
`AsyncLimiter` that has room, the least that aiolimiter can be used for, and the base of the
ratios; `has_capacity` is its question alone. `wait`, `debit` and `credit` are the operations of
`ratedispatch.pacing.bucket` that a request needs, one after the other in `all_three`: ask, pay, and
get back what was not used. `all_three_surplus` is the same with budget that has piled up at the
provider, which takes a longer way. Nothing ever waits.
Run: python -m benchmarks.micro.bucket [--repeats N] [--operations N] [--json [FILE]]
"""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

from aiolimiter import AsyncLimiter

from benchmarks.frame.command import SHARED_MACHINE, make_parser, positive, publish
from benchmarks.frame.environment import environment
from benchmarks.frame.rounds import costs
from benchmarks.frame.tables import compared
from ratedispatch.limits import Rate
from ratedispatch.pacing.bucket import Bucket

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

#: Tokens of a request, and of them those that are given back.
_AMOUNT = 200.0
_RETURNED = 80.0

#: So much a minute that what is paid has flowed back before the next operation.
_PER_MINUTE = 6e12
_BURST = 1e11

_CAVEATS = (
    SHARED_MACHINE,
    "aiolimiter can neither give back nor tell a wait, so acquire does less than all_three",
)


def variants(operations: int) -> dict[str, Callable[[], object]]:
    """Return what is measured, each doing *operations* in one call; needs a running loop."""
    limiter = AsyncLimiter(_BURST, 60 * _BURST / _PER_MINUTE)
    rate = Rate("tokens", _PER_MINUTE, _BURST)
    bucket, piled = Bucket(rate), Bucket(rate)
    now = asyncio.get_running_loop().time
    piled.raise_to(10 * _BURST, 10 * _BURST, now())
    times = range(operations)

    async def acquire() -> None:
        for _ in times:
            await limiter.acquire(_AMOUNT)

    def each(operation: Callable[[float], object]) -> None:
        for _ in times:
            operation(_AMOUNT)

    def timed(operation: Callable[[float, float], object]) -> None:
        for _ in times:
            operation(_AMOUNT, now())

    def all_three(bucket: Bucket) -> None:
        for _ in times:
            if bucket.wait(_AMOUNT, now()) > 0:
                raise RuntimeError("the bucket of this benchmark is not to run dry")
            bucket.debit(_AMOUNT, now())
            bucket.credit(_RETURNED, now())

    return {
        "acquire": lambda: _drive(acquire()),
        "has_capacity": lambda: each(limiter.has_capacity),
        "wait": lambda: timed(bucket.wait),
        "debit": lambda: timed(bucket.debit),
        "credit": lambda: timed(bucket.credit),
        "all_three": lambda: all_three(bucket),
        "all_three_surplus": lambda: all_three(piled),
    }


def _drive(steps: Coroutine[object, None, None]) -> None:
    """Run *steps*, which never wait, without a task: a task would be measured too."""
    try:
        steps.send(None)
    except StopIteration:
        return
    steps.close()
    raise RuntimeError("the limiter of this benchmark is not to run dry")


def main() -> int:
    """Run everything and print the result."""
    parser = make_parser(__doc__, repeats=7, seed=None)
    parser.add_argument("--operations", type=positive, default=50_000, metavar="N")
    arguments = parser.parse_args()
    surroundings = environment(None)

    async def measure() -> dict[str, list[float]]:
        return costs(variants(arguments.operations), arguments.operations, arguments.repeats)

    figures, text = compared(asyncio.run(measure()), "acquire", "µs an operation", digits=3)
    result = {"repeats": arguments.repeats, "operations": arguments.operations, **figures}
    publish(arguments, surroundings, result, text, caveats=_CAVEATS)
    return 0


if __name__ == "__main__":
    sys.exit(main())
