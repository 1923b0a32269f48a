"""The search for the best positions of knobs, on functions whose best position is known."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratedispatch.simulate.tune.search import Knob, finalists, search
from ratedispatch.simulate.tune.sensitivity import raises, sensitivity
from ratedispatch.simulate.tune.setting import KNOBS, Setting, ladder
from ratedispatch.simulate.tune.trial import Trial, best_of, frontier

if TYPE_CHECKING:
    from collections.abc import Callable

DEFAULT = Setting()
IN_FLIGHT = Knob("max_in_flight", (8, 16, 32, 64, 128, 256), is_whole=True)
BURST = Knob("burst_seconds", (0.0, 0.25, 0.5, 1.0, 2.0, 5.0), is_whole=False)
CAP = Knob("max_tokens", (96,))
ORDER = Knob("order", ("file", "interleave"))


def taking(seconds: Callable[[Setting], float], **others: float) -> Callable[[Setting], Trial]:
    """Return what plays a setting that takes so many seconds."""

    def play(setting: Setting) -> Trial:
        return Trial(setting=setting, seconds=seconds(setting), rows=1_000, peak=50, **others)  # type: ignore[arg-type]

    return play


def slots(setting: Setting) -> float:
    """A server with 32 places, which the default searches for in vain."""
    number = setting.max_in_flight
    return 130.0 if not isinstance(number, int) else 100 * 32 / min(32, number)


def test_of_a_server_with_places_the_fewest_that_fill_it_are_taken() -> None:
    """More in flight are as fast, and wait longer."""
    assert search(taking(slots), [IN_FLIGHT], DEFAULT).best.setting.max_in_flight == 32


def test_the_fewest_in_flight_are_found_between_the_positions_tried_first() -> None:
    """Within a hundredth of the time, and an eighth of the gap."""
    found = search(
        taking(lambda one: 300 / min(43, one.max_in_flight or 10)),  # type: ignore[operator]
        [IN_FLIGHT],
        DEFAULT,
    )
    assert found.best.setting.max_in_flight in range(43, 46)


def test_a_knob_that_changes_nothing_is_not_looked_at_more_closely() -> None:
    """Only its first positions are tried."""
    found = search(taking(lambda _: 100.0), [BURST], DEFAULT)
    assert len(found.trials) == 1 + len(BURST.values)


def test_a_knob_that_brings_less_than_a_hundredth_stays() -> None:
    """Also where it is one of many that are changed."""

    def seconds(one: Setting) -> float:
        return 100 - 0.4 * (one.order == "interleave") - 50 * (one.max_tokens == 96)

    found = search(taking(seconds), [CAP, ORDER], DEFAULT)
    assert found.best.setting == Setting(max_tokens=96, order="file")


def test_knobs_that_matter_only_together_are_found() -> None:
    """The number in flight binds only once the cap is out of the way."""

    def seconds(one: Setting) -> float:
        number = one.max_in_flight if isinstance(one.max_in_flight, int) else 16
        return max(200 / number, 10.0 if one.max_tokens is None else 1.0)

    found = search(taking(seconds), [IN_FLIGHT, CAP], DEFAULT)
    assert found.best.seconds <= 1.01
    assert found.best.setting.max_tokens == 96


def test_knobs_of_which_none_helps_alone_are_found() -> None:
    """A burst that does not fit into what may be in flight, and the other way round."""

    def seconds(one: Setting) -> float:
        number = one.max_in_flight if isinstance(one.max_in_flight, int) else 16
        return 10.0 if number < 128 or one.burst_seconds < 2 else 5.0

    best = search(taking(seconds), [IN_FLIGHT, BURST], DEFAULT).best
    assert best.seconds == 5.0
    assert (best.setting.max_in_flight, best.setting.burst_seconds) == (128, 2.0)


@given(
    st.floats(0.2, 55), st.integers(4, 300), st.sampled_from(["file", "interleave"]), st.booleans()
)
def test_the_best_of_knobs_that_do_not_touch_is_found(
    burst: float, number: int, order: str, caps: bool
) -> None:
    """Whatever it is, to four hundredths, and in fewer trials than a grid has."""

    def seconds(one: Setting) -> float:
        flight = one.max_in_flight if isinstance(one.max_in_flight, int) else 5
        return (
            100
            + abs(one.burst_seconds - burst)
            + 500 / min(flight, number)
            + 20 * (one.order != order)
            + 30 * ((one.max_tokens is None) == caps)
        )

    wide = Knob("max_in_flight", (4, 8, 16, 32, 64, 128, 256, 512), is_whole=True)
    deep = Knob("burst_seconds", (0.25, 0.7, 2.0, 5.0, 15.0, 30.0, 54.0), is_whole=False)
    found = search(taking(seconds), [wide, deep, CAP, ORDER], DEFAULT)
    assert found.best.seconds <= 1.04 * (100 + 500 / number)
    assert len(found.trials) <= 120


def test_what_costs_or_is_refused_less_is_taken_where_the_time_is_the_same() -> None:
    """Then what changes less; then the fewest in flight."""

    def trial(seconds: float = 100.0, usd: float = 1.0, refused: int = 0, **knobs: object) -> Trial:
        setting = Setting(**knobs)  # type: ignore[arg-type]
        return Trial(setting=setting, seconds=seconds, usd=usd, refused=refused, rows=1_000)

    cheap = trial(100.9, usd=0.5, max_tokens=9)
    assert best_of([trial(), cheap], DEFAULT) is cheap
    assert best_of([trial(101.1, usd=0.1), trial()], DEFAULT).usd == 1.0
    calm = trial(refused=1, order="interleave")
    assert best_of([trial(refused=90), calm], DEFAULT) is calm
    assert best_of([trial(refused=1), trial(order="interleave")], DEFAULT).setting == DEFAULT
    two = trial(99.5, max_tokens=9, order="interleave")
    one = trial(100, max_tokens=9)
    assert best_of([two, one], DEFAULT) is one
    fewest = [trial(max_in_flight=number) for number in (64, 32, 48)]
    assert best_of(fewest, DEFAULT).setting.max_in_flight == 32


def test_a_setting_with_which_rows_fail_is_not_taken_for_being_over_soon() -> None:
    """One row in a thousand makes no difference."""
    slow = Trial(setting=DEFAULT, seconds=100.0, rows=1_000)
    quick = Setting(max_in_flight=9)
    assert best_of([slow, Trial(setting=quick, seconds=9.0, rows=998)], DEFAULT) is slow
    assert best_of([slow, Trial(setting=quick, seconds=9.0, rows=999)], DEFAULT).setting == quick


def test_a_setting_that_never_ends_is_the_last_choice() -> None:
    """And the only one if all are like that."""
    stuck = Trial(setting=DEFAULT, seconds=math.inf)
    fine = Trial(setting=Setting(order="interleave"), seconds=9.0)
    assert best_of([stuck, fine], DEFAULT) is fine
    other = Trial(setting=Setting(order="interleave"), seconds=math.inf, usd=0.0)
    assert best_of([other, stuck], DEFAULT) is stuck
    assert stuck.latency == 0.0


def test_of_settings_as_fast_the_one_that_waits_least_is_taken() -> None:
    """Then a number that follows from the rate; then the smallest number."""

    def trial(number: int | None, in_flight: float) -> Trial:
        setting = Setting(max_in_flight=number, order="interleave" if number is None else "file")
        return Trial(setting=setting, seconds=100.0, in_flight=in_flight, rows=1_000)

    fewest = trial(32, 20.0)
    assert best_of([trial(64, 40.0), fewest, trial(None, 30.0)], DEFAULT) is fewest
    rate = trial(None, 20.1)
    assert best_of([fewest, trial(33, 20.0), rate], DEFAULT) is rate
    bursts = [Trial(setting=Setting(burst_seconds=one), seconds=100.0 - one / 2) for one in (2, 1)]
    assert best_of(bursts, DEFAULT) is bursts[1]


def test_finalists_are_the_best_and_the_default() -> None:
    """Each once."""
    found = search(taking(slots), [IN_FLIGHT], DEFAULT)
    chosen = finalists(found, 3)
    assert chosen[0].setting.max_in_flight == 32
    assert chosen[-1] is found.default
    assert len({one.setting for one in chosen}) == 4


def test_half_and_double_of_a_knob_say_what_a_wrong_guess_costs() -> None:
    """And every other choice of one without numbers."""
    play = taking(slots)
    best = search(play, [IN_FLIGHT], DEFAULT).best
    wrong = sensitivity(play, best, [IN_FLIGHT, ORDER])
    assert [(one.knob, one.value, round(one.cost, 3)) for one in wrong] == [
        ("max_in_flight", 16, 1.0),
        ("max_in_flight", 64, 0.0),
        ("order", "interleave", 0.0),
    ]


def test_the_limit_that_brings_the_most_comes_first() -> None:
    """A limit that does not bind brings nothing."""
    found = raises(
        lambda name, by: 100 / (by if name == "tokens" else 1), ["requests", "tokens"], 100
    )
    assert [(one.name, one.factor, round(one.saved, 4)) for one in found[:3]] == [
        ("tokens", 1.1, 0.0909),
        ("tokens", 1.5, 0.3333),
        ("tokens", 2.0, 0.5),
    ]
    assert {one.saved for one in found[3:]} == {0.0}


@given(st.lists(st.tuples(st.floats(1, 100), st.floats(1, 100)), max_size=20))
def test_nothing_on_the_frontier_is_beaten_by_anything(points: list[tuple[float, float]]) -> None:
    """And everything beside it is."""
    front = frontier(points)
    for point in points:
        beaten = any(one != point and one[0] <= point[0] and one[1] <= point[1] for one in points)
        assert (point in front) is not beaten


@pytest.mark.parametrize(
    ("value", "least", "most", "steps"),
    [
        (32, 8, 128, [8, 16, 64, 128]),
        (32, 10, 100, [10, 16, 64, 100]),
        (8, 8, 20, [16, 20]),
        (8, 8, 8, []),
    ],
)
def test_a_ladder_ends_at_its_bounds(
    value: float, least: float, most: float, steps: list[float]
) -> None:
    """And has not the value itself."""
    assert ladder(value, least=least, most=most) == steps
    assert KNOBS[0] == "max_in_flight"
