"""
A number in flight that several processes look for together, and divide among them.

One of them searches, with what all have seen; the others follow. What was found stands in a store
of its own, where those that follow count their answers. A process that is alone searches as it
would without a store. Waits for nothing and reads no clock.

Each that is short of room may have its part of the number.
"""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING

from ratedispatch.pacing.concurrency.reading import Sent
from ratedispatch.pacing.feedback import SharingChange
from ratedispatch.pacing.shared.found_number import SHORTEST_TURN, Found, is_sound, part_of, turn_of
from ratedispatch.pacing.shared.membership import DEFAULT, company
from ratedispatch.pacing.shared.search_counts import Rounds, SearchCounts
from ratedispatch.pacing.shared.store import LimitNote, Note, Sheet, StoreGone

if TYPE_CHECKING:
    from collections.abc import Callable

    from ratedispatch.pacing.concurrency.adaptive import AdaptiveLimit
    from ratedispatch.pacing.feedback import Change
    from ratedispatch.pacing.shared.membership import SharedTuning
    from ratedispatch.pacing.shared.store import Store

#: The name that replaces that of a limit, and its name in messages.
_NAME, _NAMED = "in flight", "the number in flight is"

#: Seconds after which who searches says that it still does, and after which another takes over.
_BEAT_SECONDS, _SILENT_SECONDS = 1.0, 3.0

#: Seconds after its last request that was short of room in which a process counts as short of it.
_SHORT_SECONDS = 1.0


class SharedSearch:
    """
    How many requests one of several processes may have in flight.

    Args:
        search: Searches for the number if no other process does.
        store: Where the number is shared; used for nothing else.
        owner: A number that no other process has; not 0.
        tuning: The constants.

    Attributes:
        changes: Changes of sharing that listeners are still to hear of.
        on_reply: Called from another thread when a remote store has answered.
        on_change: Called when listeners are to hear of a change.
    """

    learns = True

    def __init__(
        self, search: AdaptiveLimit, store: Store, owner: float, tuning: SharedTuning = DEFAULT
    ) -> None:
        self._search = search
        self._store = store
        self._owner = owner
        self._tuning = tuning
        self._inbox: deque[Sheet | StoreGone] = deque()
        self._has_left = self._is_closed = False
        self._is_asking = self._is_apart = self._has_sheet = self._searches = False
        self._epoch = self._news = -1.0  # of the store
        self._told_at = self._heard_at = self._short_at = self._beat_at = -math.inf
        self._now = self._offset = 0.0
        self._wanting = 1
        self._found: Found | None = None  # as it was heard, or told
        self._counts = SearchCounts()
        self._rounds = Rounds(search, 0)
        self._latency = 0.0  # of recent answers
        self._part = search.limit
        self._rises_at = math.inf
        self._in_flight = 0
        self._held = self._held_of = 0  # the most in flight since the total was this
        self.changes: list[Change] = []
        self.on_reply: Callable[[], None] | None = None
        self.on_change: Callable[[], None] = _ignore

    @property
    def limit(self) -> int:
        """How many this process may have in flight now."""
        return self._part

    @property
    def found(self) -> int | None:
        """The number for all processes together that has proved itself; None while none has."""
        if self._leads or self._found is None:
            return self._search.found
        return int(self._found.proven) or None

    @property
    def newest(self) -> float | None:
        """Seconds that the newest answer took, where a rate is followed."""
        return self._search.newest

    @property
    def _leads(self) -> bool:
        """Whether this process searches itself, as it does until it hears of another one."""
        return self._has_left or self._searches or self._found is None

    @property
    def _is_frozen(self) -> bool:
        """Whether it keeps its part, because the store cannot be reached and others have theirs."""
        return self._is_apart and self._wanting > 1 and not self._has_left

    @property
    def _total(self) -> int:
        found = self._found
        return self._search.limit if self._leads or found is None else int(found.total)

    def follow_rate(self) -> None:
        """Leave the shared search, because a rate is known now, and keep a number of its own."""
        part, has_own = max(1, self._part), self._leads and self._wanting == 1
        if not self._has_left:
            self._leave(self._now)
            if not has_own:
                self._search.resume(part, None)
        self._search.follow_rate()
        self._divide(self._now)

    def full(self, now: float) -> float:
        """Note that a request waits for room; return the seconds until there may be more."""
        if self._has_left:
            wait = self._search.full(now)
            self._divide(now)
            return wait
        self._short_at = now
        self._look(now)
        rises_in = self._rises_at - now
        return min(self._tuning.beat_seconds, rises_in if rises_in > 0 else math.inf)

    def sent(self, now: float, in_flight: int, is_full: bool) -> Sent:
        """Note that a request leaves; return what to give back when it has ended."""
        if self._has_left:
            return self._search.sent(now, in_flight, is_full)
        if is_full:
            self._short_at = now
        self._look(now)
        total, part = self._total, max(1, self._part)
        if total != self._held_of:
            self._held, self._held_of = self._in_flight, total
        self._in_flight = in_flight
        if self._wanting > 1 and in_flight > self._held:
            is_full = False  # the others fill their parts just now: how many are there is not known
            self._held = in_flight
        # the others have their parts in flight as well
        load = max(1, total if in_flight >= part else round(in_flight * total / part))
        found = self._found
        if self._leads or found is None:
            return self._search.sent(now, load, is_full)
        return Sent(now, int(found.number), load, is_full and 2 * in_flight >= part)

    def ended(self, token: Sent, now: float) -> None:
        """Note that the request was answered."""
        self._in_flight -= 1
        if self._is_frozen:
            pass  # what the others do is not known
        elif self._leads:
            self._search.ended(token, now)
            self._see(now - token.at)
        elif token.is_saturated:
            self._counts.answered(token.epoch, now - token.at)
        self._look(now)

    def dropped(self, token: Sent) -> None:
        """Note that the request was refused for want of room, or never answered."""
        self._in_flight -= 1
        if self._leads:
            is_alone = self._wanting == 1 or self._has_left
            (self._search.dropped if is_alone else self._rounds.refused)(token)
            self._divide(self._now)
        else:
            self._counts.refused(token.epoch)

    def close(self, now: float) -> None:
        """Leave the search to others, and close the store."""
        if not self._is_closed:
            self._leave(now)
            self._is_closed = True
            self._store.close()

    def _leave(self, now: float) -> None:
        """Leave the search to others; use a separate number from now on."""
        if not self._has_left:
            self._tell(now, leaves=True)
            self._has_left = True
            self._divide(now)

    def _look(self, now: float) -> None:
        """Exchange what is new with the store, and take this instant's part of the number."""
        self._now = now
        if not self._has_left:
            self._take_in(now)
        for _ in range(2):  # what was heard may change the number
            if self._is_due(now):
                self._tell(now)
        self._divide(now)

    def _is_due(self, now: float) -> bool:
        """Whether a note is to be sent now."""
        if self._is_asking or self._has_left:
            return False
        since = now - self._told_at
        if self._is_apart:
            return since >= self._tuning.probe_seconds
        found, told = self._found, (self._search.limit, self._owner)
        if self._searches and (found is None or (found.total, found.owner) != told):
            return True
        if not self._has_sheet:
            return True
        if now - self._short_at > _SHORT_SECONDS:
            return False  # its part is the others'
        has_news = not self._store.is_remote and self._store.news() != self._news
        return has_news or since >= self._tuning.tell_seconds

    def _tell(self, now: float, *, leaves: bool = False) -> None:
        """Send what is new to the store; process its reply at once if it is immediate."""
        if self._is_asking:
            return
        learned = None
        is_fresh = now - self._heard_at <= _BEAT_SECONDS  # else another may have taken over
        if self._searches and is_fresh:
            found = self._state(now, is_left=leaves)
            if found != self._found:
                self._found, learned = found, found.numbers()
        added = self._counts.tell()
        limit = LimitNote(_NAME, added, 1.0, 1.0, 0.0, 1.0, None, learned, 0.0, math.inf)
        self._told_at, self._is_asking = now, True
        self._store.exchange(Note(now, (limit,), leaves=leaves), self._hear)
        self._take_in(now)

    def _state(self, now: float, *, is_left: bool) -> Found:
        """Return what those that follow need."""
        search = self._search
        self._rounds.keep()
        return Found(
            search.limit,
            0.0 if is_left else self._owner,
            now // _BEAT_SECONDS,
            self._rounds.number,
            search.found or 0,
            turn_of(self._latency),
        )

    def _hear(self, reply: Sheet | StoreGone) -> None:
        """Put a reply aside, from whatever thread it comes."""
        self._inbox.append(reply)
        if self._store.is_remote and self.on_reply is not None:
            self.on_reply()

    def _take_in(self, now: float) -> None:
        """Take in what the store has said."""
        while self._inbox:
            reply = self._inbox.popleft()
            self._is_asking = False
            if isinstance(reply, Sheet) and is_sound(reply):
                self._meet(reply, now)
            else:
                self._part_with(reply)
        if self.changes:
            self.on_change()

    def _part_with(self, gone: Sheet | StoreGone) -> None:
        """Keep the part until the store can be reached again."""
        if not self._store.is_remote:  # one that is remote delivers the note when it is back
            self._counts.undo()
        if self._is_apart:
            return
        self._is_apart, self._part = True, max(1, self._part)
        reason = getattr(gone, "reason", "its content makes no sense")
        self._say(f"cannot be reached ({reason}); continuing with {self._part}, and trying again")

    def _say(self, text: str) -> None:
        """Tell listeners what has become of sharing."""
        text = f"the number in flight in {self._store.name} {text}"
        self.changes.append(SharingChange(text))

    def _meet(self, sheet: Sheet, now: float) -> None:
        """Go on with what stands for all."""
        is_anew, is_first = sheet.epoch != self._epoch, not self._has_sheet
        if self._is_apart:
            self._is_apart, self._beat_at = False, now
            self._say("can be reached again")
        if is_first:
            self.changes.append(SharingChange(company(sheet.living - 1, self._store.name, _NAMED)))
        self._has_sheet, self._epoch, self._news = True, sheet.epoch, sheet.news
        self._heard_at, self._offset = now, sheet.now - now
        self._wanting = max(1, sheet.wanting)
        (limit,) = sheet.limits
        theirs = self._counts.hear(limit.totals, is_anew=is_anew, is_first=is_first)
        if is_anew and not is_first and limit.learned is None:
            self._found = None
        if limit.learned is not None:
            heard = Found.of(limit.learned)
            if self._found is None or heard != self._found:
                self._beat_at = now
            self._found = heard
            self._searches = self._searches and heard.owner == self._owner
        if self._searches:
            self._rounds.feed(theirs, now)
            for answers, latency, _ in theirs:
                if answers:
                    self._see(latency / answers)
        elif self._is_free(now):
            self._take_over(is_first=is_first)

    def _is_free(self, now: float) -> bool:
        """Whether nobody else searches."""
        found = self._found
        if found is None or found.owner == 0 or self._wanting == 1:
            return True
        return now - self._beat_at > _SILENT_SECONDS

    def _take_over(self, *, is_first: bool) -> None:
        """Search from here on, where the last one stood."""
        found, self._searches = self._found, True
        is_own = found is None or (is_first and self._wanting == 1)  # of a run that is over
        if found is not None and not is_own:
            self._search.resume(int(found.total), int(found.proven) or None)
        self._rounds = Rounds(self._search, 0 if found is None else int(found.number))

    def _see(self, latency: float) -> None:
        self._latency += (latency - self._latency) * (0.1 if self._latency else 1.0)

    def _divide(self, now: float) -> None:
        """Take this process's part of the number."""
        total, wanting = self._total, self._wanting
        if self._is_frozen:
            return
        wanting = 1 if self._has_left else wanting
        turn = SHORTEST_TURN if self._found is None else self._found.turn
        instant = now + self._offset
        part, rises_in = part_of(total, wanting, self._counts.place, instant, turn)
        self._part, self._rises_at = min(part, self._search.most), now + rises_in


def _ignore(*_: object) -> None:
    """Do nothing."""
