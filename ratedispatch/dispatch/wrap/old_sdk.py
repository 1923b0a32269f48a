"""
How an error of the gate gets through the openai package before 2.31.

Those versions take every exception out of the http client for a broken connection, their own
errors too: they try again, and end with "Connection error.". What the answer itself raises when it
is asked whether it is an error passes untouched, so there the error travels in an answer. Later
versions pass their own errors on, and need nothing of this.
"""

from __future__ import annotations

import functools
import sys
from typing import Any

#: Too many requests: for those that look at nothing but the status.
_STATUS = 429

_NOT_AGAIN = {"x-should-retry": "false"}


def answer_holding(error: Exception, request: Any) -> Any | None:
    """Return an answer to *request* that raises *error*; None where the SDK passes it on itself."""
    if not _is_old():
        return None
    module = sys.modules[type(request).__module__.partition(".")[0]]
    body = {"error": {"message": str(error), "type": type(error).__name__}}
    answer = _kind(module.Response)(_STATUS, headers=_NOT_AGAIN, json=body, request=request)
    answer.error = error
    return answer


@functools.cache
def _is_old() -> bool:
    import openai

    # errors pass since the version in which sending got a method of its own
    return not hasattr(openai.OpenAI, "_send_request")


@functools.cache
def _kind(response: Any) -> Any:
    def raise_for_status(self: Any) -> Any:
        raise self.error

    return type("Response", (response,), {"raise_for_status": raise_for_status})
