"""How long an attempt may take."""

from __future__ import annotations

import asyncio

import pytest

from ratedispatch import Dispatcher, Limits
from ratedispatch.dispatch.timeout import AdaptiveTimeout
from ratedispatch.outcome import Completed, Response, Usage
from ratedispatch.request import Cost, Request
from ratedispatch.testing import run_virtual
from tests.dispatch.world import chat

SHORT = Cost(10, 16, expected_output_tokens=16)


def learned(slowest: float, count: int = 100, usage: Usage | None = None) -> AdaptiveTimeout:
    timeout = AdaptiveTimeout()
    for _ in range(count - 1):
        timeout.record(0.1)
    timeout.record(slowest, usage)
    return timeout


def capped(output_tokens: int) -> Cost:
    return Cost(10, output_tokens, expected_output_tokens=output_tokens)


def test_the_sdks_ten_minutes_until_enough_is_known() -> None:
    """Nineteen answers prove nothing yet."""
    assert AdaptiveTimeout().allowed(0, SHORT) == 600
    assert learned(0.2, count=19).allowed(0, SHORT) == 600
    assert learned(0.2, count=20).allowed(0, SHORT) == 180


def test_then_ten_times_the_slowest_within_three_minutes_and_ten() -> None:
    """One of many that are alike may be hard; never above the SDK's ten."""
    assert learned(0.2).usual == 180
    assert learned(25).usual == 250
    assert learned(100).usual == 600


def test_what_a_row_may_produce_counts_as_well() -> None:
    """Quick short answers say nothing of a long one: 128,000 tokens take an hour, twice."""
    timeout = learned(0.2)
    assert timeout.allowed(0, capped(16)) == 180
    assert timeout.allowed(0, capped(3_200)) == 180
    assert timeout.allowed(0, capped(8_000)) == pytest.approx(450)
    assert timeout.allowed(0, capped(16_000)) == pytest.approx(900)
    assert timeout.allowed(0, capped(1_000_000)) == 3600
    assert timeout.covered == pytest.approx(3_200)
    assert AdaptiveTimeout().allowed(0, capped(16_000)) == pytest.approx(900)


def test_a_slow_server_is_given_the_time_that_its_tokens_take() -> None:
    """Four seconds for a token are not seen in answers of a few of them."""
    assert learned(8, usage=Usage(9, 2)).allowed(0, capped(1_000)) == 180
    assert learned(50, usage=Usage(9, 100)).allowed(0, capped(1_000)) == 1_000


def test_without_a_cap_nothing_is_known_of_a_row() -> None:
    """It may think for as long as the SDK waits."""
    open_end = Cost(10, 16, is_capped=False, expected_output_tokens=16)
    assert learned(0.2).allowed(0, open_end) == 600


def test_each_timeout_doubles_what_the_next_attempt_is_given() -> None:
    """A request that really is slower is not cut off at the same point again."""
    assert [learned(0.2).allowed(n, SHORT) for n in (0, 1, 2, 5)] == [180, 360, 600, 600]


def test_a_timeout_that_is_given_is_kept() -> None:
    """Nothing is learned from 200 slow answers."""
    timeout = AdaptiveTimeout(7)
    assert not any(timeout.record(50) for _ in range(200))
    assert timeout.allowed(3, SHORT) == 7
    assert timeout.allowed(0, capped(10**6)) == 7


def test_it_tells_when_its_bound_has_moved() -> None:
    """At the twentieth answer, and whenever one is so slow that it matters."""
    timeout = learned(0.2, count=19)
    assert timeout.record(0.1)
    assert not timeout.record(18.0)
    assert timeout.record(22.0)
    assert not timeout.record(20.0)


class Thinking:
    """Answers at once, but takes two minutes for what is called slow."""

    sent = 0

    async def send(self, request: Request, timeout: float) -> Response:
        self.sent += 1
        await asyncio.sleep(120 if request.custom_id == "slow" else 0.1)
        usage = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}
        return Response(200, {}, {"choices": [{"text": "hi"}], "usage": usage})


def test_a_row_that_takes_minutes_after_many_quick_ones_is_sent_once() -> None:
    """What is cut off is billed twice, and no quicker."""

    async def main() -> tuple[int, int]:
        transport = Thinking()
        async with Dispatcher(transport, Limits(6_000), max_in_flight=9) as dispatcher:
            requests = [*(chat(number) for number in range(150)), chat("slow")]
            outcomes = [outcome async for outcome in dispatcher.map(requests)]
        return sum(isinstance(one, Completed) for one in outcomes), transport.sent

    assert run_virtual(main()) == (151, 151)
