"""
What tokens cost in money, as dated data.

Decides which entry of the table a model's name means. Knows nothing of files, limits or counting.
Prices change without notice: each entry says where it was read and of which day that source is.
They are list prices of the standard tier; what batches and flex processing cost is a share of
them. Discounts of cached inputs are not in here.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import date

# a fine-tuned model (ft:…) and a variant (…:free) have their own prices
_FOREIGN = ":"
_SNAPSHOT = re.compile(r"-\d{4}-\d{2}-\d{2}\Z")

_LLM_PRICES = "https://raw.githubusercontent.com/simonw/llm-prices/refs/heads/main/data/openai.json"
_LLM_PRICES_DATE = date(2026, 8, 5)
_EMBEDDINGS = "https://openai.com/index/new-embedding-models-and-api-updates/"


@dataclass(frozen=True, slots=True)
class Price:
    """
    What a million tokens of a model cost.

    Args:
        model: Its name without a date.
        input: USD for a million tokens sent.
        output: USD for a million tokens that come back.
        source: Where the price was read; empty if the caller gave it.
        day: The day of which that source is.

    Raises:
        ValueError: A price is negative or not finite.
    """

    model: str
    input: float
    output: float
    source: str = ""
    day: date | None = None

    def __post_init__(self) -> None:
        for name, value in (("input", self.input), ("output", self.output)):
            if not 0 <= value < math.inf:
                raise ValueError(f"the {name} price must be 0 or more USD, not {value!r}")

    def usd(self, input_tokens: int, output_tokens: int) -> float:
        """Return what *input_tokens* and *output_tokens* cost, in USD."""
        return (input_tokens * self.input + output_tokens * self.output) / 1_000_000


def _listed(model: str, input_price: float, output_price: float) -> Price:
    return Price(model, input_price, output_price, _LLM_PRICES, _LLM_PRICES_DATE)


#: What is known, by name. A model that is not in here has no price.
TABLE: tuple[Price, ...] = (
    _listed("gpt-4o", 2.50, 10.00),
    _listed("gpt-4o-mini", 0.15, 0.60),
    _listed("gpt-4.1", 2.00, 8.00),
    _listed("gpt-4.1-mini", 0.40, 1.60),
    _listed("gpt-4.1-nano", 0.10, 0.40),
    _listed("gpt-5", 1.25, 10.00),
    _listed("gpt-5-mini", 0.25, 2.00),
    _listed("gpt-5-nano", 0.05, 0.40),
    _listed("gpt-5.1", 1.25, 10.00),
    _listed("gpt-5.2", 1.75, 14.00),
    _listed("o3-mini", 1.10, 4.40),
    _listed("o4-mini", 1.10, 4.40),
    # not from the list above, which still has the price before the reduction of June 2025
    Price("o3", 2.00, 8.00, "https://modelpedia.dev/openai/o3-2025-04-16", date(2026, 3, 21)),
    Price("text-embedding-3-small", 0.02, 0.0, _EMBEDDINGS, date(2024, 1, 25)),
    Price("text-embedding-3-large", 0.13, 0.0, _EMBEDDINGS, date(2024, 1, 25)),
)

# OpenAI's page of the model: "free models designed to detect harmful content"; not in the table,
# whose entries are prices
_MODERATION = "https://developers.openai.com/api/docs/models/omni-moderation-latest"
_FREE = tuple(
    Price(model, 0.0, 0.0, _MODERATION) for model in ("omni-moderation", "omni-moderation-latest")
)

#: Snapshots that do not cost what the name without the date does.
_APART = frozenset({"gpt-4o-2024-05-13"})


@dataclass(frozen=True, slots=True)
class Service:
    """
    A way to have requests answered that costs a share of the list price.

    Args:
        name: What it is called.
        share: What it costs, as a share of the standard price.
        window: Seconds within which everything is answered; None if nothing is promised.
        most_rows: Requests that can be passed on at once; None for one at a time.
        note: What one gets for less, in a sentence.
        source: Where it was read.
        as_of: The year of that copy.
    """

    name: str
    share: float
    window: float | None
    most_rows: int | None
    note: str
    source: str
    as_of: str


#: Other services of OpenAI, beside answers at once.
SERVICES: tuple[Service, ...] = (
    Service(
        "flex",
        0.5,
        None,
        None,
        "slower; a request may be refused for lack of capacity, at no cost",
        "https://developers.openai.com/api/docs/guides/flex-processing",
        "2026",
    ),
    Service(
        "batch",
        0.5,
        86_400.0,
        50_000,
        "answered within 24 hours, with limits of its own",
        "https://developers.openai.com/api/docs/guides/batch",
        "2026",
    ),
)

_BY_NAME = {price.model: price for price in (*TABLE, *_FREE)}


def price_of(model: str) -> Price | None:
    """
    Return the price of *model*, or None if it is not known.

    Only the name itself and its dated snapshots count: ``gpt-4o-2024-08-06`` is ``gpt-4o``, but
    ``gpt-4o-audio-preview``, ``gpt-5.4`` and ``ft:gpt-4o:…`` are models with their own prices.
    A provider before a slash (``openai/gpt-4o``) is only left out if it is ``openai``.
    """
    name = model.strip().lower().removeprefix("openai/")
    if _FOREIGN in name or name in _APART:
        return None
    return _BY_NAME.get(name) or _BY_NAME.get(_SNAPSHOT.sub("", name))
