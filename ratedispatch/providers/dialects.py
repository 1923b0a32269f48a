"""
Which dialect of limits and errors a host speaks.

Decides by the host of a base URL which names of headers are believed. Knows nothing of how they
are read: `tables` has the names, `headers` reads them, `rulings` judges errors.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from ratedispatch.providers import litellm, tables
from ratedispatch.providers.classify import rule
from ratedispatch.providers.hosts import entry_for
from ratedispatch.providers.read.headers import read_table
from ratedispatch.providers.read.refusal import read_refused_limits

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ratedispatch.limits import Reading
    from ratedispatch.outcome import Response, Ruling
    from ratedispatch.providers.read.headers import Table


@dataclass(frozen=True, slots=True)
class Dialect:
    """
    How to understand a provider's answers.

    Args:
        name: What it is called.
        read_limits: Returns what an answer says about the provider's buckets, at most one
            reading for each; what is not understood is left out. Raises nothing.
        rule: Returns what to do about an answer. Raises nothing.
    """

    name: str
    read_limits: Callable[[Response], tuple[Reading, ...]]
    rule: Callable[[Response], Ruling] = rule


def dialect_for(base_url: str | None) -> Dialect:
    """Return the dialect of the host of *base_url*: OpenAI's for None, GENERIC if unknown."""
    if base_url is None:
        return OPENAI
    return entry_for(base_url, _HOSTS) or GENERIC


def _dialect(
    name: str, read_headers: Callable[[Mapping[str, str]], tuple[Reading, ...]]
) -> Dialect:
    def read_limits(response: Response) -> tuple[Reading, ...]:
        readings = read_headers(response.headers)
        return readings if response.status != 429 else _with_refused(readings, response)

    return Dialect(name, read_limits)


def _of_table(name: str, table: Table) -> Dialect:
    return _dialect(name, partial(read_table, table))


def _with_refused(readings: tuple[Reading, ...], response: Response) -> tuple[Reading, ...]:
    """The *readings* of the headers, and those of the body for buckets that they do not tell."""
    told = {reading.bucket for reading in readings}
    refused = read_refused_limits(response)
    return (*readings, *(reading for reading in refused if reading.bucket not in told))


OPENAI = _of_table("openai", tables.OPENAI)
AZURE = _of_table("azure", tables.AZURE)
ANTHROPIC = _of_table("anthropic", tables.ANTHROPIC)
CEREBRAS = _of_table("cerebras", tables.CEREBRAS)
FIREWORKS = _of_table("fireworks", tables.FIREWORKS)
#: No headers: what is known stands in the bodies of refusals.
GEMINI = _of_table("gemini", ())
GITHUB = _of_table("github", tables.GITHUB)
GROQ = _of_table("groq", tables.GROQ)
LITELLM = _dialect("litellm", litellm.read_limits)
MISTRAL = _of_table("mistral", tables.MISTRAL)
#: Mostly no headers either.
OPENROUTER = _of_table("openrouter", tables.BARE)
TOGETHER = _of_table("together", tables.TOGETHER)
#: A host that is not known: whatever names are present.
GENERIC = _dialect("generic", litellm.read_any)

#: Every dialect by its name.
DIALECTS: Mapping[str, Dialect] = {
    dialect.name: dialect
    for dialect in (
        OPENAI,
        AZURE,
        ANTHROPIC,
        CEREBRAS,
        FIREWORKS,
        GEMINI,
        GITHUB,
        GROQ,
        LITELLM,
        MISTRAL,
        OPENROUTER,
        TOGETHER,
        GENERIC,
    )
}

# a host, or the end of one after a dot
_HOSTS: tuple[tuple[str, Dialect], ...] = (
    ("api.openai.com", OPENAI),
    ("openai.azure.com", AZURE),
    ("openai.azure.us", AZURE),
    ("openai.azure.cn", AZURE),
    ("cognitiveservices.azure.com", AZURE),
    ("services.ai.azure.com", AZURE),
    ("models.inference.ai.azure.com", GITHUB),
    ("models.github.ai", GITHUB),
    ("api.anthropic.com", ANTHROPIC),
    ("api.cerebras.ai", CEREBRAS),
    ("api.fireworks.ai", FIREWORKS),
    ("generativelanguage.googleapis.com", GEMINI),
    ("api.groq.com", GROQ),
    ("api.mistral.ai", MISTRAL),
    ("openrouter.ai", OPENROUTER),
    ("api.together.xyz", TOGETHER),
    ("api.together.ai", TOGETHER),
)
