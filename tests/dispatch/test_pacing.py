"""At the limit, without refusals: seeded runs in virtual time."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from ratedispatch.events import AttemptSent
from ratedispatch.limits import Limits
from ratedispatch.simulate.settings import ProviderSettings
from tests.dispatch.world import chat, play

if TYPE_CHECKING:
    from ratedispatch.request import Request
    from ratedispatch.simulate.play import Played

SHALLOW = ProviderSettings(
    requests_per_minute=3000, tokens_per_minute=2e6, burst_seconds=1, latency=0.2, latency_sigma=0.3
)


def test_a_bucket_one_second_deep_is_used_at_its_rate_without_a_refusal() -> None:
    """1,500 at 3,000 RPM: (1500 - 50) / 50 + 0.2 = 29.2 s is the least; it takes 29.57 s."""
    trace = play((chat(i) for i in range(1500)), Limits(3000, 2e6), SHALLOW)
    assert len(trace.answered) == len(set(trace.answered)) == 1500
    assert trace.refused == 0
    assert trace.stats["makespan"] == pytest.approx(29.430321)


def test_a_long_latency_does_not_slow_the_rate() -> None:
    """10 s each at 50 a second is 500 in flight; the least is 29 + 10 = 39 s."""
    settings = ProviderSettings(
        requests_per_minute=3000, burst_seconds=1, latency=10, latency_sigma=0
    )
    trace = play((chat(i) for i in range(1500)), Limits(3000, 2e6), settings)
    assert trace.refused == 0
    assert trace.stats["makespan"] == pytest.approx(39.3)


def mixed(count: int) -> list[Request]:
    rng = random.Random(5)
    return [chat(i, min(4000, max(1, int(rng.lognormvariate(5.3, 1))))) for i in range(count)]


def test_tokens_bind_and_a_deeper_bucket_is_found_and_used() -> None:
    """Long and short mixed; the provider's five seconds of burst are proven by its headers."""
    requests = mixed(400)
    settings = ProviderSettings(
        requests_per_minute=30_000, tokens_per_minute=265_000, burst_seconds=5, latency=0.2
    )
    trace = play(requests, Limits(30_000, 265_000), settings)
    rate = 265_000 / 60
    least = (trace.stats["tokens_charged"] - 5 * rate) / rate + 0.2
    assert len(trace.answered) == 400
    assert trace.refused == 0
    assert trace.stats["makespan"] == pytest.approx(28.3506615)
    assert least == pytest.approx(28.254792)


def test_no_large_request_waits_longer_than_its_place_explains() -> None:
    """First come, first served: a law for each of 300, so it has a bound."""
    requests = [chat(i, 3000 if i % 10 == 5 else 60) for i in range(300)]
    settings = ProviderSettings(
        requests_per_minute=30_000, tokens_per_minute=265_000, burst_seconds=5, latency=0.2
    )
    trace = play(requests, Limits(30_000, 265_000, burst_seconds=5), settings)
    before = 0.0
    burst = 5 * 265_000 / 60
    for event in trace.events:
        if isinstance(event, AttemptSent):
            explained = max(0.2, (before + event.cost.tokens - burst) / (265_000 / 60))
            assert event.at <= 1.5 * explained
            before += event.cost.tokens
    assert trace.refused == 0


def test_a_full_minute_that_has_piled_up_is_spent_at_once() -> None:
    """2,500 requests against a full bucket of 3,000: seconds rather than fifty."""
    settings = ProviderSettings(requests_per_minute=3000, burst_seconds=60, latency=0.2)
    trace = play((chat(i) for i in range(2500)), Limits(3000, 2e6), settings)
    assert len(trace.answered) == 2500
    assert trace.refused == 0
    assert trace.stats["makespan"] == pytest.approx(2.0901476)


def signature(trace: Played) -> list[tuple[str | None, float, int]]:
    return [
        (event.request.custom_id, event.at, event.attempt)
        for event in trace.events
        if isinstance(event, AttemptSent)
    ]


def test_the_same_seed_gives_the_same_trace() -> None:
    """Faults, jitter and latencies included: the loop is the only clock."""
    settings = ProviderSettings(
        requests_per_minute=3000,
        burst_seconds=1,
        latency=0.2,
        latency_sigma=0.3,
        faults={"500": 0.1, "reset": 0.05, "429": 0.02},
    )

    def run(seed: int) -> list[tuple[str | None, float, int]]:
        return signature(
            play((chat(i) for i in range(200)), Limits(3000, 2e6), settings, seed=seed)
        )

    assert run(3) == run(3)
    assert run(3) != run(4)


@pytest.mark.parametrize(
    ("limits", "peak"),
    [(Limits(), 10), (Limits(requests_per_minute=600), 8), (Limits(None, 60_000), 10)],
)
def test_a_dimension_without_a_limit_does_not_bind(limits: Limits, peak: int) -> None:
    """None means not limited; ten may be in flight."""
    trace = play((chat(i) for i in range(50)), limits, max_in_flight=10)
    assert len(trace.answered) == 50
    assert trace.stats["in_flight_peak"] == peak


def test_a_large_request_behind_a_spent_pile_is_saved_up_for() -> None:
    """
    Rows larger than the burst, against a minute of tokens that has just been spent.

    A request that went into debt as soon as the burst was full was refused here: the provider's
    bucket holds a minute, but no longer anything.
    """
    requests = mixed(600)
    settings = ProviderSettings(
        requests_per_minute=3000, tokens_per_minute=100_000, burst_seconds=60, latency=0.2
    )
    trace = play(requests, Limits(3000, 100_000), settings)
    least = (trace.stats["tokens_charged"] - 100_000) / (100_000 / 60) + 0.2
    assert (
        max(event.cost.tokens for event in trace.events if isinstance(event, AttemptSent)) == 5019
    )
    assert trace.refused == 0
    assert trace.stats["makespan"] == pytest.approx(70.8104006)
    assert least == pytest.approx(70.716800)
