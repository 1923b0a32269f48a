"""Limits of single models, and limits of a day."""

from __future__ import annotations

from typing import Any

import pytest

from ratedispatch.simulate.provider.allowance import is_named
from tests.simulate.providers import ask, chat, error, make_provider


def of(model: str, **fields: Any) -> dict[str, Any]:
    return {**chat(**fields), "model": model}


def test_a_model_with_its_own_limits_draws_from_no_other() -> None:
    """Its refusals leave the rest alone, and the other way round."""
    provider = make_provider(requests_per_minute=1, models={"small": (2, None)})
    assert [ask(provider, of("small")).status for _ in range(3)] == [200, 200, 429]
    assert ask(provider, of("large")).status == 200
    assert ask(provider, of("large")).status == 429
    reply = ask(provider, of("small"))
    assert reply.group == "small"
    assert "Limit 2, Used 2" in error(reply)["message"]
    assert reply.headers["x-ratelimit-limit-requests"] == "2"
    provider.set_limits(5, None, 0.0)
    assert ask(provider, of("small")).status == 429


# (model, the name whose limits it draws from)
GROUPS = [
    ("gpt-4o", "gpt-4o"),
    ("gpt-4o-mini", "gpt-4o-*"),
    ("gpt-4o-mini-2", "gpt-4o-mini-*"),
    ("gpt-4", "gpt-*"),
    ("o3", ""),
]


@pytest.mark.parametrize(("model", "group"), GROUPS)
def test_the_name_that_says_most_decides(model: str, group: str) -> None:
    """The whole name before a beginning, a long beginning before a short one."""
    names = ("gpt-*", "gpt-4o-mini-*", "gpt-4o", "gpt-4o-*")
    provider = make_provider(models=dict.fromkeys(names, (5, None)))
    assert ask(provider, of(model)).group == group


def test_a_model_without_a_limit_is_free_of_the_general_one() -> None:
    """None and None: whatever the others may."""
    provider = make_provider(requests_per_minute=1, models={"free": (None, None)})
    assert [ask(provider, of("free")).status for _ in range(5)] == [200] * 5


def test_what_a_model_gives_back_goes_to_its_own_windows() -> None:
    """Settling knows whose tokens they were."""
    provider = make_provider(
        tokens_per_minute=1000, refund=True, output_tokens=10, models={"m": (None, 500)}
    )
    reply = ask(provider, of("m", max_tokens=97))
    provider.finish(reply, 0.0)
    name = "x-ratelimit-remaining-tokens"
    assert ask(provider, of("m", max_tokens=97)).headers[name] == "387"
    assert ask(provider, of("n", max_tokens=97)).headers[name] == "900"


def test_an_outage_may_strike_one_model() -> None:
    """By name or by its beginning."""
    assert is_named("gpt-4o", "gpt-4o")
    assert not is_named("gpt-4o-mini", "gpt-4o")
    provider = make_provider(outage=(0.0, 5.0), outage_model="gpt-4o*")
    assert ask(provider, of("gpt-4o-mini")).kind == "outage"
    assert ask(provider, of("gpt-5-mini")).kind == "answer"
    assert ask(provider, of("gpt-4o-mini"), 5.0).kind == "answer"


def test_a_limit_of_a_day_refuses_as_the_real_one_does() -> None:
    """200 a day: one every 432 seconds once they are used up."""
    provider = make_provider(requests_per_day=200)
    for _ in range(200):
        assert ask(provider, chat()).status == 200
    reply = ask(provider, chat())
    assert reply.kind == "requests_per_day"
    assert error(reply)["type"] == "requests"
    assert (
        "on requests per day (RPD): Limit 200, Used 200, Requested 1. Please try again in 7m12s."
    ) in error(reply)["message"]
    assert reply.headers["retry-after"] == "432"
    assert ask(provider, chat(), 431.9).status == 429
    assert ask(provider, chat(), 432.0).status == 200


def test_the_headers_on_requests_describe_the_day() -> None:
    """Those on tokens describe the minute."""
    provider = make_provider(
        requests_per_minute=500,
        tokens_per_minute=30000,
        requests_per_day=10000,
        tokens_per_day=10**6,
    )
    headers = ask(provider, chat(4, max_tokens=35)).headers
    assert headers["x-ratelimit-limit-requests"] == "10000"
    assert headers["x-ratelimit-remaining-requests"] == "9999"
    assert headers["x-ratelimit-reset-requests"] == "8.64s"
    assert headers["x-ratelimit-limit-tokens"] == "30000"


def test_part_of_a_day_may_be_spent_at_the_start() -> None:
    """Of both limits; an empty start empties only the minute."""
    provider = make_provider(requests_per_day=10, tokens_per_day=1000, day_used=0.8)
    assert [ask(provider, chat(4, max_tokens=7)).status for _ in range(3)] == [200, 200, 429]
    tokens = make_provider(tokens_per_day=1000, day_used=0.9, start="empty")
    assert ask(tokens, chat(4, max_tokens=97)).status == 200
    reply = ask(tokens, chat(4, max_tokens=97))
    assert reply.kind == "tokens_per_day"
    assert (
        "on tokens per day (TPD): Limit 1000, Used 1000, Requested 100" in error(reply)["message"]
    )
    assert reply.headers["retry-after"] == "8640"
    too_large = ask(tokens, chat(4, max_tokens=1000))
    assert too_large.kind == "too_large"
    assert "per day (TPD): Limit 1000, Requested 1003" in error(too_large)["message"]


def test_all_models_draw_from_the_same_day() -> None:
    """Own limits are those of a minute; minute and day are charged both or neither."""
    provider = make_provider(requests_per_day=3, models={"m": (2, None)})
    assert [ask(provider, of("m")).kind for _ in range(3)] == ["answer", "answer", "requests"]
    assert ask(provider, of("n")).kind == "answer"
    assert ask(provider, of("n")).kind == "requests_per_day"
    # the day makes it wait longer than the minute
    assert ask(provider, of("m"), 1.0).kind == "requests_per_day"
