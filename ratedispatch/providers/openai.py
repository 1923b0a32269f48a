"""
OpenAI's dialect, which most servers speak.

Pure. What its headers mean; its errors and its usage are read by the rules for all providers,
which are named here too for whoever needs no other dialect.

Sources: OpenAI's guides "Rate limits" and "Error codes".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ratedispatch.providers.classify import QUOTA_CODES, rule
from ratedispatch.providers.read.headers import read_table
from ratedispatch.providers.read.retry_after import read_delay
from ratedispatch.providers.read.usage import read_usage
from ratedispatch.providers.tables import OPENAI

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ratedispatch.limits import Reading

__all__ = ["QUOTA_CODES", "read_delay", "read_limits", "read_usage", "rule"]


def read_limits(headers: Mapping[str, str]) -> tuple[Reading, ...]:
    """
    Return what *headers* (lower-case names) say about the request and token buckets.

    A value that is missing, negative or not a number means unknown. The window follows from
    ``reset``, the time until the bucket is full: ``reset × limit / (limit - remaining)``; it
    tells a bucket of a day from one of a minute, which share their header names.
    """
    return read_table(OPENAI, headers)
