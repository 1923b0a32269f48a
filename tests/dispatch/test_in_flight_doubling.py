"""The number in flight while it doubles, beside errors that come at any speed."""

from __future__ import annotations

from ratedispatch.limits import Limits
from ratedispatch.request import CHAT
from ratedispatch.simulate.forecast.engine_play import play_engine
from ratedispatch.simulate.forecast.scene import Scene
from ratedispatch.simulate.forecast.workload import Kind, Row, Workload
from ratedispatch.simulate.settings import ProviderSettings


def test_a_few_refusals_do_not_end_the_doubling() -> None:
    """
    A deep bucket wants hundreds in flight, and three requests in a hundred are told to slow down.

    Two such refusals among the first of 64 that left together were once taken for a server that
    is full: with three of these seeds the number stayed at 128.
    """
    rows = Workload()
    kind = rows.index_of(Kind(CHAT, "gpt-4o-mini"))
    for number in range(600):
        rows.add(Row(kind, 20 + number % 100, 18, 20 + number % 100, 18))
    limits = Limits(requests_per_minute=6_000, tokens_per_minute=280_000)
    provider = ProviderSettings.like(
        limits, burst_seconds=30, latency=0.9, latency_sigma=0.2, faults={"slow_down": 0.03}
    )
    peaks = [
        play_engine(rows, Scene(limits=limits, provider=provider), seed=seed).in_flight_peak
        for seed in (2, 4, 5, 8)
    ]
    assert peaks == [256] * 4
