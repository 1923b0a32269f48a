"""
One process's copy of a limit that others spend from, too.

Tells what is new in the copy since the last note, and takes in what the store says. Between two
notes the copy runs by itself, as the limit of a process that is alone would.
"""

from __future__ import annotations

import dataclasses
import math
from collections import deque
from operator import add, sub
from typing import TYPE_CHECKING

from ratedispatch.pacing.limit.tracked import INSTANTS
from ratedispatch.pacing.shared.store import GIVEN_BACK, SPENT, TAKEN, TOTALS, LimitNote, Stand

if TYPE_CHECKING:
    from ratedispatch.pacing.limit.tracked import TrackedLimit
    from ratedispatch.pacing.shared.store import LimitSheet, Totals
    from ratedispatch.pacing.snapshot import Level

_NO_SUMS = (0.0,) * (TOTALS - 5)

#: Seconds in which it is seen what others take.
_SEEN_SECONDS = 15.0


class LimitCopy:
    """
    A limit, and what of it the store knows.

    Sums of the copy and of the store differ by a constant: a member that comes later, or a store
    that starts over, has seen another part of the past.

    Args:
        limit: The limit of this process.
        asked: The limit per minute that the user has set; infinite if none.

    Attributes:
        limit: The argument of this name.
        others: What others have reserved since this process came.
        others_given_back: What of that they have not sent after all.
        others_returned: What of theirs turned out unused.
        unpaid: What was spent here and is not to be taken from the store: it was taken before, or
            is not to be missed any more.
        may_have_learned: Whether anything may have been learned since the last note.
        has_been_spent: Whether anything of it was ever taken, as the store knows.
    """

    __slots__ = (
        "_asked",
        "_learned",
        "_parts",
        "_seen",
        "_stamp",
        "_sums",
        "_told",
        "_undo",
        "has_been_spent",
        "limit",
        "may_have_learned",
        "name",
        "others",
        "others_given_back",
        "others_returned",
        "unpaid",
    )

    def __init__(self, limit: TrackedLimit, asked: float) -> None:
        self.limit = limit
        self.name = limit.dimension
        self.others = self.others_given_back = self.others_returned = 0.0
        self._seen: deque[tuple[float, float]] = deque()  # instants, and what others had taken
        self.unpaid = 0.0
        self.may_have_learned = self.has_been_spent = False
        self._asked = asked
        self._sums = self._now()  # of the copy, at the last note
        self._told: Totals = (0.0,) * TOTALS  # what the store's sums are, as far as is known
        self._learned = limit.learned()
        self._stamp = limit.stamp()
        self._parts = 1  # processes that each have a part of it, while the store is gone
        self._undo: tuple[object, ...] = ()

    def note(self, now: float, held: float, offset: float) -> LimitNote:
        """
        Return what is new here, and count it as told.

        Args:
            now: Seconds of this process's clock.
            held: What was taken and is not sent yet.
            offset: What the store's clock is ahead of ours.
        """
        limit = self.limit
        bucket = limit.bucket
        sums, before = self._now(), self._sums
        self._undo = before, self._told, self.unpaid, self._learned, bucket.is_corrected
        added = list(map(sub, sums, before))  # of equal lengths; a strict zip takes twice as long
        taken = added[1] - added[4] if limit.refunds else added[1]
        added[TAKEN] = taken - self.unpaid
        self.unpaid = 0.0
        self._sums = sums
        self._told = told = tuple(map(add, self._told, added))
        available = bucket.available(now)
        stand = None
        if bucket.is_corrected:
            bucket.is_corrected = False
            stand = Stand(available, bucket.surplus, told[TAKEN])
        learned = None
        if self.may_have_learned and (stamp := limit.stamp()) != self._stamp:
            self._stamp = stamp
            found = limit.learned()
            if found != self._learned:
                self._learned = found
                learned = _moved(found, offset)
        rate, at = limit.rate, limit.account.last_at
        first = available + added[TAKEN]
        return LimitNote(
            self.name,
            tuple(added),
            bucket.flow,
            rate.burst,
            bucket.ceiling,
            first,
            stand,
            learned,
            held,
            self._asked,
            math.inf if at is None else at + offset,
        )

    def greeting(self, now: float) -> LimitNote:
        """Return an empty note, to ask whether the store is reachable."""
        bucket, burst = self.limit.bucket, self.limit.rate.burst * self._parts
        first = self._likely(now)
        nothing = (0.0,) * TOTALS
        return LimitNote(
            self.name, nothing, bucket.flow, burst, 0.0, first, None, None, 0.0, self._asked
        )

    def most_spent(self, seconds: float) -> float:
        """
        Return the sum up to which the limit may be spent before the store is told.

        That is what flows in within *seconds* of the last note; for a limit per day, everything.
        """
        limit = self.limit
        return math.inf if limit.is_daily else self._sums[SPENT] + limit.bucket.flow * seconds

    def outruns(self, seconds: float) -> bool:
        """Whether more was spent since the last note than flows in within *seconds*."""
        return self.limit.account.spent > self.most_spent(seconds)

    def part(self, processes: int, now: float) -> None:
        """Keep an equal part of the level and of the burst, as one of *processes* processes."""
        bucket = self.limit.bucket
        available = bucket.available(now) / processes
        self._set_parts(processes, now)
        # what an answer says is left is there for all, and would be spent by each
        self.limit.drop_surplus_until(math.inf, now)
        bucket.put(min(available, bucket.rate.burst), 0.0, 0.0, now)

    def _set_parts(self, parts: int, now: float) -> None:
        rate = self.limit.rate
        burst = max(1.0, rate.burst * self._parts / parts)
        self._parts = parts
        self.limit.bucket.set_rate(dataclasses.replace(rate, burst=burst), now)

    def _likely(self, now: float) -> float:
        """Return what is left for all, if the other parts are as full as this one."""
        return self._parts * self.limit.bucket.available(now)

    def undo(self) -> None:
        """Undo the last note, which did not arrive."""
        self._sums, self._told, self.unpaid, self._learned, was_corrected = self._undo  # type: ignore[assignment]
        self._stamp = ()
        self.may_have_learned = True
        self.limit.bucket.is_corrected |= bool(was_corrected)

    def take_in(
        self,
        sheet: LimitSheet,
        now: float,
        offset: float,
        *,
        is_anew: bool = False,
        is_back: bool = False,
        knows_best: bool = False,
    ) -> float | None:
        """
        Take over the content of the store.

        After a time without the store, in which each process had its part, what was spent counts in
        the sums but is not taken from the store's bucket, because most of it has flowed in again
        unseen. What is left is estimated from the own part, as if the other parts were as full.

        Args:
            sheet: What the store holds of this limit.
            now: Seconds of this process's clock.
            offset: By how many seconds the store's clock is ahead of this process's.
            is_anew: Whether the store has started over, so that its sums are unrelated to those
                before.
            is_back: Whether this answers a `greeting` after a time without the store.
            knows_best: Whether the level of the copy counts, and not the store's level of a moment
                ago, unless somebody has spent since.

        Returns:
            The limit per minute, if it is a new one.
        """
        limit = self.limit
        account, bucket = limit.account, limit.bucket
        changed = None
        if sheet.learned is not None:
            self._learned = _moved(sheet.learned, -offset)
            changed = self._learn(self._learned, now)
        cap = sheet.asked if sheet.asked < self._asked else math.inf
        if cap != limit.source.cap:
            changed = limit.cap(cap, now) or changed
        is_known = sheet.totals == self._told
        if not is_anew and not is_known:
            theirs = list(map(sub, sheet.totals, self._told))
            account.spent += theirs[1]
            account.refused += theirs[2]
            account.given_back += theirs[3]
            account.returned += theirs[4]
            if limit.ledger is not None:
                limit.ledger.add(tuple(theirs[5:]))
            self.others += theirs[1] + theirs[3]
            self.others_given_back += theirs[3]
            self.others_returned += theirs[4]
            theirs[TAKEN] = 0.0
            self._sums = tuple(map(add, self._sums, theirs))
        self._told = sheet.totals
        self.has_been_spent = sheet.totals[SPENT] + sheet.totals[GIVEN_BACK] > 0
        self._see(now)
        if knows_best and is_known:
            return changed
        spent = self._spent_since_note()  # while the note was on its way
        available = sheet.available - spent
        is_lower = False
        if is_back:
            self.unpaid += spent
            likely = self._likely(now)
            is_lower = likely < sheet.available
            available = min(sheet.available, likely)
            self._set_parts(1, now)
            limit.drop_surplus_until(now, now)
        bucket.put(available, min(sheet.surplus, max(0.0, available)), sheet.ceiling, now)
        if is_back:
            bucket.is_corrected = is_lower
        return changed

    def own(self, level: Level, now: float, processes: int) -> Level:
        """Return *level* with what was spent here, where it tells what all have spent."""
        return dataclasses.replace(
            level,
            spent=level.spent - self.others + self.others_given_back,
            returned=level.returned - (self.others_returned if self.limit.refunds else 0.0),
            elsewhere=self.elsewhere(now, processes),
        )

    def elsewhere(self, now: float, processes: int) -> float:
        """
        Return what others take of it per second, as far as was seen in the last seconds.

        *processes* want something: before anything was seen, each is taken to want the same.
        """
        if processes < 2:
            return 0.0
        first = self._seen[0] if self._seen else (now, 0.0)
        if now - first[0] < _SEEN_SECONDS / 10:
            return self.limit.bucket.per_second * (1 - 1 / processes)
        return max(0.0, self._taken_elsewhere() - first[1]) / (now - first[0])

    def _learn(self, numbers: Totals, now: float) -> float | None:
        """Take over what others have learned, unless it cannot be reckoned with."""
        limit = self.limit
        before = limit.learned()
        try:
            changed = limit.learn(numbers, now)
        except ArithmeticError:  # written by another program
            return limit.learn(before, now)
        return changed if limit.bucket.per_second > 0 else limit.learn(before, now)

    def _see(self, now: float) -> None:
        seen = self._seen
        if not seen or now - seen[-1][0] >= _SEEN_SECONDS / 10:
            seen.append((now, self._taken_elsewhere()))
            while len(seen) > 2 and seen[1][0] <= now - _SEEN_SECONDS:
                seen.popleft()

    def _taken_elsewhere(self) -> float:
        taken = self.others - self.others_given_back
        return taken - self.others_returned if self.limit.refunds else taken

    def _spent_since_note(self) -> float:
        sums, before = self._now(), self._sums
        spent = sums[1] - before[1]
        if self.limit.refunds:
            spent -= sums[4] - before[4]
        return spent - self.unpaid

    def _now(self) -> Totals:
        """Return the sums of the copy; that of `TAKEN` is worked out for each note."""
        account, ledger = self.limit.account, self.limit.ledger
        rest = _NO_SUMS if ledger is None else ledger.position()
        return (
            0.0,
            account.spent,
            account.refused,
            account.given_back,
            account.returned,
            *rest,
        )


def _moved(numbers: Totals, offset: float) -> Totals:
    """Return what was learned by a clock that is so far ahead."""
    if not offset:
        return numbers
    moved = list(numbers)
    for place in INSTANTS:
        moved[place] += offset
    return tuple(moved)
