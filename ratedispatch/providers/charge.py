"""
Charge policies: how a provider charges a request when it is admitted, as data.

Says which count is reserved: by tokens, or by the larger of tokens and characters, with or without
the output cap. Each provider's own policy stands in its module. Knows nothing of buckets.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ChargePolicy:
    """
    How a provider computes the tokens that it charges for a request.

    Args:
        name: The name of the policy in explanations.
        characters_per_token: The provider estimates a prompt as its characters divided by this
            number; the larger of that and the tokenizer's count is reserved. None: tokens only.
        tokens_per_message: What the provider's estimate adds for each message.
        output_up_front: Whether the output cap is charged when the request is sent.
        refunds: Whether the provider corrects the charge to the actual usage afterwards.
    """

    name: str
    characters_per_token: int | None = None
    tokens_per_message: int = 0
    output_up_front: bool = True
    refunds: bool = False

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


#: A provider whose charge is not known: the larger of both ways of counting, because a refusal
#: costs more than a reservation that the headers of the next answer correct.
CAUTIOUS = ChargePolicy("cautious", characters_per_token=4, tokens_per_message=2)
#: Tokens and nothing else: proxies and own servers that are known to count them.
TOKENS = ChargePolicy("tokens")
