"""The options of a dispatcher: names and values are checked when they are made."""

from __future__ import annotations

import re
from typing import Any

import pytest

from ratedispatch.dispatch.dispatcher import Dispatcher
from ratedispatch.dispatch.options import DispatcherOptions
from ratedispatch.dispatch.wrap.gate import Gate
from ratedispatch.limits import Limits
from tests.dispatch.scripted import OK, Scripted
from tests.dispatch.test_stops import Doomed


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_in_flight": 0}, "max_in_flight must be at least 1, not 0"),
        ({"max_in_flight": "many"}, "max_in_flight must be a number or \"auto\", not 'many'"),
        ({"connections": 0}, "connections must be at least 1, not 0"),
        ({"timeout": 0.0}, "timeout must be above 0 seconds, not 0.0"),
        ({"timeout": float("nan")}, "timeout must be above 0 seconds, not nan"),
        ({"default_output_tokens": -1}, "default_output_tokens must not be negative, not -1"),
        (
            {"weights": {"nightly": 0.0}},
            "the weight of caller 'nightly' must be between 0.000001 and 1,000,000, not 0.0",
        ),
        (
            {"weights": {"nightly": float("inf")}},
            "the weight of caller 'nightly' must be between 0.000001 and 1,000,000, not inf",
        ),
    ],
)
def test_a_value_out_of_range_is_refused_at_once(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        DispatcherOptions(**options)


def test_a_weight_that_is_no_number_is_refused_at_once() -> None:
    with pytest.raises(TypeError, match="the weight of caller 'nightly' must be a number, not '2'"):
        DispatcherOptions(weights={"nightly": "2"})  # type: ignore[dict-item]


def test_an_unknown_name_is_refused_at_once() -> None:
    with pytest.raises(TypeError, match="time_out"):
        DispatcherOptions(time_out=3)  # type: ignore[call-arg]


def test_a_dispatcher_takes_them_by_name_too() -> None:
    """The same names, and the same mistakes."""
    with pytest.raises(TypeError, match="time_out"):
        Dispatcher(Doomed(), Limits(60), time_out=3)
    with pytest.raises(ValueError, match="timeout must be above 0 seconds, not 0"):
        Dispatcher(Doomed(), Limits(60), options=DispatcherOptions(timeout=5), timeout=0)


def test_an_option_that_is_not_there_names_the_nearest() -> None:
    """Of a dispatcher and of a gate alike."""
    with pytest.raises(TypeError, match="no option 'max_in_fligth'; did you mean max_in_flight"):
        Dispatcher(Scripted(lambda *_: OK), Limits(60), max_in_fligth=3)
    with pytest.raises(TypeError, match="no option 'conections'; did you mean connections"):
        Gate(Limits(60), conections=3)
    with pytest.raises(TypeError, match="no option 'q'; options are max_in_flight, connections"):
        Gate(Limits(60), q=3)
