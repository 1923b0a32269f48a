"""
A day of sixteen clients that come and go on one store, in virtual time.

Each works for a while, then has nothing to do; a session ends by itself, dies in the middle and is
begun again, or stands still for a minute. Their users have set different limits, the provider
changes its own and refuses everything from time to time, and the store is gone for minutes, or
forgets everything. Every row has to be answered once; see `day` for what else is asked.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from benchmarks.sim.shared_world import FarStore, Member, rows
from ratedispatch import Limits
from ratedispatch.pacing.shared.memory_store import SharedRecord
from ratedispatch.pacing.shared.record import RecordTuning
from ratedispatch.testing import ProviderSettings, ProviderTransport, run_virtual

if TYPE_CHECKING:
    from collections.abc import Callable

    from ratedispatch.pacing.shared.store import Note, Sheet, Store, StoreGone

_HOUR = 3600.0
_CLIENTS = 16

#: Requests per minute of the account; what some users have set; what the provider may fall to.
_RPM = 90.0
_LOWER = 60.0
_LEAST = 45.0

#: Seconds that a bucket of the provider, and those of the clients, hold.
_PROVIDER_SECONDS, _BURST_SECONDS = 10.0, 2.0

#: Hours between two sessions of a client on average, and how many rows one has.
_IDLE_HOURS = 2.5
_ROWS = (20, 250)

#: Seconds after a change in which it is not asked that all of a limit is used.
_SETTLING = 20.0


#: Requests by which the judge may find the limit exceeded: a limit that falls takes from his
#: bucket at once what the provider has told, and a request of each client is on its way.
_TOLERANCE = (_RPM - _LEAST) / 60 * _PROVIDER_SECONDS + _CLIENTS


class Mortal:
    """
    A store that its member can lose all at once, as it does by SIGKILL.

    Args:
        store: What it leads to.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self.is_remote, self.name = store.is_remote, store.name
        self.is_dead = False

    def exchange(self, note: Note, reply: Callable[[Sheet | StoreGone], None]) -> None:
        """Pass *note* on, unless it is dead."""
        if not self.is_dead:
            self._store.exchange(note, reply)

    def news(self) -> float:
        """Return what the store says."""
        return self._store.news()

    def redeemed(self) -> None:
        """Pass it on, unless it is dead."""
        if not self.is_dead:
            self._store.redeemed()

    def close(self) -> None:
        """Leave."""
        self._store.close()


@dataclass
class Day:
    """
    What all clients have in common.

    Attributes:
        hours: How long they come.
        is_far: Whether the store is a round trip away.
        rng: Of chance.
        shared: The state of the store.
        transport: The provider.
        members: Those that work now, and what their users have set.
        stopped: Those of them that stand still.
        answered: How often each row was.
        made: All rows.
        restless_until: Until when nothing is asked of the share that is used.
        rpm: What the provider allows now.
        wanted: Requests that could have been sent while somebody waited.
        counts: What has happened.
    """

    hours: float
    is_far: bool
    rng: random.Random
    shared: SharedRecord = field(
        default_factory=lambda: SharedRecord(RecordTuning(forgotten_seconds=60.0))
    )
    transport: Any = None
    members: dict[Member, float] = field(default_factory=dict)
    stopped: set[Member] = field(default_factory=set)
    answered: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    made: list[str] = field(default_factory=list)
    restless_until: float = 0.0
    rpm: float = _RPM
    wanted: float = 0.0
    used: float = 0.0
    sent: int = 0
    counts: Counter[str] = field(default_factory=Counter)

    def unsettle(self, seconds: float = _SETTLING) -> None:
        """Ask nothing of the share that is used for so many *seconds*."""
        now = asyncio.get_running_loop().time()
        self.restless_until = max(self.restless_until, now + seconds)


async def _session(day: Day, name: str, count: int, rpm: float) -> None:
    """Let a client send *count* rows, however often it has to begin again."""
    loop, rng = asyncio.get_running_loop(), day.rng
    names = [f"{name}-{number}" for number in range(count)]
    day.made += names
    done: set[str] = set()
    while len(done) < count:
        while day.shared.gone is not None:  # noqa: ASYNC110  # no run begins without its store
            await asyncio.sleep(1)
        store = Mortal(FarStore(day.shared) if day.is_far else day.shared.join())
        limits = Limits(rpm, burst_seconds=_BURST_SECONDS)
        member = Member(name, store, day.transport, limits, rng.randrange(1_000_000))
        day.members[member] = rpm
        day.unsettle()
        left = [row for row in rows(name, count) if row.custom_id not in done]
        task = asyncio.create_task(member.work(iter(left)))
        chance = rng.random()
        if chance < 0.4:  # something happens in the middle
            await asyncio.wait([task], timeout=rng.uniform(5, 120))
        if not task.done() and chance < 0.2:
            day.counts["died"] += 1
            store.is_dead = True
            task.cancel()
        elif not task.done() and chance < 0.4:
            day.counts["stopped"] += 1
            admission = next(iter(member.dispatcher._runner.routes)).admission
            admission.hold()
            day.stopped.add(member)
            await asyncio.sleep(60)
            day.stopped.discard(member)
            day.unsettle()
            admission.release()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        del day.members[member]
        day.unsettle(70.0 if store.is_dead else 5.0)  # what its user has set counts for a minute
        day.sent += len(member.sent)
        day.answered.update(member.answered)
        day.failed.update(member.failed)
        done |= member.done
        if not store.is_dead:
            member.budget.close(loop.time())
        elif len(done) < count:
            await asyncio.sleep(rng.uniform(1, 30))


async def _client(day: Day, number: int) -> None:
    """Let a client work from time to time."""
    rng = random.Random(f"client {number} {day.rng.random()}")
    rpm = _LOWER if number % 8 == 7 else _RPM
    loop, session = asyncio.get_running_loop(), 0
    while loop.time() < day.hours * _HOUR:
        await asyncio.sleep(rng.expovariate(1 / (_IDLE_HOURS * _HOUR)))
        session += 1
        day.counts["sessions"] += 1
        await _session(day, f"c{number}s{session}", rng.randint(*_ROWS), rpm)


async def _troubles(day: Day) -> None:
    """Change what all have in common, again and again."""
    loop, rng = asyncio.get_running_loop(), day.rng
    while loop.time() < day.hours * _HOUR:
        await asyncio.sleep(rng.uniform(0.2, 0.6) * _HOUR)
        kind = rng.choice(["gone", "anew", "limit", "limit", "refused"])
        day.counts[kind] += 1
        if kind == "gone":
            seconds = rng.uniform(30, 300)
            day.unsettle(seconds + _SETTLING)
            day.shared.gone = "nobody answers"
            await asyncio.sleep(seconds)
            day.shared.gone = None
        elif kind == "anew":
            day.unsettle()
            day.shared.begin_anew()
        elif kind == "limit":
            day.unsettle()
            day.rpm = rng.uniform(_LEAST, _RPM)
            day.transport.provider.set_limits(day.rpm, None, loop.time())
        else:
            day.unsettle(10 + 2 * _SETTLING)
            day.transport.refuses_until = loop.time() + 10


async def _watch(day: Day) -> None:
    """Count what could be sent, and what was, while somebody waits."""
    loop = asyncio.get_running_loop()
    before = 0
    while True:
        await asyncio.sleep(1)
        waits = False
        for member in day.members:
            runner = member.dispatcher._runner
            if member not in day.stopped and any(r.admission.waiting for r in runner.routes):
                waits = True
        sent = day.sent + sum(len(member.sent) for member in day.members)
        if waits and loop.time() > day.restless_until:
            day.wanted += min(day.rpm, *day.members.values(), _RPM) / 60
            day.used += sent - before
        before = sent


class RefusingTransport(ProviderTransport):
    """A provider that refuses everything until an instant."""

    refuses_until = 0.0

    async def send(self, request: Any, timeout: float) -> Any:
        """Send *request*, or have it refused."""
        from ratedispatch.outcome import Response

        left = self.refuses_until - asyncio.get_running_loop().time()
        if left > 0:
            error = {"error": {"message": "Rate limit reached", "type": "requests"}}
            return Response(429, {"retry-after": f"{left:.3f}"}, error)
        return await super().send(request, timeout)


def day(seed: int, *, is_far: bool, hours: float = 24.0) -> dict[str, Any]:
    """
    Let clients come and go on one store for 24 hours.

    Asked: every row is answered once; what was offered is never above the limit, by the judge,
    but for what a smaller bucket does not hold any more when the limit falls, and one request of
    each client that was on its way then; and 97 % of what could be sent is, while somebody waits
    and nothing has just changed.
    """

    async def play() -> Day:
        world = Day(hours, is_far, random.Random(f"shared day {seed}"))
        settings = ProviderSettings(_RPM, None, burst_seconds=_PROVIDER_SECONDS, latency=0.5)
        world.transport = RefusingTransport(settings, random.Random(f"provider {seed}"))
        watch = asyncio.create_task(_watch(world))
        troubles = asyncio.create_task(_troubles(world))
        async with asyncio.TaskGroup() as group:
            for number in range(_CLIENTS):
                group.create_task(_client(world, number))
        watch.cancel()
        troubles.cancel()
        return world

    world = run_virtual(play())
    stats = world.transport.referee.report()
    lost = sum(name not in world.answered for name in world.made)
    doubled = sum(count > 1 for count in world.answered.values())
    refused = sum(stats["refused"].values())
    above = stats["excess"]["offered"]["requests"]
    used = world.used / max(1.0, world.wanted)
    return {
        "rows": len(world.made),
        "lost": lost,
        "doubled": doubled,
        "failed": sum(world.failed.values()),
        "refused": refused,
        "refused_share": round(refused / max(1, world.sent), 5),
        "above_limit": above,
        "used": round(used, 4),
        **world.counts,
        "is_on_target": not (lost or doubled or world.failed)
        and above <= _TOLERANCE
        and used >= 0.97
        and refused <= 0.005 * world.sent,
    }
