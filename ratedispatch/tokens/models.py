"""
Which rules count the requests of which model.

One table of families and two of names, exact names and prefixes; a new model is a new line.
Knows nothing of requests. Rules: images by developers.openai.com/api/docs/guides/images-vision,
messages and tools by the OpenAI cookbook, How_to_count_tokens_with_tiktoken.ipynb, encodings by
openai/tiktoken, tiktoken/model.py 0.14.0, with names that it lacks or gets wrong.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ratedispatch.tokens.images import Fidelity, Patches, Tiles

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ratedispatch.tokens.images import ImageRule


@dataclass(frozen=True, slots=True)
class MessageRule:
    """
    Tokens *per_message*, *per_name* on top of the name's own, and to prime the reply.

    Args:
        per_message: Around each message.
        per_name: For a name, besides its text.
        priming: Once for each request, in chat.
        priming_responses: Once for each request, in Responses.
    """

    per_message: int = 3
    per_name: int = 1
    priming: int = 3
    priming_responses: int = 3


@dataclass(frozen=True, slots=True)
class ToolRule:
    """Tokens *per_function*; whether the older ``functions`` are rendered as TypeScript."""

    per_function: int
    typescript: bool


@dataclass(frozen=True, slots=True)
class Family:
    """The rules that models have in common."""

    encoding: str
    messages: MessageRule
    tools: ToolRule
    images: ImageRule


# OpenAI cookbook: func_init 10 for gpt-3.5-turbo and gpt-4, 7 for gpt-4o and gpt-4o-mini
_OLD_TOOLS = ToolRule(per_function=10, typescript=True)
_TOOLS = ToolRule(per_function=7, typescript=False)

_4O = Family("o200k_base", MessageRule(), _TOOLS, Tiles(85, 170))
_GPT4 = Family("cl100k_base", MessageRule(), _OLD_TOOLS, Tiles(85, 170))
# OpenAI cookbook: the one snapshot with <im_start>{role/name}\n{content}<im_end>\n
_TURBO_0301 = replace(_GPT4, messages=MessageRule(per_message=4, per_name=-1))
_4O_MINI = replace(_4O, images=Tiles(2833, 5667))
_41_MINI = replace(_4O, images=Patches(1_536, 162))
_41_NANO = replace(_4O, images=Patches(1_536, 246))
_O1 = replace(_4O, images=Tiles(75, 150))
_O4_MINI = replace(_4O, images=Patches(1_536, 172))
# OpenAI API reference, Responses: 11 for "Tell me a joke." to gpt-5, where 3 would give 12
_5 = replace(_4O, messages=MessageRule(priming_responses=2))
_GPT5 = replace(_5, images=Tiles(70, 140))
_GPT5_MINI = replace(_5, images=_41_MINI.images)
_GPT5_NANO = replace(_5, images=_41_NANO.images)
_GPT52 = replace(_5, images=Patches(1_536, 120, side=2_048))
_GPT54 = replace(
    _5,
    images=Patches(
        2_500, 120, side=2_048, low_side=512, original_budget=10_000, original_side=6_000
    ),
)
# "original" keeps the size and is what "auto" means; above 30,000 patches it is refused
_GPT56 = replace(
    _5,
    images=Patches(
        2_500, 120, side=2_048, low_side=512, original_budget=30_000, auto_is_original=True
    ),
)
_GPT6_ASTRA = replace(
    _5,
    images=Patches(
        2_500, 120, side=65_535, low_side=512, original_budget=30_000, auto_is_original=True
    ),
)
_COMPUTER = replace(_4O, images=Tiles(65, 129))
_IMAGE = replace(_4O, images=Tiles(65, 129, shortest=512, fidelity=Fidelity(4_160, 6_240)))
_HARMONY = replace(_4O, encoding="o200k_harmony")
_EMBEDDING = _BASE = _GPT4
_P50K = replace(_GPT4, encoding="p50k_base")
_P50K_EDIT = replace(_GPT4, encoding="p50k_edit")
_R50K = replace(_GPT4, encoding="r50k_base")
_GPT2 = replace(_GPT4, encoding="gpt2")

#: What is used for a model that no table names.
DEFAULT = _4O

_EXACT: Mapping[str, Family] = {
    "gpt-3.5-turbo-0301": _TURBO_0301,
    "gpt-35-turbo-0301": _TURBO_0301,
    "o1": _O1,
    "o3": _O1,
    "o4": _O4_MINI,
    "gpt2": _GPT2,
    "gpt-2": _GPT2,
    "davinci": _R50K,
    "curie": _R50K,
    "babbage": _R50K,
    "ada": _R50K,
    "text-davinci-003": _P50K,
    "text-davinci-002": _P50K,
    "text-davinci-001": _R50K,
    "text-curie-001": _R50K,
    "text-babbage-001": _R50K,
    "text-ada-001": _R50K,
    "text-davinci-edit-001": _P50K_EDIT,
    "code-davinci-edit-001": _P50K_EDIT,
    "davinci-codex": _P50K,
    "cushman-codex": _P50K,
}

_PREFIXES: Mapping[str, Family] = {
    "gpt-3.5": _GPT4,
    "gpt-35": _GPT4,
    "gpt35": _GPT4,
    "gpt-4": _GPT4,
    "gpt4": _GPT4,
    "gpt-4o": _4O,
    "gpt4o": _4O,
    "gpt-4omni": _4O,
    "gpt-4o-mini": _4O_MINI,
    "gpt4o-mini": _4O_MINI,
    "chatgpt-4o": _4O,
    "gpt-4.1": _4O,
    "gpt-41": _4O,
    "gpt41": _4O,
    "gpt-4.1-mini": _41_MINI,
    "gpt-41-mini": _41_MINI,
    "gpt41-mini": _41_MINI,
    "gpt-4.1-nano": _41_NANO,
    "gpt-41-nano": _41_NANO,
    "gpt41-nano": _41_NANO,
    "gpt-4.5": _4O,
    "gpt-45": _4O,
    "gpt-5": _GPT5,
    "gpt5": _GPT5,
    "gpt-5-mini": _GPT5_MINI,
    "gpt5-mini": _GPT5_MINI,
    "gpt-5-nano": _GPT5_NANO,
    "gpt5-nano": _GPT5_NANO,
    "gpt-5-codex-mini": _GPT52,
    "gpt-5.1-codex-mini": _GPT52,
    "gpt-5.2": _GPT52,
    "gpt-5.3": _GPT52,
    "gpt-5.4": _GPT54,
    "gpt-5.5": _GPT54,
    "gpt-5.6": _GPT56,
    "gpt-5.7": _GPT56,
    "gpt-5.8": _GPT56,
    "gpt-5.9": _GPT56,
    "gpt-6": _GPT56,
    "gpt6": _GPT56,
    "gpt-6-astra": _GPT6_ASTRA,
    "gpt-oss": _HARMONY,
    "gpt-realtime": _4O,
    "gpt-audio": _4O,
    "gpt-image": _IMAGE,
    "o1-": _O1,
    "o3-": _O1,
    "o4-": _O4_MINI,
    "codex-": _O4_MINI,
    "computer-use-preview": _COMPUTER,
    "omni-moderation": _4O,
    "text-moderation": _BASE,
    "text-embedding-": _EMBEDDING,
    "davinci-002": _BASE,
    "babbage-002": _BASE,
    "code-davinci-": _P50K,
    "code-cushman-": _P50K,
    "text-similarity-": _R50K,
    "text-search-": _R50K,
    "code-search-": _R50K,
}
_LONGEST = max(map(len, _PREFIXES))
# a deployment of Azure has no dot in its name; gpt-4-1106 and gpt-4-32k are no versions
_DOTLESS = re.compile(r"gpt-?(\d)[-_]?(\d)(?![0-9a-z])")
# where a known model may begin within a name of the user's own
_BEGINNING = re.compile(r"(?<![0-9a-z])(?=gpt|chatgpt-|o[134]\b|text-embedding-)")
_SEARCHED = 128  # characters: no name that means something is longer


def base_name(model: str) -> str:
    """
    Return the model that *model* is made of: no provider, no fine-tuning, no variant.

    ``openai/gpt-4o``, ``ft:gpt-4o:org::id`` and ``gpt-4o:free`` are all ``gpt-4o``.
    """
    first, *others = model.strip().lower().split(":")
    name = first.rsplit("/", 1)[-1]
    return others[0] if name == "ft" and others else name


def lookup(model: str) -> Family | None:
    """Return the family of *model*: by its exact name, else by the longest prefix; or None."""
    name = _DOTLESS.sub(r"gpt-\1.\2", base_name(model)[:_SEARCHED], count=1)
    family = _EXACT.get(name)
    length = min(len(name), _LONGEST)
    while family is None and length > 1:
        family = _PREFIXES.get(name[:length])
        length -= 1
    return family


def lookup_within(model: str) -> tuple[str, Family] | None:
    """
    Return the end of *model* that names a known one, and its family; or None.

    ``my-gpt-4o-mini`` is a name of the user's own, but most likely for a ``gpt-4o-mini``.
    """
    name = base_name(model)[:_SEARCHED]
    for beginning in _BEGINNING.finditer(name):
        family = lookup(name[beginning.start() :])
        if family is not None:
            return name[beginning.start() :], family
    return None
