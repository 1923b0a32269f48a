"""
Azure OpenAI.

Sources: Microsoft Learn, "Manage Azure OpenAI quota" and "Provisioned throughput"; messages in
public issue threads.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ratedispatch.limits import MINUTE
from ratedispatch.providers.base import Profile
from ratedispatch.providers.charge import ChargePolicy
from ratedispatch.providers.quirks import Quirks
from ratedispatch.providers.read.headers import x_ratelimit
from ratedispatch.providers.read.refusal import Refusal

if TYPE_CHECKING:
    from ratedispatch.providers.read.headers import HeaderTable

#: Standard deployments: estimated on arrival, never corrected.
CHARGE = ChargePolicy("azure", characters_per_token=4, tokens_per_message=2)
#: Provisioned throughput: "corrected with actual usage when the request ends".
PROVISIONED = ChargePolicy(
    "azure-provisioned", characters_per_token=4, tokens_per_message=2, refunds=True
)

#: Tokens are "a running count that is reset each minute", so a reset is the end of that minute and
#: tells no window. Requests are "evaluated over a small period, typically 1 or 10 seconds", and
#: what remains may be of that period or of the minute: no window is claimed.
HEADERS: HeaderTable = (x_ratelimit("requests"), x_ratelimit("tokens", window=MINUTE))

#: "have exceeded token rate limit of your current … pricing tier".
_REFUSED = re.compile(r"exceeded (token|call) rate limit")
_DIMENSIONS = {"token": "tokens", "call": "requests"}


def _read_refusal(text: str) -> Refusal | None:
    match = _REFUSED.search(text)
    return Refusal(_DIMENSIONS[match[1]]) if match else None


PROFILE = Profile(
    "azure",
    (
        "openai.azure.com",
        "openai.azure.us",
        "openai.azure.cn",
        "cognitiveservices.azure.com",
        "services.ai.azure.com",
    ),
    HEADERS,
    CHARGE,
    Quirks(read_refusal=_read_refusal),
)
