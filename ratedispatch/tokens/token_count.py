"""
What one request weighs, reason by reason, and what it is weighed with.

Values that the modules of the endpoints pass around.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from ratedispatch.tokens.assumptions import Assumptions
    from ratedispatch.tokens.memory import Memory
    from ratedispatch.tokens.models import Family

MESSAGES = "messages"
NAMES = "names"
PRIMING = "reply priming"
TOOLS = "tools"
TOOL_CHOICE = "tool_choice"
RESPONSE_FORMAT = "response_format"
IMAGES = "images"
AUDIO = "audio"
FILES = "files"

#: The parts whose tokens rest on assumptions: on sizes of pages and images, on rates of audio.
ASSUMED = frozenset({IMAGES, AUDIO, FILES})

#: The parts whose text a provider that estimates by characters estimates.
TEXTS = frozenset({MESSAGES, NAMES, PRIMING})


@dataclass(frozen=True, slots=True)
class Scale:
    """
    What the requests of one model are weighed with.

    Args:
        family: The rules of the model.
        count: Tokens of a text, remembered.
        count_once: Tokens of a text that need not be remembered.
        documents: Remembers the tokens of tools and schemas by their JSON text.
        assumptions: What stands in for what a request does not tell.
        roles: Tokens of the roles of messages that were met.
    """

    family: Family
    count: Callable[[str], int]
    count_once: Callable[[str], int]
    documents: Memory
    assumptions: Assumptions
    roles: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class TokenCount:
    """
    The weight of one request so far.

    Args:
        parts: Tokens of the prompt by their reason.
        characters: Of the texts a person would call the prompt.
        messages: How many messages, for providers that add something for each.
        choices: How many outputs were requested.
        cap: The most tokens one output may have; None if the request does not say.
        caps: The fields in which the cap was found, for explanations.
        unread: Sentences on values that could not be read.
        is_unread: Whether the whole request was counted as its JSON text.
    """

    parts: dict[str, int] = field(default_factory=dict)
    characters: int = 0
    messages: int = 0
    choices: int = 1
    cap: int | None = None
    caps: str = ""
    unread: list[str] = field(default_factory=list)
    is_unread: bool = False

    @property
    def assumed(self) -> int:
        """Tokens of the prompt that rest on assumptions."""
        return sum(
            tokens for part, tokens in self.parts.items() if self.is_unread or part in ASSUMED
        )

    def add(self, part: str, tokens: int) -> None:
        """Add *tokens* to *part*."""
        self.parts[part] = self.parts.get(part, 0) + tokens
