"""
A day and a night in virtual time: limits that move, and outages of every kind.

Sends rows for 24 hours at a server whose limits change 72 times, which is away 48 times (each time
with another fault, with several in turn, refusing everything, or not to be reached at all) and
strikes a part of the requests with faults all the while. Every row has to be answered, once.

Run: python -m benchmarks.sim.day [--hours N] [--seed N] [--json]
"""

from __future__ import annotations

import asyncio
import random
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

from benchmarks.frame.command import make_parser, positive, publish
from benchmarks.frame.environment import environment
from benchmarks.frame.tables import outline
from ratedispatch.errors import TransportError
from ratedispatch.limits import Limits
from ratedispatch.outcome import Completed, Response
from ratedispatch.request import Request
from ratedispatch.simulate.play import play
from ratedispatch.simulate.provider.faults import FAULTS
from ratedispatch.simulate.settings import ProviderSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ratedispatch.dispatch.dispatcher import Dispatcher
    from ratedispatch.simulate.transport import ProviderTransport

_HOUR = 3600.0
_CHANGES_PER_HOUR = 3
_OUTAGES_PER_HOUR = 2

#: Requests per minute that are told; the server's own move between a third of it and all of it.
_RPM = 120

#: Seconds of the shortest and the longest outage: below the breaker's patience of a quarter of an
#: hour, with the half minute between its late probes.
_SHORTEST, _LONGEST = 5.0, 840.0

_FAULT_SHARE = 0.005


def settings_of(
    hours: int, rng: random.Random
) -> tuple[ProviderSettings, list[tuple[float, float]]]:
    """Return the server of so many *hours*, and the times in which it cannot be reached."""
    end = hours * _HOUR
    instants = sorted(rng.uniform(0, end) for _ in range(hours * _CHANGES_PER_HOUR))
    changes = tuple((at, rng.uniform(_RPM / 3, _RPM), None) for at in instants)
    fault_times: list[tuple[float, float, str]] = []
    unreached: list[tuple[float, float]] = []
    refused = None
    kinds = ["unreached", "mixed", "refused", *FAULTS]
    each = end / (hours * _OUTAGES_PER_HOUR)
    for number in range(hours * _OUTAGES_PER_HOUR):
        start = number * each + rng.uniform(0, each - _LONGEST)
        length = min(_LONGEST, _SHORTEST + rng.expovariate(1 / 90))
        kind = kinds[number % len(kinds)]
        if kind == "unreached":
            unreached.append((start, start + length))
        elif kind == "refused" and refused is None:  # the server knows one such time
            refused = start, length
        elif kind in {"mixed", "refused"}:
            fault_times += [(start, length, name) for name in ("html", "500", "reset", "503")]
        else:
            fault_times.append((start, length, kind))
    settings = ProviderSettings(
        requests_per_minute=_RPM,
        burst_seconds=1.0,
        latency=0.5,
        faults=dict.fromkeys(FAULTS, _FAULT_SHARE),
        fault_times=tuple(fault_times),
        outage=refused,
        changes=changes,
    )
    return settings, unreached


def _rows(end: float, made: list[str]) -> Iterator[Request]:
    """Yield rows until the second *end*, and note their names."""
    while asyncio.get_running_loop().time() < end:
        made.append(f"r{len(made)}")
        messages = [{"role": "user", "content": made[-1]}]
        yield Request.chat(model="gpt-4o", messages=messages, max_tokens=16, custom_id=made[-1])


def run(hours: int, seed: int) -> dict[str, Any]:
    """Return what so many *hours* come to."""
    rng = random.Random(f"day {seed}")
    settings, unreached = settings_of(hours, rng)
    made: list[str] = []
    met = 0

    def script(_: Dispatcher, transport: ProviderTransport) -> None:
        send = transport.send

        async def reach(request: Request, timeout: float) -> Response:
            nonlocal met
            now = asyncio.get_running_loop().time()
            if any(start <= now < end for start, end in unreached):
                met += 1
                raise TransportError("refused", reached=False)
            return await send(request, timeout)

        transport.send = reach  # type: ignore[method-assign]

    played = play(
        _rows(hours * _HOUR, made),
        Limits(_RPM),
        settings,
        seed=seed,
        script=script,
        timeout=30.0,
        max_in_flight=256,
    )
    seen = Counter(outcome.request.custom_id for outcome in played.outcomes)
    failed = Counter(
        outcome.code for outcome in played.outcomes if not isinstance(outcome, Completed)
    )
    found = {
        "hours": round(played.seconds / _HOUR, 2),
        "changes": len(settings.changes),
        "outages": hours * _OUTAGES_PER_HOUR,
        "rows": len(made),
        "answered": len(made) - sum(failed.values()),
        "failed": sum(failed.values()),
        "reasons": dict(failed),
        "lost": sum(name not in seen for name in made),
        "doubled": sum(count > 1 for count in seen.values()),
        "refused": played.refused,
        "faults": sum(played.stats["faults"].values()) + met,
        "stopped": None if played.stop is None else str(played.stop),
    }
    is_right = not (found["failed"] or found["lost"] or found["doubled"] or found["stopped"])
    return {**found, "is_on_target": is_right}


def main() -> int:
    """Print what the day came to; 0 if every row was answered once."""
    parser = make_parser(__doc__, repeats=1)
    parser.add_argument("--hours", type=positive, default=24, metavar="N")
    arguments = parser.parse_args()
    surroundings = environment(arguments.seed)
    runs = [run(arguments.hours, arguments.seed + n) for n in range(arguments.repeats)]
    is_on_target = all(one["is_on_target"] for one in runs)
    text = "\n\n".join(outline(one) for one in runs)
    publish(arguments, surroundings, {"runs": runs, "is_on_target": is_on_target}, text)
    return 0 if is_on_target else 1


if __name__ == "__main__":
    sys.exit(main())
