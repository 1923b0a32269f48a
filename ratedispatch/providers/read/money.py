"""
Detects whether an error is about money: a hint that the account is empty.

Only a hint: providers use too many wordings for a list, with any status (400, 403, 429, and 200
around an error), and a quoted text of the row may be about money as well. So this decides nothing:
the queue is held, and the responses to the next requests decide.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ratedispatch.outcome import Decision

if TYPE_CHECKING:
    from ratedispatch.providers.read.error_body import ErrorBody

#: Words, and parts of codes, about what is paid for.
_MONEY = re.compile(
    r"credit|(?<!load)(?<!load[\s_-])balance(?![rd])|billing|recharge|top[\s_-]?up|arrear|over_?due|unpaid|past[\s_-]due|payment"
    r"|prepaid|wallet|insufficient[\s_-](?:\w+[\s_-])?(?:fund|quota)|good[\s_-]standing"
    r"|free[\s_-](?:tier|allocation)|trial[\s_-]key|month|spend|budget[\s_-](?:\w+\s){0,3}exceeded|usage[\s_-]limit|exceeded[\s_-](?:your[\s_-])?current[\s_-]quota"
    r"|余额|欠费|充值|额度|残高|잔액|크레딧",
    re.IGNORECASE,
)

#: What a refusal for the rate says, which may name the page where more can be bought.
_RATE = re.compile(
    r"rate[\s_-]?limit|too many|per[\s_-](?:second|min|hour|day)|\b[RT]PM\b", re.IGNORECASE
)

#: What is not known to be about one request, nor about the key.
_UNSURE = frozenset({Decision.RATE_LIMIT, Decision.FAIL, Decision.MISSING, Decision.TRANSIENT})

#: Statuses from here on are faults of the server, which may name what is at fault.
_SERVER_ERROR = 500


def weigh(decision: Decision, status: int, error: ErrorBody, delay: float | None) -> Decision:
    """
    Return *decision*, or that the account may be empty.

    Args:
        decision: As status and code have it.
        status: The HTTP status.
        error: What the body says.
        delay: Seconds that the server asks to wait; no time brings credit.
    """
    if delay is not None or decision not in _UNSURE or status >= _SERVER_ERROR:
        return decision
    said = f"{error.code} {error.kind} {error.text}"
    if not _MONEY.search(said):
        return decision
    is_rate = decision is Decision.RATE_LIMIT and _RATE.search(said) and "month" not in said
    return decision if is_rate else Decision.UNPAID
