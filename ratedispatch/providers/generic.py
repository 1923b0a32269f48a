"""
Any host that is not known: an own server, or a gateway.

Goes by the names of headers that are present; such a host may also be LiteLLM's proxy, or have a
rate limiter of the web in front of it.
Sources: messages of SGLang ("The request queue is full.") and Ollama ("server busy, please try
again.  maximum pending requests exceeded"), which have no code.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ratedispatch.outcome import Decision
from ratedispatch.providers import github, litellm
from ratedispatch.providers.base import Profile
from ratedispatch.providers.quirks import Quirks
from ratedispatch.providers.read import web_limits

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ratedispatch.limits import Reading
    from ratedispatch.providers.read.error_body import ErrorBody

_QUEUE_FULL = re.compile(r"queue is full|maximum pending requests exceeded", re.IGNORECASE)


def _read_headers(headers: Mapping[str, str]) -> tuple[Reading, ...]:
    if any(sign in headers for sign in litellm.SIGNS):
        return litellm.read_proxy(headers)
    readings = litellm.read_gateway(github.HEADERS, headers)
    if web_limits.NAMES.isdisjoint(headers):
        return readings
    told = {reading.bucket for reading in readings}  # names of its own say more
    others = web_limits.read_web_limits(headers)
    return (*readings, *[reading for reading in others if reading.bucket not in told])


def _classify(status: int, error: ErrorBody) -> tuple[Decision, str] | None:
    if status in {429, 503} and _QUEUE_FULL.search(error.text):
        return Decision.QUEUE_FULL, "queue_full"
    return None


PROFILE = Profile("generic", quirks=Quirks(classify=_classify), read_headers=_read_headers)
