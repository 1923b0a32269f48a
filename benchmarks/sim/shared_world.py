"""
Several processes that share the limit of one account, in virtual time.

The engine itself, one dispatcher for each process, and a fake provider with the same limits. The
store is in memory: at once, as a file is, or a round trip away, as a server is.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ratedispatch import AttemptSent, Dispatcher, Limits, Request
from ratedispatch.pacing.shared.memory_store import SharedRecord
from ratedispatch.pacing.shared.record import DEFAULT, RecordTuning
from ratedispatch.pacing.shared.shared_budget import SharedBudget
from ratedispatch.testing import ProviderSettings, ProviderTransport, run_virtual

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from ratedispatch.pacing.shared.store import Note, Sheet, Store, StoreGone

#: Seconds to a store that is a server, and back.
ROUND_TRIP = 0.001


class FarStore:
    """
    A store in memory that answers after a round trip.

    Args:
        shared: What it writes to.
    """

    is_remote = True
    name = "far memory"

    def __init__(self, shared: SharedRecord) -> None:
        self._near = shared.join()
        self._news = -1.0

    def exchange(self, note: Note, reply: Callable[[Sheet | StoreGone], None]) -> None:
        """Take in *note* half a round trip later."""

        def answer(said: Sheet | StoreGone) -> None:
            self._news = getattr(said, "news", self._news)
            reply(said)

        loop = asyncio.get_running_loop()
        loop.call_later(ROUND_TRIP, self._near.exchange, note, answer)

    def news(self) -> float:
        """Return the same until the next sheet, which brings what is new."""
        return self._news

    def redeemed(self) -> None:
        """Hear that what this member held was sent; the next note tells it."""

    def close(self) -> None:
        """Leave."""


class Member:
    """
    One process.

    Args:
        name: Its name.
        store: Its way to the others.
        transport: The provider, which all have in common.
        limits: What its user has set.
        seed: Of its chance.
    """

    def __init__(
        self, name: str, store: Store, transport: Any, limits: Limits, seed: int = 0
    ) -> None:
        self.name = name
        self.budget = SharedBudget(limits, store)
        self.sent: list[tuple[float, int, float]] = []
        self.answered: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.done: set[str] = set()
        self.notes: list[object] = []
        self.dispatcher = Dispatcher(
            transport,
            limits,
            budget=self.budget,
            listeners=[self._hear],
            rng=random.Random(f"{name} {seed}"),
            max_in_flight=10_000,
        )

    def _hear(self, event: object) -> None:
        if isinstance(event, AttemptSent):
            self.sent.append((event.at, event.cost.tokens, event.waited))
        else:
            self.notes.append(event)

    async def work(self, requests: Iterator[Request], priority: int = 0) -> None:
        """Send *requests*."""
        async with self.dispatcher:
            async for outcome in self.dispatcher.map(requests, priority=priority):
                name = outcome.request.custom_id or ""
                self.done.add(name)
                if type(outcome).__name__ == "Completed":
                    self.answered[name] += 1
                else:
                    self.failed[name] += 1


def rows(name: str, count: int, words: Callable[[], int] = lambda: 20) -> Iterator[Request]:
    """Return *count* requests."""
    for number in range(count):
        messages = [{"role": "user", "content": "tea " * words()}]
        yield Request.chat(
            model="gpt-4o", messages=messages, max_tokens=20, custom_id=f"{name}-{number}"
        )


def shares(members: list[Member], since: float, until: float) -> list[int]:
    """Return how many requests each of *members* sent between two instants, in seconds."""
    return [sum(since <= at < until for at, _, _ in member.sent) for member in members]


@dataclass(frozen=True, slots=True)
class Setting:
    """
    What the members meet.

    Args:
        count: How many there are.
        rpm: The limit of the account, and of each member.
        tpm: The same.
        each: Rows of each member.
        seconds: How long they work; None until all is done.
        words: Returns how long a row is.
        record: The constants of the store.
    """

    count: int = 4
    rpm: float = 3000
    tpm: float = 10_000_000
    each: int = 500
    seconds: float | None = None
    words: Callable[[], int] = lambda: 20
    record: RecordTuning = DEFAULT


class World:
    """
    Members, and what they have in common.

    Args:
        setting: What they meet.
        is_far: Whether the store is a round trip away.
        seed: Of chance.

    Attributes:
        shared: The state of the store.
        transport: The provider.
        members: All that there ever were.
        tasks: Their work.
    """

    def __init__(self, setting: Setting, *, is_far: bool, seed: int) -> None:
        self.setting = setting
        self.shared = SharedRecord(setting.record)
        provider = ProviderSettings(setting.rpm, setting.tpm, burst_seconds=1.0, latency=0.5)
        self.transport = ProviderTransport(provider, random.Random(f"shared {seed}"))
        self.members: list[Member] = []
        self.tasks: list[asyncio.Task[None]] = []
        self._is_far = is_far
        self._seed = seed

    def start(self, name: str, requests: Iterator[Request], priority: int = 0) -> Member:
        """Let one more member send *requests*."""
        limits = Limits(self.setting.rpm, self.setting.tpm)
        store = FarStore(self.shared) if self._is_far else self.shared.join()
        member = Member(name, store, self.transport, limits, self._seed)
        self.members.append(member)
        self.tasks.append(asyncio.create_task(member.work(requests, priority)))
        return member

    async def work(self, script: Callable[[World], Awaitable[None]] | None) -> None:
        """Let all members work, and *script* beside them, until all is done."""
        setting = self.setting
        for number in range(setting.count):
            name = f"m{number}"
            self.start(name, rows(name, setting.each, setting.words))
        other = [] if script is None else [asyncio.ensure_future(script(self))]
        if setting.seconds is not None:
            await asyncio.sleep(setting.seconds)
            for task in self.tasks:
                task.cancel()
        while pending := [task for task in (*self.tasks, *other) if not task.done()]:
            await asyncio.wait(pending)
        for task in self.tasks:
            with contextlib.suppress(asyncio.CancelledError):
                task.result()


def run(
    setting: Setting,
    script: Callable[[World], Awaitable[None]] | None = None,
    *,
    is_far: bool,
    seed: int,
) -> dict[str, Any]:
    """Play *setting*; return what came of it."""

    async def play() -> tuple[World, float]:
        world = World(setting, is_far=is_far, seed=seed)
        await world.work(script)
        return world, asyncio.get_running_loop().time()

    world, seconds = run_virtual(play())
    stats = world.transport.referee.report()
    refused = sum(stats["refused"].values())
    sent = sum(len(member.sent) for member in world.members)
    return {
        "seconds": seconds,
        "sent": sent,
        "refused": refused,
        "refused_share": refused / max(1, sent),
        "members": world.members,
        "stats": stats,
    }


def figures_of(found: dict[str, Any], bound: float | None) -> dict[str, Any]:
    """Return what every round tells of *found*; *bound* is the shortest time that is possible."""
    stats = found["stats"]
    excess = max(stats["excess"]["offered"].values())
    figures = {
        "seconds": round(found["seconds"], 2),
        "refused": found["refused"],
        "refused_share": round(found["refused_share"], 5),
        "above_limit": round(excess, 1),
    }
    if bound is not None:
        figures["of_bound"] = round(found["seconds"] / bound, 4)
    return figures


def spread(counts: list[int]) -> float:
    """Return by which share the largest of *counts* exceeds the smallest."""
    return round(max(counts) / max(1, min(counts)) - 1, 4)
