"""
Files of requests to measure with.

Decides what the rows ask and how long they are, from a seed. Knows nothing of limits, servers or
clocks. Texts are made of words that are one token each, so that a length in tokens is met within
a few, and every text begins with its row number, so that no two bodies are alike.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ratedispatch.request import CHAT
from ratedispatch.simulate.provider.calls import read_call
from ratedispatch.tokens import count_tokens

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_MODEL = "gpt-4o-mini"

# words of three letters at most: a token and at most four characters each, so that a provider
# that charges characters / 4 charges no more than one that counts tokens
_TEXT = (
    "the cup of tea is on a tin box by my bed so he or she can sip it at six or ten and get up "
    "to go out in fog and rain if the sun is not yet up we all do as we are told but not you"
)
_WORDS = _TEXT.split()

#: Tokens reserved for each answer. Small, so that the prompts make the difference.
OUTPUT_CAP = 16

#: Tokens of a body besides its words and its cap: those of the chat format, and the row number.
_OVERHEAD = 10

#: The least that a row of mixed lengths is charged.
_SHORTEST = 40


@dataclass(frozen=True, slots=True)
class Row:
    """
    One request of a file.

    Args:
        custom_id: Its name; unique in the file.
        body: The JSON object to post.
        tokens: What the fake server charges for it at admission.
    """

    custom_id: str
    body: dict[str, Any]
    tokens: int


@dataclass(frozen=True, slots=True)
class Workload:
    """
    Rows in the order of their file.

    Args:
        name: What it is for; the prefix of every ``custom_id``.
        rows: At least one.
    """

    name: str
    rows: tuple[Row, ...]

    @property
    def tokens(self) -> int:
        """What all rows together are charged, each admitted once."""
        return sum(row.tokens for row in self.rows)

    @property
    def ids(self) -> tuple[str, ...]:
        """Every ``custom_id``, in the order of the file."""
        return tuple(row.custom_id for row in self.rows)

    def write(self, path: Path) -> None:
        """Write *path* in OpenAI's Batch format."""
        with path.open("w", encoding="utf-8") as file:
            for row in self.rows:
                line = {
                    "custom_id": row.custom_id,
                    "method": "POST",
                    "url": CHAT,
                    "body": row.body,
                }
                file.write(json.dumps(line) + "\n")


def short(count: int, seed: int) -> Workload:
    """Return *count* requests of 30 to 50 tokens."""
    rng = random.Random(seed)
    return _make("short", (rng.randint(30, 50) for _ in range(count)), rng)


def even(count: int, seed: int, *, tokens: int = 200) -> Workload:
    """Return *count* requests of about *tokens* tokens."""
    return _make("even", [tokens] * count, random.Random(seed))


def mixed(
    count: int, seed: int, *, median: int = 200, sigma: float = 1.0, longest: int = 4000
) -> Workload:
    """Return *count* requests of log-normal lengths in tokens, cut at *longest*."""
    rng = random.Random(seed)
    lengths = (round(median * rng.lognormvariate(0.0, sigma)) for _ in range(count))
    return _make("mixed", (max(_SHORTEST, min(longest, length)) for length in lengths), rng)


def with_large(
    count: int, seed: int, *, large: int = 3000, small: int = 60, one_in: int = 10
) -> Workload:
    """
    Return *count* requests of *small* tokens with one of *large* tokens in each *one_in*.

    Where in its ten a large one stands is drawn; *count* is a multiple of *one_in*.
    """
    rng = random.Random(seed)
    lengths: list[int] = []
    for _ in range(count // one_in):
        block = [small] * one_in
        block[rng.randrange(one_in)] = large
        lengths += block
    return _make("large", lengths, rng)


def _make(name: str, lengths: Iterable[int], rng: random.Random) -> Workload:
    # lengths and words come from one stream of chance: a list, so that lengths are drawn first
    return Workload(
        name,
        tuple(
            _row(f"{name}-{number:05d}", number, length, rng)
            for number, length in enumerate(list(lengths))
        ),
    )


def _row(custom_id: str, number: int, length: int, rng: random.Random) -> Row:
    words = rng.choices(_WORDS, k=max(1, length - OUTPUT_CAP - _OVERHEAD))
    body = {
        "model": _MODEL,
        "messages": [{"role": "user", "content": f"{number}: " + " ".join(words)}],
        "max_tokens": OUTPUT_CAP,
    }
    # the server's own arithmetic: what its limits are charged is what counts as work
    return Row(custom_id, body, read_call(CHAT, body, custom_id, count_tokens).tokens)
