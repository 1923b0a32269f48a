"""
Every provider, and the one that a base URL belongs to.

A new provider is a module of its own and one entry here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ratedispatch.providers import (
    anthropic,
    azure,
    cerebras,
    fireworks,
    gemini,
    generic,
    github,
    groq,
    litellm,
    mistral,
    openai,
    openrouter,
    together,
)
from ratedispatch.providers.base import Provider
from ratedispatch.providers.charge import CAUTIOUS, TOKENS
from ratedispatch.providers.quirks import Quirks

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ratedispatch.providers.charge import ChargePolicy

_PROFILES = (
    openai.PROFILE,
    azure.PROFILE,
    anthropic.PROFILE,
    cerebras.PROFILE,
    fireworks.PROFILE,
    gemini.PROFILE,
    github.PROFILE,
    groq.PROFILE,
    litellm.PROFILE,
    mistral.PROFILE,
    openrouter.PROFILE,
    together.PROFILE,
    generic.PROFILE,
)

#: The quirks of all providers, in the order in which they are asked.
QUIRKS = tuple(profile.quirks for profile in _PROFILES if profile.quirks != Quirks())

#: Every provider by its name.
PROVIDERS: Mapping[str, Provider] = {
    profile.name: Provider(profile, QUIRKS) for profile in _PROFILES
}

#: Every charge policy by its name.
POLICIES: Mapping[str, ChargePolicy] = {
    policy.name: policy
    for policy in (
        openai.CHARGE,
        azure.CHARGE,
        azure.PROVISIONED,
        anthropic.CHARGE,
        gemini.CHARGE,
        mistral.CHARGE,
        CAUTIOUS,
        TOKENS,
    )
}


def provider_for(base_url: str | None) -> Provider:
    """
    Return the provider whose host *base_url* has: OpenAI for None, the generic one if unknown.

    Args:
        base_url: A URL, or a host alone.

    Raises:
        ValueError: *base_url* is not a string.
    """
    if base_url is None:
        return PROVIDERS["openai"]
    if not isinstance(base_url, str):
        raise ValueError(f"base_url must be a string or None, got {type(base_url).__name__}")
    try:
        host = urlsplit(base_url if "//" in base_url else f"//{base_url}").hostname or ""
    except ValueError:  # a bracket that is not closed
        host = ""
    for provider in PROVIDERS.values():
        if any(host == name or host.endswith(f".{name}") for name in provider.hosts):
            return provider
    return PROVIDERS["generic"]


def policy_for(base_url: str | None) -> ChargePolicy:
    """
    Return how the provider at *base_url* charges; see `provider_for`.

    Raises:
        ValueError: *base_url* is not a string.
    """
    return provider_for(base_url).charge
