"""What is foreseen of the rest of a run, by one cause after the other."""

from __future__ import annotations

import math
from typing import Any

import pytest

from ratedispatch.observe.foresight import Ahead, Lately, Part, seconds_left
from ratedispatch.observe.report import Tally
from ratedispatch.pacing.snapshot import Level, Snapshot

LATELY = Lately("requests")


def left(
    *,
    rows: float = 9.0,
    parts: tuple[Part, ...] = (),
    room: int = 1_000,
    in_flight: int = 0,
    lately: Lately = LATELY,
    is_doubling: bool = False,
    latency: float = 0.0,
    paused: float = 0.0,
    **state: Any,
) -> float | None:
    """Of a run that has sent 100 rows, at 10 a second; if nothing is said, all are answered."""
    answers, again = state.pop("answers", 100), state.pop("again", 0)
    tally = Tally()
    tally.attempts, tally.answers, tally.answered = 100, answers, answers - again - in_flight
    tally.answer_seconds, tally.answer_squares = answers * latency, answers * latency**2
    values = {"per_minute": 600.0, "per_second": 10.0, "available": 0.0, "spent": 100.0}
    level = Level("requests", **{**values, **state})
    snapshot = Snapshot(in_flight, room, 0, paused, (level,), is_doubling=is_doubling)
    return seconds_left(snapshot, tally, Ahead(rows, rows, parts), lately)


def test_what_has_piled_up_at_the_provider_is_there() -> None:
    assert left() == pytest.approx(90)
    assert left(available=20.0) == pytest.approx(88)
    assert left(available=20.0, piled=400.0) == pytest.approx(50)


def test_others_take_what_does_not_flow_in() -> None:
    """What is believed of them is an estimate; what has flowed in was seen."""
    assert left(others=300.0) == pytest.approx(180)
    flows = {("", "requests"): 8.0}
    assert left(others=300.0, lately=Lately("requests", flows=flows)) == pytest.approx(112.5)
    flows = {("", "requests"): 80.0}
    assert left(lately=Lately("requests", flows=flows)) == pytest.approx(90)


def test_room_in_flight_bounds_it() -> None:
    """Of 20 places all are taken; 900 rows of 4 s each take 180 s, and the last answer 4."""
    state: dict[str, Any] = {"room": 20, "in_flight": 20, "latency": 4.0, "per_second": 1e3}
    assert left(**state) == pytest.approx(184)
    assert left(**{**state, "in_flight": 0}) == pytest.approx(180)


def test_room_that_doubles_bounds_it_less_and_less() -> None:
    """After 8 s each: 40 rows and 20 at once, 80 and 40, 160 and 80, 320 and 160."""
    lately = Lately("in_flight", speed=5.0)
    state: dict[str, Any] = {"room": 20, "in_flight": 20, "latency": 4.0, "per_second": 1e3}
    found = left(**state, is_doubling=True, lately=lately)
    assert found == pytest.approx(4 * 8 + 4, abs=0.5)
    assert left(**state, lately=lately) == pytest.approx(184)


def test_when_all_have_left_the_answers_are_waited_for() -> None:
    assert left(rows=0.0, in_flight=5, latency=4.0) == pytest.approx(4, abs=0.01)
    lately = Lately("requests", since_last=3.0)
    assert left(rows=0.0, in_flight=5, latency=4.0, lately=lately) == pytest.approx(1, abs=0.01)
    assert left(rows=0.0) == 0


def test_what_is_to_be_sent_again_is_waited_for() -> None:
    """Rows that have left once, and were refused, are not done; without any answer it is open."""
    assert left(rows=0.0, again=5, paused=20.0, latency=4.0) == pytest.approx(24)
    assert left(rows=0.0, paused=20.0, answers=0) is None


def test_nothing_is_sent_in_a_pause() -> None:
    assert left(paused=120.0) == pytest.approx(120)
    assert left(paused=60.0) == pytest.approx(90)


def test_without_a_known_limit_the_speed_tells() -> None:
    unknown: dict[str, Any] = {"per_minute": math.inf, "per_second": math.inf}
    assert left(**unknown, lately=Lately("search", speed=20.0)) == pytest.approx(45)
    assert left(**unknown, lately=Lately("search")) is None
