"""Providers and requests for the tests of this folder."""

from __future__ import annotations

import json
import random
from typing import Any

from ratedispatch.request import CHAT
from ratedispatch.simulate.provider.provider import Provider, ProviderSettings, Reply


def make_provider(seed: int = 1, **settings: Any) -> Provider:
    options = {"charge": "characters", "latency": 0.5, "latency_sigma": 0.0, **settings}
    return Provider(ProviderSettings(**options), rng=random.Random(seed), now=0.0)


def chat(characters: int = 4, **fields: Any) -> dict[str, Any]:
    message = {"role": "user", "content": "x" * characters}
    return {"model": "gpt-4o-mini", "messages": [message], **fields}


def ask(provider: Provider, body: Any, now: float = 0.0, path: str = CHAT) -> Reply:
    return provider.arrive(path, {}, body, now)


def error(reply: Reply) -> dict[str, Any]:
    inner = json.loads(reply.body)["error"]
    assert isinstance(inner, dict)
    return inner
