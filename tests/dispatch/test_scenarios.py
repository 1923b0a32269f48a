"""
The line against providers that are not as the user thinks: seeded, exact, in virtual time.

The workload is 1,500 short requests at 3,000 per minute, unless a test says otherwise; answers
take 0.2 s, log-normal with sigma 0.3. `benchmarks/live/adaptation.py` shows the same over HTTP.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest

from ratedispatch.events import AttemptEnded, AttemptSent, LimitChanged
from ratedispatch.groups import Group, LimitGroups
from ratedispatch.limits import Limits
from ratedispatch.providers.charge import AZURE_PROVISIONED
from ratedispatch.simulate.settings import ProviderSettings
from tests.dispatch.world import Trace, chat, play

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ratedispatch.dispatch.dispatcher import Dispatcher
    from ratedispatch.request import Request
    from ratedispatch.simulate.transport import ProviderTransport

LIMITS = Limits(3000, 2e6)
PER_SECOND = 50


def provider(**settings: Any) -> ProviderSettings:
    """Return a provider of 3,000 RPM and 2M TPM; 60 s deep unless told."""
    usual: dict[str, Any] = {"requests_per_minute": 3000, "tokens_per_minute": 2e6}
    return ProviderSettings(**{**usual, "latency": 0.2, "latency_sigma": 0.3, **settings})


def rows(count: int = 1500) -> Iterator[Request]:
    return (chat(i) for i in range(count))


def share_refused(trace: Trace) -> float:
    return trace.refused / len(trace.answered)


def admitted(trace: Trace, first: int, last: int) -> float:
    """What was admitted a second, from second *first* to the one before *last*."""
    return float(sum(trace.stats["per_second"]["admitted"][first:last])) / (last - first)


def everything_is_answered(trace: Trace, count: int = 1500) -> bool:
    return len(set(trace.answered)) == len(trace.answered) == count and not trace.failed


def test_a_full_minute_is_spent_within_seconds() -> None:
    """2,500 requests against 3,000 that have piled up: not fifty seconds, but four."""
    trace = play(rows(2500), LIMITS, provider())
    assert everything_is_answered(trace, 2500)
    assert trace.refused == 0
    assert trace.stats["makespan"] <= 4.2


@pytest.mark.parametrize("advice", ["ms", "seconds", "none"])
def test_an_empty_bucket_costs_a_handful_of_refusals(advice: str) -> None:
    """The bucket is a minute deep but empty when we come: 30 s is the least."""
    trace = play(rows(), LIMITS, provider(start="empty", retry_after=advice))
    assert everything_is_answered(trace)
    assert share_refused(trace) <= 0.005
    assert trace.stats["makespan"] <= 1.05 * 30.2


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_shallow_bucket_is_never_overrun(seed: int) -> None:
    trace = play(rows(), LIMITS, provider(burst_seconds=1), seed=seed)
    assert everything_is_answered(trace)
    assert trace.refused == 0
    assert trace.stats["makespan"] <= 1.02 * 29.2


@pytest.mark.parametrize("headers", [True, False])
@pytest.mark.parametrize("window", ["sliding", "fixed"])
def test_strict_windows_are_paced_steadily(window: str, headers: bool) -> None:
    """A log of 60 s; and Azure's minute, of which requests are checked each second too."""
    trace = play(rows(6000), LIMITS, provider(window=window, headers=headers))
    assert everything_is_answered(trace, 6000)
    assert share_refused(trace) <= 0.005
    assert trace.stats["makespan"] <= 1.05 * 120


@pytest.mark.parametrize(
    ("settings", "most_refused"),
    [
        ({}, 0.02),
        ({"headers": False}, 0.05),
        ({"headers": False, "numbers": False}, 0.05),
        ({"headers": False, "numbers": False, "retry_after": "seconds"}, 0.05),
        ({"headers": False, "numbers": False, "retry_after": "none"}, 0.05),
    ],
    ids=["told", "silent", "mute", "mute, whole seconds", "mute, no advice"],
)
def test_halved_limits_are_found_and_used(settings: dict[str, Any], most_refused: float) -> None:
    """From 10 s after the change, 95 % of the new limit, whether anybody says it or not."""
    changed = provider(burst_seconds=1, changes=((8.0, 1500.0, 1e6),), **settings)
    trace = play(rows(), LIMITS, changed)
    assert everything_is_answered(trace)
    assert share_refused(trace) <= most_refused
    end = len(trace.stats["per_second"]["admitted"]) - 1
    assert admitted(trace, 18, end) >= 0.95 * PER_SECOND / 2
    if not settings:
        news = [event for event in trace.events if isinstance(event, LimitChanged)]
        assert [round(event.rate.per_minute) for event in news if event.rate.per_minute < 1e5] == [
            1500
        ]


def test_a_limit_that_is_lifted_again_is_used_again() -> None:
    """Adopted down, and up again as soon as the headers say so."""
    changes = ((4.0, 1500.0, 1e6), (12.0, 3000.0, 2e6))
    trace = play(rows(), LIMITS, provider(burst_seconds=1, changes=changes))
    assert everything_is_answered(trace)
    assert trace.refused == 0
    assert admitted(trace, 6, 12) == pytest.approx(25, rel=0.1)
    assert admitted(trace, 15, 25) == pytest.approx(50, rel=0.05)


def test_a_higher_limit_than_the_users_own_is_not_used() -> None:
    """6,000 a minute are there, 3,000 were asked for: a minute's worth ahead at the most."""
    higher = provider(requests_per_minute=6000, tokens_per_minute=4e6)
    trace = play(rows(5000), LIMITS, higher)
    assert everything_is_answered(trace, 5000)
    assert trace.stats["makespan"] >= (5000 - 3000 - 50) / PER_SECOND


@pytest.mark.parametrize("start", ["full", "empty"])
@pytest.mark.parametrize("depth", [1, 60])
def test_what_another_client_takes_is_left_to_it(depth: int, start: str) -> None:
    """Half of the limit from 5 s on: together at the limit, and hardly ever refused."""
    count = 2400 if depth == 1 else 5000
    shared = provider(burst_seconds=depth, start=start, others=((5.0, 1500.0),))
    trace = play(rows(count), LIMITS, shared)
    assert everything_is_answered(trace, count)
    assert share_refused(trace) <= 0.02
    end = len(trace.stats["per_second"]["admitted"]) - 2
    begin = 6 if depth == 1 else end - 20  # when what had piled up is spent
    theirs = trace.stats["others"]
    both = admitted(trace, begin, end) + 25 * theirs["admitted"] / (
        theirs["admitted"] + theirs["refused"]
    )
    assert both >= 0.95 * PER_SECOND


@pytest.mark.parametrize("numbers", [True, False])
@pytest.mark.parametrize("advice", ["ms", "seconds", "none"])
def test_an_outage_is_one_pause_not_a_storm(advice: str, numbers: bool) -> None:
    """Five seconds of 429: a few probes, no row fails, and it goes on within a second."""
    down = provider(burst_seconds=1, outage=(8.0, 5.0), retry_after=advice, numbers=numbers)
    trace = play(rows(), LIMITS, down)
    assert everything_is_answered(trace)
    sent = [event.at for event in trace.events if isinstance(event, AttemptSent)]
    assert sum(8 < at < 13 for at in sent) <= 20
    assert min(at for at in sent if at >= 13) <= 14


@pytest.mark.parametrize("depth", [1, 60])
@pytest.mark.parametrize(
    "settings", [{"header_factor": 10.0}, {"header_factor": 0.1}, {"headers": False}]
)
def test_headers_that_lie_do_no_harm(settings: dict[str, Any], depth: float) -> None:
    """Tenfold too much, a tenth, or nothing at all: never worse than the user's own limits."""
    trace = play(rows(), LIMITS, provider(burst_seconds=depth, **settings))
    assert everything_is_answered(trace)
    assert share_refused(trace) <= 0.005
    assert trace.stats["makespan"] <= 1.03 * 29.2


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_limits_that_are_learned_are_as_good_as_known_ones(seed: int) -> None:
    """Within 5 %, leaving out the first five seconds."""
    known = play(rows(), LIMITS, provider(burst_seconds=1), seed=seed)
    trace = play(rows(), Limits("auto", "auto"), provider(burst_seconds=1), seed=seed)
    assert everything_is_answered(trace)
    assert trace.refused == 0
    assert trace.stats["makespan"] - 5 <= 1.05 * (known.stats["makespan"] - 5)
    learned = {
        event.rate.dimension: event.rate.per_minute
        for event in trace.events
        if isinstance(event, LimitChanged)
    }
    assert learned == {"requests": 3000, "tokens": 2e6}


def test_limits_that_nobody_says_are_learned_from_refusals() -> None:
    trace = play(rows(), Limits("auto", "auto"), provider(burst_seconds=1, headers=False))
    assert everything_is_answered(trace)
    assert share_refused(trace) <= 0.01
    assert trace.stats["makespan"] <= 1.1 * 29.2


@pytest.mark.parametrize("policy", [None, AZURE_PROVISIONED], ids=["found out", "known"])
@pytest.mark.parametrize("depth", [5, 60])
def test_what_a_provider_gives_back_is_used(depth: float, policy: Any) -> None:
    """Caps of 1,000 tokens, real outputs of 200: 95 % of the limit in tokens really used."""
    limits = Limits(30_000, 300_000)
    settling = provider(
        requests_per_minute=30_000,
        tokens_per_minute=300_000,
        burst_seconds=depth,
        settle=True,
        output_tokens=200,
        latency=2.0,
    )
    count = 1500 if depth == 5 else 3000
    trace = play((chat(i, 80, 1000) for i in range(count)), limits, settling, policy=policy)
    assert everything_is_answered(trace, count)
    assert share_refused(trace) <= 0.005
    actual = trace.stats["per_second"]["tokens_actual"]
    begin, total = 0, 0.0
    while total < 5000 * depth:  # until what had piled up is spent
        total += actual[begin]
        begin += 1
    begin = max(begin, 5)
    used = sum(actual[begin:-3]) / (len(actual) - 3 - begin)
    assert used >= 0.95 * 5000


def test_a_paused_group_does_not_hold_up_another() -> None:
    """One model is refused for 30 s; the other keeps its own limit meanwhile."""
    half = Limits(1500, 1e6)
    groups = LimitGroups((Group("a", ("gpt-4o",), half), Group("b", ("gpt-4o-mini",), half)))
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
    assert sum(other[9:38]) / 29 >= 0.98 * 25
    assert trace.refused <= 5


def latency_of(trace: Trace, share: float) -> float:
    ended = (event for event in trace.events if isinstance(event, AttemptEnded))
    latencies = sorted(event.latency for event in ended)
    return latencies[int(share * len(latencies))]


def test_the_best_number_in_flight_is_found() -> None:
    """64 places, which nobody says: 90 % of the best throughput, no latency that runs away."""
    settings = ProviderSettings(slots=64, latency=1.0)
    trace = play(rows(4000), Limits(), settings, max_in_flight="auto")
    best = play(rows(4000), Limits(), settings, max_in_flight=64)
    assert everything_is_answered(trace, 4000)
    assert trace.stats["makespan"] <= 4000 / (64 / math.exp(0.3**2 / 2)) / 0.9
    assert latency_of(trace, 0.95) <= 2 * latency_of(best, 0.95)


def test_a_full_queue_means_fewer_at_once() -> None:
    """16 places, 8 may wait, the rest gets 503: few of those, and no time lost."""
    settings = ProviderSettings(slots=16, queue=8, latency=0.5)
    trace = play(rows(3000), Limits("auto", "auto"), settings, max_in_flight=None)
    assert everything_is_answered(trace, 3000)
    assert trace.stats["refused"]["queue_full"] <= 0.02 * 3000
    assert trace.stats["makespan"] <= 3000 / 16 * 0.5 * 1.15


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_slow_down_slows_down_and_rises_again(seed: int) -> None:
    """After one 503 "Slow Down" the line goes on more slowly, and is back within a minute."""

    def script(dispatcher: Dispatcher, transport: ProviderTransport) -> None:
        send = transport.send

        async def slowed(request: Request, timeout: float) -> Any:
            response = await send(request, timeout)
            if request.custom_id == "500":
                transport.send = send  # type: ignore[method-assign]
                body = {"error": {"message": "Slow Down", "code": "slow_down"}}
                return type(response)(503, {}, body)
            return response

        del dispatcher
        transport.send = slowed  # type: ignore[method-assign]

    trace = play(rows(3000), LIMITS, provider(burst_seconds=1), script=script, seed=seed)
    assert everything_is_answered(trace, 3000)
    struck = next(
        event.at
        for event in trace.events
        if isinstance(event, AttemptEnded) and event.code == "slow_down"
    )
    second = math.ceil(struck)
    assert admitted(trace, second + 1, second + 4) <= 0.85 * PER_SECOND
    assert admitted(trace, second + 20, second + 25) >= 0.95 * PER_SECOND
