"""Which process gets which row."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

from ratedispatch.jobs.processes.dealer import Dealer
from ratedispatch.jobs.processes.member import OpenRow
from ratedispatch.request import Request
from ratedispatch.simulate.clock import run_virtual

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from ratedispatch.jobs.processes.member import Member

ROWS = [Request({"model": "m"}, row=number) for number in range(1, 8)]


class Taker:
    """A process that only notes what it is given."""

    def __init__(self) -> None:
        self.wanted = 0
        self.rows: list[int | None] = []
        self.doubtful: list[int | None] = []

    def give(self, row: OpenRow, *, is_doubtful: bool) -> None:
        self.wanted -= 1
        self.rows.append(row.request.row)
        if is_doubtful:
            self.doubtful.append(row.request.row)


def dealer_of(doubtful: set[int] | None = None) -> tuple[Dealer, list[int | None]]:
    skipped: list[int | None] = []
    known = doubtful or set()
    return Dealer(known.__contains__, lambda row: skipped.append(row.request.row)), skipped


def ask(dealer: Dealer, taker: Taker, count: int) -> None:
    dealer.ask(cast("Any", taker), count)


def test_those_that_ask_get_rows_in_turn() -> None:
    """As many as they ask for; the rest waits for whoever asks next."""

    async def main() -> None:
        dealer, _ = dealer_of({2, 5})
        one, other = Taker(), Taker()
        task = asyncio.create_task(dealer.deal(ROWS))
        await asyncio.sleep(1)
        ask(dealer, one, 3)
        ask(dealer, other, 1)
        await asyncio.sleep(1)
        assert (one.rows, other.rows) == ([1, 3, 4], [2])
        ask(dealer, other, 9)
        await task
        assert (other.rows, dealer.is_done) == ([2, 5, 6, 7], True)
        assert (one.doubtful, other.doubtful) == ([], [2, 5])

    run_virtual(main())


def test_rows_of_one_that_is_gone_go_first() -> None:
    """Also while the rest cannot be read yet."""

    async def slow() -> AsyncIterator[Request]:
        await asyncio.sleep(60)
        yield ROWS[0]

    async def main() -> None:
        dealer, _ = dealer_of()
        gone, taker = Taker(), Taker()
        task = asyncio.create_task(dealer.deal(slow()))
        await asyncio.sleep(1)
        ask(dealer, gone, 5)
        dealer.leave_out(cast("Member", gone))
        dealer.again.append(OpenRow(ROWS[6]))
        ask(dealer, taker, 5)
        assert taker.rows == [7]
        await task
        assert (taker.rows, gone.rows) == ([7, 1], [])

    run_virtual(main())


def test_what_was_read_and_is_given_to_nobody_is_skipped() -> None:
    """A stop comes while a row waits, or while rows of another process do."""

    async def main() -> None:
        dealer, skipped = dealer_of()
        task = asyncio.create_task(dealer.deal(ROWS))
        await asyncio.sleep(1)
        dealer.again.append(OpenRow(ROWS[6]))
        dealer.stop()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert (skipped, dealer.is_done) == ([7, 1], True)

    run_virtual(main())


def test_a_source_that_stops_everything_itself_ends() -> None:
    """What it yields in the same moment goes to nobody."""

    async def main() -> None:
        dealer, skipped = dealer_of()

        async def source() -> AsyncIterator[Request]:
            yield ROWS[0]
            dealer.stop()
            yield ROWS[1]

        taker = Taker()
        ask(dealer, taker, 5)
        await dealer.deal(source())
        assert (taker.rows, skipped) == ([1], [2])

    run_virtual(main())
