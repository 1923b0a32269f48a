"""
Several processes of one job as one: the state of their queues put together.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from typing import TYPE_CHECKING

from ratedispatch.pacing.bottleneck import NOTHING, Bottleneck
from ratedispatch.pacing.snapshot import Snapshot, busiest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ratedispatch.jobs.processes.member import Member
    from ratedispatch.jobs.processes.messages import State
    from ratedispatch.pacing.snapshot import Level


class States:
    """
    How the processes do, and how those did that are gone.

    Args:
        members: The processes that there are, as they come and go.
        shares: Whether they share the limits, rather than that each has its part.
    """

    def __init__(self, members: Sequence[Member], *, shares: bool) -> None:
        self._members = members
        self._shares = shares
        self._gone: list[State] = []

    def leave_out(self, member: Member) -> None:
        """*member* is gone; what it has spent counts on."""
        if member.state is not None:
            self._gone.append(member.state)

    def snapshot(self) -> Snapshot:
        """Return the state of all queues together, as it was a moment ago."""
        now, gone = [one.all for one in self._now()], [one.all for one in self._gone]
        return merged(now, gone, shares=self._shares)

    def snapshots(self) -> dict[str, Snapshot]:
        """Return the state of each group of models, or member of a pool, by its name."""
        now = self._now()
        names = dict.fromkeys(name for one in now for name in one.apart)
        return {
            name: merged(
                [one.apart[name] for one in now if name in one.apart],
                [one.apart[name] for one in self._gone if name in one.apart],
                shares=self._shares,
            )
            for name in names
        }

    def bottleneck(self) -> Bottleneck:
        """Return what holds the process back that has the longest queue."""
        now = self._now()
        if not now:
            return Bottleneck(NOTHING, None, 0.0)
        return max(now, key=lambda one: (one.all.waiting, one.all.in_flight)).bottleneck

    @property
    def cpu_seconds(self) -> float:
        """Seconds of processor time that the busiest of the processes has taken."""
        return max((one.cpu_seconds for one in (*self._now(), *self._gone)), default=0.0)

    def _now(self) -> list[State]:
        return [one.state for one in self._members if one.state is not None and not one.is_gone]


_NOTHING = Snapshot(0, 0, 0, 0.0, ())


def merged(
    states: Sequence[Snapshot], gone: Sequence[Snapshot] = (), *, shares: bool = False
) -> Snapshot:
    """
    Return the *states* of processes as that of one.

    Args:
        states: The states of the existing processes.
        gone: The last ones of those that have ended: only what they have spent counts.
        shares: Whether each tells of its limits as a whole, because all share them.
    """
    if not states:
        return _NOTHING
    most = busiest(states)
    held: dict[str, float] = defaultdict(float)
    for state in (*states, *gone):
        for cause, seconds in state.held.items():
            held[cause] += seconds / len(states)
    return Snapshot(
        sum(state.in_flight for state in states),
        sum(state.max_in_flight for state in states),
        sum(state.waiting for state in states),
        min(state.paused for state in states),
        _levels([one.levels for one in states], [one.levels for one in gone], shares=shares),
        most.binding,
        dict(held),
        any(state.is_doubling for state in states),
    )


def _levels(
    states: Iterable[Sequence[Level]], gone: Iterable[Sequence[Level]], *, shares: bool
) -> tuple[Level, ...]:
    found: dict[tuple[str, str], list[Level]] = {}
    for levels in states:
        for level in levels:
            found.setdefault((level.group, level.dimension), []).append(level)
    before: dict[tuple[str, str], list[Level]] = {}
    for levels in gone:
        for level in levels:
            before.setdefault((level.group, level.dimension), []).append(level)
    whole = _shared if shares else _divided
    return tuple(whole(levels, before.get(name, [])) for name, levels in found.items())


def _shared(levels: list[Level], gone: list[Level]) -> Level:
    """Return one limit that all tell of, each with what was spent there."""
    return dataclasses.replace(
        min(levels, key=lambda level: level.available),
        spent=sum(level.spent for level in (*levels, *gone)),
        returned=sum(level.returned for level in (*levels, *gone)),
        share=max(level.share for level in levels),
        used=max((level.used for level in levels if level.used is not None), default=None),
    )


def _divided(levels: list[Level], gone: list[Level]) -> Level:
    """Return the parts of one limit as a whole."""
    used = [level.used for level in levels if level.used is not None]
    count = len(levels)
    return dataclasses.replace(
        levels[0],
        per_minute=sum(level.per_minute for level in levels),
        available=sum(level.available for level in levels),
        spent=sum(level.spent for level in (*levels, *gone)),
        share=sum(level.share for level in levels) / count,
        used=sum(used) / len(used) if used else None,
        others=sum(level.others for level in levels),
        limit=sum(level.limit for level in levels),
        per_second=sum(level.per_second for level in levels),
        returned=sum(level.returned for level in (*levels, *gone)),
        burst=sum(level.burst for level in levels),
        held=sum(level.held for level in levels),
        piled=sum(level.piled for level in levels),
    )
