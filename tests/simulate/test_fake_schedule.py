"""What happens at a provider by itself: limits that change, another client's requests."""

from __future__ import annotations

import random
from dataclasses import astuple

import pytest

from ratedispatch.simulate.provider.schedule import make_events
from ratedispatch.simulate.settings import ProviderSettings
from tests.simulate.providers import ask, chat, make_provider


def test_events_come_in_order_of_time_and_changes_first() -> None:
    """Evenly spaced from the first instant on, until the next rate; none at rate zero."""
    settings = ProviderSettings(
        changes=((2.0, 5, None), (100.0, None, 7)),
        competitor=((1.0, 60), (4.0, 0), (10.0, 30), (13.0, 0)),
    )
    assert [(event.at, event.limits) for event in make_events(settings, 1000.0)] == [
        (1001.0, None),
        (1002.0, (5, None)),
        (1002.0, None),
        (1003.0, None),
        (1010.0, None),
        (1012.0, None),
        (1100.0, (None, 7)),
    ]


def test_limits_change_at_their_instant_however_late_one_looks() -> None:
    """What came before is at the old rate, what came after at the new one."""
    provider = make_provider(requests_per_minute=60, changes=((10.0, 6, None),))
    for _ in range(60):
        assert ask(provider, chat()).status == 200
    # ten came at the old rate, of which the new bucket holds six
    assert [ask(provider, chat(), 30.0).status for _ in range(7)] == [200] * 6 + [429]
    slow = make_provider(requests_per_minute=60, changes=((3.0, 30, None),))
    for _ in range(60):
        ask(slow, chat())
    # 3 at one a second, then 2 at one every two seconds
    assert [ask(slow, chat(), 7.0).status for _ in range(6)] == [200] * 5 + [429]


def test_a_change_holds_from_its_very_instant() -> None:
    """Headers and refusals of a request at that instant know it; those before do not."""
    provider = make_provider(
        tokens_per_minute=6000, changes=((5.0, 2, 600), (8.0, None, None), (9.0, 1, 1000))
    )
    assert ask(provider, chat(), 4.999).headers["x-ratelimit-limit-tokens"] == "6000"
    reply = ask(provider, chat(), 5.0)
    assert reply.headers["x-ratelimit-limit-tokens"] == "600"
    assert reply.headers["x-ratelimit-limit-requests"] == "2"
    assert not [name for name in ask(provider, chat(), 8.0).headers if "ratelimit" in name]
    assert ask(provider, chat(), 9.0).headers["x-ratelimit-limit-requests"] == "1"


def test_who_changes_limits_by_hand_does_so_after_what_was_due() -> None:
    """The later one holds; whoever watches hears of both, in order."""
    provider = make_provider(requests_per_minute=60, changes=((5.0, 30, None),))
    heard = []
    provider.on_limits = lambda limits, now: heard.append((limits["requests"], now))
    provider.set_limits(20, None, 7.0)
    assert provider.limits["requests"] == 20
    assert heard == [(30, 5.0), (20, 7.0)]


def test_what_is_given_back_comes_after_a_change_that_was_due() -> None:
    """A tenth of the limit leaves no room for what the old one had taken."""
    provider = make_provider(
        tokens_per_minute=1000, refund=True, output_tokens=10, changes=((1.0, None, 100),)
    )
    reply = ask(provider, chat(4, max_tokens=97))
    assert provider.finish(reply, 2.0) == 87
    assert ask(provider, chat(4, max_tokens=7), 2.0).headers["x-ratelimit-remaining-tokens"] == "90"


def test_another_client_draws_from_the_same_windows() -> None:
    """It takes what is there when its turn comes, and what it does not get is gone."""
    provider = make_provider(
        requests_per_minute=60,
        tokens_per_minute=6000,
        competitor=((10.0, 120),),
        competitor_tokens=100,
    )
    for _ in range(60):
        ask(provider, chat(4, max_tokens=1))
    assert ask(provider, chat(4, max_tokens=1), 9.9).status == 200
    # at 10.0 there are 9 left: 9 + 1 a second, and two tries a second
    assert ask(provider, chat(4, max_tokens=1), 28.9).status == 429
    assert provider.competitor.admitted == 27
    assert provider.competitor.refused == 38 - 27
    assert provider.competitor.tokens == 2700


def test_another_client_is_the_same_however_often_one_looks() -> None:
    """Looking a hundred times or once makes no difference to its books."""
    books = []
    for step in (0.05, 7.0):
        provider = make_provider(requests_per_minute=12, competitor=((1.0, 50), (20.0, 20)))
        now = 0.0
        while now < 42.0:
            now += step
            provider.catch_up(now)
        provider.catch_up(42.0)
        books.append(astuple(provider.competitor))
    assert books[0] == books[1]
    # of 16 until 19 s the last finds 0.6 left; of 8 from 20 s on those at 20, 29 and 35 s fail
    assert books[0] == (20, 4, 1000)


def test_another_client_is_refused_what_its_own_are() -> None:
    """Too large, in an outage of all models, and counted when refusals count."""
    large = make_provider(tokens_per_minute=40, competitor=((0.0, 60),))
    large.catch_up(2.0)
    assert astuple(large.competitor) == (0, 3, 0)
    out = make_provider(outage=(1.0, 2.0), competitor=((0.0, 60),))
    out.catch_up(4.0)
    assert astuple(out.competitor) == (3, 2, 150)
    other_model = make_provider(outage=(1.0, 2.0), outage_model="m", competitor=((0.0, 60),))
    other_model.catch_up(4.0)
    assert other_model.competitor.admitted == 5
    counted = make_provider(requests_per_minute=1, competitor=((0.0, 600),), refusals_count=True)
    assert ask(counted, chat(), 90.0).status == 429
    assert counted.competitor.admitted == 1


def test_another_client_shifts_no_chance() -> None:
    """Latencies of admitted requests are the same with it."""
    delays = []
    for others in ((), ((0.0, 600.0),)):
        provider = make_provider(3, latency_sigma=0.3, competitor=others)
        delays.append([ask(provider, chat(), now).delay for now in range(20)])
    assert delays[0] == delays[1]


@pytest.mark.parametrize("window", ["bucket", "sliding", "fixed"])
def test_no_window_runs_backwards(window: str) -> None:
    """With arrivals and events mixed at random, together they never exceed bucket and refill."""
    rng = random.Random(5)
    provider = make_provider(requests_per_minute=60, window=window, competitor=((3.0, 45),))
    now, admitted = 0.0, 0
    while now < 60.0:
        now += rng.expovariate(2.0)
        admitted += ask(provider, chat(), now).status == 200
    assert admitted + provider.competitor.admitted <= 60 + now
