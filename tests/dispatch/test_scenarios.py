"""
The queue against providers that are not as the user thinks: seeded, exact, in virtual time.

The workload is 1,500 short requests at 3,000 per minute, unless a test says otherwise; answers
take 0.2 s, log-normal with sigma 0.3. `benchmarks/live/adaptation.py` shows the same over HTTP.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ratedispatch.events import AttemptEnded, AttemptSent, LimitChanged
from ratedispatch.groups import LimitGroup, LimitGroups
from ratedispatch.limits import Limits
from ratedispatch.providers.azure import PROVISIONED as AZURE_PROVISIONED
from ratedispatch.simulate.settings import ProviderSettings
from tests.dispatch.world import chat, play

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ratedispatch.request import Request
    from ratedispatch.simulate.play import Played

LIMITS = Limits(3000, 2e6)
PER_SECOND = 50


def provider(**settings: Any) -> ProviderSettings:
    """Return a provider of 3,000 RPM and 2M TPM; 60 s deep unless told."""
    usual: dict[str, Any] = {"requests_per_minute": 3000, "tokens_per_minute": 2e6}
    return ProviderSettings(**{**usual, "latency": 0.2, "latency_sigma": 0.3, **settings})


def rows(count: int = 1500) -> Iterator[Request]:
    return (chat(i) for i in range(count))


def admitted(trace: Played, first: int, last: int) -> float:
    """What was admitted a second, from second *first* to the one before *last*."""
    return float(sum(trace.stats["per_second"]["admitted"][first:last])) / (last - first)


def everything_is_answered(trace: Played, count: int = 1500) -> bool:
    return len(set(trace.answered)) == len(trace.answered) == count and not trace.failed


def test_a_full_minute_is_spent_within_seconds() -> None:
    """2,500 requests against 3,000 that have piled up: not fifty seconds, but one and a half."""
    trace = play(rows(2500), LIMITS, provider())
    assert everything_is_answered(trace, 2500)
    assert trace.refused == 0
    assert trace.stats["makespan"] == pytest.approx(1.4157630)


@pytest.mark.parametrize(
    ("advice", "seconds"), [("ms", 30.4290929), ("seconds", 30.4251506), ("none", 30.4290929)]
)
def test_an_empty_bucket_costs_a_handful_of_refusals(advice: str, seconds: float) -> None:
    """The bucket is a minute deep but empty when we come: 30 s is the least."""
    trace = play(rows(), LIMITS, provider(start="empty", retry_after=advice))
    assert everything_is_answered(trace)
    assert trace.refused == 5
    assert trace.stats["makespan"] == pytest.approx(seconds)


@pytest.mark.parametrize(("seed", "seconds"), [(1, 29.4303211), (2, 29.3873469), (3, 29.3688664)])
def test_a_shallow_bucket_is_never_overrun(seed: int, seconds: float) -> None:
    """29.2 s is the least."""
    trace = play(rows(), LIMITS, provider(burst_seconds=1), seed=seed)
    assert everything_is_answered(trace)
    assert trace.refused == 0
    assert trace.stats["makespan"] == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("window", "headers", "seconds"),
    [
        ("sliding", True, 122.3541934),
        ("sliding", False, 120.3905632),
        ("fixed", True, 122.3707713),
        ("fixed", False, 120.3904689),
    ],
)
def test_strict_windows_are_paced_steadily(window: str, headers: bool, seconds: float) -> None:
    """A log of 60 s; and Azure's minute, of which requests are checked each second too: 120 s."""
    strict = provider(
        requests_per_minute=600, tokens_per_minute=4e5, window=window, headers=headers
    )
    trace = play(rows(1200), Limits(600, 4e5), strict)
    assert everything_is_answered(trace, 1200)
    assert trace.refused == 1
    assert trace.stats["makespan"] == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("settings", "refused", "per_second"),
    [
        ({}, 0, 25),
        ({"headers": False}, 4, 25.03125),
        ({"headers": False, "numbers": False}, 6, 25),
        ({"headers": False, "numbers": False, "retry_after": "seconds"}, 3, 24.1142857),
        ({"headers": False, "numbers": False, "retry_after": "none"}, 4, 25.0625),
    ],
    ids=["told", "silent", "mute", "mute, whole seconds", "mute, no advice"],
)
def test_halved_limits_are_found_and_used(
    settings: dict[str, Any], refused: int, per_second: float
) -> None:
    """From 10 s after the change, all of the new limit, whether anybody says it or not."""
    changed = provider(burst_seconds=1, changes=((8.0, 1500.0, 1e6),), **settings)
    trace = play(rows(), LIMITS, changed)
    assert everything_is_answered(trace)
    assert trace.refused == refused
    end = len(trace.stats["per_second"]["admitted"]) - 1
    assert admitted(trace, 18, end) == pytest.approx(per_second)
    if not settings:
        news = [event for event in trace.events if isinstance(event, LimitChanged)]
        assert [(event.rate.dimension, event.rate.per_minute) for event in news] == [
            ("requests", 1500),
            ("tokens", 1e6),
        ]


def test_a_limit_that_is_lifted_again_is_used_again() -> None:
    """Adopted down, and up again as soon as the headers say so."""
    changes = ((4.0, 1500.0, 1e6), (12.0, 3000.0, 2e6))
    trace = play(rows(), LIMITS, provider(burst_seconds=1, changes=changes))
    assert everything_is_answered(trace)
    assert trace.refused == 0
    assert admitted(trace, 6, 12) == 25
    assert admitted(trace, 15, 25) == 50


def test_a_higher_limit_than_the_users_own_is_not_used() -> None:
    """1,200 a minute are there, 600 were asked for: a minute's worth ahead, then 39 s."""
    higher = provider(requests_per_minute=1200, tokens_per_minute=8e5)
    trace = play(rows(1000), Limits(600, 4e5), higher)
    assert everything_is_answered(trace, 1000)
    assert trace.stats["makespan"] == pytest.approx(39.5759632)


@pytest.mark.parametrize(
    ("depth", "start", "refused", "per_second"),
    [
        (1, "full", 2, 50.1097561),
        (1, "empty", 7, 50.1071429),
        (60, "full", 2, 50),
        (60, "empty", 7, 50),
    ],
)
def test_what_another_client_takes_is_left_to_it(
    depth: int, start: str, refused: int, per_second: float
) -> None:
    """Half of the limit from 5 s on: together at the limit, and hardly ever refused."""
    count = 2400 if depth == 1 else 5000
    shared = provider(burst_seconds=depth, start=start, competitor=((5.0, 1500.0),))
    trace = play(rows(count), LIMITS, shared)
    assert everything_is_answered(trace, count)
    assert trace.refused == refused
    end = len(trace.stats["per_second"]["admitted"]) - 2
    begin = 6 if depth == 1 else end - 20  # when what had piled up is spent
    theirs = trace.stats["competitor"]
    both = admitted(trace, begin, end) + 25 * theirs["admitted"] / (
        theirs["admitted"] + theirs["refused"]
    )
    assert both == pytest.approx(per_second)


@pytest.mark.parametrize("numbers", [True, False])
@pytest.mark.parametrize(
    ("advice", "probes", "goes_on"),
    [("ms", 1, 13.0740695), ("seconds", 1, 13.0842039), ("none", 8, 13.7232338)],
)
def test_an_outage_is_one_pause_not_a_storm(
    advice: str, probes: int, goes_on: float, numbers: bool
) -> None:
    """Five seconds of 429: a few probes, no row fails, and it goes on within a second."""
    down = provider(burst_seconds=1, outage=(8.0, 5.0), retry_after=advice, numbers=numbers)
    trace = play(rows(), LIMITS, down)
    assert everything_is_answered(trace)
    sent = [event.at for event in trace.events if isinstance(event, AttemptSent)]
    assert sum(8 < at < 13 for at in sent) == probes
    assert min(at for at in sent if at >= 13) == pytest.approx(goes_on)


@pytest.mark.parametrize("depth", [1, 60])
@pytest.mark.parametrize(
    "settings", [{"header_factor": 10.0}, {"header_factor": 0.1}, {"headers": False}]
)
def test_headers_that_lie_do_no_harm(settings: dict[str, Any], depth: float) -> None:
    """Tenfold too much, a tenth, or nothing at all: never worse than the user's own limits."""
    trace = play(rows(), LIMITS, provider(burst_seconds=depth, **settings))
    assert everything_is_answered(trace)
    assert trace.refused == 0
    # those that say tenfold, of a bucket that is a minute deep, are right that there is more
    is_deeper = depth == 60 and settings.get("header_factor") == 10
    assert trace.stats["makespan"] == pytest.approx(20.2919404 if is_deeper else 29.5713128)


@pytest.mark.parametrize(("seed", "seconds"), [(1, 29.6283683), (2, 29.6741887), (3, 29.4798705)])
def test_limits_that_are_learned_are_as_good_as_known_ones(seed: int, seconds: float) -> None:
    """Known ones take 29.57, 29.54 and 29.51 s."""
    trace = play(rows(), Limits("auto", "auto"), provider(burst_seconds=1), seed=seed)
    assert everything_is_answered(trace)
    assert trace.refused == 0
    assert trace.stats["makespan"] == pytest.approx(seconds)
    learned = {
        event.rate.dimension: event.rate.per_minute
        for event in trace.events
        if isinstance(event, LimitChanged)
    }
    assert learned == {"requests": 3000, "tokens": 2e6}


def test_limits_that_nobody_says_are_learned_from_refusals() -> None:
    """One of them is enough."""
    trace = play(rows(), Limits("auto", "auto"), provider(burst_seconds=1, headers=False))
    assert everything_is_answered(trace)
    assert trace.refused == 1
    assert trace.stats["makespan"] == pytest.approx(30.2298061)


@pytest.mark.parametrize(
    ("depth", "policy", "per_second"),
    [
        pytest.param(5, None, 5048.51282, id="5 s, found out"),
        pytest.param(5, AZURE_PROVISIONED, 5000.34615, id="5 s, known"),
        pytest.param(60, None, 5512.87129, id="60 s, found out"),
        pytest.param(60, AZURE_PROVISIONED, 5524.35644, id="60 s, known"),
    ],
)
def test_what_a_provider_gives_back_is_used(depth: float, policy: Any, per_second: float) -> None:
    """Caps of 1,000 tokens, real outputs of 200: the 5,000 tokens a second are really used."""
    limits = Limits(30_000, 300_000)
    settling = provider(
        requests_per_minute=30_000,
        tokens_per_minute=300_000,
        burst_seconds=depth,
        refund=True,
        output_tokens=200,
        latency=2.0,
    )
    count = 1500 if depth == 5 else 3000
    trace = play((chat(i, 80, 1000) for i in range(count)), limits, settling, policy=policy)
    assert everything_is_answered(trace, count)
    assert trace.refused == 0
    actual = trace.stats["per_second"]["tokens_actual"]
    begin, total = 0, 0.0
    while total < 5000 * depth:  # until what had piled up is spent
        total += actual[begin]
        begin += 1
    begin = max(begin, 5)
    used = sum(actual[begin:-3]) / (len(actual) - 3 - begin)
    assert used == pytest.approx(per_second)


def test_a_paused_group_does_not_hold_up_another() -> None:
    """One model is refused for 30 s; the other keeps its own limit meanwhile."""
    half = Limits(1500, 1e6)
    groups = LimitGroups(
        (LimitGroup("a", ("gpt-4o",), half), LimitGroup("b", ("gpt-4o-mini",), half))
    )
    settings = ProviderSettings(
        models={"gpt-4o": (1500, 1e6), "gpt-4o-mini": (1500, 1e6)},
        burst_seconds=1,
        outage=(8.0, 30.0),
        outage_model="gpt-4o",
    )
    requests = (chat(i, model=("gpt-4o", "gpt-4o-mini")[i % 2]) for i in range(2200))
    trace = play(requests, groups, settings)
    assert everything_is_answered(trace, 2200)
    other = trace.stats["by_model"]["gpt-4o-mini"]["per_second_admitted"]
    assert sum(other[9:38]) / 29 == 25
    assert trace.refused == 1


def latency_of(trace: Played, share: float) -> float:
    ended = (event for event in trace.events if isinstance(event, AttemptEnded))
    latencies = sorted(event.latency for event in ended)
    return latencies[int(share * len(latencies))]


def test_the_best_number_in_flight_is_found() -> None:
    """64 places, which nobody says: hardly slower than at 64, and no latency that runs away."""
    settings = ProviderSettings(engine_slots=64, latency=1.0)
    trace = play(rows(4000), Limits(), settings, max_in_flight="auto")
    best = play(rows(4000), Limits(), settings, max_in_flight=64)
    assert everything_is_answered(trace, 4000)
    assert trace.stats["makespan"] == pytest.approx(70.3401322)
    assert best.stats["makespan"] == pytest.approx(66.8884520)
    assert latency_of(trace, 0.95) == pytest.approx(2.0011451)
    assert latency_of(best, 0.95) == pytest.approx(1.6239521)


def test_a_full_queue_means_fewer_at_once() -> None:
    """16 places, 8 may wait, the rest gets 503: few of those, and no time lost."""
    settings = ProviderSettings(engine_slots=16, queue=8, latency=0.5)
    trace = play(rows(3000), Limits("auto", "auto"), settings, max_in_flight=None)
    assert everything_is_answered(trace, 3000)
    assert trace.stats["refused"]["queue_full"] == 8
    assert trace.stats["makespan"] == pytest.approx(99.0459381)  # 3,000 / 16 × 0.5 = 93.75 s
