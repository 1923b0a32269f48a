"""
Lowers the caps on the outputs of rows in Batch format.

Decides the field in which a cap stands, by endpoint and model. Pure: a request in, one out. The
line of the row stays what it is, and so do its digest and what is known of it in a journal.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ratedispatch.jobs.batchfile import BadRow
from ratedispatch.request import CHAT, COMPLETIONS, RESPONSES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ratedispatch.jobs.inputs.row import Row
    from ratedispatch.jobs.rowformat import RowFormat
    from ratedispatch.jobs.state.scan import Names
    from ratedispatch.request import Request

_CHAT_FIELDS = ("max_completion_tokens", "max_tokens")
_FIELDS = {
    CHAT: _CHAT_FIELDS,
    RESPONSES: ("max_output_tokens",),
    COMPLETIONS: ("max_tokens",),
}

#: OpenAI's description of its API: the least that ``max_output_tokens`` may be.
LEAST_OF_RESPONSES = 16

#: What a completion generates at most that names no cap, by the same description.
_COMPLETION_TOKENS = 16

# "max_tokens … is now deprecated, … and is not compatible with o-series models"; the models after
# these refuse it as well. Servers of other makers may know no other field.
_REASONING = re.compile(r"(?:.*/)?(?:o\d|gpt-(?:[5-9]|\d\d))")


@dataclass(frozen=True, slots=True)
class CappedRows:
    """
    Rows whose outputs have a cap: that of the row, or another one where that is lower.

    Args:
        rows: What makes requests of the lines.
        most_tokens: The most tokens of each output.
    """

    rows: RowFormat
    most_tokens: int

    @property
    def names(self) -> Names | None:
        """As of the rows themselves."""
        return self.rows.names

    def parse(self, line: bytes, row: int) -> Request | BadRow:
        """Return the request on *line* with a cap."""
        found = self.rows.parse(line, row)
        return found if isinstance(found, BadRow) else capped(found, self.most_tokens)

    def cells(self, line: bytes, row: int) -> tuple[Row, str | None]:
        """As of the rows themselves."""
        return self.rows.cells(line, row)


def capped(request: Request, most_tokens: int) -> Request:
    """
    Return *request* with no more than *most_tokens* for each of its outputs.

    One that generates no text is left as it is. So is a cap that is not a number: who counts or
    serves the request says what is wrong with it.
    """
    names = _FIELDS.get(request.endpoint)
    if names is None:
        return request
    if request.endpoint == RESPONSES:
        most_tokens = max(most_tokens, LEAST_OF_RESPONSES)
    body = request.body
    there = [name for name in names if body.get(name) is not None]
    changes: dict[str, Any] = {
        name: most_tokens for name in there if _is_above(body[name], most_tokens)
    }
    if not there and not (request.endpoint == COMPLETIONS and most_tokens >= _COMPLETION_TOKENS):
        changes[_field(request, names)] = most_tokens
    return replace(request, body=_changed(body, changes)) if changes else request


def _changed(body: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    return {**body, **changes}


def _is_above(cap: object, most_tokens: int) -> bool:
    return isinstance(cap, int | float) and not isinstance(cap, bool) and cap > most_tokens


def _field(request: Request, names: tuple[str, ...]) -> str:
    """Return the field in which a cap is put where a request has none."""
    if request.endpoint == CHAT and _REASONING.match(request.model.lower()) is None:
        return "max_tokens"
    return names[0]
