"""
The bodies of errors, in whatever shape a server wraps them.

Pure. Finds the code, the type and the message; decides nothing about them.
Shapes: OpenAI's ``{"error": {…}}``; Gemini's list around it; FastAPI's ``{"detail": …}``; the
bare object of vLLM, SGLang and Mistral; a text.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ratedispatch.outcome import Response

#: Characters of a message in which numbers are looked for. Those of providers are far shorter;
#: an HTML page in the place of a message is not searched through.
LONGEST_TEXT = 4000

_LARGEST_CODE = 10**9


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """
    What an error body says.

    Args:
        code: The provider's code, or its type where there is no code; may be empty.
        kind: Its type; may be empty.
        number: The HTTP status that the body names, if it does.
        message: One sentence; a summary if the body has another shape.
        fields: The object that the rest is in, for what is particular to a provider.
    """

    code: str = ""
    kind: str = ""
    number: int | None = None
    message: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """As much of the message as is looked at."""
        return self.message[:LONGEST_TEXT]


def read_error(response: Response) -> ErrorBody:
    """Return what the body of *response* says, which need not be an error at all."""
    body = response.body
    if isinstance(body, list) and body:
        body = body[0]
    outer: Mapping[str, Any] = body if isinstance(body, dict) else {}
    error = outer.get("error", body)
    outer_number = _status(outer.get("code"))
    if isinstance(error, dict):
        code = _name(error.get("code"))
        kind = _name(error.get("type"))
        message = _sentence(error.get("message")) or _sentence(error.get("detail"))
        if not (code or kind or message):
            message = f"HTTP status {response.status}"
        number = _status(error.get("code")) or outer_number
        return ErrorBody(code or kind, kind, number, message, error)
    summary = " ".join(error[:LONGEST_TEXT].split())[:200] if isinstance(error, str) else ""
    return ErrorBody(number=outer_number, message=summary or f"HTTP status {response.status}")


def _name(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        # Python refuses to write out numbers of thousands of digits
        return str(value) if 0 < value < _LARGEST_CODE else ""
    return ""


def _status(value: object) -> int | None:
    """A number of three digits, as HTTP's are, also in quotes; None for anything else."""
    if isinstance(value, str) and len(value) == 3 and value.isascii() and value.isdigit():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 100 <= value <= 999:
        return value
    return None


def _sentence(value: object) -> str:
    if isinstance(value, dict):
        value = value.get("message") or value.get("error")
    return value if isinstance(value, str) else ""
