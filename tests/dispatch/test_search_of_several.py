"""Several dispatchers on a server of one's own, which share the number that they find."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pytest

from ratedispatch import Completed, Dispatcher, Limits, SharingChanged
from ratedispatch.pacing.shared.memory_store import SharedRecord
from ratedispatch.simulate.settings import ProviderSettings
from ratedispatch.testing import ProviderTransport, run_virtual
from tests.dispatch.world import chat

if TYPE_CHECKING:
    from ratedispatch.pacing.shared.store import Store


class Stores:
    """A store in memory for each name."""

    opens_any = True

    def __init__(self) -> None:
        self.records: defaultdict[str, SharedRecord] = defaultdict(SharedRecord)

    def __call__(self, name: str) -> Store:
        """Return a member's store."""
        return self.records[name].join()


class Counting(ProviderTransport):
    """A provider that counts what is in flight."""

    in_flight = peak = 0

    async def send(self, *args: Any, **options: Any) -> Any:
        """Answer, and count."""
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        try:
            return await super().send(*args, **options)
        finally:
            self.in_flight -= 1


async def _work(count: int, stores: Any, **options: Any) -> tuple[list[str], int]:
    """Let *count* dispatchers answer 100 rows each; return what they say, and the peak."""
    said: list[str] = []
    transport = Counting(ProviderSettings(latency=1.0, engine_slots=8), random.Random(1))

    def hear(event: object) -> None:
        if isinstance(event, SharingChanged):
            said.append(event.message)

    async def one(number: int) -> None:
        dispatcher = Dispatcher(
            transport,
            Limits(None, None),
            share=stores,
            listeners=[hear],
            rng=random.Random(number),
            **options,
        )
        async with dispatcher:
            rows = [chat(f"{number}-{row}") for row in range(100)]
            answered = [outcome async for outcome in dispatcher.map(rows)]
        assert sum(isinstance(outcome, Completed) for outcome in answered) == 100

    await asyncio.gather(*map(one, range(count)))
    return said, transport.peak


@pytest.mark.parametrize("options", [{}, {"max_in_flight": "auto"}])
def test_what_is_searched_for_is_searched_for_together(options: dict[str, Any]) -> None:
    """Four processes begin with eight, not with eight each, though there is no limit to share."""
    stores = Stores()
    said, peak = run_virtual(_work(4, stores, **options))
    assert list(stores.records) == ["in flight\0"]
    assert said[0] == "the number in flight is shared (memory); no other process uses it now"
    assert said[3] == "the number in flight is shared with 3 other processes (memory)"
    assert peak < 40


def test_a_number_that_is_given_is_that_of_one_process() -> None:
    """There is nothing to search for, and nothing to share."""
    stores = Stores()
    assert run_virtual(_work(2, stores, max_in_flight=10)) == ([], 20)
    assert not stores.records


def test_a_function_that_knows_one_store_is_asked_for_no_other() -> None:
    """Two members of one store for each process would halve what each may have."""
    said, _ = run_virtual(_work(2, lambda _: SharedRecord().join()))
    assert said == []
