"""Dimensions: what limits are set on, and what each amounts to."""

from __future__ import annotations

import pickle
import random
from itertools import pairwise
from operator import attrgetter
from typing import TYPE_CHECKING

import pytest

from ratedispatch import dimension as dimension_module
from ratedispatch.dimension import DAY, PER_MINUTE, STANDARD, Dimension, dimension_named
from ratedispatch.dispatch.dispatcher import Dispatcher
from ratedispatch.events import AttemptSent
from ratedispatch.limits import Limits, Rate
from ratedispatch.outcome import Completed, Failed, Usage
from ratedispatch.request import Cost, Request
from ratedispatch.simulate.clock import run_virtual
from ratedispatch.simulate.settings import ProviderSettings
from ratedispatch.simulate.transport import ProviderTransport

if TYPE_CHECKING:
    from ratedispatch.events import Event
    from ratedispatch.outcome import Outcome

COST = Cost(30, 12, requests=2, custom={"images": 5})
USAGE = Usage(7, 4)


@pytest.mark.parametrize(
    ("name", "amount", "used", "phrase"),
    [
        ("requests", 2, None, "requests per minute"),
        ("tokens", 42, 11, "tokens per minute"),
        ("input_tokens", 30, 7, "input tokens per minute"),
        ("output_tokens", 12, 4, "output tokens per minute"),
        ("requests_per_day", 2, None, "requests per day"),
        ("tokens_per_day", 42, 11, "tokens per day"),
        ("input_tokens_per_day", 30, 7, "input tokens per day"),
        ("output_tokens_per_day", 12, 4, "output tokens per day"),
        ("images", 5, None, "images per minute"),
        ("slide_pages", 0, None, "slide pages per minute"),
    ],
)
def test_amounts_and_words(name: str, amount: float, used: float | None, phrase: str) -> None:
    """Of a cost, of an answer, and in a sentence."""
    found = dimension_named(name)
    assert found.name == name
    assert found.of_cost(COST) == COST.amount(name) == amount
    assert (None if found.of_usage is None else found.of_usage(USAGE)) == used
    assert found.phrase == phrase
    assert found.is_daily == (found.window == DAY)


def test_a_dimension_is_a_value() -> None:
    """The same name gives the same one, in another process too."""
    for name in ("tokens", "images"):
        assert dimension_named(name) is dimension_named(name)
        assert pickle.loads(pickle.dumps(dimension_named(name))).of_cost(COST) == COST.amount(name)


def test_every_field_of_limits_is_that_of_one_dimension() -> None:
    """Limits on all of them give as many rates, in their order."""
    settings = [one.setting for one in STANDARD if one.setting]
    limits = Limits(**dict.fromkeys(settings, 60.0))  # type: ignore[arg-type]
    names = [one.name for one in STANDARD if one.setting]
    assert [rate.dimension for rate in limits.rates()] == names
    assert [limits.known(name) for name in names] == [60.0] * len(names)
    assert PER_MINUTE == ("requests", "tokens", "input_tokens", "output_tokens")


def test_one_without_a_field_is_limited_by_its_name() -> None:
    """Its amount is its own, not that of the request, and its window too."""
    limits = Limits(custom={"input_tokens_per_day": 1_000})
    assert limits.rates() == (Rate("input_tokens_per_day", 1_000 / DAY * 60, 1_000, DAY),)
    assert limits.known("input_tokens_per_day") == 1_000


def test_a_new_dimension_is_one_value(monkeypatch: pytest.MonkeyPatch) -> None:
    """A choice a second: requests for two of them leave two seconds apart."""
    choices = Dimension("choices", "choices", attrgetter("choices"))
    monkeypatch.setitem(dimension_module._NAMED, "choices", choices)
    sent: list[float] = []

    def listen(event: Event) -> None:
        if isinstance(event, AttemptSent):
            sent.append(event.at)

    def asking_for(choices: int) -> Request:
        messages = [{"role": "user", "content": "hi"}]
        return Request.chat(model="gpt-4o", messages=messages, n=choices, max_tokens=1)

    async def main() -> Outcome:
        transport = ProviderTransport(ProviderSettings(), random.Random(1))
        limits = Limits(custom={"choices": 60.0})
        rng = random.Random(1)
        async with Dispatcher(transport, limits, rng=rng, listeners=[listen]) as dispatcher:
            async for outcome in dispatcher.map([asking_for(2)] * 5):
                assert isinstance(outcome, Completed)
            return await dispatcher.submit(asking_for(61))

    failed = run_virtual(main())
    assert [after - before for before, after in pairwise(sent)] == pytest.approx([2.0] * 4)
    assert isinstance(failed, Failed)
    assert "costs 61 choices but the limit is 60 choices per minute" in failed.message
