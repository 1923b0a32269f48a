"""
One of the processes of a job, as the parent sees it: what it has, and what it has said.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ratedispatch.jobs.processes.messages import RowSent
from ratedispatch.jobs.processes.wire import Channel, send_first

if TYPE_CHECKING:
    from collections.abc import Callable

    from ratedispatch.jobs.processes.crew import Hand
    from ratedispatch.jobs.processes.messages import Setup, State
    from ratedispatch.request import Cost, Request


@dataclass(eq=False, slots=True)
class OpenRow:
    """
    A row that has no outcome yet.

    Args:
        request: What is sent for it.
        before: Attempts that were made by processes that are gone.
        sent: Attempts that are known.
        ended: Attempts of these that have ended.
        losses: Processes in a row that have ended while it was in flight.
        cost: The cost of the last attempt.
        route: Where the last attempt went.
    """

    request: Request
    before: int = 0
    sent: int = 0
    ended: int = 0
    losses: int = 0
    cost: Cost | None = None
    route: str = ""


class Member:
    """
    A process.

    Args:
        hand: The process.
        number: Its number, from 0; a replacement has the number of its predecessor.
        on_message: Called with this and each message.
        on_end: Called with this when it is gone.

    Attributes:
        number: The argument of this name.
        rows: Those that it has and that have no outcome, by number.
        wanted: Rows that it has asked for and not got.
        outcomes: Of rows, so far.
        state: How it did when it last said so.
        is_told_the_end: Whether it knows that no more rows come.
        has_ended: Whether it has nothing left to do.
        is_gone: Whether the process has ended.
    """

    def __init__(
        self,
        hand: Hand,
        number: int,
        on_message: Callable[[Member, Any], None],
        on_end: Callable[[Member], None],
    ) -> None:
        self._hand = hand
        self.number = number
        self._channel = Channel(lambda said: on_message(self, said), lambda: on_end(self))
        self.rows: dict[int, OpenRow] = {}
        self.wanted = 0
        self.outcomes = 0
        self.state: State | None = None
        self.is_told_the_end = self.has_ended = self.is_gone = False
        self._has_begun = False
        self._outgoing: list[RowSent] = []

    @property
    def is_at_work(self) -> bool:
        """Whether it has rows, or has had some and may still have to say how it went."""
        return not self.is_gone and self._has_begun and not (self.has_ended and not self.rows)

    async def begin(self, setup: Setup, journal: int) -> None:
        """
        Give the process what it needs.

        Raises:
            OSError: It is gone.
        """
        end = self._hand.end
        assert end is not None
        send_first(end, setup, journal)
        self._hand.end = None
        await self._channel.connect(end)

    def give(self, row: OpenRow, *, is_doubtful: bool) -> None:
        """Give it *row*, at the end of this turn of the loop."""
        request = row.request
        assert request.row is not None
        self.rows[request.row] = row
        self._has_begun = True
        self.wanted = max(0, self.wanted - 1)
        if not self._outgoing:
            asyncio.get_running_loop().call_soon(self._flush)
        named = request.custom_id, request.endpoint, request.body, request.was_read
        self._outgoing.append(RowSent(request.row, is_doubtful, *named))

    def _flush(self) -> None:
        rows, self._outgoing = self._outgoing, []
        if rows:
            self._channel.send(("rows", rows))

    def say(self, *message: object) -> None:
        """Send it *message*, after the rows that it was given."""
        self._flush()
        self._channel.send(message)

    def let_go(self) -> None:
        """Let it end."""
        self._channel.close()
        self._hand.let_go()

    def wait(self) -> int:
        """Wait until it has ended; return its exit code, or the number of the signal below 0."""
        return self._hand.wait()
