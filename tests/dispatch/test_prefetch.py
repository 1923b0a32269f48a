"""Reading ahead of several routes."""

from __future__ import annotations

import asyncio

from ratedispatch.dispatch.prefetch import PrefetchBuffer
from ratedispatch.simulate.clock import run_virtual


def test_each_route_keeps_its_order() -> None:
    """Items of different names pass one another, those of one name do not."""

    async def main() -> dict[str, list[int]]:
        buffer: PrefetchBuffer[int] = PrefetchBuffer(100, 1e9)
        for number in range(10):
            await buffer.put("ab"[number % 2], number, 1)
        buffer.close()
        return {name: [item async for item in buffer.take(name)] for name in "ab"}

    assert run_virtual(main()) == {"a": [0, 2, 4, 6, 8], "b": [1, 3, 5, 7, 9]}


def test_reading_stops_when_it_is_full_and_goes_on_when_something_is_taken() -> None:
    """Two fit; each that is taken makes room for one."""

    async def main() -> list[int]:
        buffer: PrefetchBuffer[int] = PrefetchBuffer(2, 1e9)
        put: list[int] = []

        async def fill() -> None:
            for number in range(4):
                await buffer.put("a", number, 1)
                put.append(number)

        filler = asyncio.create_task(fill())
        await asyncio.sleep(1)
        counts = [len(put)]
        taken = buffer.take("a")
        await anext(taken)
        await asyncio.sleep(1)
        counts.append(len(put))
        filler.cancel()
        return counts

    assert run_virtual(main()) == [2, 3]


def test_large_items_fill_it_earlier_but_one_always_fits() -> None:
    """50 of 10 go in when it is empty, and then nothing more."""

    async def main() -> int:
        buffer: PrefetchBuffer[int] = PrefetchBuffer(100, 10)
        await buffer.put("a", 0, 50)
        blocked = asyncio.create_task(buffer.put("a", 1, 1))
        await asyncio.sleep(1)
        assert not blocked.done()
        taken = buffer.take("a")
        await anext(taken)
        await blocked
        return await anext(taken)

    assert run_virtual(main()) == 1


def test_closing_ends_all_waits() -> None:
    """A stop must not leave the reader waiting for room, nor a route for a request."""

    async def main() -> list[int]:
        buffer: PrefetchBuffer[int] = PrefetchBuffer(1, 10)
        await buffer.put("a", 0, 1)
        blocked = asyncio.create_task(buffer.put("a", 1, 1))

        async def drain(name: str) -> list[int]:
            return [item async for item in buffer.take(name)]

        empty = asyncio.create_task(drain("b"))
        await asyncio.sleep(1)
        buffer.close()
        await blocked
        assert await empty == []
        return await drain("a")

    assert run_virtual(main()) == [0, 1]
