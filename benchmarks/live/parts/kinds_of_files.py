"""Ten kinds of files, by how long their outputs are, and the fake server that answers each."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from ratedispatch.request import CHAT
from ratedispatch.simulate.forecast.lengths import Lengths
from ratedispatch.simulate.provider import provider
from ratedispatch.simulate.server.server import FakeServer
from ratedispatch.simulate.settings import ProviderSettings

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ratedispatch.simulate.provider.calls import Call

_MODEL, _OTHER = "gpt-4.1-mini", "gpt-4.1-nano"


@dataclass(frozen=True, slots=True)
class Kind:
    """
    A kind of files.

    Args:
        name: What it is like.
        provider: How long outputs are.
        caps: The caps that rows name, 0 for none; one is drawn for each.
        models: The models that rows name in turn.
        follows: Tokens of output of an empty prompt, for each token of one, and sigma; None where
            the provider's settings say all.
    """

    name: str
    provider: ProviderSettings
    caps: tuple[int, ...] = (0,)
    models: tuple[str, ...] = (_MODEL,)
    follows: tuple[float, float, float] | None = None


def _settings(text: str | None = None, **others: Any) -> ProviderSettings:
    lengths = None if text is None else Lengths.parse(text)
    others = {"latency": 0.02, "output_tokens": lengths, **others}
    return ProviderSettings(**others)


_CAPS = (100, 200, 300, 400)

KINDS = (
    Kind("half of the cap", _settings(), _CAPS),
    Kind("0.37 of the cap", _settings(output_share=0.37), _CAPS),
    Kind("all alike, cut by caps", _settings("180"), _CAPS),
    Kind("all alike, no caps", _settings("90")),
    Kind("log-normal, cut by caps", _settings("lognormal:150:0.5"), _CAPS),
    Kind("log-normal, no caps", _settings("lognormal:150:0.3")),
    Kind("uniform, some caps", _settings("uniform:50:250"), (0, 150, 300)),
    Kind("follows the prompt", _settings(), follows=(40.0, 0.35, 0.2)),
    Kind(
        "two models",
        _settings(
            output_lengths={
                _MODEL: Lengths.parse("lognormal:120:0.3"),
                _OTHER: Lengths.parse("lognormal:300:0.3"),
            }
        ),
        models=(_MODEL, _OTHER),
    ),
    Kind("exponential, cut by caps", _settings("exponential:200"), _CAPS),
)


def write(path: Path, kind: Kind, rows: int, rng: random.Random) -> None:
    """Write a file of *kind* with *rows* rows, whose prompts are log-normal, some long."""
    with path.open("w", encoding="utf-8") as file:
        for number in range(rows):
            words = max(5, min(2_000, round(rng.lognormvariate(math.log(250), 0.7))))
            text = f"{number} " + "tea " * words
            body: dict[str, Any] = {
                "model": kind.models[number % len(kind.models)],
                "messages": [{"role": "user", "content": text}],
            }
            cap = rng.choice(kind.caps)
            if cap:
                body["max_tokens"] = cap
            line = {"custom_id": f"row-{number}", "method": "POST", "url": CHAT, "body": body}
            file.write(json.dumps(line) + "\n")


@contextlib.contextmanager
def serving(kind: Kind, seed: int) -> Iterator[str]:
    """Serve answers of *kind* from a thread of this process; yield its URL."""
    loop = asyncio.new_event_loop()
    ready: list[Any] = []

    async def start() -> None:
        server = FakeServer(kind.provider, seed=seed)
        ready.extend((server, await server.start("127.0.0.1", 0)))

    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    with contextlib.ExitStack() as stack:
        if kind.follows is not None:
            lengths = _following(*kind.follows)
            stack.enter_context(patch.object(provider, "output_length", lengths))
        asyncio.run_coroutine_threadsafe(start(), loop).result()
        try:
            yield f"http://127.0.0.1:{ready[1]}/v1"
        finally:
            asyncio.run_coroutine_threadsafe(ready[0].stop(), loop).result()
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()


def _following(
    base: float, slope: float, sigma: float
) -> Callable[[ProviderSettings, Call, random.Random], int]:
    """Return what makes outputs follow their prompts."""

    def length(_: ProviderSettings, call: Call, rng: random.Random) -> int:
        """Return the tokens of an output of *call*."""
        middle = base + slope * call.prompt_tokens
        return max(1, round(middle * rng.lognormvariate(0.0, sigma)))

    return length
