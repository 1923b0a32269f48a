"""Amounts: what may be spent when, and what readings and refusals make of it. No loop at all."""

from __future__ import annotations

import math
import threading
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratedispatch.errors import CostExceedsLimit
from ratedispatch.limits import Limits, Reading
from ratedispatch.outcome import Usage
from ratedispatch.pacing.budget import NotUntil, Reservation
from ratedispatch.pacing.feedback import ABANDONED, UNSENT, End, Feedback, LimitChange, Strain
from ratedispatch.pacing.local_budget import LocalBudget
from ratedispatch.request import Cost
from tests.pacing.queues import answered, refused, reserve, reserve_in_time, times_of, wait_of

# one request and a hundred tokens a second; bursts of one request and a hundred tokens
LIMITS = Limits(60, 6000, burst_seconds=1)


def available(budget: LocalBudget, now: float, number: int = 0) -> float:
    return budget.levels(now)[number].available


def pile_up(budget: LocalBudget) -> tuple[float, list[float]]:
    """Spend all there is four times, and read that 600 a minute had piled up; return the levels."""
    sent, now, levels = 0, 0.0, []
    for _ in range(4):
        now += 0.2
        reservations = []
        while isinstance(reserved := budget.reserve(Cost(1), now), Reservation):
            reservations.append(reserved)
        sent += len(reservations)
        now += 0.2
        for left, reservation in reversed(list(enumerate(reversed(reservations[-2:])))):
            reading = Reading("requests", 600 - sent + left, 600, 60)
            budget.report(reservation, answered(reading), now)
        levels.append(available(budget, now))
    return now, levels


class TestReserve:
    """All dimensions together, or none."""

    @pytest.mark.parametrize(
        ("limits", "costs", "times"),
        [
            (LIMITS, [10, 10, 10], [0, 1, 2]),
            (LIMITS, [100, 50, 10], [0, 1, 2]),
            (Limits(6000, 6000, burst_seconds=1), [100, 50, 50], [0, 0.5, 1]),
        ],
    )
    def test_requests_and_tokens_are_both_needed(
        self, limits: Limits, costs: list[int], times: list[float]
    ) -> None:
        """The scarcer of the two decides; neither is spent while the other is waited for."""
        assert times_of(limits, costs) == pytest.approx(times)

    def test_a_cost_that_has_to_wait_debits_nothing(self) -> None:
        """It tells how long, and the limit that takes longest."""
        budget = LocalBudget(LIMITS)
        reserve(budget, 0, 50)
        before = [level.spent for level in budget.levels(0.5)]
        answer = budget.reserve(Cost(100), 0.5)
        assert isinstance(answer, NotUntil)
        assert answer.wait == pytest.approx(0.5)
        assert answer.rate.dimension == "requests"
        assert [level.spent for level in budget.levels(0.5)] == before == [1, 50]
        assert [level.available for level in budget.levels(0.5)] == [0.5, 100]

    def test_what_was_held_back_at_first_is_not_paid_out_on_top_of_a_full_bucket(self) -> None:
        """The bucket fills up within half a second, so that only a full one is left to spend."""
        times = times_of(Limits(121, 1000, burst_seconds=0.5), [1, 17, 17])
        assert times == pytest.approx([0, 60 / 121, 60 / 121 + 17 / (1000 / 60)])

    def test_most_of_the_burst_waits_for_the_first_answer(self) -> None:
        """The provider's bucket may be empty at first: a tenth of a second's worth goes first."""
        budget = LocalBudget(Limits(6000, None, burst_seconds=0.5))
        now, times = 0.0, []
        for number in range(60):
            reservation, now = reserve_in_time(budget, now)
            times.append(now)
            if number == 19:
                budget.report(reservation, answered(), now)
        # then at the rate, 100 a second, until the 40 that were held back go at once
        at_the_rate = [0.01 * step for step in range(1, 11)]
        assert times == pytest.approx([0] * 10 + at_the_rate + [0.1] * 40)

    def test_a_cost_above_the_burst_needs_a_full_bucket_and_leaves_a_debt(self) -> None:
        """300 at 0 leave -200; 50 need 250 more; 300 then need a full bucket: 100 more."""
        times = times_of(Limits(60_000, 6000, burst_seconds=1), [300, 50, 300])
        assert times == pytest.approx([0, 2.5, 3.5])

    def test_a_cost_above_the_limit_can_never_be_paid(self) -> None:
        """It is refused with both numbers, before it stands in a queue."""
        budget = LocalBudget(LIMITS)
        with pytest.raises(CostExceedsLimit, match=r"row 7 costs 6,001 tokens .* 6,000 tokens"):
            budget.check(Cost(6001), lambda: "row 7")
        budget.check(Cost(6000), lambda: "row 7")

    def test_a_speed_below_one_lets_less_flow_in(self) -> None:
        """At half of the speed the next request waits twice as long."""
        budget = LocalBudget(LIMITS)
        reserve(budget, 0)
        assert isinstance(answer := budget.reserve(Cost(1), 0, 0.5), NotUntil)
        assert answer.wait == pytest.approx(2)

    def test_nothing_that_has_piled_up_is_spent_until_it_may(self) -> None:
        """After an overload a proven pile is left alone: what flowed in for 0.2 s is there."""
        budget = LocalBudget(Limits(600, None, burst_seconds=1))
        now, piled_up = pile_up(budget)
        assert piled_up == pytest.approx([10, 12, 22, 42])
        budget.slow_down(until=now + 30, now=now)
        assert available(budget, now) == pytest.approx(2)


class TestReport:
    """A reservation is closed exactly once; what it did not use comes back."""

    @pytest.mark.parametrize("first", [UNSENT, ABANDONED, answered(), refused(1.0)])
    @pytest.mark.parametrize("second", [UNSENT, ABANDONED, answered()])
    def test_twice_is_a_mistake_that_shows(self, first: Feedback, second: Feedback) -> None:
        """However it was closed."""
        budget = LocalBudget(LIMITS)
        reservation = reserve(budget, 0)
        budget.report(reservation, first, 0)
        with pytest.raises(RuntimeError, match="exactly once"):
            budget.report(reservation, second, 0)

    def test_what_never_left_gives_everything_back(self) -> None:
        """It was not sent, so it does not count."""
        budget = LocalBudget(LIMITS)
        budget.report(reserve(budget, 0, 80), UNSENT, 0)
        levels = budget.levels(0)
        assert [level.available for level in levels] == [1, 80]
        assert [level.spent for level in levels] == [0, 0]

    @pytest.mark.parametrize(("refunds", "left"), [(True, 60), (False, 0)])
    def test_what_was_not_used_comes_back_where_the_provider_does_so(
        self, refunds: bool, left: float
    ) -> None:
        """100 reserved, 40 used."""
        budget = LocalBudget(Limits(60_000, 6000, burst_seconds=1), refunds=refunds)
        reservation = reserve(budget, 0, Cost(20, 80))
        budget.report(reservation, Feedback(End.ANSWERED, Usage(20, 20)), 0)
        assert available(budget, 0, 1) == pytest.approx(left)

    def test_a_refusal_lowers_no_limit_of_another_dimension(self) -> None:
        """It is about the tokens of the minute; requests go on."""
        budget = LocalBudget(Limits(600, 6000))
        reservation = reserve(budget, 0)
        changes = budget.report(
            reservation,
            refused(1.0, dimension="tokens"),
            1,
            resumes_at=2,
            is_new_episode=True,
        )
        assert not changes  # one refusal proves nothing
        assert [level.per_minute for level in budget.levels(1)] == [600, 6000]

    def test_a_strain_is_no_news_about_any_limit(self) -> None:
        """A server that is overloaded or full has not refused for a limit."""
        for strain in Strain:
            budget = LocalBudget(Limits("auto", "auto"))
            reservation = reserve(budget, 0)
            feedback = Feedback(End.REFUSED, None, (), 1.0, None, strain)
            assert not budget.report(reservation, feedback, 1, resumes_at=2, is_new_episode=True)
            assert [level.per_minute for level in budget.levels(1)] == [math.inf, math.inf]


class TestReadings:
    """What the provider says corrects the buckets."""

    def test_down_at_once(self) -> None:
        """Another client has emptied the bucket: the next waits for the refill."""
        budget = LocalBudget(Limits(600, None, burst_seconds=6))
        budget.report(reserve(budget, 0), answered(Reading("requests", 0)), 0)
        assert wait_of(budget, 0) == pytest.approx(0.1)

    def test_an_old_answer_allows_for_what_refilled_and_what_was_sent_since(self) -> None:
        """Remaining 5 at the first of four that left together, 1.3 s ago: + 13 - 3 sent."""
        budget = LocalBudget(Limits(600, None, burst_seconds=6))
        now, first = 0.0, None
        for _ in range(4):
            reservation, now = reserve_in_time(budget, now)
            first = first or reservation
        assert now == pytest.approx(0.3)
        assert first is not None
        budget.report(first, answered(Reading("requests", 5)), 1.3)
        assert available(budget, 1.3) == pytest.approx(15)

    def test_older_news_than_what_is_known_changes_nothing(self) -> None:
        """Answers come out of order; the one to the newest request counts."""
        budget = LocalBudget(Limits(600, None, burst_seconds=6))
        old = reserve(budget, 0)
        new = reserve(budget, 1)
        budget.report(new, answered(Reading("requests", 30)), 1)
        before = available(budget, 1)
        budget.report(old, answered(Reading("requests", 0)), 1)
        assert available(budget, 1) == before

    @pytest.mark.parametrize("remaining", [0, 9_000])
    def test_a_day_says_nothing_about_a_minute(self, remaining: float) -> None:
        """Neither up nor down."""
        budget = LocalBudget(Limits(600, None, burst_seconds=1))
        reading = Reading("requests", remaining, 10_000, 86_400)
        budget.report(reserve(budget, 0), answered(reading), 0)
        assert available(budget, 0) == pytest.approx(9)

    def test_two_limits_of_one_answer_are_both_in_force_when_it_is_reported(self) -> None:
        """And both are told."""
        budget = LocalBudget(Limits("auto", "auto"))
        reservation = reserve(budget, 0, 10)
        readings = (Reading("requests", 59, 60, 60), Reading("tokens", 990, 1000, 60))
        changes = budget.report(reservation, answered(*readings), 0.1)
        rates = [change.rate for change in changes if isinstance(change, LimitChange)]
        assert {rate.dimension: rate.per_minute for rate in rates} == {
            "requests": 60,
            "tokens": 1000,
        }
        assert [level.per_minute for level in budget.levels(0.1)] == [60, 1000]

    def test_without_a_window_nothing_is_proven(self) -> None:
        """A remainder of which nobody knows the window is no licence to burst."""
        budget = LocalBudget(Limits(600, None, burst_seconds=1))
        budget.report(reserve(budget, 0), answered(Reading("requests", 500)), 0)
        assert available(budget, 0) == pytest.approx(9)

    def test_after_a_refusal_no_header_is_believed_for_a_while(self) -> None:
        """A server that promised and refused has lost its credit for a minute."""
        budget = LocalBudget(Limits(600, None, burst_seconds=1))
        reservation = reserve(budget, 0)
        budget.report(reservation, refused(0.1), 0.1, resumes_at=0.2, is_new_episode=True)
        budget.report(reserve(budget, 10.1), answered(Reading("requests", 500, 600, 60)), 10.1)
        assert available(budget, 10.1) == 0

    def test_a_piled_up_minute_is_spent_in_doubling_steps(self) -> None:
        """Each round trip may spend twice what the last did, once the readings are believed."""
        _, piled_up = pile_up(LocalBudget(Limits(600, None, burst_seconds=1)))
        assert piled_up == pytest.approx([10, 12, 22, 42])


def told(
    budget: LocalBudget, start: float, count: int, limit: float, left: float, **rest: Any
) -> tuple[float, float]:
    """Send *count* a tenth of a second apart, each told its day; return that limit and level."""
    now = start
    for number in range(count):
        reservation, now = reserve_in_time(budget, now)
        now += 0.1
        day = {"window": 86_400.0, **rest}
        reading = Reading("requests", left - number - 1, limit, **day)
        budget.report(reservation, answered(reading), now)
    (level,) = [one for one in budget.levels(now) if one.dimension == "requests_per_day"]
    return level.limit, level.available


class TestDays:
    """A day's limit, and what is said of it."""

    @pytest.mark.parametrize(
        ("limit", "rest", "expected"),
        [
            # what flowed in since the last reading, or since the start
            (1_000, {}, (1_000, 980 + 0.1 * 1_000 / 86_400)),
            (20_000, {}, (14_400, 14_380 + 2 * 14_400 / 86_400)),  # less was asked for
            # 600 every two hours are 7,200 a day, of which 600 may go at once
            (600, {"window": 7_200.0, "period": 7_200.0}, (7_200, 580 + 0.1 * 600 / 7_200)),
            (0.5, {}, (14_400, 0)),  # nobody has such a limit
        ],
    )
    def test_a_day_told_is_a_day(
        self, limit: float, rest: dict[str, float], expected: tuple[float, float]
    ) -> None:
        """The lower of both limits counts, and what is left of it."""
        budget = LocalBudget(Limits(6_000, requests_per_day=14_400))
        assert told(budget, 0, 20, limit, limit, **rest) == pytest.approx(expected)

    def test_a_day_begins_again_when_the_provider_says_so(self) -> None:
        """300 were left, then 1,000."""
        budget = LocalBudget(Limits(6_000, requests_per_day=1_000))
        assert told(budget, 0, 20, 1_000, 300) == pytest.approx((1_000, 280 + 0.1 * 1_000 / 86_400))
        assert told(budget, 2, 20, 1_000, 1_000) == pytest.approx(
            (1_000, 980 + 0.1 * 1_000 / 86_400)
        )

    def test_a_day_of_less_than_the_provider_allows_is_kept_to(self) -> None:
        """A provider with a larger day gives back within minutes what the user's has spent."""
        budget = LocalBudget(Limits(6_000, requests_per_day=100))
        assert told(budget, 0, 40, 14_400, 14_400) == pytest.approx((100, 60 + 4 * 100 / 86_400))
        assert told(budget, 4, 40, 14_400, 14_400) == pytest.approx((100, 20 + 8 * 100 / 86_400))

    @pytest.mark.parametrize("dimension", ["requests", None])
    def test_a_refusal_about_the_minute_leaves_the_day_alone(self, dimension: str | None) -> None:
        """Whether it names the minute or nothing at all."""
        budget = LocalBudget(Limits(6_000, requests_per_day=1_000))
        told(budget, 0, 20, 1_000, 1_000)
        now = 10.0
        for _ in range(20):
            reservation, now = reserve_in_time(budget, now)
            budget.report(
                reservation,
                refused(0.1, dimension=dimension),
                now,
                resumes_at=now + 0.1,
                is_new_episode=True,
            )
            now += 1
        day = budget.levels(now)[1]
        assert day.limit == 1_000
        assert now == pytest.approx(30)
        assert day.available == pytest.approx(960 + 28.1 * 1_000 / 86_400)

    def test_a_day_told_in_the_text_of_a_refusal_stays_told(self) -> None:
        """Nobody tries out every few seconds whether it has risen meanwhile."""
        budget = LocalBudget(Limits(6_000, requests_per_day=14_400))
        feedback = refused(
            86.0, Reading("requests", 0.0, 1_000.0, 86_400.0), dimension="requests_per_day"
        )
        budget.report(reserve(budget, 0), feedback, 0, resumes_at=86, is_new_episode=True)
        for minute in range(100):
            budget.levels(60.0 * minute)
        _, now = reserve_in_time(budget, 6_000)
        assert now == 6_000
        day = budget.levels(now)[1]
        assert day.limit == 1_000
        # 100 minutes of it, less the request that has just gone
        assert day.available == pytest.approx(100 * 60 * 1_000 / 86_400 - 1)


def test_many_threads_spend_exactly_what_is_there() -> None:
    """Eight threads take what they can at one instant: 1,000 of 1,000 and not one more."""
    budget = LocalBudget(Limits(1_000, None, burst_seconds=60))
    budget.report(reserve(budget, 0), answered(), 0)  # what is held back at first is free now
    left = available(budget, 0)
    taken: list[Reservation] = []

    def spend() -> None:
        while isinstance(reserved := budget.reserve(Cost(1), 0), Reservation):
            taken.append(reserved)

    threads = [threading.Thread(target=spend) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert left == 999
    assert len(taken) == len({one.number for one in taken}) == 999
    assert budget.levels(0)[0].spent == 1_000


@settings(deadline=None, max_examples=60)
@given(
    costs=st.lists(st.integers(1, 900), min_size=1, max_size=60),
    rpm=st.integers(30, 6000),
    tpm=st.integers(1000, 60_000),
    burst=st.floats(0, 5),
)
def test_no_window_ever_exceeds_burst_plus_rate(
    costs: list[int], rpm: int, tpm: int, burst: float
) -> None:
    """A law for any mix: within both limits in every window, and without idling."""
    limits = Limits(rpm, tpm, burst_seconds=burst)
    times = times_of(limits, costs)
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
