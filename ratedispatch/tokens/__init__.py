"""
Counts the cost of a request before it is sent.

Counts prompts with the tokenizer and estimates what a provider will charge. Opens no socket: the
vocabularies are part of the package.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ratedispatch.providers.anthropic import CHARGE as ANTHROPIC
from ratedispatch.providers.azure import CHARGE as AZURE
from ratedispatch.providers.azure import PROVISIONED as AZURE_PROVISIONED
from ratedispatch.providers.charge import CAUTIOUS, TOKENS, ChargePolicy
from ratedispatch.providers.gemini import CHARGE as GEMINI
from ratedispatch.providers.mistral import CHARGE as MISTRAL
from ratedispatch.providers.openai import CHARGE as OPENAI
from ratedispatch.providers.registry import POLICIES, policy_for
from ratedispatch.request import CHAT
from ratedispatch.tokens.assumptions import Assumptions
from ratedispatch.tokens.calibration import Calibration
from ratedispatch.tokens.counter import DEFAULT, Counter
from ratedispatch.tokens.estimator import Estimator
from ratedispatch.tokens.notices import (
    CountingWarning,
    MissingVocabularyWarning,
    UnknownModelWarning,
    UnreadValueWarning,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ratedispatch.request import Cost

__all__ = [
    "ANTHROPIC",
    "AZURE",
    "AZURE_PROVISIONED",
    "CAUTIOUS",
    "GEMINI",
    "MISTRAL",
    "OPENAI",
    "POLICIES",
    "TOKENS",
    "Assumptions",
    "Calibration",
    "ChargePolicy",
    "Counter",
    "CountingWarning",
    "Estimator",
    "MissingVocabularyWarning",
    "UnknownModelWarning",
    "UnreadValueWarning",
    "count_tokens",
    "estimate",
    "policy_for",
]


def count_tokens(
    body: Mapping[str, Any], endpoint: str = CHAT, *, encoding: str | None = None
) -> int:
    """
    Return the prompt tokens of *body* as the tokenizer counts them.

    Args:
        body: The JSON object of the request.
        endpoint: The path that it is posted to, for example ``/v1/chat/completions``.
        encoding: Count with this encoding instead of the encoding of the body's model.

    Raises:
        InvalidRequest: A field has the wrong type; the message names it.
        ValueError: There is no *encoding* of that name.
    """
    return DEFAULT.count(body, endpoint, encoding=encoding)


def estimate(
    body: Mapping[str, Any],
    endpoint: str = CHAT,
    *,
    default_output_tokens: int = 16,
    explain: bool = False,
    policy: ChargePolicy = OPENAI,
    encoding: str | None = None,
    calibration: Calibration | None = None,
) -> Cost:
    """
    Return the cost to reserve for *body*: its prompt as *policy* charges it, and its output.

    Args:
        body: The JSON object of the request.
        endpoint: The path that it is posted to.
        default_output_tokens: Tokens reserved for each choice if the request has no output cap.
        explain: Also return what the tokens are for: ``Cost.parts`` then adds up to
            ``Cost.tokens``.
        policy: How the provider charges; see `policy_for`.
        encoding: Count with this encoding instead of the encoding of the body's model.
        calibration: What was learned from answers; corrects the count, and replaces
            *default_output_tokens*.

    Raises:
        InvalidRequest: A field has the wrong type; the message names it.
        ValueError: There is no *encoding* of that name.
    """
    return DEFAULT.estimate(
        body,
        endpoint,
        default_output_tokens=default_output_tokens,
        explain=explain,
        policy=policy,
        encoding=encoding,
        calibration=calibration,
    )
