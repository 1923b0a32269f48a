"""
The ways people start with, for comparison.

``backoff``: every row at once, and refusals retried as OpenAI's guide on rate limits shows it.
``limiters``: every row at once behind two limiters that allow a minute's limit in any minute, and
no retries. Both use the SDK with its own retries off and ``asyncio.gather``, which gives up at
the first exception. ``backoff-sdk`` is ``backoff`` with the retries of the SDK left on, as the
client comes, and ``backoff-100`` is ``backoff`` with at most 100 rows begun at once. An answer is
written down as soon as it is there, so that what a crash leaves can be counted.

Run as a child:
``python -m benchmarks.live.parts.baselines WAY IN OUT --base-url URL --rpm N --tpm N``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import backoff
import openai
from aiolimiter import AsyncLimiter

from ratedispatch.tokens import TOKENS, estimate

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Ask = Callable[[dict[str, Any]], Awaitable[Any]]

WAYS = ("backoff", "backoff-sdk", "backoff-100", "limiters")

#: Rows begun at once in ``backoff-100``: twice what the limits of `benchmarks.live.recipe` allow.
_BEGUN = 100

#: Seconds for a request, its connection included: the five that the SDK gives a connection are too
#: few on a small machine where a thousand are opened at once, which is another problem than limits.
_TIMEOUT = 60.0


def with_backoff(client: openai.AsyncOpenAI) -> Ask:
    """Return the call that tries again, ever later, for as long as it is refused."""

    @backoff.on_exception(backoff.expo, openai.RateLimitError)
    async def completions_with_backoff(body: dict[str, Any]) -> Any:
        return await client.chat.completions.create(**body)

    ask: Ask = completions_with_backoff
    return ask


def with_limiters(client: openai.AsyncOpenAI, rpm: int, tpm: int) -> Ask:
    """Return the call that waits for one limiter and then for the other."""
    requests = AsyncLimiter(rpm, 60)
    tokens = AsyncLimiter(tpm, 60)

    async def ask(body: dict[str, Any]) -> Any:
        await requests.acquire()
        await tokens.acquire(estimate(body, policy=TOKENS).tokens)
        return await client.chat.completions.create(**body)

    return ask


async def run(arguments: argparse.Namespace) -> None:
    """Ask for every row of the input at once and append the answers to the output."""
    lines = arguments.input.read_text(encoding="utf-8").splitlines()
    client = openai.AsyncOpenAI(
        base_url=arguments.base_url,
        api_key="fake",
        max_retries=openai.DEFAULT_MAX_RETRIES if arguments.way == "backoff-sdk" else 0,
        timeout=_TIMEOUT,
    )
    ask = (
        with_limiters(client, arguments.rpm, arguments.tpm)
        if arguments.way == "limiters"
        else with_backoff(client)
    )
    bound = asyncio.Semaphore(_BEGUN if arguments.way == "backoff-100" else len(lines))
    with arguments.output.open("w", encoding="utf-8") as output:

        async def answer(row: dict[str, Any]) -> None:
            async with bound:
                completion = await ask(row["body"])
            response = {"status_code": 200, "body": completion.to_dict()}
            line = {"custom_id": row["custom_id"], "response": response, "error": None}
            output.write(json.dumps(line) + "\n")
            output.flush()

        await asyncio.gather(*(answer(json.loads(line)) for line in lines))


def main() -> None:
    """Run the way that the arguments name; exit code 1 if it crashed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("way", choices=WAYS)
    parser.add_argument("input", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--base-url", required=True)
    parser.add_argument("--rpm", type=int, required=True)
    parser.add_argument("--tpm", type=int, required=True)
    # what a crash leaves unawaited is not what it died of
    warnings.simplefilter("ignore")
    try:
        asyncio.run(run(parser.parse_args()))
    except Exception as error:  # whatever it is: it is the result
        sys.exit(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
