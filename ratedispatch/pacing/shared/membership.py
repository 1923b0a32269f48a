"""
One process's membership in a store: the notes that it sends, and the sheets that come back.

Notes say what is new in the copies of the limits; sheets say what others have done. Knows when the
store cannot be reached, and how to return to it. Waits for nothing and reads no clock.
"""

from __future__ import annotations

import dataclasses
import math
from collections import deque
from typing import TYPE_CHECKING

from ratedispatch.pacing.feedback import LimitChange, SharingChange
from ratedispatch.pacing.shared.sheet_check import is_sound
from ratedispatch.pacing.shared.store import Note, Pause, Sheet, StoreGone

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ratedispatch.pacing.feedback import Change
    from ratedispatch.pacing.shared.limit_copy import LimitCopy
    from ratedispatch.pacing.shared.solitude import Solitude
    from ratedispatch.pacing.shared.store import Store


@dataclasses.dataclass(frozen=True, slots=True)
class SharedTuning:
    """
    The constants of sharing.

    Args:
        tell_seconds: Seconds after which the store is told what was spent, if there is nothing to
            ask: a process that joins overlooks at most what was spent in that time.
        stale_seconds: Seconds after which a copy is too old to spend from before the store has
            answered.
        fresh_seconds: Seconds for which a reply of the store counts as its present content.
        beat_seconds: Seconds after which a process that waits repeats that it does.
        probe_seconds: Seconds between two attempts to reach a store that is gone.
        lease_per_second: The rate, in requests per second, from which on a process takes for some
            of the following requests as well: below it, an exchange for each costs almost nothing.
        near_lease_seconds: How many seconds of the rate are taken then, divided by the processes
            that want something.
        far_lease_seconds: The same for a store that is a round trip away.
        most_leased: The most requests that are taken for at once.
    """

    tell_seconds: float = 0.1
    stale_seconds: float = 1.0
    fresh_seconds: float = 0.02
    beat_seconds: float = 0.4
    probe_seconds: float = 1.0
    lease_per_second: float = 150.0
    near_lease_seconds: float = 0.25
    far_lease_seconds: float = 0.4
    most_leased: int = 32

    def lease(self, per_second: float, members: int, *, is_remote: bool) -> int:
        """Return for how many following requests to take as well, at *per_second* requests."""
        if per_second < self.lease_per_second:
            return 0
        seconds = self.far_lease_seconds if is_remote else self.near_lease_seconds
        return max(0, min(self.most_leased, int(min(1e6, per_second) * seconds / members)) - 1)


DEFAULT = SharedTuning()


#: Seconds by which the clock of a busy loop may lag behind that of a store on the same machine.
_MOST_LAG_SECONDS = 5.0


class Membership:
    """
    A member of a store.

    Args:
        store: Where the limits are shared.
        copies: The copies of the limits, in the order of amounts.
        tuning: The constants.

    Attributes:
        store: The argument of this name.
        tuning: The argument of this name.
        is_asking: Whether a note is on its way, so that no other can be sent.
        is_apart: Whether the store cannot be reached, so that this process uses its share only.
        has_sheet: Whether the store has ever answered.
        has_left: Whether nothing is sent any more.
        inbox: Replies of the store that are not processed yet.
        told_at: When the last note was sent, in seconds.
        heard_at: When the last sheet arrived, in seconds.
        members: Processes that share the limits now, this one included, as far as is known.
        wanting: Those of them that want something.
        rival: The highest priority of requests that wait in others; None if none does.
        pause: An episode of refusals that the next note reports, by this process's clock.
        changes: Changes of the limits that listeners are still to hear of.
        on_meet: Called after a sheet was processed, with the sheet, the instant, and whether the
            store has started over.
        on_part: Called before this process continues with its share only, with the instant.
        on_reply: Called from another thread when a remote store has answered.
        on_change: Called when listeners are to hear of a change.
    """

    def __init__(
        self, store: Store, copies: Sequence[LimitCopy], tuning: SharedTuning = DEFAULT
    ) -> None:
        self.store = store
        self.tuning = tuning
        self._copies = copies
        self.inbox: deque[Sheet | StoreGone] = deque()
        self._news = self._epoch = -1.0
        self._offset = 0.0
        self.is_asking = self.is_apart = self.has_sheet = self.has_left = False
        self._is_sending = self._knows_best = self._is_leaving = False
        self.told_at = self.heard_at = -math.inf
        self.members = self.wanting = 1
        self.rival: int | None = None
        self.pause: Pause | None = None
        self.changes: list[Change] = []
        self.on_meet: Callable[[Sheet, float, bool], None] = _ignore
        self.on_part: Callable[[float], None] = _ignore
        self.on_reply: Callable[[], None] | None = None
        self.on_change: Callable[[], None] = _ignore

    @property
    def has_news(self) -> bool:
        """Whether something important has changed since the last sheet, where that can be seen."""
        return not self.store.is_remote and self.store.news() != self._news

    def is_due(self, now: float, seconds: float) -> bool:
        """Whether *seconds* have passed since the last note, or there is news."""
        return now - self.told_at >= seconds or self.has_news

    def outruns(self, now: float) -> bool:
        """
        Whether more was spent since the last note than a joining process may overlook.

        Otherwise both could spend the same burst. In a remote store, what the other process does
        is also not seen before the next reply.
        """
        seconds = self._unseen_seconds(now)
        return any(copy.outruns(seconds) for copy in self._copies)

    def followers(self, per_second: float) -> int:
        """Return for how many following requests to take as well, at *per_second* requests."""
        return self.tuning.lease(per_second, self.wanting, is_remote=self.store.is_remote)

    def trust(self, solitude: Solitude, now: float) -> None:
        """Let *solitude* cover what may be spent before this process looks again."""
        tuning = self.tuning
        until = min(now + tuning.fresh_seconds, self.told_at + tuning.tell_seconds)
        solitude.begin(until, self._copies, self._unseen_seconds(now))

    def _unseen_seconds(self, now: float) -> float:
        return self.tuning.tell_seconds + (now - self.told_at if self.is_asking else 0.0)

    def exchange(
        self,
        now: float,
        held: Sequence[float],
        *,
        waits: bool,
        priority: int = 0,
        leaves: bool = False,
    ) -> None:
        """
        Send what is new to the store; process its reply at once if it is immediate.

        Args:
            now: The instant in seconds.
            held: Shape (copies,), amounts that were taken for requests not sent yet.
            waits: Whether a request waits.
            priority: The priority of that request.
            leaves: Whether this is the last note.
        """
        self.take_in(now)  # the answer to the last note may be there
        if self.is_asking or self.has_left:
            return
        knows_best = False
        if self.is_apart:
            if now - self.told_at < self.tuning.probe_seconds and not leaves:
                return
            limits = tuple([copy.greeting(now) for copy in self._copies])
        else:
            if self.wanting == 1 and now - self.heard_at <= 2 * self.tuning.tell_seconds:
                # nobody else has taken anything: the copy knows best what is left, and when what
                # is told together was taken
                for copy in self._copies:
                    copy.limit.bucket.is_corrected = True
                knows_best = self.store.is_remote
            pairs = zip(self._copies, held, strict=True)
            limits = tuple([copy.note(now, amount, self._offset) for copy, amount in pairs])
        pause, self.pause = self.pause, None
        if pause is not None:
            pause = Pause(pause.began + self._offset, pause.until + self._offset)
        self.told_at = now
        self._knows_best = knows_best
        self.is_asking, self._is_leaving = True, leaves
        self._send(Note(now, limits, pause, waits, priority, leaves))
        self.take_in(now)

    def take_in(self, now: float) -> None:
        """Process the replies of the store."""
        if not self.inbox:
            return
        while self.inbox:
            reply = self.inbox.popleft()
            self.is_asking = False
            if isinstance(reply, Sheet) and not is_sound(reply, self._copies):
                reply = StoreGone("its content makes no sense")
            if isinstance(reply, Sheet):
                self._meet(reply, now)
            elif not self.is_apart:
                self._part(reply, now)
        if self.changes:
            self.on_change()

    def local(self, pause: Pause) -> Pause:
        """Return *pause*, as a sheet reports it, by this process's clock."""
        return Pause(pause.began - self._offset, pause.until - self._offset)

    def leave(self) -> None:
        """Send nothing any more; permits that are still open count for this process only."""
        self.has_left = self.is_apart = True
        self.store.close()

    def _send(self, note: Note) -> None:
        self._is_sending = True
        try:
            self.store.exchange(note, self._hear)
        except Exception as error:  # of somebody's own; without a reply nothing would go any more
            self.inbox.append(StoreGone(f"it failed with {type(error).__name__}"))
        finally:
            self._is_sending = False

    def _hear(self, reply: Sheet | StoreGone) -> None:
        """Keep a reply for later; called from any thread."""
        self.inbox.append(reply)
        # who is sending looks itself, and has locks that `on_reply` asks for
        if self.store.is_remote and not self._is_sending and self.on_reply is not None:
            self.on_reply()

    def _part(self, gone: StoreGone, now: float) -> None:
        """Continue with the last known share."""
        if not self.store.is_remote:  # one that is remote delivers the note when it is back
            for copy in self._copies:
                copy.undo()
        self.on_part(now)
        self.is_apart = True
        self.wanting = max(self.wanting, gone.members)
        for copy in self._copies:
            copy.part(self.wanting, now)
        share = f"1/{self.wanting}" if self.wanting > 1 else "all"
        self.changes.append(
            SharingChange(
                f"the shared limits in {self.store.name} cannot be reached ({gone.reason}); "
                f"continuing with {share} of them, and trying again"
            )
        )

    def _meet(self, sheet: Sheet, now: float) -> None:
        """Continue with the shared state."""
        is_anew = sheet.epoch != self._epoch
        is_back, self.is_apart = self.is_apart, False
        is_first = not self.has_sheet
        self.has_sheet, self._epoch, self._news = True, sheet.epoch, sheet.news
        self.heard_at = now
        ahead = sheet.now - now
        # of one machine the clocks agree, but for what a loop's lags behind
        self._offset = ahead if self.store.is_remote or abs(ahead) > _MOST_LAG_SECONDS else 0.0
        # nobody has told anything meanwhile either: in the sheet the time that the note and it
        # were on their way is lost, and what was found out here in that time
        knows_best = self._knows_best and sheet.wanting <= 1 and not is_anew
        for copy, limit in zip(self._copies, sheet.limits, strict=True):
            changed = copy.take_in(
                limit, now, self._offset, is_anew=is_anew, is_back=is_back, knows_best=knows_best
            )
            if changed is not None:
                self.changes.append(LimitChange(copy.limit.rate))
        if is_back:
            name = self.store.name
            self.changes.append(SharingChange(f"the shared limits in {name} can be reached again"))
        self.members, self.wanting = sheet.living, max(1, sheet.wanting)
        if is_first and not self._is_leaving:  # else it is not among those who are counted
            others = self.members - 1
            self.changes.append(SharingChange(company(others, self.store.name), others))
        self.rival = sheet.priority
        self.on_meet(sheet, now, is_anew)


def company(others: int, name: str, what: str = "limits are") -> str:
    """Return the sentence on who shares the limits at the start, or *what* else is shared."""
    if not others:
        pronoun = "them" if what.endswith(" are") else "it"
        return f"{what} shared ({name}); no other process uses {pronoun} now"
    noun = "process" if others == 1 else "processes"
    return f"{what} shared with {others} other {noun} ({name})"


def _ignore(*_: object) -> None:
    """Do nothing."""
