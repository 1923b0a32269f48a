"""
Sends the rows of a job from several processes, in place of a dispatcher.

Repeats everything that they report, as if one dispatcher had done it. Decides what happens to the
rows of a process that has ended. Sends nothing itself.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any

from ratedispatch.dispatch.map import running_task
from ratedispatch.errors import Stopped
from ratedispatch.events import AttemptEnded, AttemptSent, ProcessLost, RequestEnded, RequestSkipped
from ratedispatch.jobs.processes.dealer import Dealer
from ratedispatch.jobs.processes.losses import Losses, ended_how, events_of_loss
from ratedispatch.jobs.processes.member import Member, OpenRow
from ratedispatch.jobs.processes.merged import States
from ratedispatch.jobs.processes.messages import restored
from ratedispatch.jobs.processes.sharing_news import SharingNews
from ratedispatch.jobs.state.follower import Follower
from ratedispatch.outcome import Completed

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable
    from types import TracebackType

    from ratedispatch.dispatch.listeners import Listeners
    from ratedispatch.jobs.processes.crew import Crew
    from ratedispatch.jobs.processes.setups import Setups
    from ratedispatch.jobs.state.journal import Journal
    from ratedispatch.outcome import Outcome
    from ratedispatch.pacing.bottleneck import Bottleneck
    from ratedispatch.pacing.snapshot import Snapshot
    from ratedispatch.request import Request
    from ratedispatch.tokens.estimator import Estimator

#: The code of the stop of a job whose processes end again and again.
_PROCESSES = "processes"


class Fleet:
    """
    Several processes that send. An async context manager, as a dispatcher is.

    Args:
        crew: The processes.
        setups: What each needs.
        journal: In which they note what leaves.
        listeners: Told of every event.
        estimator: For what is counted here.
        on_unnoted: Called with what could not be written to the journal.

    Attributes:
        estimator: The argument of this name.
    """

    def __init__(
        self,
        crew: Crew,
        setups: Setups,
        journal: Journal,
        listeners: Listeners,
        estimator: Estimator,
        *,
        on_unnoted: Callable[[OSError], None],
    ) -> None:
        self._crew = crew
        self._setups = setups
        self._journal = journal
        self._listeners = listeners
        self._told_once = SharingNews(listeners, is_private=setups.is_private)
        self.estimator = estimator
        self._on_unnoted = on_unnoted
        self._follower: Follower
        self._losses = Losses()
        self._members: list[Member] = []
        self._states = States(self._members, shares=setups.shares)
        self._dealer = Dealer(self._is_doubtful, self._skip)
        self._dealing: asyncio.Task[None] | None = None
        self._starting: set[asyncio.Task[None]] = set()
        self._outcomes: deque[Outcome] = deque()
        self._news: asyncio.Future[None] | None = None
        self._ended, self._said = 0, set[str]()
        self._is_closed = self._is_abandoned = self._has_answered = False
        self._stop: tuple[str, str] | None = None
        self._skipped: tuple[str, str] | None = None

    async def __aenter__(self) -> Fleet:
        """Give the processes what they need."""
        self._follower = Follower(self._journal)
        for number in range(self._crew.count):
            await self._begin(number)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the processes, and take in what they have noted."""
        self._is_closed = True
        for task in self._starting:
            task.cancel()
        for member in self._members:
            member.let_go()
        for member in self._members:
            member.wait()
        self._follow()
        self._follower.close()
        self._setups.close()

    async def map(
        self, requests: Iterable[Request] | AsyncIterable[Request], /, **_: object
    ) -> AsyncGenerator[Outcome, None]:
        """
        Send *requests* and yield their outcomes as they come.

        Raises:
            Stopped: Nothing more is sent, or not to some models.
            Exception: What *requests* raises.
        """
        self._dealing = asyncio.create_task(self._dealer.deal(requests))
        self._dealing.add_done_callback(lambda _: self._tell_end())
        if self._stop is not None:
            self._dealing.cancel()
        try:
            while True:
                while self._outcomes:
                    yield self._outcomes.popleft()
                if self._is_over():
                    break
                self._news = asyncio.get_running_loop().create_future()
                await self._news
            if not self._dealing.cancelled():
                self._dealing.result()  # raises what the source raised
            reason = self._stop or self._skipped
            if reason is not None:
                raise Stopped(*reason, started=self._has_answered)
        finally:
            self._dealing.cancel()
            await asyncio.gather(self._dealing, return_exceptions=True)

    def stop(self, code: str, message: str) -> None:
        """Send nothing more; only the first stop counts."""
        if self._stop is not None:
            return
        self._stop = code, message
        self._dealer.stop()
        # a source that stops everything itself ends by itself, too
        if self._dealing is not None and self._dealing is not running_task():
            self._dealing.cancel()
        for member in self._members:
            member.say("stop", code, message)
        self._tell_end()

    def abandon(self) -> None:
        """After a stop: wait no longer for what is in flight either."""
        self._is_abandoned = True
        for member in self._members:
            member.say("abandon")

    def snapshot(self) -> Snapshot:
        """Return the state of all queues together, as it was a moment ago."""
        return self._states.snapshot()

    def snapshots(self) -> dict[str, Snapshot]:
        """Return the state of each group of models, or member of a pool, by its name."""
        return self._states.snapshots()

    def bottleneck(self) -> Bottleneck:
        """Return what holds the process back that has the longest queue."""
        return self._states.bottleneck()

    @property
    def cpu_seconds(self) -> float:
        """Seconds of processor time that the busiest of the processes has taken."""
        return self._states.cpu_seconds

    @property
    def notes(self) -> list[str]:
        """A sentence on the processes that ended early, if any did."""
        return self._losses.notes

    def _is_doubtful(self, row: int) -> bool:
        return row in self._journal.open_rows or row in self._journal.doubtful

    def _skip(self, row: OpenRow) -> None:
        now = asyncio.get_running_loop().time()
        self._listeners.tell(RequestSkipped(row.request, row.sent, now))

    def _tell_end(self) -> None:
        """Tell the processes once no more rows come, and the reader that something happened."""
        if self._dealer.is_done:
            for member in self._members:
                if not member.is_told_the_end:
                    member.is_told_the_end = True
                    member.say("end")
        self._wake()

    def _wake(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    def _is_over(self) -> bool:
        assert self._dealing is not None
        if not self._dealing.done() or self._dealer.again:
            return False
        return not any(one.is_at_work for one in self._members)

    def _follow(self) -> None:
        try:
            self._follower.follow()
        except OSError as error:
            self._on_unnoted(error)

    async def _begin(self, number: int) -> None:
        member = Member(self._crew.take(), number, self._take, self._lose)
        self._members.append(member)
        try:
            await member.begin(self._setups.of(number), self._follower.descriptor)
        except OSError:  # it has ended already
            member.let_go()
            self._lose(member)

    def _take(self, member: Member, message: Any) -> None:
        """Take in *message* of *member*."""
        if isinstance(message, list):
            self._follow()  # what they have noted goes before what they tell of it
            for said in message:
                self._hear(member, said)
            self._wake()
            return
        kind, *values = message
        if kind == "state":
            member.state = values[0]
        elif kind == "want":
            self._dealer.ask(member, values[0])
            self._tell_end()
        elif kind == "ready":
            self._tell_stop(member)
        elif kind == "ended":
            self._skipped = self._skipped or values[0]
            self._leave(member)
        elif kind == "stopped":
            self.stop(*values)
        elif kind == "unnoted":
            self._on_unnoted(OSError(*values))
        elif kind == "note" and values[0] not in self._said:
            self._said.add(values[0])
            self._crew.say(values[0])

    def _leave(self, member: Member) -> None:
        """A process has ended what it had to do; after a stop, some of its rows are left."""
        member.has_ended = True
        rows, member.rows = list(member.rows.values()), {}
        for row in rows:
            self._skip(row)
        self._wake()

    def _tell_stop(self, member: Member) -> None:
        """Tell a process that has just begun what was said before."""
        if self._stop is not None:
            member.say("stop", *self._stop)
            if self._is_abandoned:
                member.say("abandon")

    def _hear(self, member: Member, said: Any) -> None:
        """Tell what a process told, with the request of its row."""
        if not isinstance(said, tuple):
            self._told_once.tell(said)
            return
        number = said[1]
        row = member.rows[number]
        event = restored(said, row.request, row.before)
        if isinstance(event, AttemptSent):
            row.sent, row.cost, row.route = row.sent + 1, event.cost, event.route
        elif isinstance(event, AttemptEnded):
            row.ended += 1
        else:
            del member.rows[number]
            self._follower.forget(number)
        self._listeners.tell(event)
        if isinstance(event, RequestEnded):
            self._end(member, event)

    def _end(self, member: Member, event: RequestEnded) -> None:
        outcome = event.outcome
        member.outcomes += 1
        self._ended += 1
        if isinstance(outcome, Completed):
            self._has_answered = True
            if outcome.usage is not None:
                self.estimator.learn(outcome.request, outcome.cost, outcome.usage)
        self._outcomes.append(outcome)

    def _lose(self, member: Member) -> None:
        """A process is gone: its rows go to the others and to the one that takes its place."""
        if self._is_closed or member.is_gone:
            return
        member.is_gone = True
        code = member.wait()
        self._follow()
        self._states.leave_out(member)
        self._dealer.leave_out(member)
        rows, member.rows = list(member.rows.values()), {}
        now = asyncio.get_running_loop().time()
        in_flight = [row for row in rows if self._break_off(row, now)]
        reason = self._losses.add(member.outcomes, self._ended, in_flight)
        goes_on = self._stop is None and reason is None
        message = ended_how(code, len(in_flight), goes_on=goes_on)
        message = f"process {member.number + 1} of {self._crew.count} {message}"
        self._listeners.tell(ProcessLost(member.number + 1, message, now))
        if reason is not None:
            self.stop(_PROCESSES, reason)
        if self._stop is None:
            self._dealer.again.extend(rows)
            self._replace(member)
            self._dealer.give_again()
        else:
            for row in rows:
                self._skip(row)
        self._tell_end()

    def _break_off(self, row: OpenRow, now: float) -> bool:
        """Tell what became of *row*, which a process had that is gone; whether it was in flight."""
        events = events_of_loss(row, self._follower.sent.get(row.request.row or 0, 0), now)
        for event in events:
            self._listeners.tell(event)
        return bool(events)

    def _replace(self, member: Member) -> None:
        self._members.remove(member)
        self._starting.add(asyncio.create_task(self._begin_again(member.number)))

    async def _begin_again(self, number: int) -> None:
        task = asyncio.current_task()
        assert task is not None
        try:
            await asyncio.sleep(self._losses.delay)
            if not self._is_over():
                await self._begin(number)
        except OSError as error:
            self.stop(_PROCESSES, f"a process cannot be started: {error.strerror or error}")
        finally:
            self._starting.discard(task)
            self._tell_end()
