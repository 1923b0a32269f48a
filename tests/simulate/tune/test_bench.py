"""What a setting is played with, and what advice comes of a job."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from ratedispatch.groups import LimitGroup, LimitGroups
from ratedispatch.limits import Limits
from ratedispatch.request import CHAT, EMBEDDINGS
from ratedispatch.simulate.forecast.course import Course
from ratedispatch.simulate.forecast.scene import Scene
from ratedispatch.simulate.forecast.workload import Kind, Row, Workload
from ratedispatch.simulate.settings import ProviderSettings
from ratedispatch.simulate.tune.advice import advise, knobs_for
from ratedispatch.simulate.tune.bench import (
    PER_PROCESS,
    Bench,
    lowered,
    on_account,
    raised,
    sample,
    with_burst,
)
from ratedispatch.simulate.tune.safe_cap import SafeCap
from ratedispatch.simulate.tune.setting import Setting

LIMITS = Limits(requests_per_minute=600, tokens_per_minute=60_000)
SCENE = Scene(limits=LIMITS, provider=ProviderSettings.like(LIMITS, latency=1.0))


def rows(*caps: int, endpoint: str = CHAT, prompt: int = 100) -> Workload:
    """Return rows with these caps."""
    found = Workload()
    kind = found.index_of(Kind(endpoint, "m"))
    for cap in caps:
        found.add(Row(kind, prompt, cap or 16, prompt, cap))
    return found


def fluid(workload: Workload, scene: Scene, *, seed: int) -> Course:
    """Play a job by its rates alone: what the limits need, and what the number in flight needs."""
    assert seed == 0
    limits = scene.limits
    assert isinstance(limits, Limits)
    needs = {
        "requests": len(workload) / (limits.known("requests") or math.inf) * 60,
        "tokens": workload.tokens / (limits.known("tokens") or math.inf) * 60,
        "in_flight": len(workload)
        * scene.provider.latency
        / (scene.max_in_flight if isinstance(scene.max_in_flight, int) else 1_000),
    }
    binding = max(needs, key=needs.__getitem__)
    seconds = needs[binding]
    return Course(
        seconds=seconds,
        tenths=(seconds,) * 10,
        answered=len(workload),
        failed=0,
        attempts=len(workload),
        refused=0,
        in_flight_peak=20,
        in_flight_mean=10.0,
        held={binding: seconds},
    )


def test_the_cap_of_a_job_whose_limit_on_tokens_binds_is_lowered() -> None:
    """And nothing else; the limit that binds is the one to ask for."""
    workload = rows(*[900] * 1_000)
    caps = [SafeCap(104, 1.0, 1_000)]
    bench = Bench(workload, SCENE, fluid, caps=caps)
    default = Setting()
    advice = advise(bench, bench, default, knobs_for(workload, SCENE, default, caps))
    assert math.isclose(advice.default.seconds, 1_000)
    assert math.isclose(advice.best.seconds, 204)
    assert advice.best.setting == Setting(max_tokens=104)
    assert advice.best.cut == 1.0
    assert advice.changes == ("max_tokens",)
    assert math.isclose(advice.saved, 0.796)
    first = advice.raises[0]
    assert (first.name, first.factor) == ("tokens_per_minute", 1.1)
    assert math.isclose(first.saved, 1 - 1 / 1.1)
    assert advice.raises[3].saved == 0.0
    said = [(one.name, one.value, round(one.cost, 6)) for one in advice.doubts]
    assert said == [("burst_seconds", 30.0, 0.0), ("latency", 2.0, 0.0)]


def test_a_job_that_is_fine_is_left_as_it_is() -> None:
    """Where requests bind, there is nothing to change, and each knob says so."""
    workload = rows(*[20] * 300, prompt=10)
    bench = Bench(workload, SCENE, fluid)
    advice = advise(bench, bench, Setting(), knobs_for(workload, SCENE, Setting()))
    assert advice.changes == ()
    assert advice.finalists[0] is advice.default
    assert {(one.knob, one.cost) for one in advice.wrong if one.knob == "order"} == {("order", 0.0)}


def test_more_processes_are_tried_where_the_limit_needs_them() -> None:
    """One process sends so many requests a second at most."""
    fast = Limits(requests_per_minute=PER_PROCESS * 60 * 2.5)
    scene = Scene(limits=fast, provider=ProviderSettings.like(fast, latency=0.01))
    workload = rows(*[1] * 30_000, prompt=1)
    bench = Bench(workload, scene, fluid)
    advice = advise(bench, bench, Setting(), knobs_for(workload, scene, Setting()), is_brief=True)
    assert advice.best.setting.processes == 3
    assert (advice.default.seconds, advice.best.seconds) == (10.0, 4.0)
    assert not advice.wrong


def test_lowered_rows_reserve_what_their_caps_say() -> None:
    """Each of several choices; rows with lower caps, and those without outputs, stay."""
    workload = rows(50, 400, 0)
    workload.add(Row(0, 10, 1_200, 10, 400))
    found = lowered(workload, 100, 16)
    assert [(row.output, row.cap) for row in found] == [
        (50, 50),
        (100, 100),
        (100, 100),
        (300, 100),
    ]
    assert [row.cap for row in workload] == [50, 400, 0, 400]
    embeddings = rows(0, endpoint=EMBEDDINGS)
    assert list(lowered(embeddings, 5, 16)) == list(embeddings)


def test_a_cap_above_all_that_is_counted_is_cut_to_that() -> None:
    """Of a row without a cap it would otherwise come to more than its column holds."""
    workload = rows(0)
    workload.add(Row(0, 10, 48, 10, 0))
    most = 2**31 - 1
    found = list(lowered(workload, 10**12, 16))
    assert [(row.output, row.cap) for row in found] == [(most, most), (most, most)]
    found = list(lowered(workload, 2**30, 16))
    assert [(row.output, row.cap) for row in found] == [(2**30, 2**30), (most, 2**30)]


@given(st.lists(st.integers(0, 5_000), min_size=1, max_size=30), st.integers(1, 6_000))
def test_a_lower_cap_never_reserves_more_than_a_higher_one(caps: list[int], most: int) -> None:
    """And lowering twice is lowering once."""
    once = lowered(rows(*caps), most, 16)
    assert list(lowered(once, most, 16)) == list(once)
    assert lowered(rows(*caps), most + 1, 16).tokens >= once.tokens


def test_what_is_raised_is_raised_for_the_job_and_the_account() -> None:
    """In groups too; nothing else changes."""
    double = raised(SCENE, "tokens_per_minute", 2)
    assert double.limits == Limits(requests_per_minute=600, tokens_per_minute=120_000)
    assert double.provider.tokens_per_minute == 120_000
    groups = LimitGroups((LimitGroup("g", ("m*",), LIMITS),), Limits(requests_per_minute=5))
    scene = on_account(SCENE, groups)
    assert scene.provider.models == {"m*": (600, 60_000)}
    assert (scene.provider.latency, scene.provider.requests_per_minute) == (1.0, 5)
    half = raised(scene, "requests_per_minute", 1.5)
    assert half.provider.models == {"m*": (900, 60_000)}
    assert half.provider.requests_per_minute == 7.5
    assert isinstance(half.limits, LimitGroups)
    assert half.limits.groups[0].limits.requests_per_minute == 900
    slots = Scene(limits=Limits(), provider=ProviderSettings(engine_slots=32))
    assert raised(slots, "engine_slots", 1.1).provider.engine_slots == 35
    burst = with_burst(groups, 5)
    assert isinstance(burst, LimitGroups)
    assert burst.default is not None
    assert burst.default.burst_seconds == burst.groups[0].limits.burst_seconds == 5


def test_a_job_that_stops_takes_for_ever() -> None:
    """So that it is never the best."""

    def stopping(workload: Workload, scene: Scene, *, seed: int) -> Course:
        course = fluid(workload, scene, seed=seed)
        return Course(
            **{name: getattr(course, name) for name in course.__slots__ if name != "stop_code"},
            stop_code="day",
        )

    assert Bench(rows(9), SCENE, stopping)(Setting()).seconds == math.inf


def test_a_sample_is_spread_over_the_file() -> None:
    """Of a short file it is the file."""
    workload = rows(*range(1, 1_001))
    assert [row.cap for row in sample(workload, 4)] == [1, 251, 501, 751]
    assert sample(workload, 1_000) is workload
