"""
How callers of one account share it, and how long interactive requests wait beside a job.

Virtual time, the engine itself, and a fake provider with the same limits, so the figures are exact
and the same for a seed. Three callers with weights 1, 2 and 4 whose requests are charged 100,
1,000 and 4,000 tokens each want more than there is: as many calls of `submit` that wait, or a
`map` each. In `late` the third one begins after 30 s. In `interactive` a job takes all that it can
with priority 0, bound by tokens or by requests, while single requests come with priority 1 after
0.2 to 0.8 s each.
Targets: of what is sent within 60 s, after the first second, each caller has its weight's part to
within 3 %, or 5 % by `map`, of which one request waits at a time, and none for a moment while what
has piled up is spent; who comes late has its part of the first 2 s to within one request; and no
interactive request waits for more than 1.5 times what one request of the job takes from the budget.
Run: python -m benchmarks.sim.fairness [--seed N] [--json [FILE]]
"""

from __future__ import annotations

import asyncio
import random
import sys
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from benchmarks.frame.command import make_parser, publish
from benchmarks.frame.environment import environment
from benchmarks.frame.tables import table
from ratedispatch import AttemptSent, Dispatcher, Limits, Request
from ratedispatch.testing import ProviderSettings, ProviderTransport, run_virtual

if TYPE_CHECKING:
    from collections.abc import Iterator

WEIGHTS = {"small": 1.0, "middle": 2.0, "large": 4.0}
SIZES = {"small": 100, "middle": 1_000, "large": 4_000}

TARGET_SHARE = 0.03
TARGET_SHARE_OF_MAPS = 0.05
TARGET_WAIT = 1.5

_SECONDS = 60.0

#: Who comes first has the first burst to itself: the others do not wait yet.
_START_SECONDS = 1.0
_LATE_AT, _LATE_SECONDS = 30.0, 2.0
_LIMITS = Limits(600_000, 2_000_000)

#: Of each request: its cap, and what the chat format adds to its words.
_OUTPUT_TOKENS, _FORMAT_TOKENS = 20, 8

#: So many calls of each caller wait at any time.
_OPEN = 200

#: The limits of an interactive round, and the tokens of one request of its job.
_ROUNDS = {
    "bound by tokens": (Limits(60_000, 600_000), 2_000),
    "bound by requests": (Limits(600, 60_000_000), 2_000),
}
_INTERACTIVE_TOKENS = 200


def request_of(name: str, tokens: int) -> Request:
    """Return a request that is charged *tokens*, named after whom it is for."""
    text = "tea " * (tokens - _OUTPUT_TOKENS)
    messages = [{"role": "user", "content": text[: -4 * _FORMAT_TOKENS]}]
    return Request.chat(
        model="gpt-4o", messages=messages, max_tokens=_OUTPUT_TOKENS, custom_id=name
    )


class Ledger:
    """What was sent for whom: instants, tokens and waits."""

    def __init__(self) -> None:
        self.sent: list[tuple[float, str, int, float]] = []

    def __call__(self, event: object) -> None:
        if isinstance(event, AttemptSent):
            name = event.request.custom_id or ""
            self.sent.append((event.at, name, event.cost.tokens, event.waited))

    def tokens(self, since: float, until: float) -> dict[str, int]:
        """Return the tokens sent for each between two instants."""
        found: dict[str, int] = defaultdict(int)
        for at, name, tokens, _ in self.sent:
            if since <= at < until:
                found[name] += tokens
        return dict(found)

    def waits(self, name: str) -> list[float]:
        """Return the seconds in the queue of each request for *name*."""
        return [waited for _, sent_for, _, waited in self.sent if sent_for == name]


async def _begin(limits: Limits, ledger: Ledger, seed: int, **options: Any) -> Dispatcher:
    rpm, tpm = (rate.per_minute for rate in limits.rates())
    settings = ProviderSettings(rpm, tpm, burst_seconds=2.0, latency=0.5)
    transport = ProviderTransport(settings, random.Random(f"fairness {seed}"))
    return Dispatcher(
        transport,
        limits,
        listeners=[ledger],
        rng=random.Random(seed),
        max_in_flight=50_000,
        **options,
    )


async def _submit_many(dispatcher: Dispatcher, name: str) -> None:
    """Keep calls for *name* waiting."""
    request = request_of(name, SIZES[name])

    async def one_after_another() -> None:
        while True:
            await dispatcher.submit(request, caller=name)

    async with asyncio.TaskGroup() as group:
        for _ in range(_OPEN):
            group.create_task(one_after_another())


async def _map_many(dispatcher: Dispatcher, name: str) -> None:
    """Send without end for *name*."""

    request = request_of(name, SIZES[name])

    def endless() -> Iterator[Request]:
        while True:
            yield request

    async for _ in dispatcher.map(endless(), caller=name):
        pass


def share(seed: int, *, maps: bool = False) -> dict[str, Any]:
    """Return of each caller the part of its weight that it has got in a minute."""
    ledger = Ledger()
    send = _map_many if maps else _submit_many

    async def main() -> None:
        dispatcher = await _begin(_LIMITS, ledger, seed, weights=WEIGHTS)
        tasks = [asyncio.create_task(send(dispatcher, name)) for name in WEIGHTS]
        await asyncio.sleep(_START_SECONDS + _SECONDS)
        await _end(tasks)

    run_virtual(main())
    found = ledger.tokens(_START_SECONDS, _START_SECONDS + _SECONDS)
    total, weight = sum(found.values()), sum(WEIGHTS.values())
    target = TARGET_SHARE_OF_MAPS if maps else TARGET_SHARE
    parts = {name: found[name] / total / (WEIGHTS[name] / weight) for name in WEIGHTS}
    return {
        "tokens": found,
        "part_of_its_weight": {name: round(part, 4) for name, part in parts.items()},
        "is_on_target": all(abs(part - 1) <= target for part in parts.values()),
    }


def late(seed: int) -> dict[str, Any]:
    """Return what the third caller gets in its first seconds, which begin after those of others."""
    ledger = Ledger()

    async def main() -> None:
        dispatcher = await _begin(_LIMITS, ledger, seed, weights=WEIGHTS)
        tasks = [asyncio.create_task(_submit_many(dispatcher, name)) for name in list(WEIGHTS)[:2]]
        await asyncio.sleep(_LATE_AT)
        tasks.append(asyncio.create_task(_submit_many(dispatcher, "large")))
        await asyncio.sleep(_LATE_SECONDS)
        await _end(tasks)

    run_virtual(main())
    found = ledger.tokens(_LATE_AT, _LATE_AT + _LATE_SECONDS)
    due = sum(found.values()) * WEIGHTS["large"] / sum(WEIGHTS.values())
    return {
        "tokens": found,
        "due": round(due),
        "missing_requests": round((due - found["large"]) / SIZES["large"], 2),
        "is_on_target": abs(due - found["large"]) <= SIZES["large"],
    }


def interactive(seed: int, bound: str) -> dict[str, Any]:
    """Return how long interactive requests wait beside a job, in requests of the job."""
    limits, size = _ROUNDS[bound]
    rpm, tpm = (rate.per_minute for rate in limits.rates())
    takes = max(60 / rpm, size * 60 / tpm)
    ledger, rng = Ledger(), random.Random(f"interactive {seed}")

    def job() -> Iterator[Request]:
        request = request_of("job", size)
        while True:
            yield request

    async def send(dispatcher: Dispatcher) -> None:
        async for _ in dispatcher.map(job()):
            pass

    async def main() -> None:
        dispatcher = await _begin(limits, ledger, seed)
        tasks: list[asyncio.Task[Any]] = [asyncio.create_task(send(dispatcher))]
        while asyncio.get_running_loop().time() < _SECONDS:
            await asyncio.sleep(rng.uniform(0.2, 0.8))
            request = request_of("interactive", _INTERACTIVE_TOKENS)
            tasks.append(asyncio.create_task(dispatcher.submit(request, priority=1)))
        await _end(tasks)

    run_virtual(main())
    waits = sorted(ledger.waits("interactive"))
    rate = sum(ledger.tokens(0, _SECONDS).values()) / _SECONDS * 60
    return {
        "requests": len(waits),
        "one_of_the_job_takes_s": takes,
        "median_wait": round(waits[len(waits) // 2] / takes, 3),
        "longest_wait": round(waits[-1] / takes, 3),
        "requests_per_minute": round(len(ledger.sent) / ledger.sent[-1][0] * 60),
        "tokens_per_minute": round(rate),
        "is_on_target": waits[-1] <= TARGET_WAIT * takes,
    }


async def _end(tasks: list[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def measure(seed: int) -> dict[str, Any]:
    """Return all figures."""
    found = {
        "share": {"submit": share(seed), "map": share(seed, maps=True)},
        "late": late(seed),
        "interactive": {bound: interactive(seed, bound) for bound in _ROUNDS},
    }
    single = [*found["share"].values(), found["late"], *found["interactive"].values()]
    return {**found, "is_on_target": all(one["is_on_target"] for one in single)}


def _text(found: dict[str, Any]) -> str:
    rows = [["caller", "weight", "tokens of one", "submit", "map"]]
    for name, weight in WEIGHTS.items():
        parts = [
            f"{found['share'][way]['part_of_its_weight'][name]:.4f}" for way in ("submit", "map")
        ]
        rows.append([name, f"{weight:g}", f"{SIZES[name]:,}", *parts])
    beside = [["a job", "one takes s", "interactive", "median", "longest", "RPM", "TPM"]]
    for bound, one in found["interactive"].items():
        beside.append(
            [
                bound,
                f"{one['one_of_the_job_takes_s']:g}",
                f"{one['requests']:,}",
                f"{one['median_wait']:.2f}",
                f"{one['longest_wait']:.2f}",
                f"{one['requests_per_minute']:,}",
                f"{one['tokens_per_minute']:,}",
            ]
        )
    verdict = "met" if found["is_on_target"] else "MISSED"
    return (
        f"Parts of their weights that callers got in {_SECONDS:g} s:\n{table(rows)}\n\n"
        f"The large one, {_LATE_AT:g} s late, misses {found['late']['missing_requests']:g} "
        f"requests of its part of the first {_LATE_SECONDS:g} s.\n\n"
        f"Waits of interactive requests, in what one request of the job takes:\n{table(beside)}\n\n"
        f"Targets: {verdict}"
    )


def main() -> int:
    """Print the figures; return 1 if a target is missed."""
    arguments = make_parser(__doc__, repeats=1).parse_args()
    found = measure(arguments.seed)
    publish(arguments, environment(arguments.seed), found, _text(found))
    return 0 if found["is_on_target"] else 1


if __name__ == "__main__":
    sys.exit(main())
