"""The one line before all buckets."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratedispatch.errors import CostExceedsLimit, Stopped
from ratedispatch.limits import Limits, Reading
from ratedispatch.outcome import Usage
from ratedispatch.pacing.bucket import Bucket
from ratedispatch.pacing.budget import LocalBudget, Permit
from ratedispatch.request import Cost
from ratedispatch.simulate.clock import run_virtual

if TYPE_CHECKING:
    from collections.abc import Coroutine

# one request and a hundred tokens a second; bursts of one request and a hundred tokens
LIMITS = Limits(60, 6000, burst_seconds=1)


def now() -> float:
    return asyncio.get_running_loop().time()


async def admit(budget: LocalBudget, place: int, tokens: int) -> tuple[int, float]:
    """Go through the line and hand the permit in at once; return place and time."""
    permit = await budget.acquire(Cost(tokens), place)
    when = now()
    budget.settle(permit, None)
    return place, when


def admissions(limits: Limits, costs: list[int], max_in_flight: int = 100) -> list[float]:
    """Times at which requests of *costs* tokens, all there at once, are admitted."""

    async def main() -> list[float]:
        budget = LocalBudget(limits, max_in_flight)
        results = await asyncio.gather(*(admit(budget, i, c) for i, c in enumerate(costs)))
        return [when for _, when in results]

    return run_virtual(main())


def test_requests_and_tokens_are_both_needed() -> None:
    """The scarcer of the two decides; neither is spent while the other is waited for."""
    assert admissions(LIMITS, [10, 10, 10]) == pytest.approx([0, 1, 2])
    assert admissions(LIMITS, [100, 50, 10]) == pytest.approx([0, 1, 2])
    assert admissions(Limits(6000, 6000, burst_seconds=1), [100, 50, 50]) == pytest.approx(
        [0, 0.5, 1]
    )


def test_what_was_held_back_at_first_is_not_paid_out_on_top_of_a_full_bucket() -> None:
    """The bucket fills up again within half a second, so that only a full one is left to spend."""
    times = admissions(Limits(121, 1000, burst_seconds=0.5), [1, 17, 17], max_in_flight=1000)
    assert times == pytest.approx([0, 60 / 121, 60 / 121 + 17 / (1000 / 60)])


def test_a_large_request_is_not_passed_by_small_ones() -> None:
    """The line is strict: the large one goes in its turn, though small ones would fit."""
    times = admissions(Limits(60_000, 6000, burst_seconds=1), [90, 100, 1, 1, 1])
    assert times == pytest.approx([0, 1, 1.01, 1.02, 1.03], abs=1e-6)


def test_most_of_the_burst_waits_for_the_first_answer() -> None:
    """The provider's bucket may be empty when we come: a tenth of a second's worth goes first."""

    async def main() -> list[float]:
        budget = LocalBudget(Limits(6000, None, burst_seconds=0.5), 100)
        loop = asyncio.get_running_loop()
        times = []
        for place in range(60):
            permit = await budget.acquire(Cost(1), place)
            times.append(loop.time())
            if place == 19:
                budget.observe(permit, [])
        return times

    times = run_virtual(main())
    assert times[9] == 0
    assert times[19] == pytest.approx(0.1)  # at the rate, 100 a second
    assert times[59] == pytest.approx(0.1), "the 40 that were held back go at once"


def test_a_request_larger_than_the_burst_goes_when_the_bucket_is_full_and_leaves_a_debt() -> None:
    """300 tokens at a burst of 100: at once when full; the next pays the debt off first."""
    times = admissions(Limits(60_000, 6000, burst_seconds=1), [300, 50, 300])
    # 300 at 0 leaves -200; 50 needs 250 more; 300 needs a full bucket again: 50 + 200 more
    assert times == pytest.approx([0, 2.5, 3.0], abs=0.51)
    assert times[1] == pytest.approx(2.5)


def test_a_request_above_the_limit_can_never_go() -> None:
    """It is refused with both numbers, before it stands in the line."""
    budget = LocalBudget(LIMITS, 1)
    with pytest.raises(CostExceedsLimit, match=r"row 7 costs 6,001 tokens .* 6,000 tokens"):
        budget.check(Cost(6001), "row 7")
    budget.check(Cost(6000), "row 7")


def test_a_retry_has_its_old_place() -> None:
    """A low place goes before everybody who came later."""

    async def main() -> list[int]:
        budget = LocalBudget(LIMITS, 100)
        order: list[int] = []

        async def go(place: int) -> None:
            order.append((await admit(budget, place, 1))[0])

        tasks = [asyncio.create_task(go(place)) for place in (1, 2, 3)]
        await asyncio.sleep(0.5)
        tasks.append(asyncio.create_task(go(0)))
        await asyncio.gather(*tasks)
        return order

    assert run_virtual(main()) == [1, 0, 2, 3]


def test_no_more_than_max_in_flight() -> None:
    """Nobody is admitted, and nothing is spent, while there is no room."""

    async def main() -> None:
        budget = LocalBudget(Limits(60_000, None), 2)
        one, _two = [await budget.acquire(Cost(1), i) for i in range(2)]
        third = asyncio.create_task(budget.acquire(Cost(1), 2))
        await asyncio.sleep(5)
        assert not third.done()
        assert budget.snapshot().levels[0].spent == 2
        budget.settle(one, None)
        await third
        assert budget.snapshot().in_flight == 2

    run_virtual(main())


def test_a_cancelled_waiter_spends_nothing_and_does_not_block_the_line() -> None:
    """Cancelling the head lets the next go in its time."""

    async def main() -> None:
        budget = LocalBudget(LIMITS, 100)
        await admit(budget, 0, 1)
        head = asyncio.create_task(admit(budget, 1, 100))
        other = asyncio.create_task(admit(budget, 2, 1))
        await asyncio.sleep(0.1)
        head.cancel()
        assert (await other)[1] == pytest.approx(1.0)
        assert budget.snapshot().levels[1].spent == 2

    run_virtual(main())


def test_a_permit_granted_in_the_turn_of_its_cancellation_is_given_back() -> None:
    """The grant and the cancellation cross: nothing stays in flight."""

    async def main() -> None:
        budget = LocalBudget(LIMITS, 1)
        first = await budget.acquire(Cost(1), 0)
        waiter = asyncio.create_task(budget.acquire(Cost(1), 1))
        await asyncio.sleep(2)
        budget.settle(first, None)  # grants to the waiter, which has not run yet
        waiter.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiter
        assert budget.snapshot().in_flight == 0

    run_virtual(main())


def test_a_permit_is_closed_exactly_once() -> None:
    """Settling twice, or settling and cancelling, is a mistake that shows."""

    async def main() -> None:
        budget = LocalBudget(LIMITS, 1)
        permit = await budget.acquire(Cost(1), 0)
        budget.settle(permit, None)
        with pytest.raises(RuntimeError):
            budget.settle(permit, None)
        with pytest.raises(RuntimeError):
            budget.cancel(permit)

    run_virtual(main())


def test_a_cancelled_permit_gives_everything_back() -> None:
    """What was never sent does not count."""

    async def main() -> None:
        budget = LocalBudget(LIMITS, 1)
        permit = await budget.acquire(Cost(80), 0)
        budget.cancel(permit)
        assert [level.available for level in budget.snapshot().levels] == [1, 80]
        assert [level.spent for level in budget.snapshot().levels] == [0, 0]

    run_virtual(main())


def test_what_is_given_back_is_no_negative_use() -> None:
    """Permits of long ago that are cancelled now were used then, and are not taken off now."""

    async def main() -> list[float]:
        budget = LocalBudget(Limits(requests_per_minute=600, burst_seconds=10), 1_000)
        permits = [await budget.acquire(Cost(1), place) for place in range(100)]
        await asyncio.sleep(20)
        for permit in permits:
            budget.cancel(permit)
        shares = []
        for _ in range(20):
            await asyncio.sleep(1)
            shares.append(budget.snapshot().levels[0].share)
        return shares

    shares = run_virtual(main())
    assert min(shares) >= 0
    assert shares[-1] == 0


def test_a_wait_shorter_than_the_clock_can_tell_comes_to_an_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Rounding leaves next to nothing missing, and now + wait is now."""
    start = 512.96
    asked = 0

    def wait(self: Bucket, amount: float) -> float:
        nonlocal asked
        asked += 1
        assert asked < 10, "it asks again and again at the same instant"
        return 3.6e-14 if now() == start else 0.0

    monkeypatch.setattr(Bucket, "wait", wait)

    async def main() -> float:
        _, when = await admit(LocalBudget(LIMITS, 1), 0, 10)
        return when

    assert run_virtual(main(), start=start) == pytest.approx(start)


def test_a_refund_wakes_the_head_of_the_line() -> None:
    """Where the provider gives back, a permit that used less lets the next go at once."""

    async def main() -> float:
        budget = LocalBudget(Limits(60_000, 6000, burst_seconds=1), 100, refund=True)
        permit = await budget.acquire(Cost(20, 80), 0)
        waiter = asyncio.create_task(admit(budget, 1, 60))
        await asyncio.sleep(0.1)
        budget.settle(permit, Usage(20, 20))
        return (await waiter)[1]

    assert run_virtual(main()) == pytest.approx(0.1)


def test_the_pause_is_for_everybody_and_once_for_each_episode() -> None:
    """Refusals of what was sent before the pause began start no other."""

    async def main() -> None:
        budget = LocalBudget(Limits(60_000, None, burst_seconds=1), 100)
        permits = [await budget.acquire(Cost(1), i) for i in range(3)]
        await asyncio.sleep(0.2)
        assert budget.throttle(permits[0], 2.0)
        await asyncio.sleep(0.5)
        assert not budget.throttle(permits[1], 1.0)
        _, when = await admit(budget, 4, 1)
        assert when == pytest.approx(2.2)
        assert not budget.throttle(permits[2], 1.0)
        _, when = await admit(budget, 5, 1)
        assert when < 2.3

    run_virtual(main())


def test_after_a_pause_the_line_ramps_up() -> None:
    """What piled up during the pause does not burst, and the rate rises to its full."""

    async def main() -> list[float]:
        budget = LocalBudget(Limits(6000, None, burst_seconds=1), 1000)
        permit = await budget.acquire(Cost(1), 0)
        budget.settle(permit, None)
        await asyncio.sleep(0.1)
        budget.throttle(permit, 2.0)
        return [(await admit(budget, i, 1))[1] for i in range(1, 500)]

    times = run_virtual(main())
    assert times[0] == pytest.approx(2.1)
    in_first = sum(when < 2.1 + 0.2 for when in times)
    assert 1 < in_first < 8  # at full rate it were 20
    assert sum(when < 2.1 + 2.0 for when in times) == pytest.approx(110, abs=8)  # (0.1 + 1) / 2
    assert times[-1] - times[-101] == pytest.approx(1.0, abs=0.01)


def test_hold_and_release() -> None:
    """While held nobody goes; a release of one lets one go."""

    async def main() -> None:
        budget = LocalBudget(Limits(60_000, None, burst_seconds=1), 100)
        budget.hold()
        tasks = [asyncio.create_task(admit(budget, i, 1)) for i in range(3)]
        await asyncio.sleep(1)
        budget.release(1)
        await asyncio.sleep(1)
        assert [task.done() for task in tasks] == [True, False, False]
        budget.release()
        await asyncio.gather(*tasks)

    run_virtual(main())


def test_closing_refuses_the_line_and_all_who_come() -> None:
    """Each gets an error of its own."""

    async def main() -> None:
        budget = LocalBudget(LIMITS, 1)
        await budget.acquire(Cost(1), 0)
        waiters = [asyncio.create_task(budget.acquire(Cost(1), i)) for i in (1, 2)]
        await asyncio.sleep(0)
        budget.close(lambda: Stopped("drained", "enough", started=True))
        errors = await asyncio.gather(*waiters, return_exceptions=True)
        assert [type(error) for error in errors] == [Stopped, Stopped]
        assert errors[0] is not errors[1]
        with pytest.raises(Stopped):
            await budget.acquire(Cost(1), 3)

    run_virtual(main())


class TestObserve:
    """What the provider says corrects the buckets."""

    @staticmethod
    async def sent(budget: LocalBudget, count: int) -> list[Permit]:
        return [await budget.acquire(Cost(1), i) for i in range(count)]

    def run(self, main: Coroutine[None, None, None]) -> None:
        run_virtual(main)

    def test_down_at_once(self) -> None:
        """Another client has emptied the bucket: we wait for the refill."""

        async def main() -> None:
            budget = LocalBudget(Limits(600, None, burst_seconds=6), 100)
            (permit,) = await self.sent(budget, 1)
            budget.observe(permit, [Reading("requests", 0)])
            assert (await admit(budget, 1, 1))[1] == pytest.approx(0.1)

        self.run(main())

    def test_an_old_answer_allows_for_what_refilled_and_what_was_sent_since(self) -> None:
        """Remaining 5 at the first of four that left a tenth apart, 1.3 s ago: + 13 - 3 sent."""

        async def main() -> None:
            budget = LocalBudget(Limits(600, None, burst_seconds=6), 100)
            permits = await self.sent(budget, 4)
            await asyncio.sleep(1)
            budget.observe(permits[0], [Reading("requests", 5)])
            assert budget.snapshot().levels[0].available == pytest.approx(15)

        self.run(main())

    def test_older_news_than_what_is_known_changes_nothing(self) -> None:
        """Answers come out of order; the one to the newest request counts."""

        async def main() -> None:
            budget = LocalBudget(Limits(600, None, burst_seconds=6), 100)
            (old,) = await self.sent(budget, 1)
            await asyncio.sleep(1)
            (new,) = await self.sent(budget, 1)
            budget.observe(new, [Reading("requests", 30)])
            before = budget.snapshot().levels[0].available
            budget.observe(old, [Reading("requests", 0)])
            assert budget.snapshot().levels[0].available == before

        self.run(main())

    def test_a_day_says_nothing_about_a_minute(self) -> None:
        """Neither up nor down."""

        async def main() -> None:
            budget = LocalBudget(Limits(600, None, burst_seconds=1), 100)
            (permit,) = await self.sent(budget, 1)
            for remaining in (0, 9_000):
                budget.observe(permit, [Reading("requests", remaining, 10_000, 86_400)])
                assert budget.snapshot().levels[0].available == pytest.approx(9)

        self.run(main())

    @staticmethod
    async def told(
        budget: LocalBudget, count: int, limit: float, left: float, **rest: Any
    ) -> list[float]:
        """Send *count*, each answered with the day's limit and what is left; return that level."""
        for number in range(count):
            permit = await budget.acquire(Cost(1), number)
            await asyncio.sleep(0.1)
            reading = Reading("requests", left - number - 1, limit, **{"window": 86_400.0, **rest})
            budget.observe(permit, [reading])
            budget.settle(permit, None)
        (day,) = [one for one in budget.snapshot().levels if one.dimension == "requests_per_day"]
        return [day.limit, day.available]

    @pytest.mark.parametrize(
        ("told", "rest", "limit", "available"),
        [
            (1_000, {}, 1_000, 980),
            (20_000, {}, 14_400, 14_380),  # less was asked for
            # 600 every two hours are 7,200 a day, of which 600 may go at once
            (600, {"window": 7_200.0, "period": 7_200.0}, 7_200, 580),
            (0.5, {}, 14_400, 0),  # nobody has such a limit
        ],
    )
    def test_a_day_told_is_a_day(
        self, told: float, rest: dict[str, float], limit: float, available: float
    ) -> None:
        async def main() -> None:
            budget = LocalBudget(Limits(6_000, requests_per_day=14_400), 100)
            state = await self.told(budget, 20, told, told, **rest)
            assert state == pytest.approx([limit, available], abs=2)

        self.run(main())

    def test_a_day_begins_anew_when_the_provider_says_so(self) -> None:
        async def main() -> None:
            budget = LocalBudget(Limits(6_000, requests_per_day=1_000), 100)
            assert (await self.told(budget, 20, 1_000, 300))[1] == pytest.approx(280, abs=2)
            assert (await self.told(budget, 20, 1_000, 1_000))[1] == pytest.approx(980, abs=2)

        self.run(main())

    def test_a_day_of_less_than_the_provider_allows_is_kept_to(self) -> None:
        """A provider with a larger day gives back within minutes what the user's day has spent."""

        async def main() -> None:
            budget = LocalBudget(Limits(6_000, requests_per_day=100), 100)
            assert (await self.told(budget, 40, 14_400, 14_400))[1] == pytest.approx(60, abs=1)
            assert (await self.told(budget, 40, 14_400, 14_400))[1] == pytest.approx(20, abs=1)

        self.run(main())

    def test_a_refusal_about_the_minute_leaves_the_day_alone(self) -> None:
        async def main() -> None:
            budget = LocalBudget(Limits(6_000, requests_per_day=1_000), 100)
            await self.told(budget, 20, 1_000, 1_000)
            for about in [("requests",), ("tokens", "requests")] * 10:
                permit = await budget.acquire(Cost(1), 50)
                budget.throttle(permit, 0.1, about)
                budget.settle(permit, None)
                await asyncio.sleep(1)
            day = budget.snapshot().levels[1]
            assert day.limit == pytest.approx(1_000)
            assert day.available == pytest.approx(960, abs=2)

        self.run(main())

    def test_a_day_told_in_the_text_of_a_refusal_stays_told(self) -> None:
        """Nobody tries out every few seconds whether it has risen meanwhile."""

        async def main() -> None:
            budget = LocalBudget(Limits(6_000, requests_per_day=14_400), 100)
            permit = await budget.acquire(Cost(1), 0)
            said = Reading("requests", 0.0, 1_000.0, 86_400.0)
            budget.observe(permit, [said], refused=True)
            budget.throttle(permit, 86.0, ("requests_per_day",))
            budget.settle(permit, None)
            for _ in range(100):
                await asyncio.sleep(60)
                budget.snapshot()
            when = (await admit(budget, 1, 1))[1]
            assert when >= 86
            day = budget.snapshot().levels[1]
            assert day.limit == pytest.approx(1_000)
            assert day.available < 70  # 100 minutes of it

        self.run(main())

    def test_a_piled_up_minute_is_spent_in_doubling_steps(self) -> None:
        """Each round trip may spend twice what the last did, once the readings are believed."""

        async def main() -> None:
            budget = LocalBudget(Limits(600, None, burst_seconds=1), 1000)
            place = 0
            surplus = []
            for _ in range(4):
                await asyncio.sleep(0.2)
                available = int(budget.snapshot().levels[0].available)
                permits = [await budget.acquire(Cost(1), place + i) for i in range(available)]
                place += available
                await asyncio.sleep(0.2)
                budget.observe(permits[-1], [Reading("requests", 600 - place, 600, 60)])
                budget.observe(permits[-1], [Reading("requests", 600 - place, 600, 60)])
                surplus.append(budget.snapshot().levels[0].available)
            assert surplus == pytest.approx([10, 12, 22, 42], abs=5)

        self.run(main())

    def test_without_a_window_nothing_is_proven(self) -> None:
        """A remainder of which nobody knows the window is no licence to burst."""

        async def main() -> None:
            budget = LocalBudget(Limits(600, None, burst_seconds=1), 100)
            (permit,) = await self.sent(budget, 1)
            budget.observe(permit, [Reading("requests", 500)])
            assert budget.snapshot().levels[0].available == pytest.approx(9)

        self.run(main())

    def test_after_a_refusal_no_header_is_believed_for_a_while(self) -> None:
        """A server that promised and refused has lost its credit for a minute."""

        async def main() -> None:
            budget = LocalBudget(Limits(600, None, burst_seconds=1), 100)
            (permit,) = await self.sent(budget, 1)
            await asyncio.sleep(0.1)
            budget.throttle(permit, 0.1)
            await asyncio.sleep(10)
            (permit,) = await self.sent(budget, 1)
            budget.observe(permit, [Reading("requests", 500, 600, 60)])
            assert budget.snapshot().levels[0].available <= 10

        self.run(main())


@settings(deadline=None, max_examples=60)
@given(
    costs=st.lists(st.integers(1, 900), min_size=1, max_size=60),
    rpm=st.integers(30, 6000),
    tpm=st.integers(1000, 60_000),
    burst=st.floats(0, 5),
)
def test_no_window_ever_exceeds_burst_plus_rate_and_order_is_kept(
    costs: list[int], rpm: int, tpm: int, burst: float
) -> None:
    """Whatever the mix: in order, within both limits in every window, and without idling."""
    limits = Limits(rpm, tpm, burst_seconds=burst)
    times = admissions(limits, costs, max_in_flight=1000)
    assert times == sorted(times)
    for dimension, amounts in (("requests", [1] * len(costs)), ("tokens", costs)):
        rate = next(rate for rate in limits.rates() if rate.dimension == dimension)
        deepest = max(rate.burst, *amounts)
        for first in range(len(costs)):
            total = 0
            for when, amount in zip(times[first:], amounts[first:], strict=True):
                total += amount
                width = when - times[first]
                assert total <= (deepest + rate.per_second * width) * (1 + 1e-6)
    # never slower than paying both limits one after the other in full
    assert times[-1] <= len(costs) / rpm * 60 + sum(costs) / tpm * 60 + 1e-6
