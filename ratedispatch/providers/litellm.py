"""
LiteLLM's proxy, and other hosts that are not known by name.

Pure. Decides by the names of headers that are present whose limits they are. A proxy passes on
those of whatever stands behind it, beside its own.
Follows: LiteLLM 1.109, the limiters "v1" (OpenAI's names, no reset) and "v3" (one pair of names
for each key, user, team, … that is limited).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ratedispatch.limits import MINUTE, Reading
from ratedispatch.providers.read.amounts import parse_amount
from ratedispatch.providers.read.headers import read_table, strictest
from ratedispatch.providers.tables import GITHUB, LITELLM, UNMISTAKABLE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ratedispatch.providers.read.headers import Table

#: Headers that every answer of the proxy has one of.
_SIGNS = ("x-litellm-call-id", "x-litellm-version", "x-litellm-model-id")

#: What tells that there is more to read than OpenAI's names.
_OTHER_NAMES = frozenset(name for names in UNMISTAKABLE for name in (names.remaining, names.limit))

#: Those that are like names with a descriptor, but have none.
_OPENAI_NAMES = frozenset(
    name for names in GITHUB for name in (names.remaining, names.limit, names.reset)
)

_PREFIX = "x-ratelimit-"
_ENDINGS = {
    f"-{what}-{dimension}": dimension
    for what in ("remaining", "limit")
    for dimension in ("requests", "tokens")
}


def read_limits(headers: Mapping[str, str]) -> tuple[Reading, ...]:
    """Return the readings of an answer of the proxy."""
    return _read(LITELLM, headers)


def read_any(headers: Mapping[str, str]) -> tuple[Reading, ...]:
    """Return the readings of an answer of a host that is not known, which may be the proxy."""
    is_proxy = any(sign in headers for sign in _SIGNS)
    return _read(LITELLM if is_proxy else GITHUB, headers)


def _read(table: Table, headers: Mapping[str, str]) -> tuple[Reading, ...]:
    readings = read_table(table, headers)
    others = () if _OTHER_NAMES.isdisjoint(headers) else read_table(UNMISTAKABLE, headers)
    described = _read_descriptors(headers)
    return strictest((*readings, *others, *described)) if others or described else readings


def _read_descriptors(headers: Mapping[str, str]) -> tuple[Reading, ...]:
    """
    Return the strictest of the readings under names with a descriptor.

    ``x-ratelimit-{descriptor}-remaining-tokens``: the descriptor varies, so no table has it.
    """
    readings = []
    for name in headers:
        if not name.startswith(_PREFIX) or name in _OPENAI_NAMES:
            continue
        for ending, dimension in _ENDINGS.items():
            if name.endswith(ending):
                stem = name[: -len(ending)]
                remaining = parse_amount(headers.get(f"{stem}-remaining-{dimension}"))
                limit = parse_amount(headers.get(f"{stem}-limit-{dimension}")) or None
                if remaining is not None or limit is not None:
                    readings.append(Reading(dimension, remaining, limit, MINUTE))
    return strictest(readings)
