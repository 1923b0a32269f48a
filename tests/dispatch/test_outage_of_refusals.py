"""An outage in which everything is refused for minutes, without a word on why."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from ratedispatch.limits import Limits
from ratedispatch.outcome import Completed
from ratedispatch.request import Request
from ratedispatch.simulate.play import play
from ratedispatch.simulate.settings import ProviderSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


def row(name: str) -> Request:
    messages = [{"role": "user", "content": name}]
    return Request.chat(model="gpt-4o", messages=messages, max_tokens=16, custom_id=name)


def refusing(start: float, seconds: float) -> ProviderSettings:
    """A provider that refuses everything from *start* on, and does not say why."""
    return ProviderSettings(
        requests_per_minute=120,
        burst_seconds=1.0,
        latency=0.5,
        latency_sigma=0.3,
        fault_times=((start, seconds, "429"),),
    )


@pytest.mark.parametrize("seed", [2, 5])
def test_no_row_fails_while_the_same_few_are_tried_in_turn(seed: int) -> None:
    """
    A retry keeps its place, so few rows that were never refused are tried in these minutes.

    A row that is refused for two minutes was once taken for the last that is left, and failed.
    """
    rows = [row(str(number)) for number in range(120)]
    played = play(rows, Limits(120), refusing(10.0, 260.0), seed=seed)
    assert [one for one in played.outcomes if not isinstance(one, Completed)] == []
    assert len(played.outcomes) == 120


@pytest.mark.parametrize(("rows", "seconds"), [(1, 260.0), (2, 260.0), (4, 60.0), (7, 60.0)])
def test_few_rows_are_answered_soon_after_the_outage(rows: int, seconds: float) -> None:
    """All of them step aside, again and again, which once took up to a minute each time."""
    played = play(
        [row(str(number)) for number in range(rows)], Limits(120), refusing(0.0, seconds), seed=1
    )
    assert len(played.answered) == rows
    assert seconds < played.seconds < seconds + 20


def test_a_row_is_given_up_while_an_open_source_has_nothing_to_say() -> None:
    """What may come some day is no reason to stop all that waits for it."""

    async def source() -> AsyncIterator[Request]:
        for name in "abcd":
            yield row(name)
        await asyncio.sleep(20)
        yield row("alone")
        await asyncio.sleep(3_000)
        for name in "efgh":
            yield row(name)

    played = play(source(), Limits(120), refusing(15.0, 2_000.0), seed=1)
    assert sorted(played.answered) == list("abcdefgh")
    assert (list(played.failed), played.stop) == (["alone"], None)
