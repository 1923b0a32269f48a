"""
What a provider charges a request at admission, as data.

Decides which count is reserved: by tokens, or by the larger of tokens and characters, with or
without the output cap. Knows nothing of buckets; it is told a base URL and answers with values.
Follows: OpenAI's guide on rate limits ("based on the character count of your request") and the
response headers printed in public workshops, which fit characters / 4 + 2 per message + output
cap; Microsoft Learn, "Manage Azure OpenAI quota"; the rate-limit pages of the other providers.
"""

from __future__ import annotations

from dataclasses import dataclass

from ratedispatch.providers.hosts import entry_for


@dataclass(frozen=True, slots=True)
class ChargePolicy:
    """
    How a provider turns a request into an amount of tokens.

    Args:
        name: What it is called in explanations.
        characters_per_token: The provider estimates a prompt as its characters divided by this;
            the larger of that and the tokenizer's count is reserved. None: tokens only.
        tokens_per_message: What the provider's estimate adds for each message.
        output_up_front: Whether the output cap is to be reserved when the request is sent.
        settles: Whether the provider corrects the charge to the actual usage afterwards.
    """

    name: str
    characters_per_token: int | None = None
    tokens_per_message: int = 0
    output_up_front: bool = True
    settles: bool = False

    def __post_init__(self) -> None:
        if self.characters_per_token is not None and self.characters_per_token < 1:
            raise ValueError(
                f"characters_per_token must be at least 1 or None, got {self.characters_per_token}"
            )
        if self.tokens_per_message < 0:
            raise ValueError(
                f"tokens_per_message must not be negative, got {self.tokens_per_message}"
            )

    def by_characters(self, characters: int, messages: int) -> int:
        """Return the provider's own estimate of the text; 0 if it does not count characters."""
        if self.characters_per_token is None:
            return 0
        return -(-characters // self.characters_per_token) + self.tokens_per_message * messages


#: api.openai.com. Whether the charge is later corrected is not documented, so it is not assumed.
OPENAI = ChargePolicy("openai", characters_per_token=4, tokens_per_message=2)
#: Azure OpenAI, standard deployments: estimated on arrival, never corrected (Microsoft Learn).
AZURE = ChargePolicy("azure", characters_per_token=4, tokens_per_message=2)
#: Azure OpenAI, provisioned throughput: "corrected with actual usage when the request ends".
AZURE_PROVISIONED = ChargePolicy(
    "azure-provisioned", characters_per_token=4, tokens_per_message=2, settles=True
)
#: A provider that is not known: the larger of both ways of counting, because a refusal costs more
#: than a reservation that the headers of the next answer correct.
CAUTIOUS = ChargePolicy("cautious", characters_per_token=4, tokens_per_message=2)
#: Tokens and nothing else: proxies and own servers that are known to count them.
TOKENS = ChargePolicy("tokens")
#: Anthropic: input is estimated and corrected, "max_tokens does not factor in".
ANTHROPIC = ChargePolicy("anthropic", output_up_front=False, settles=True)
#: Gemini: the limit is one of input tokens.
GEMINI = ChargePolicy("gemini", output_up_front=False)
#: Mistral: charged with the actual total; the cap is reserved so that the line cannot overshoot.
MISTRAL = ChargePolicy("mistral", settles=True)

#: Every policy by its name.
POLICIES = {
    policy.name: policy
    for policy in (
        OPENAI,
        AZURE,
        AZURE_PROVISIONED,
        ANTHROPIC,
        GEMINI,
        MISTRAL,
        CAUTIOUS,
        TOKENS,
    )
}

# a host, or the end of one after a dot
_HOSTS: tuple[tuple[str, ChargePolicy], ...] = (
    ("api.openai.com", OPENAI),
    ("openai.azure.com", AZURE),
    ("openai.azure.us", AZURE),
    ("openai.azure.cn", AZURE),
    ("cognitiveservices.azure.com", AZURE),
    ("services.ai.azure.com", AZURE),
    ("api.anthropic.com", ANTHROPIC),
    ("generativelanguage.googleapis.com", GEMINI),
    ("api.mistral.ai", MISTRAL),
)


def policy_for(base_url: str | None) -> ChargePolicy:
    """
    Return the policy of the provider at *base_url*: OpenAI's for None, CAUTIOUS if unknown.

    Raises:
        ValueError: *base_url* is no string.
    """
    if base_url is None:
        return OPENAI
    if not isinstance(base_url, str):
        raise ValueError(f"base_url must be a string or None, got {type(base_url).__name__}")
    return entry_for(base_url, _HOSTS) or CAUTIOUS
