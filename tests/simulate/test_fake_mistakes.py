"""What the provider refuses as a mistake of its client, and settings that mean nothing."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from ratedispatch.request import CHAT, EMBEDDINGS, MODERATIONS
from ratedispatch.simulate.provider.calls import Problem, parse_body
from ratedispatch.simulate.provider.provider import Provider, ProviderSettings
from tests.simulate.providers import ask, chat, error, make_provider

# (path, body, status, code, param)
NONSENSE: list[tuple[str, Any, int, str | None, str | None]] = [
    (CHAT, b"{", 400, None, None),
    (CHAT, b"[]", 400, None, None),
    (CHAT, {"messages": []}, 400, None, "model"),
    (CHAT, {"model": "m"}, 400, "missing_required_parameter", "messages"),
    (CHAT, {"model": "m", "messages": "text"}, 400, "missing_required_parameter", "messages"),
    (EMBEDDINGS, {"model": "m", "input": []}, 400, "missing_required_parameter", "input"),
    (CHAT, chat(max_tokens=0), 400, None, "max_tokens"),
    (CHAT, chat(n="two"), 400, None, "n"),
    (CHAT, {**chat(), "model": "no-such-model-1"}, 404, "model_not_found", None),
    ("/v1/nothing", chat(), 404, "unknown_url", None),
]


@pytest.mark.parametrize(("path", "body", "status", "code", "param"), NONSENSE)
def test_nonsense_is_refused_as_such(
    path: str, body: Any, status: int, code: str | None, param: str | None
) -> None:
    """With OpenAI's envelope, and without a charge."""
    provider = make_provider(requests_per_minute=1)
    reply = ask(provider, body, path=path)
    assert (reply.status, reply.kind) == (status, "invalid")
    inner = error(reply)
    assert (inner["code"], inner["param"], inner["type"]) == (code, param, "invalid_request_error")
    assert ask(provider, chat()).status == 200


def test_a_moderation_needs_no_model() -> None:
    """As at OpenAI, whose latest model then judges."""
    reply = ask(make_provider(), {"input": "Hello"}, path=MODERATIONS)
    assert reply.status == 200
    assert json.loads(reply.body)["model"] == "omni-moderation-latest"


def test_a_body_that_cannot_be_counted_is_refused() -> None:
    """What the counter finds wrong becomes a 400."""

    def refuse(body: Any, endpoint: str) -> int:
        raise ValueError("messages[0] is no object")

    settings = ProviderSettings()
    strict = Provider(settings, rng=random.Random(1), now=0.0, count=refuse)
    assert "messages[0]" in error(ask(strict, chat()))["message"]


@pytest.mark.parametrize("client_id", ["x" * 513, "é"])
def test_a_client_id_must_be_short_and_ascii(client_id: str) -> None:
    """As OpenAI documents it."""
    reply = make_provider().arrive(CHAT, {"x-client-request-id": client_id}, chat(), 0.0)
    assert reply.status == 400


def test_only_the_right_key_is_accepted_when_one_is_set() -> None:
    """Another key, another scheme and no key at all are 401."""
    provider = make_provider(api_key="right")
    assert provider.arrive(CHAT, {"authorization": "Bearer right"}, chat(), 0.0).status == 200
    wrong = provider.arrive(CHAT, {"authorization": "Bearer wrong"}, chat(), 0.0)
    assert (wrong.status, error(wrong)["code"]) == (401, "invalid_api_key")
    assert provider.arrive(CHAT, {"authorization": "Basic right"}, chat(), 0.0).status == 401
    assert ask(provider, chat()).status == 401
    assert provider.get("/v1/models", {}, 0.0).status == 401


# (settings, a word of the message)
MEANINGLESS: list[tuple[dict[str, Any], str]] = [
    ({"requests_per_minute": 0}, "requests_per_minute"),
    ({"tokens_per_minute": float("nan")}, "tokens_per_minute"),
    ({"burst_seconds": 0}, "burst_seconds"),
    ({"burst_seconds": 61}, "burst_seconds"),
    ({"latency": -1}, "latency"),
    ({"output_share": 2}, "output_share"),
    ({"faults": {"earthquake": 0.1}}, "earthquake"),
    ({"faults": {"500": 1.1}}, "500"),
    ({"outage_model": "m"}, "outage_model is 'm', but there is no outage"),
    ({"changes": ((10, 0, None),)}, r"changes\[0\] on requests is 0"),
    ({"changes": ((10, None, -1),)}, r"changes\[0\] on tokens is -1"),
    ({"changes": ((10, 1, 1), (5, 1, 1))}, r"changes\[1\] begins at 5 s, not at 10 s"),
    ({"competitor": ((-1, 60),)}, r"competitor\[0\] begins at -1 s"),
    ({"competitor": ((1, -60),)}, r"competitor\[0\] sends -60 per minute"),
    ({"competitor_tokens": 0}, "competitor_tokens is 0"),
    ({"header_factor": -1}, "header_factor is -1"),
    ({"queue": 5}, "queue is 5, but engine_slots is not set"),
    ({"queue": 0}, "queue is 0, but engine_slots is not set"),
    ({"engine_batching": 0.5}, "engine_batching is 0.5, but engine_slots is not set"),
    ({"engine_slots": 0}, "engine_slots is 0"),
    ({"engine_slots": 1, "queue": -1}, "queue is -1"),
    ({"engine_slots": 1, "engine_batching": float("inf")}, "engine_batching is inf"),
    ({"models": {"": (1, 1)}}, "models names a model ''"),
    ({"models": {"m*": (0, 1)}}, r"models\['m\*'\] on requests is 0"),
    ({"models": {"m": (1, 0)}}, r"models\['m'\] on tokens is 0"),
    ({"requests_per_day": 0}, "requests_per_day is 0"),
    ({"day_used": 1.5}, "day_used is 1.5"),
]


@pytest.mark.parametrize(("settings", "word"), MEANINGLESS)
def test_settings_that_mean_nothing_are_refused(settings: dict[str, Any], word: str) -> None:
    """The message names the field."""
    with pytest.raises(ValueError, match=word):
        ProviderSettings(**settings)


@pytest.mark.parametrize("raw", [b"[" * 100_000, b'{"a":' * 100_000, b"no json", b"\xff"])
def test_a_body_that_cannot_be_read_is_refused(raw: bytes) -> None:
    """Brackets too deep for the reader too."""
    with pytest.raises(Problem) as caught:
        parse_body(raw)
    assert caught.value.status == 400
