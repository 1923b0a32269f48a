"""
What a request costs, before it is sent.

Counts prompts as the tokenizer does and estimates what a provider will charge. Knows nothing of
limits, event loops or HTTP, and opens no socket: the vocabularies travel with the package.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ratedispatch.providers.charge import (
    ANTHROPIC,
    AZURE,
    AZURE_PROVISIONED,
    CAUTIOUS,
    GEMINI,
    MISTRAL,
    OPENAI,
    POLICIES,
    TOKENS,
    ChargePolicy,
    policy_for,
)
from ratedispatch.request import CHAT
from ratedispatch.tokens.assumptions import Assumptions
from ratedispatch.tokens.calibration import Experience
from ratedispatch.tokens.counter import Counter
from ratedispatch.tokens.notices import (
    CountingWarning,
    MissingVocabularyWarning,
    UnknownModelWarning,
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
    "ChargePolicy",
    "Counter",
    "CountingWarning",
    "Experience",
    "MissingVocabularyWarning",
    "UnknownModelWarning",
    "count_tokens",
    "estimate",
    "policy_for",
]


# the one object kept for the whole process: whoever counts one request at a time should not have
# to hold a Counter to have repeated texts counted once; it loads nothing before it is used
_DEFAULT = Counter()


def count_tokens(
    body: Mapping[str, Any], endpoint: str = CHAT, *, encoding: str | None = None
) -> int:
    """
    Return the prompt tokens of *body* as the tokenizer counts them.

    Args:
        body: The JSON object of the request.
        endpoint: The path it is posted to, for example ``/v1/chat/completions``.
        encoding: Count with this encoding instead of the one of the body's model.

    Raises:
        InvalidRequest: A field has the wrong type; the message names it.
        ValueError: There is no *encoding* of that name.
    """
    return _DEFAULT.count(body, endpoint, encoding=encoding)


def estimate(
    body: Mapping[str, Any],
    endpoint: str = CHAT,
    *,
    default_output_tokens: int = 16,
    explain: bool = False,
    policy: ChargePolicy = OPENAI,
    encoding: str | None = None,
    experience: Experience | None = None,
) -> Cost:
    """
    Return what to reserve for *body*: its prompt as *policy* charges it, and its output.

    Args:
        body: The JSON object of the request.
        endpoint: The path it is posted to.
        default_output_tokens: Reserved for each choice when the request has no output cap.
        explain: Also give the reasons; ``Cost.parts`` then adds up to ``Cost.tokens``.
        policy: How the provider charges; see `policy_for`.
        encoding: Count with this encoding instead of the one of the body's model.
        experience: What a job has learned; corrects the count, and takes the place of
            *default_output_tokens*.

    Raises:
        InvalidRequest: A field has the wrong type; the message names it.
        ValueError: There is no *encoding* of that name.
    """
    return _DEFAULT.estimate(
        body,
        endpoint,
        default_output_tokens=default_output_tokens,
        explain=explain,
        policy=policy,
        encoding=encoding,
        experience=experience,
    )
