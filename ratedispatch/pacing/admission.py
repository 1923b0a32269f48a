"""
The queue in front of one or several lanes, and the decision when its head may be sent.

A request is sent when it is first in the queue, no pause is running, there is room in flight, and
the budget can pay for it in every dimension. Knows no HTTP, no files and no event loop: the clock
and its timer are given as an `Alarm`, and one lock makes it safe for threads.

Why one queue: a limiter that wakes the smallest amount first starves large requests. Here only
the head waits for the budget, and a request that comes back for another attempt keeps its rank.

Nearly always there is one lane and all requests have the same turn; then a `FairQueue` is enough.
The first different turn, or a second lane, replaces it by a `TurnQueue`.
"""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING, TypeVar

from ratedispatch.pacing import bottleneck
from ratedispatch.pacing.expiry import Expiry
from ratedispatch.pacing.lanes import Lanes
from ratedispatch.pacing.outlook import check_deadline, place_of
from ratedispatch.pacing.permit import Permit
from ratedispatch.pacing.queue import FairQueue
from ratedispatch.pacing.snapshot import together
from ratedispatch.pacing.turn import FIRST_COME
from ratedispatch.pacing.turn_queue import TurnQueue

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ratedispatch.pacing.alarm import Alarm
    from ratedispatch.pacing.feedback import Change, Feedback
    from ratedispatch.pacing.lane import Lane
    from ratedispatch.pacing.queue import Entry, Grant
    from ratedispatch.pacing.snapshot import Snapshot
    from ratedispatch.pacing.turn import Turn
    from ratedispatch.request import Cost

EntryT = TypeVar("EntryT", bound="Entry")


class Admission:
    """
    The queue in front of one lane, or of several that a request may choose from.

    Several lanes: the head goes to the lane where it could start soonest by that lane's own
    buckets, pauses and room in flight; of several that could start it now, to the one with the
    most to spare. `Permit.lane` says which one it was. A request whose turn names lanes waits for
    those alone, and keeps nobody from the others. Each lane can be held and released
    (`Lane.hold`), taken out (`retire`) and put back (`add`) by itself; what is in flight on a lane
    that was taken out is closed as usual.

    Args:
        lanes: One or several, which belong to this queue from now on.
        alarm: The clock, and the timer that wakes the queue.
        weights: The shares of callers, by name; all others have a weight of 1.

    Attributes:
        alarm: The argument of this name.
        lock: Held while anything here or in a lane changes.
        budget: That of the first lane.
    """

    def __init__(
        self,
        lanes: Sequence[Lane],
        alarm: Alarm,
        *,
        weights: Mapping[str, float] | None = None,
    ) -> None:
        self.alarm = alarm
        self.lock = threading.Lock()
        self.budget = lanes[0].budget
        self._lane = lanes[0]
        self._lanes = Lanes(lanes)
        self._weights = weights or {}
        self._queue: FairQueue | TurnQueue = FairQueue()
        self._closed: Callable[[], BaseException] | None = None
        self._has_alarm = False
        self._alarm_at = math.inf
        self._expiry = Expiry()
        for lane in lanes:
            lane.queue = self
        if len(lanes) > 1:
            self._tell_turns_apart()

    @property
    def in_flight(self) -> int:
        """Attempts that were granted and are not closed, on the lanes that are there."""
        return sum([lane.in_flight for lane in self._lanes])

    @property
    def waiting(self) -> int:
        """How many wait."""
        return self._queue.size

    @property
    def lanes(self) -> tuple[Lane, ...]:
        """The lanes that are there, in the order in which they were added."""
        return tuple(self._lanes)

    def enter(
        self, cost: Cost, rank: int, make_entry: Callable[[], EntryT], turn: Turn = FIRST_COME
    ) -> Permit | EntryT:
        """
        Return a permit for *cost* if it may go at once; otherwise put it into the queue.

        Args:
            cost: What to pay.
            rank: Lower ranks go first, of those with equal turns.
            make_entry: Makes the entry that is told when it may go; only called if it has to wait.
            turn: Its claim on a place in the queue.

        Raises:
            CostExceedsLimit: There are several lanes, and it is larger than what any can ever pay.
            DeadlineMissed: It cannot go by its deadline, by what the queue knows.
            BaseException: What the queue was closed with.
        """
        with self.lock:
            if self._closed is not None:
                raise self._closed()
            now, queue = self.alarm.time(), self._queue
            if turn is not FIRST_COME or isinstance(queue, TurnQueue):
                entry, grants = self._enter_by_turn(cost, rank, make_entry, turn, now)
                if isinstance(entry, Permit):
                    return entry
            elif not queue.size:
                lane = self._lane
                granted = lane.grant(cost, now, now)
                if isinstance(granted, Permit):
                    lane.bottleneck.hold(bottleneck.NOTHING, now, has_granted=True)
                    return granted
                entry = make_entry()
                queue.join(entry, rank, cost, now)
                wait, cause = granted
                if wait < math.inf:
                    self._set_alarm(wait, now)
                lane.bottleneck.hold(cause, now)
                return entry
            else:
                entry = make_entry()
                queue.join(entry, rank, cost, now)
                # a request behind the head does not change which one goes next
                grants = self._pump(now) if queue.head() is entry else ()
        for tell, what in grants:
            tell(what)
        return entry

    def leave(self, entry: Entry) -> None:
        """Take *entry*, whose future is done, out of the queue."""
        with self.lock:
            self._queue.leave(entry)
        self.look_again()

    def hold(self) -> None:
        """Shut the gates of all lanes: grant nothing until :meth:`release`."""
        for lane in self.lanes:
            lane.hold()

    def release(self, permits: int | None = None) -> None:
        """Open the gates of all lanes: for *permits* permits each, or permanently."""
        for lane in self.lanes:
            lane.release(permits)

    def add(self, lane: Lane) -> None:
        """Send on *lane*, too: a new one, or one that was taken out."""
        with self.lock:
            lane.queue = self
            self._lanes.add(lane)
            is_waited_for = self._tell_turns_apart().size > 0
        if is_waited_for:  # a queue may be made before there is a loop
            self.look_again()

    def retire(self, lane: Lane, error: Callable[[], BaseException] | None = None) -> None:
        """
        Send on *lane* no more.

        Args:
            lane: One of those that are there.
            error: Makes what those fail with that may go to no lane which is left; None to let
                them go wherever they can.
        """
        with self.lock:
            queue = self._tell_turns_apart()
            self._lanes.remove(lane)
            stranded = (queue.remove_stranded if error else queue.free_stranded)(self.lanes)
        if error is not None:
            for entry in stranded:
                entry.fail(error())
        self.look_again()

    def untie(self, lane: Lane) -> None:
        """Let what waits for *lane* alone go wherever it can."""
        with self.lock:
            left = [one for one in self._lanes if one is not lane]
            freed = self._tell_turns_apart().free_stranded(left)
        if freed:
            self.look_again()

    def close(self, error: Callable[[], BaseException]) -> None:
        """Fail every request in the queue, and every one that comes, with what *error* returns."""
        with self.lock:
            self._closed = error
            self._clear_alarm()
            entries = self._queue.clear()
        for entry in entries:  # a shared exception would collect every waiter's traceback
            entry.fail(error())

    def snapshot(self) -> Snapshot:
        """Return the state of the queue and its buckets."""
        with self.lock:
            now, size = self.alarm.time(), self.waiting
            # what waits is counted once, in front of the first lane
            return together(
                [lane.state(now, 0 if number else size) for number, lane in enumerate(self._lanes)]
            )

    def close_permit(self, permit: Permit, feedback: Feedback) -> Sequence[Change]:
        """Close *permit*; called once for each by `Permit.report`."""
        grants: Sequence[Grant] = ()
        lane = permit.lane
        try:
            with self.lock:
                now = self.alarm.time()
                try:
                    return lane.brake.report(permit, feedback, now, self._queue)
                finally:  # whatever happens to the report, the permit is closed
                    lane.in_flight -= 1
                    if self._queue.size or self._has_alarm:
                        grants = self._pump(now)
                    else:
                        lane.bottleneck.hold(bottleneck.NOTHING, now)
        finally:
            for tell, granted in grants:
                tell(granted)
            if lane.slots is not None:
                lane.slots.give()  # outside the lock: it wakes other queues
            if lane.watcher is not None and lane.watcher.is_watching:
                lane.watcher.on_ended()

    def look_again(self) -> None:
        """Grant what may go now; called by the alarm, by lanes, by other queues and callers."""
        with self.lock:
            grants = self._pump(self.alarm.time())
        for tell, granted in grants:
            tell(granted)

    def _enter_by_turn(
        self, cost: Cost, rank: int, make_entry: Callable[[], EntryT], turn: Turn, now: float
    ) -> tuple[Permit | EntryT, Sequence[Grant]]:
        """Do the same where turns differ; return also who else may go by now."""
        queue, lanes = self._tell_turns_apart(), self._lanes
        able = lanes.able(cost, turn.lanes)
        if not able:  # those that it was tied to are gone
            able, turn = lanes.able(cost, None), turn.untied()
        deadline = math.inf if turn.deadline is None else turn.deadline
        if not queue.size and now <= deadline:
            granted = lanes.grant(cost, now, now, able, turn.priority)
            if isinstance(granted, Permit):
                queue.charge(turn, cost)
                lanes.tell_bottlenecks([granted], now)
                return granted, ()
        if deadline < math.inf:
            check_deadline(cost, place_of(queue, turn, rank, now), able, deadline, now)
        entry = make_entry()
        queue.join(entry, rank, cost, now, turn)
        if deadline < math.inf:
            self._expiry.add(entry, deadline, queue.size)
        if entry in queue.heads(now):  # behind a head it does not change which one goes next
            return entry, self._pump(now)
        if deadline < self._alarm_at:
            self._set_alarm(max(deadline - now, math.ulp(now)), now)  # not none at all
        return entry, ()

    def _pump(self, now: float) -> Sequence[Grant]:
        """
        Grant to the head of the queue as long as it may go, then set the alarm for the next.

        Returns:
            Who was granted what, to be delivered after the lock is released.
        """
        queue = self._queue
        if isinstance(queue, TurnQueue):
            return self._pump_turns(queue, now)
        wait, cause = 0.0, bottleneck.NOTHING
        grants = []
        lane = self._lane
        while (head := queue.next or queue.head()) is not None:
            if head.future.done():
                queue.next = None
                continue
            granted: Permit | BaseException | tuple[float, str]
            try:
                granted = lane.grant(head.cost, head.since, now)
            except Exception as error:  # a budget that fails fails a request, not the queue
                granted = error
            if not isinstance(granted, tuple):
                queue.pop()
                is_permit = isinstance(granted, Permit)
                grants.append((head.grant if is_permit else head.fail, granted))
            else:
                wait, cause = granted
                break
        if self._has_alarm or 0 < wait < math.inf:
            self._set_alarm(wait, now)
        lane.bottleneck.hold(cause, now, has_granted=bool(grants))
        return grants

    def _pump_turns(self, queue: TurnQueue, now: float) -> Sequence[Grant]:
        """Do the same where turns differ, and fail what has passed its deadline."""
        expiry = self._expiry
        grants = expiry.end(queue, now, is_over=False) if expiry else []
        granted, wait = self._lanes.pump(queue, now)
        grants += granted
        while expiry and (late := expiry.end(queue, now, is_over=True)):  # could not go even now
            granted, wait = self._lanes.pump(queue, now)
            grants += [*late, *granted]
        if expiry:
            wait = min(wait, expiry.next() - now)
        if self._has_alarm or 0 < wait < math.inf:
            self._set_alarm(wait, now)
        return grants

    def _tell_turns_apart(self) -> TurnQueue:
        """Return the queue as one that knows turns, which it is from now on."""
        plain = self._queue
        if isinstance(plain, TurnQueue):
            return plain
        queue = self._queue = TurnQueue(self._weights)
        for entry in plain.clear():
            queue.join(entry, entry.rank, entry.cost, entry.since)
        return queue

    def _set_alarm(self, wait: float, now: float) -> None:
        """Look again after *wait* seconds, unless they are infinite or none."""
        if self._has_alarm:
            self._clear_alarm()
        if 0 < wait < math.inf:
            # a wait may be shorter than the clock can tell, and must not be over before it began
            self._has_alarm = True
            self._alarm_at = max(now + wait, math.nextafter(now, math.inf))
            self.alarm.set(self._alarm_at, self.look_again)

    def _clear_alarm(self) -> None:
        self._has_alarm = False
        self._alarm_at = math.inf
        self.alarm.clear()
