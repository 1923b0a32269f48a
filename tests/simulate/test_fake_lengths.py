"""How long outputs are: a number, a distribution, by model; and what cuts them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click
import pytest

from ratedispatch.cli.param_types import DISTRIBUTION
from ratedispatch.request import RESPONSES
from ratedispatch.simulate.forecast.lengths import Lengths
from tests.simulate.providers import ask, chat, make_provider

if TYPE_CHECKING:
    from ratedispatch.simulate.provider.provider import Provider

ONE_OF_TWO = Lengths((20.0, 40.0))


def _lengths(provider: Provider, count: int = 40, **fields: Any) -> list[int]:
    return [
        json.loads(ask(provider, chat(**fields)).body)["usage"]["completion_tokens"]
        for _ in range(count)
    ]


def test_lengths_are_drawn_for_each_request_and_cut_by_its_cap() -> None:
    """Both lengths come, the mean is that of the distribution, and no answer exceeds its cap."""
    found = _lengths(make_provider(output_tokens=ONE_OF_TWO), 400, max_tokens=100)
    assert set(found) == {20, 40}
    assert sum(found) / len(found) == pytest.approx(30, abs=2)
    assert set(_lengths(make_provider(output_tokens=ONE_OF_TWO), max_tokens=30)) == {20, 30}


def test_what_is_reserved_without_a_cap_cuts_nothing() -> None:
    """Neither a number nor a distribution; and the answer ends by itself."""
    for length in (40, Lengths((40.0,))):
        provider = make_provider(output_tokens=length)
        answer = json.loads(ask(provider, {"model": "m", "input": "a"}, path=RESPONSES).body)
        assert (answer["status"], answer["usage"]["output_tokens"]) == ("completed", 40)


def test_a_model_has_lengths_of_its_own() -> None:
    """By its name or the beginning of it; others have those of the account."""
    provider = make_provider(
        output_tokens=5, output_lengths={"m": Lengths((7.0,)), "gpt-*": Lengths((9.0,))}
    )
    assert [
        _lengths(provider, 1, model=model, max_tokens=50)[0] for model in ("m", "gpt-5", "other")
    ] == [7, 9, 5]


def test_a_number_draws_no_chance() -> None:
    """The latencies of a seed are the same with the share, a number, and one that comes to it."""
    delays = [
        [ask(provider, chat(max_tokens=10)).delay for _ in range(5)]
        for provider in (make_provider(), make_provider(output_tokens=5))
    ]
    assert delays[0] == delays[1]


def test_the_flag_takes_a_number_or_a_distribution() -> None:
    """And says what is neither, in one line."""
    assert DISTRIBUTION.convert("200", None, None) == 200
    drawn = DISTRIBUTION.convert("uniform:10:30", None, None)
    assert (drawn.mean, drawn.text) == (pytest.approx(20), "uniform:10:30")
    for text in ("0", "-3", "many", "uniform:30:10", "9" * 5000):
        with pytest.raises(click.BadParameter):
            DISTRIBUTION.convert(text, None, None)
