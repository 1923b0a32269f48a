"""The model of a queue: to the digit by hand, and beside the whole engine."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.sim.modelled import MOST, compare_again, draw_job
from ratedispatch.groups import LimitGroup, LimitGroups
from ratedispatch.limits import Limits
from ratedispatch.request import CHAT, EMBEDDINGS
from ratedispatch.simulate.forecast.engine_play import play_engine
from ratedispatch.simulate.forecast.lengths import Lengths
from ratedispatch.simulate.forecast.queue_model import play_model
from ratedispatch.simulate.forecast.scene import Scene
from ratedispatch.simulate.forecast.unmodelled import knows
from ratedispatch.simulate.forecast.workload import Kind, Row, Workload
from ratedispatch.simulate.settings import ProviderSettings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ratedispatch.simulate.forecast.course import Course


def workload(sizes: Iterable[tuple[int, int]]) -> Workload:
    """Rows of so many prompt tokens and such a cap each."""
    rows = Workload()
    chat = rows.index_of(Kind(CHAT, "m"))
    for prompt, cap in sizes:
        rows.add(Row(chat, prompt, cap, prompt, cap))
    return rows


def scene(limits: Limits, *, provider: dict[str, Any] | None = None, **more: Any) -> Scene:
    exact = {"latency": 1.0, "latency_sigma": 0.0, **(provider or {})}
    return Scene(limits=limits, provider=ProviderSettings.like(limits, **exact), **more)


def play(rows: Workload, found: Scene, seed: int = 0) -> Course:
    assert not knows(found)
    return play_model(rows, found, seed=seed, row_seconds=0.0)


def test_a_limit_on_requests_gives_the_time_to_the_digit() -> None:
    """
    One request a second with a bucket of one: the last of 30 leaves at 29 s and takes 1 s.

    Nothing piles up at a provider whose bucket is as shallow, so nothing goes sooner.
    """
    limits = Limits(requests_per_minute=60, burst_seconds=0)
    course = play(workload([(10, 10)] * 30), scene(limits, provider={"burst_seconds": 1.0}))
    assert course.seconds == pytest.approx(30.0, abs=1e-9)
    assert course.tenths == pytest.approx(tuple(range(3, 31, 3)), abs=1e-9)
    assert course.held == {"requests": pytest.approx(29.0)}
    assert course.shares["requests"] == pytest.approx(1.0)
    assert (course.answered, course.failed, course.attempts, course.refused) == (30, 0, 30, 0)
    assert course.in_flight_peak == 1
    assert course.in_flight_mean == pytest.approx(1.0)
    assert course.prompt_tokens == (300,)
    assert course.output_tokens == (150,)
    assert list(course.waits) == [pytest.approx((20, 30, 1.0, 1.0))]


def test_a_limit_on_tokens_charges_rows_by_their_size() -> None:
    """
    100 tokens a second and 70 at once, of which 40, the first row, go before an answer.

    The answer comes at 0.1 s and lets go the other 30, 10 have flowed in, and the second row
    needs 50: it leaves at 0.2 s. The third needs 30, which have flowed in at 0.5 s.
    """
    limits = Limits(tokens_per_minute=6_000)
    found = scene(limits, provider={"burst_seconds": 0.7, "latency": 0.1, "headers": False})
    course = play(workload([(30, 10), (40, 10), (20, 10)]), found)
    assert course.seconds == pytest.approx(0.6, abs=1e-9)
    assert course.held == {"tokens": pytest.approx(0.5)}
    assert course.tenths[3:7] == pytest.approx((0.3, 0.3, 0.3, 0.6), abs=1e-9)


def test_slots_serve_in_rounds() -> None:
    """12 requests at a server with 4 places and 2 s of service: three rounds."""
    found = scene(Limits(), provider={"latency": 2.0, "engine_slots": 4}, max_in_flight=12)
    course = play(workload([(10, 10)] * 12), found)
    assert course.seconds == pytest.approx(6.0)
    assert course.in_flight_peak == 12
    assert course.in_flight_mean == pytest.approx((4 * 2 + 4 * 4 + 4 * 6) / 6)


def test_a_number_in_flight_bounds_it() -> None:
    course = play(workload([(10, 10)] * 12), scene(Limits(), max_in_flight=3))
    assert course.seconds == pytest.approx(4.0)
    assert course.held == {"in_flight": pytest.approx(3.0)}
    assert course.binding == "in_flight"


def test_the_processor_bounds_it() -> None:
    """A hundredth of a second for each of 100 requests, and half of that in two processes."""
    found = scene(Limits(), provider={"latency": 0.001}, max_in_flight=20)
    rows = workload([(10, 10)] * 100)
    course = play_model(rows, found, seed=0, row_seconds=0.01)
    assert course.seconds == pytest.approx(1.0, abs=0.002)
    assert course.binding == "cpu"
    two = dataclasses.replace(found, processes=2)
    assert play_model(rows, two, seed=0, row_seconds=0.01).seconds == pytest.approx(0.5, abs=0.002)


def test_a_processor_takes_its_time_as_in_the_engine() -> None:
    """What goes at once arrives one after the other, and answers wait until all have left."""
    limits = Limits(requests_per_minute=60_000)
    found = scene(limits, provider={"latency": 0.5, "latency_sigma": 0.3})
    rows = workload([(10, 10)] * 1_500)
    model = play_model(rows, found, seed=0, row_seconds=1e-3)
    engine = play_engine(rows, found, seed=0, row_seconds=1e-3)
    assert model.seconds == pytest.approx(engine.seconds, rel=1e-3)
    assert model.in_flight_peak == engine.in_flight_peak
    assert model.binding == engine.binding


def test_a_row_larger_than_a_minute_fails_without_being_sent() -> None:
    course = play(workload([(10, 10), (900, 200)]), scene(Limits(tokens_per_minute=1_000)))
    assert (course.answered, course.failed, course.attempts) == (1, 1, 1)


def test_a_row_that_always_meets_a_fault_fails() -> None:
    found = scene(Limits(), provider={"faults": {"500": 0.05}}, max_attempts=1, max_in_flight=50)
    course = play(workload([(10, 10)] * 400), found)
    assert course.failed > 5
    assert course.answered + course.failed == course.attempts == 400


@pytest.mark.parametrize("cap", [0, 2**31 - 1])
def test_the_largest_row_there_is_can_be_played(cap: int) -> None:
    """As a hostile row has it: of the most tokens, or of the most outputs without a cap."""
    most = 2**31 - 1
    rows = Workload()
    rows.add(Row(rows.index_of(Kind(CHAT, "m")), most, most, most, cap))
    found = play(rows, scene(Limits(requests_per_minute=60), default_output_tokens=1))
    assert (found.answered, found.failed) == (1, 0)


def test_no_rows_take_no_time() -> None:
    course = play(workload([]), scene(Limits(requests_per_minute=60)))
    assert (course.seconds, course.attempts, course.waits) == (0.0, 0, ())


@pytest.mark.parametrize("number", range(50))
def test_it_is_within_a_hundredth_of_the_engine(number: int) -> None:
    """On fifty jobs drawn at random; where chance decides one play, by the mean of five."""
    found = compare_again(draw_job(number, rows=600), seed=number)
    assert abs(found["error"]) <= MOST, found
    assert found["same_bound"], found
    assert not found["unknown"]


def test_all_figures_are_those_of_the_engine() -> None:
    """Where nothing but the limits decides, field by field."""
    limits = Limits(requests_per_minute=600, tokens_per_minute=60_000)
    rows = workload((50 + number * 37 % 300, 10 + number % 50) for number in range(300))
    lengths = Lengths.parse("lognormal:20:0.5")
    found = Scene(
        limits=limits,
        provider=ProviderSettings.like(limits, burst_seconds=5, output_tokens=lengths),
    )
    model, engine = play(rows, found, seed=4), play_engine(rows, found, seed=4)
    assert model.tenths == pytest.approx(engine.tenths, rel=1e-3)
    assert model.in_flight_mean == pytest.approx(engine.in_flight_mean, rel=0.02)
    assert model.in_flight_peak == engine.in_flight_peak
    assert model.held == pytest.approx(dict(engine.held), rel=0.02, abs=0.1)
    assert model.shares == pytest.approx(dict(engine.shares), rel=0.01)
    assert model.prompt_tokens == engine.prompt_tokens
    assert model.output_tokens == engine.output_tokens
    for ours, theirs in zip(model.waits, engine.waits, strict=True):
        assert ours == pytest.approx(theirs, rel=0.05, abs=0.02)


def test_prompts_that_are_charged_less_than_expected_are_found_out() -> None:
    limits = Limits(tokens_per_minute=60_000)
    rows = Workload()
    chat = rows.index_of(Kind(CHAT, "m"))
    for _ in range(600):
        rows.add(Row(chat, 260, 40, 160, 40))
    found = scene(limits, provider={"burst_seconds": 2.0, "latency": 0.3})
    model, engine = play(rows, found), play_engine(rows, found, seed=0)
    assert model.seconds == pytest.approx(engine.seconds, rel=0.01)


def test_rows_without_a_cap_reserve_what_answers_teach() -> None:
    """The provider charges 16 tokens for each, and the engine what 95 % of the answers take."""
    limits = Limits(tokens_per_minute=100_000)
    rows = Workload()
    chat = rows.index_of(Kind(CHAT, "m"))
    for number in range(500):
        rows.add(Row(chat, 20 + number * 37 % 280, 16, 20 + number * 37 % 280, 0))
    lengths = Lengths.parse("lognormal:120:0.5")
    settings = {"burst_seconds": 5.0, "output_tokens": lengths, "latency_sigma": 0.3}
    found = scene(limits, provider=settings)
    model, engine = play(rows, found), play_engine(rows, found, seed=0)
    assert model.seconds == pytest.approx(engine.seconds, rel=1e-3)
    assert model.output_tokens == engine.output_tokens
    assert model.binding == engine.binding == "tokens"


def test_what_generates_nothing_reserves_nothing() -> None:
    rows = Workload()
    kind = rows.index_of(Kind(EMBEDDINGS, "m"))
    for _ in range(50):
        rows.add(Row(kind, 100, 0, 100, 0))
    course = play(rows, scene(Limits(requests_per_minute=600)))
    assert course.output_tokens == (0,)


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.tuples(st.integers(1, 400), st.integers(1, 200)), min_size=1, max_size=60),
    rpm=st.integers(30, 2_000),
    tpm=st.integers(2_000, 100_000),
    depth=st.floats(0.5, 60),
    latency=st.floats(0.01, 5),
    seed=st.integers(0, 5),
)
def test_it_is_never_faster_than_the_buckets(
    sizes: list[tuple[int, int]], rpm: int, tpm: int, depth: float, latency: float, seed: int
) -> None:
    """What was sent is no more than the bucket of the provider held and what flowed in."""
    found = scene(
        Limits(requests_per_minute=rpm, tokens_per_minute=tpm),
        provider={"burst_seconds": depth, "latency": latency, "latency_sigma": 0.2},
    )
    course = play(workload(sizes), found, seed)
    assert course.answered == len(sizes)
    assert course.attempts == len(sizes) + course.refused
    last = max(map(sum, sizes))
    for work, rate, largest in ((len(sizes), rpm, 1), (sum(map(sum, sizes)), tpm, last)):
        assert course.seconds >= (work - largest) / rate * 60 - max(depth, 60 * largest / rate)
    assert list(course.tenths) == sorted(course.tenths)
    assert course.tenths[-1] == pytest.approx(course.seconds)
    assert course.in_flight_mean <= course.in_flight_peak + 1e-9
    assert sum(course.held.values()) <= course.seconds + 1e-6


@settings(max_examples=25, deadline=None)
@given(count=st.integers(1, 80), rpm=st.integers(30, 600), more=st.floats(1.1, 5))
def test_a_higher_limit_is_slower_by_less_than_a_request(count: int, rpm: int, more: float) -> None:
    """
    Of equal rows, and without headers.

    The burst is let go with the first answer, which may come just before a request of the higher
    rate. With headers, a pile at the provider is spent in steps that fit one rate and not another.
    """
    rows, silent = workload([(10, 10)] * count), {"headers": False}
    slow, fast = (
        play(rows, scene(Limits(requests_per_minute=rate), provider=silent, max_in_flight=500))
        for rate in (rpm, rpm * more)
    )
    assert fast.seconds < slow.seconds + 60 / (rpm * more)


LIMITS = Limits(requests_per_minute=60, tokens_per_minute=6_000)


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (
            Scene(
                limits=LimitGroups((LimitGroup("a", ("a",), Limits()),)),
                provider=ProviderSettings(),
            ),
            "limits of their own",
        ),
        (Scene(limits=Limits("auto"), provider=ProviderSettings()), "learned"),
        (Scene(limits=Limits(requests_per_day=9), provider=ProviderSettings()), "per_day"),
        (scene(Limits(), provider={"requests_per_minute": 5}), "that the job does not have"),
        (scene(LIMITS, provider={"window": "sliding"}), "sliding"),
        (scene(LIMITS, provider={"start": "empty"}), "empty"),
        (scene(LIMITS, provider={"competitor": ((0.0, 5.0),)}), "another client"),
        (scene(LIMITS, provider={"changes": ((9.0, 5.0, None),)}), "change"),
        (scene(LIMITS, provider={"faults": {"hang": 0.01}}), "never answered"),
        (scene(LIMITS, provider={"faults": {"500": 0.2}}), "faults"),
        (scene(LIMITS, provider={"header_factor": 2.0}), "headers"),
        (scene(LIMITS, provider={"latency": 100.0, "latency_sigma": 0.5}), "180 s"),
    ],
)
def test_it_says_which_scene_it_does_not_know(found: Scene, says: str) -> None:
    assert says in knows(found)


def test_it_knows_an_ordinary_scene() -> None:
    assert knows(scene(LIMITS)) == ""
    assert math.isfinite(play(workload([(10, 10)]), scene(LIMITS)).seconds)
