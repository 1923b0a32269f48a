"""
The state of a limit that several processes share, and how a note changes it.

The one definition of what a store does with a note; a store that cannot run this code (a script on
a server) does the same, number by number. Pure in the instants that it is handed.

The state is made of Structs, not dataclasses: a store may write it down for every note, which takes
half the time so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from operator import add

from msgspec import Struct, field

from ratedispatch.pacing.shared.store import (
    MOST_LIMITS,
    MOST_MEMBERS,
    TAKEN,
    TOTALS,
    LimitNote,
    LimitSheet,
    Note,
    Pause,
    Sheet,
    StoreGone,
    Totals,
)


@dataclass(frozen=True, slots=True)
class RecordTuning:
    """
    What can be tuned of a record.

    Args:
        wanting_seconds: Seconds after its last note in which a member counts as one that wants
            something. After them what it holds is given back: it may have died, or was stopped.
        waiting_seconds: Seconds after a note with a request that waits, in which that request
            counts as waiting still.
        look_seconds: Seconds between two looks at all members.
        forgotten_seconds: Seconds after its last note from which a member is no longer counted.
            A store that sees who lives need not forget anybody.
    """

    wanting_seconds: float = 2.0
    waiting_seconds: float = 0.5
    look_seconds: float = 0.1
    forgotten_seconds: float = math.inf


DEFAULT = RecordTuning()


class LimitRecord(Struct, array_like=True):
    """
    One limit.

    available = burst − used + surplus, where *used* leaks at *flow*, down to 0. What is above the
    larger of burst and ceiling runs over, out of the surplus.

    Attributes:
        at: When it was brought up to date.
        used: What of the burst is used; above the burst while in debt.
        surplus: What may be spent beyond the burst.
        flow: Units per second.
        burst: What it holds.
        ceiling: What it holds with surplus.
        totals: The sums.
        learned: What was learned; None if nothing was.
        learned_number: How often that has changed.
    """

    at: float
    used: float
    surplus: float
    flow: float
    burst: float
    ceiling: float
    totals: list[float]
    learned: Totals | None = None
    learned_number: float = 0.0

    @property
    def available(self) -> float:
        """What may be spent at the instant *at*."""
        return self.burst - self.used + self.surplus

    def leak(self, now: float) -> None:
        """Bring it up to *now*; a clock that was set back adds nothing."""
        if now > self.at:
            used = self.used - (now - self.at) * self.flow
            self.used = used if used > 0 else 0.0
        self.at = now
        if self.surplus > 0:
            excess = self.available - max(self.burst, self.ceiling)
            if excess > 0:
                self.surplus = max(0.0, self.surplus - excess)

    def take(self, amount: float) -> None:
        """Take *amount*, into debt if need be; below zero it comes back, until it is full."""
        if amount < 0:
            self.used = max(0.0, self.used + amount)
        elif self.surplus > 0:
            lacking = amount - (self.burst - self.used)
            from_surplus = min(self.surplus, max(0.0, lacking))
            self.surplus -= from_surplus
            self.used += amount - from_surplus
        else:
            self.used += amount

    def write(self, note: LimitNote, now: float) -> None:
        """Take in *note*."""
        self.leak(min(now, max(self.at, note.at)) if now >= self.at else now)
        # what is left stays the same when the burst changes
        self.used = max(0.0, self.used + note.burst - self.burst)
        self.flow, self.burst = note.flow, note.burst
        self.take(note.added[TAKEN])
        self.leak(now)
        self.totals = list(map(add, self.totals, note.added))
        stand = note.stand
        if stand is not None:
            missed = self.totals[TAKEN] - stand.taken  # by others, unknown to who has proven it
            available = stand.available - missed
            self.surplus = max(0.0, min(stand.surplus, stand.surplus - missed))
            self.used = max(0.0, self.burst - available + self.surplus)
            self.ceiling = note.ceiling
        if note.learned is not None and note.learned != self.learned:
            self.learned = note.learned
            self.learned_number += 1


class MemberRecord(Struct, array_like=True):
    """
    One process.

    Attributes:
        told_at: When its last note came.
        waits_since: When the last note came that said that a request waits; minus infinity if it
            said that none does.
        priority: The priority of that request.
        held: What it has taken and not sent, by the names of limits.
        asked: The limits per minute that its user has set.
        known: For each limit, the number of what was learned that it knows.
        was_reaped: Whether what it held was given back, unknown to it.
    """

    told_at: float
    waits_since: float = -math.inf
    priority: int = 0
    held: dict[str, float] = field(default_factory=dict)
    asked: dict[str, float] = field(default_factory=dict)
    known: dict[str, float] = field(default_factory=dict)
    was_reaped: bool = False


class Record(Struct, array_like=True):
    """
    The whole content of a store.

    Attributes:
        epoch: Another number when the store has started over.
        limits: By their names.
        members: By a key of the store's own.
        pause: The newest episode.
        news: Grows with everything important.
        looked_at: When all members were examined last.
        living, wanting: What that look has counted.
    """

    epoch: float
    limits: dict[str, LimitRecord] = field(default_factory=dict)
    members: dict[int, MemberRecord] = field(default_factory=dict)
    pause: Pause | None = None
    news: float = 0.0
    looked_at: float = -math.inf
    living: int = 0
    wanting: int = 0

    def write(
        self,
        note: Note,
        member: int,
        now: float,
        *,
        dead: frozenset[int] = frozenset(),
        tuning: RecordTuning = DEFAULT,
    ) -> Sheet:
        """
        Take in *note* of *member*, and return what stands here then.

        Args:
            note: What it tells.
            member: Its key.
            now: Seconds of the store's clock.
            dead: Keys of members that are known to be gone.
            tuning: The constants.

        Raises:
            StoreGone: There is no room for one more member or limit; the note was not taken in.
        """
        if member not in self.members and len(self.members) >= MOST_MEMBERS:
            self._look(now, dead, tuning)  # there may be room by now
        is_new = self._admit(note, member, now)
        me = self.members[member]
        is_back = is_new or not 0 <= now - me.told_at <= tuning.wanting_seconds
        was_reaped = is_new or me.was_reaped
        if is_back:
            was_reaped = self._give_back(me, now) or was_reaped
            self.news += 1
        me.told_at, me.was_reaped = now, False
        me.priority = note.priority
        me.waits_since = now if note.wants else -math.inf
        if is_back or dead or not 0 <= now - self.looked_at < tuning.look_seconds:
            self._look(now, dead, tuning)
        if note.pause is not None and (self.pause is None or note.pause.began > self.pause.began):
            self.pause = note.pause
            self.news += 1
        sheets = tuple([self._write_limit(limit, me, now) for limit in note.limits])
        if note.leaves:
            self._bury(member, now)
            self._look(now, frozenset(), tuning)
        return Sheet(
            now,
            self.epoch,
            sheets,
            self.pause,
            self.living,
            self.wanting,
            self._rival(member, now, tuning),
            self.news,
            was_reaped,
        )

    def _admit(self, note: Note, member: int, now: float) -> bool:
        """Make room for what is new in *note*; return whether *member* is."""
        missing = [limit for limit in note.limits if limit.name not in self.limits]
        if len(self.limits) + len(missing) > MOST_LIMITS:
            raise StoreGone(f"it holds {MOST_LIMITS} limits, and there is no room for one more")
        is_new = member not in self.members
        if is_new:
            if len(self.members) >= MOST_MEMBERS:
                raise StoreGone(
                    f"it has {MOST_MEMBERS} members, and there is no room for one more",
                    MOST_MEMBERS + 1,
                )
            self.members[member] = MemberRecord(now)
        for limit in missing:
            used = max(0.0, limit.burst - limit.first)
            self.limits[limit.name] = LimitRecord(
                now, used, 0.0, limit.flow, limit.burst, 0.0, [0.0] * TOTALS
            )
        return is_new

    def _write_limit(self, note: LimitNote, me: MemberRecord, now: float) -> LimitSheet:
        """Take in one limit of a note."""
        limit = self.limits[note.name]
        if note.learned is not None and note.learned != limit.learned:
            self.news += 1
        is_known = me.known.get(note.name, 0.0) == limit.learned_number
        limit.write(note, now)
        learned = limit.learned if note.learned is None and not is_known else None
        me.known[note.name] = limit.learned_number
        me.held[note.name] = note.held
        if me.asked.get(note.name, math.inf) != note.asked:
            me.asked[note.name] = note.asked
            self.news += 1
        asked = min([one.asked.get(note.name, math.inf) for one in self.members.values()])
        return LimitSheet(
            note.name,
            tuple(limit.totals),
            limit.available,
            limit.surplus,
            limit.ceiling,
            learned,
            asked,
        )

    def _look(self, now: float, dead: frozenset[int], tuning: RecordTuning) -> None:
        """Count the members, and give back what those hold that say nothing any more."""
        self.looked_at = now
        wanting = 0
        for key, one in list(self.members.items()):
            silence = now - one.told_at
            if key in dead or silence > tuning.forgotten_seconds:
                self._bury(key, now)
            elif 0 <= silence <= tuning.wanting_seconds:
                wanting += 1
            elif self._give_back(one, now):
                one.was_reaped = True
        living = len(self.members)
        if (wanting, living) != (self.wanting, self.living):
            self.news += 1
        self.wanting, self.living = wanting, living

    def _bury(self, member: int, now: float) -> None:
        """Remove *member*, and give back what it holds."""
        self._give_back(self.members.pop(member), now)

    def _give_back(self, one: MemberRecord, now: float) -> bool:
        """Give back what *one* holds, as far as it cannot have been sent; return whether it was."""
        has_held = False
        for name, held in one.held.items():
            limit = self.limits[name]
            limit.leak(now)
            if held > 0 and limit.available < 0:  # without a debt its turn came, and it was sent
                limit.take(-held)
                limit.totals[TAKEN] -= held
            has_held = has_held or held > 0
        one.held.clear()
        return has_held

    def _rival(self, member: int, now: float, tuning: RecordTuning) -> int | None:
        """Return the highest priority of the others that wait."""
        waiting = [
            one.priority
            for key, one in self.members.items()
            if key != member and 0 <= now - one.waits_since <= tuning.waiting_seconds
        ]
        return max(waiting, default=None)
