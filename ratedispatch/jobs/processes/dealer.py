"""
Gives the rows of a job to the processes that ask for some, in turn.

Rows of a process that has ended go before those that are still to be read.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterable
from typing import TYPE_CHECKING

from ratedispatch.jobs.processes.member import OpenRow

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from ratedispatch.jobs.processes.member import Member
    from ratedispatch.request import Request

#: Rows that are read between two turns of the loop, at most.
_IN_A_ROW = 256


class Dealer:
    """
    Gives rows away.

    Args:
        is_doubtful: Tells whether the row with a number was sent before and may have been billed.
        skip: Called with a row that was read and is given to nobody.

    Attributes:
        again: Rows of processes that have ended.
        is_read: Whether there are no more rows to be read.
        is_stopped: Whether no row is given away any more.
    """

    def __init__(self, is_doubtful: Callable[[int], bool], skip: Callable[[OpenRow], None]) -> None:
        self._is_doubtful = is_doubtful
        self._skip = skip
        self._asking: deque[Member] = deque()
        self._asked: asyncio.Future[None] | None = None
        self.again: deque[OpenRow] = deque()
        self.is_read = self.is_stopped = False

    @property
    def is_done(self) -> bool:
        """Whether every row has been given away."""
        return self.is_read and not self.again

    def ask(self, member: Member, count: int) -> None:
        """*member* wants *count* more rows."""
        member.wanted = count
        if member not in self._asking:
            self._asking.append(member)
        self.give_again()
        if self._asked is not None and not self._asked.done():
            self._asked.set_result(None)

    def leave_out(self, member: Member) -> None:
        """*member* is gone."""
        self._asking = deque(one for one in self._asking if one is not member)

    def give_again(self) -> None:
        """Give away the rows of processes that have ended, as far as others ask for rows."""
        while self.again and self._asking:
            self._give(self.again.popleft())

    def stop(self) -> None:
        """Give nothing away any more."""
        self.is_stopped = True
        while self.again:
            self._skip(self.again.popleft())

    async def deal(self, rows: Iterable[Request] | AsyncIterable[Request]) -> None:
        """Give each of *rows* away, until there are no more or this is stopped."""
        try:
            async for request in _one_by_one(rows):
                await self._wait_for_a_taker(request)
                if self.is_stopped:
                    self._skip(OpenRow(request))
                    return
                self._give(OpenRow(request))
        finally:
            self.is_read = True

    async def _wait_for_a_taker(self, request: Request) -> None:
        while not self._asking and not self.is_stopped:
            self._asked = asyncio.get_running_loop().create_future()
            try:
                await self._asked
            except asyncio.CancelledError:
                self._skip(OpenRow(request))
                raise

    def _give(self, row: OpenRow) -> None:
        """Give *row* to the process whose turn it is."""
        member, number = self._asking.popleft(), row.request.row
        assert number is not None
        member.give(row, is_doubtful=self._is_doubtful(number))
        if member.wanted:
            self._asking.append(member)


async def _one_by_one(
    rows: Iterable[Request] | AsyncIterable[Request],
) -> AsyncIterator[Request]:
    """Yield *rows*; plain ones with a turn of the loop now and then."""
    if isinstance(rows, AsyncIterable):
        async for row in rows:
            yield row
        return
    for count, row in enumerate(rows, 1):
        yield row
        if not count % _IN_A_ROW:
            await asyncio.sleep(0)
