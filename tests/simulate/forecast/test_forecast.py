"""Several plays of a job as one value, and what is foretold of one that is too long to play."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from ratedispatch.limits import Limits
from ratedispatch.request import CHAT
from ratedispatch.simulate.forecast import extrapolation, forecaster
from ratedispatch.simulate.forecast.course import Course, Wait
from ratedispatch.simulate.forecast.engine_play import play_engine
from ratedispatch.simulate.forecast.extrapolation import play_ends
from ratedispatch.simulate.forecast.forecast import Forecast, Interval
from ratedispatch.simulate.forecast.forecaster import forecast
from ratedispatch.simulate.forecast.queue_model import ROW_SECONDS
from ratedispatch.simulate.forecast.workload import Kind, Row, Workload
from tests.simulate.forecast.test_engine_play import scene, workload


def _course(seconds: float, **more: object) -> Course:
    values = {
        "seconds": seconds,
        "tenths": (seconds,) * 10,
        "answered": 10,
        "failed": 0,
        "attempts": 10,
        "refused": 0,
        "in_flight_peak": 3,
        "in_flight_mean": 2.0,
        "waits": (Wait(9, 10, seconds, 2 * seconds),),
        "prompt_tokens": (100,),
        "output_tokens": (50,),
        **more,
    }
    return Course(**values)  # type: ignore[arg-type]


def _forecast(*courses: Course) -> Forecast:
    kinds = (Kind("/v1/chat/completions", "m"),)
    return Forecast(rows=10, kinds=kinds, courses=courses, method="Played.", by="engine")


def test_each_number_is_a_mean_between_the_lowest_and_the_highest() -> None:
    """Causes and shares by name too, of which a course may lack one; the longest cause first."""
    found = _forecast(
        _course(10.0, held={"requests": 6.0, "in_flight": 1.0}, shares={"requests": 0.9}),
        _course(14.0, held={"requests": 8.0}, shares={"requests": 0.7}),
    )
    assert found.seconds == Interval(12.0, 10.0, 14.0)
    assert found.tenths == (Interval(12.0, 10.0, 14.0),) * 10
    assert found.held == {"requests": Interval(7.0, 6.0, 8.0), "in_flight": Interval(0.5, 0.0, 1.0)}
    assert found.shares["requests"] == pytest.approx((0.8, 0.7, 0.9))
    assert found.binding == "requests"
    assert found.waits == (Wait(9, 10, 12.0, 24.0),)
    assert found.billed(0) == (Interval(100, 100, 100), Interval(50, 50, 50))
    assert found.stop is None


def test_what_never_happens_is_null_in_json() -> None:
    """The tenths that a stop leaves out; and the stop is told if most plays had it."""
    stopped = _course(
        5.0, tenths=(1.0,) + (math.inf,) * 9, stop_code="quota", stop_message="Empty."
    )
    told = json.loads(json.dumps(_forecast(stopped, stopped, _course(9.0)).as_dict()))
    assert told["tenths"][9] == {"mean": None, "low": 9.0, "high": None}
    assert (told["stop_code"], told["stop_message"]) == ("quota", "Empty.")
    assert told["kinds"][0]["output_tokens"] == {"mean": 50.0, "low": 50, "high": 50}
    assert _forecast(stopped, _course(9.0)).stop is None


def test_few_rows_are_played_by_the_engine_as_often_as_is_asked() -> None:
    """Each time with another seed; and it is said how."""
    rows = workload([(60, 40)] * 50)
    found = forecast(rows, scene(), seeds=2)
    assert found.courses == tuple(
        play_engine(rows, scene(), seed=seed, row_seconds=ROW_SECONDS) for seed in (1, 2)
    )
    assert found.by == "engine"
    assert found.method == "The engine simulated every row in virtual time, 2 times."
    with pytest.raises(ValueError, match="seeds is 0"):
        forecast(rows, scene(), seeds=0)


def test_the_way_follows_the_number_of_rows_and_what_the_model_knows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Many are played by the model where it knows the provider, and less often where too many."""
    monkeypatch.setattr(forecaster, "MOST_PLAYED", 12_000)
    monkeypatch.setattr(forecaster, "MOST_BY_ENGINE", 5_000)
    monkeypatch.setattr(extrapolation, "LEAST_HEAD", 1_000)
    monkeypatch.setattr(extrapolation, "MOST_HEAD", 2_000)
    rows = workload([(10, 10)] * 5001)
    fast = Limits(requests_per_minute=600_000, tokens_per_minute=60_000_000)
    by_model = forecast(rows, scene(fast))
    assert (by_model.by, len(by_model.courses)) == ("model", 2)
    sliding = scene(fast, provider={"window": "sliding"})
    by_ends = forecast(rows, sliding, seeds=1)
    assert by_ends.by == "extrapolation"
    assert by_ends.method.endswith("this provider: the window of the provider is sliding.")
    with pytest.raises(ValueError, match="the window of the provider is sliding"):
        forecast(rows, sliding, method="model")


def test_the_processor_takes_its_time() -> None:
    """A hundred requests of a hundredth of a second each take one, and half with two processes."""
    rows = workload([(1, 1)] * 100)
    fast = Limits(requests_per_minute=600_000, tokens_per_minute=60_000_000)
    still = {"latency": 0.5, "latency_sigma": 0.0}
    one, two = (
        play_engine(rows, scene(fast, provider=still, processes=count), seed=1, row_seconds=0.01)
        for count in (1, 2)
    )
    assert one.seconds == pytest.approx(1.5, abs=0.02)
    assert two.seconds == pytest.approx(1.0, abs=0.02)


@pytest.fixture
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Play less of the ends, so that the whole can be played beside them."""
    monkeypatch.setattr(extrapolation, "LEAST_HEAD", 600)
    monkeypatch.setattr(extrapolation, "TAIL", 200)


@pytest.mark.usefixtures("_short")
def test_prompts_and_outputs_use_limits_of_their_own() -> None:
    """Each of the rows between is charged to a limit on prompts for its prompt alone."""
    rows = workload([(100, 900)] * 1_500)
    limits = Limits(
        requests_per_minute=6_000,
        input_tokens_per_minute=300_000,
        output_tokens_per_minute=9_000_000,
    )
    found = scene(limits)
    ends, whole = play_ends(rows, found, seed=1), play_engine(rows, found, seed=1)
    assert ends.shares == pytest.approx(whole.shares, rel=0.02)
    assert ends.shares["output_tokens"] == pytest.approx(0.3, abs=0.01)
    assert ends.binding == whole.binding == "input_tokens"


@pytest.mark.usefixtures("_short")
@pytest.mark.parametrize(
    ("rows", "provider", "seconds"),
    [
        # 40 of 140 tokens are not billed, so that requests bind instead
        ([Row(0, 100, 40, 60, 40)] * 2_000, {}, 120.0),
        ([Row(0, 60, 120, 60, 120)] * 2_000, {"refund": True, "output_share": 0.25}, 120.0),
    ],
)
def test_the_rows_between_are_charged_as_the_provider_charges(
    rows: list[Row], provider: dict[str, Any], seconds: float
) -> None:
    """Not as the job expected before it knew."""
    limits = Limits(requests_per_minute=1_000, tokens_per_minute=120_000)
    made = Workload()
    made.index_of(Kind(CHAT, "m"))
    for row in rows:
        made.add(row)
    ends = play_ends(made, scene(limits, provider={"burst_seconds": 2.0, **provider}), seed=1)
    assert ends.seconds == pytest.approx(seconds, rel=0.02)
    assert ends.binding == "requests"


@pytest.mark.usefixtures("_short")
@pytest.mark.parametrize(
    ("rows", "limits", "provider"),
    [
        ([(60, 40)] * 1100, (6000, 600_000), {}),
        ([(10, 5), (300, 100), (60, 40)] * 400, (6000, 600_000), {}),
        ([(10, 10)] * 1500, (600, 600_000), {"burst_seconds": 60.0}),
        ([(10, 10)] * 1500, (600, 600_000), {"competitor": ((0.0, 200.0),)}),
        ([(20, 20)] * 1200, (6000, 600_000), {"engine_slots": 4}),
        ([(20, 20)] * 900 + [(120, 80)] * 900, (6000, 600_000), {}),
    ],
)
def test_the_ends_of_a_job_foretell_its_whole(
    rows: list[tuple[int, int]], limits: tuple[int, int], provider: dict[str, float]
) -> None:
    """To two hundredths, whatever binds, with a deep bucket at first, and longer rows later."""
    told = Limits(requests_per_minute=limits[0], tokens_per_minute=limits[1])
    made, found = workload(rows), scene(told, provider=provider)
    whole, ends = (play(made, found, seed=1) for play in (play_engine, play_ends))
    assert ends.seconds == pytest.approx(whole.seconds, rel=0.02, abs=0.4)
    assert ends.tenths[7] == pytest.approx(whole.tenths[7], rel=0.03, abs=0.4)
    if "engine_slots" not in provider:  # there, how many are in flight is searched all the time
        assert ends.in_flight_mean == pytest.approx(whole.in_flight_mean, rel=0.05)
    assert ends.binding == whole.binding
    assert ends.answered == whole.answered
    assert ends.prompt_tokens == whole.prompt_tokens
    assert ends.output_tokens == pytest.approx(whole.output_tokens, rel=0.02)
