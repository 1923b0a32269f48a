"""Several budgets that share a store, in exact instants."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from ratedispatch import Cost, Limits
from ratedispatch.limits import Reading
from ratedispatch.pacing.budget import NotUntil, Reservation
from ratedispatch.pacing.feedback import End, Feedback, LimitChange, SharingChange
from ratedispatch.pacing.shared.memory_store import SharedRecord
from ratedispatch.pacing.shared.shared_budget import SharedBudget

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ratedispatch.pacing.shared.store import Note, Sheet, StoreGone

#: Ten a second, and one at once.
LIMITS = Limits(600, None, burst_seconds=0.1)
ONE = Cost(0)


def budgets(count: int, limits: Limits = LIMITS) -> tuple[SharedRecord, list[SharedBudget]]:
    """Return so many members of one store."""
    shared = SharedRecord()
    return shared, [SharedBudget(limits, shared.join()) for _ in range(count)]


def reserve(budget: SharedBudget, now: float) -> Reservation:
    """Return what *budget* gives at once."""
    reserved = budget.reserve(ONE, now)
    assert isinstance(reserved, Reservation)
    return reserved


def wait(budget: SharedBudget, now: float) -> float:
    """Return the seconds that *budget* asks to wait."""
    reserved = budget.reserve(ONE, now)
    assert isinstance(reserved, NotUntil)
    return reserved.wait


def granted_in(members: Sequence[SharedBudget], since: float, until: float) -> int:
    """Let all *members* ask a hundred times a second; return how often one was given something."""
    sent = 0
    for tick in range(round(since * 100) + 1, round(until * 100) + 1):
        for member in members:
            sent += isinstance(member.reserve(ONE, tick / 100), Reservation)
    return sent


def said(budget: SharedBudget) -> list[str]:
    """Return what *budget* says of the store, in key words."""
    words = ("no other process", "cannot be reached", "can be reached again")
    texts = [one.text for one in budget.membership.changes if isinstance(one, SharingChange)]
    return [word for text in texts for word in words if word in text]


def test_one_that_only_leaves_counts_nobody() -> None:
    """It had nothing to send, and is not among those who are counted."""
    _, (one, two) = budgets(2)
    one.close(0.0)
    assert one.membership.members == 0
    assert said(one) == []
    reserve(two, 0.0)
    assert said(two) == ["no other process"]


class TestLine:
    def test_heads_of_several_queues_go_first_come_first_served(self) -> None:
        """Each a tenth of a second after the one before, whoever asks again in between."""
        _, (one, two, three) = budgets(3)
        reserve(one, 0.0)
        assert wait(two, 0.0) == pytest.approx(0.1)
        assert wait(three, 0.01) == pytest.approx(0.19)
        assert wait(one, 0.02) == pytest.approx(0.28)
        assert wait(two, 0.05) == pytest.approx(0.05)
        assert reserve(two, 0.1).at == 0.1
        assert reserve(three, 0.2).at == 0.2
        assert reserve(one, 0.3).at == 0.3

    def test_one_that_is_alone_needs_no_ticket(self) -> None:
        """It spends from its copy, and tells the store ten times a second."""
        shared, (one,) = budgets(1, Limits(6000, None, burst_seconds=1))
        for number in range(50):
            reserve(one, 1 + 0.01 * number)
        told = shared.record.limits["requests"].totals[0]
        assert told == 41
        assert shared.record.members[1].held["requests"] == 0

    def test_one_that_is_alone_looks_at_the_store_fifty_times_a_second(self) -> None:
        """Not for each request: a look costs as much as an admission."""
        _, (one,) = budgets(1, Limits(60_000, None, burst_seconds=1))
        looks = 0
        news = one.membership.store.news

        def look() -> float:
            nonlocal looks
            looks += 1
            return news()

        one.membership.store.news = look  # type: ignore[method-assign]
        for number in range(1000):
            reserve(one, 1 + 0.001 * number)
        assert looks == 41  # and ten notes, which need no look

    def test_one_that_is_alone_tells_of_a_burst_between_two_looks(self) -> None:
        """What flows in within a tenth of a second is the most that the store does not know of."""
        shared, (one,) = budgets(1, Limits(6000, None, burst_seconds=1))
        reserve(one, 0.0)
        for _ in range(40):
            reserve(one, 0.5)
        assert shared.record.limits["requests"].totals[0] == 34

    def test_one_that_comes_is_seen_at_the_next_look(self) -> None:
        """Then both stand in one line."""
        shared, (one, two) = budgets(2, Limits(6000, None, burst_seconds=1))
        reserve(one, 0.0)
        for number in range(10):
            reserve(one, 1 + 0.01 * number)
        reserve(two, 1.095)
        assert one.membership.wanting == 1
        reserve(one, 1.115)
        assert one.membership.wanting == 2
        assert shared.record.limits["requests"].totals[0] == 13

    def test_a_second_one_sees_what_the_first_has_spent_by_then(self) -> None:
        shared, (one, two) = budgets(2, Limits(600, None, burst_seconds=1))
        first = reserve(one, 0.0)
        for _ in range(3):
            reserve(one, 0.5)
        one.report(first, Feedback(End.ANSWERED), 0.7)
        assert shared.record.limits["requests"].totals[0] == 4
        reserve(two, 0.6)
        assert shared.record.limits["requests"].totals[0] == 5

    def test_a_ticket_serves_another_request_of_the_same_cost(self) -> None:
        _, (one, two) = budgets(2)
        reserve(one, 0.0)
        assert wait(two, 0.0) == pytest.approx(0.1)
        other = Cost(7)
        reserved = two.reserve(other, 0.1)
        assert isinstance(reserved, Reservation)
        assert reserved.cost is other

    def test_what_another_cost_does_not_need_comes_back(self) -> None:
        _, (one, two) = budgets(2, Limits(None, 60_000, burst_seconds=0.1))
        assert isinstance(one.reserve(Cost(100), 0.0), Reservation)
        large, small = two.reserve(Cost(1_000), 0.0), two.reserve(Cost(50), 0.0)
        assert isinstance(large, NotUntil)
        assert isinstance(small, NotUntil)
        assert small.wait == pytest.approx(0.05)

    def test_what_was_not_sent_comes_back_to_all(self) -> None:
        shared, (one, two) = budgets(2)
        reservation = reserve(one, 0.0)
        assert wait(two, 0.0) == pytest.approx(0.1)
        one.report(reservation, Feedback(End.UNSENT), 0.0)
        one.look(0.0)
        assert shared.record.limits["requests"].available == 0.0


class TestLeases:
    """From about 10,000 requests a minute on, who asks takes for some that follow, too."""

    LIMITS = Limits(30_000, 60_000_000, burst_seconds=0.01)  # 500 a second, 5 at once

    def test_an_exchange_pays_for_several_and_each_goes_in_its_time(self) -> None:
        shared, (one, two) = budgets(2, self.LIMITS)
        cost = Cost(100)
        one.reserve(cost, 0.0)
        two.reserve(cost, 0.0)
        one.reserve(cost, 0.0)
        before = shared.record.limits["requests"].totals[0]
        times: list[float] = []
        now = 0.0
        while len(times) < 200:
            now += 0.0005
            given = [member.reserve(cost, now) for member in (one, two)]
            times += [now for reserved in given if isinstance(reserved, Reservation)]
        assert times[-1] == pytest.approx(200 / 500, abs=0.03)
        assert max(b - a for a, b in itertools.pairwise(times)) <= 0.0041
        taken = shared.record.limits["requests"].totals[0] - before
        assert taken + 60 >= 200
        assert taken <= 200 + 2 * 25

    def test_what_nobody_needs_comes_back(self) -> None:
        _, (one, two) = budgets(2, self.LIMITS)
        cost = Cost(100)
        first = one.reserve(cost, 0.0)
        assert isinstance(first, Reservation)
        two.reserve(cost, 0.0)
        while not isinstance(second := one.reserve(cost, 0.01), Reservation):
            pass
        assert sum(one._line.held) > 0
        one.report(second, Feedback(End.ANSWERED), 0.5)
        assert sum(one._line.held) == 0

    def test_a_reading_counts_what_was_taken_before_its_request_and_no_more(self) -> None:
        """Marks are as if each request had asked for itself."""
        _, (one, two) = budgets(2, self.LIMITS)
        cost = Cost(100)
        one.reserve(cost, 0.0)
        two.reserve(cost, 0.0)
        marks: list[float] = []
        now = 0.0
        while len(marks) < 3:
            now += 0.0005
            reserved = one.reserve(cost, now)
            if isinstance(reserved, Reservation):
                marks.append(reserved.marks[0][0])
        assert [b - a for a, b in itertools.pairwise(marks)] == [1, 1]


class TestNews:
    def test_a_pause_of_one_is_a_pause_of_all_and_one_episode(self) -> None:
        _, (one, two) = budgets(2)
        paused: list[tuple[float, float]] = []

        def join(began: float, until: float) -> bool:
            paused.append((began, until))
            return len(paused) == 1

        two.on_pause = join
        reservation = reserve(one, 0.0)
        wait(two, 0.0)
        refused = Feedback(End.REFUSED, delay=3.0)
        one.report(reservation, refused, 0.05, resumes_at=3.05, is_new_episode=True)
        assert wait(two, 0.1) == pytest.approx(2.95)
        assert paused == [(0.05, 3.05)]

    def test_a_limit_that_one_is_told_is_a_limit_of_all(self) -> None:
        _, (one, two) = budgets(2, Limits("auto", None))
        wait_or_go = one.reserve(ONE, 0.0)
        assert isinstance(wait_or_go, Reservation)
        two.reserve(ONE, 0.0)
        told = Feedback(End.ANSWERED, readings=(Reading("requests", 299, 300, 60.0),))
        one.report(wait_or_go, told, 0.5)
        two.reserve(ONE, 0.6)
        assert two.levels(0.6)[0].per_minute == pytest.approx(300)
        changes = two.report(reserve(two, 10.0), Feedback(End.ANSWERED), 10.1)
        assert LimitChange in [type(change) for change in changes]

    def test_the_lowest_of_the_limits_that_users_have_set_counts_while_it_is_there(self) -> None:
        shared = SharedRecord()
        one = SharedBudget(Limits(600, None), shared.join())
        two = SharedBudget(Limits(300, None), shared.join())
        one.reserve(ONE, 0.0)
        two.reserve(ONE, 0.0)
        one.reserve(ONE, 0.0)
        assert one.levels(0.0)[0].per_minute == 300
        two.close(1.0)
        one.look(1.0)
        assert one.levels(1.0)[0].per_minute == 600


class TestFaults:
    def test_what_a_dead_one_holds_is_lost_for_two_seconds_at_most(self) -> None:
        """Its ticket comes first; who waits behind it moves up when it is given back."""
        shared, (one, two) = budgets(2)
        reserve(one, 0.0)
        for _ in range(3):
            wait(two, 0.0)
        record = shared.record.limits["requests"]
        assert record.available == pytest.approx(-1.0)
        one.look(2.5)
        assert shared.record.members[2].held == {}

    def test_one_that_was_stopped_takes_a_new_place(self) -> None:
        """It was silent for a minute: what it held was given to others."""
        _, (one, two) = budgets(2)
        reserve(one, 0.0)
        assert wait(two, 0.0) == pytest.approx(0.1)
        assert granted_in((one,), 0.0, 60.0) == 599  # one went before
        assert granted_in((one, two), 60.0, 70.0) == 100

    def test_without_the_store_each_has_its_share_and_says_so_once(self) -> None:
        shared, (one, two) = budgets(2)
        reserve(one, 0.0)
        wait(two, 0.0)
        wait(one, 0.0)
        shared.gone = "no route"
        assert granted_in((one, two), 0.0, 10.0) == 100
        assert said(one) == ["no other process", "cannot be reached"]
        shared.gone = None
        assert granted_in((one, two), 10.0, 20.0) == 101
        assert said(one) == ["no other process", "cannot be reached", "can be reached again"]

    def test_without_the_store_nobody_spends_what_an_answer_says_is_left_for_all(self) -> None:
        shared, members = budgets(4, Limits(600, None, burst_seconds=1))
        for member in (*members, *members):
            member.reserve(ONE, 0.0)
        shared.gone = "no route"
        left = Feedback(End.ANSWERED, readings=(Reading("requests", 500, 600, 60.0),))
        sent = 0
        for tick in range(1, 2001):
            for member in members:
                reserved = member.reserve(ONE, tick / 100)
                if isinstance(reserved, Reservation):
                    sent += 1
                    member.report(reserved, left, tick / 100)
        assert sent == 201

    def test_a_store_that_begins_anew_lets_nothing_through_twice(self) -> None:
        shared, (one, two) = budgets(2)
        reserve(one, 0.0)
        assert wait(two, 0.0) == pytest.approx(0.1)
        shared.begin_anew()
        assert granted_in((one, two), 0.0, 10.0) == 100


class OtherClock:
    """A member's store whose clock began long before that of the member."""

    is_remote = False
    name = "another clock"

    def __init__(self, shared: SharedRecord, ahead: float) -> None:
        self._near = shared.join()
        self._ahead = ahead

    def exchange(self, note: Note, reply: Callable[[Sheet | StoreGone], None]) -> None:
        """Write *note* at the store's own time."""
        self._near.exchange(note._replace(now=note.now + self._ahead), reply)

    def news(self) -> float:
        """Return what the store says."""
        return self._near.news()

    def redeemed(self) -> None:
        """Tell the store."""
        self._near.redeemed()

    def close(self) -> None:
        """Leave."""


def test_members_whose_clocks_have_different_zeros_pause_together() -> None:
    shared = SharedRecord()
    one = SharedBudget(LIMITS, OtherClock(shared, 1_000.0))
    two = SharedBudget(LIMITS, shared.join())
    two.on_pause = lambda began, until: True
    reservation = one.reserve(ONE, 0.0)
    assert isinstance(reservation, Reservation)
    wait(two, 1_000.0)
    one.report(
        reservation, Feedback(End.REFUSED, delay=3.0), 0.05, resumes_at=3.05, is_new_episode=True
    )
    assert wait(two, 1_000.1) == pytest.approx(2.95)
