"""
Makes requests from the rows of a table, using a template.

Pure: columns and rows in, requests in Batch format out.

Source: :class:`string.Formatter`, for fields in braces; of what these may hold, names alone.
"""

from __future__ import annotations

import functools
import json
import math
import re
import warnings
from dataclasses import dataclass, field
from difflib import get_close_matches
from string import Formatter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

from ratedispatch import _json
from ratedispatch.errors import InvalidRequest, JobError
from ratedispatch.request import CHAT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ratedispatch.jobs.inputs.row import Row

#: A text before a field, and the column that the field names; the last one has no field.
_Pieces: TypeAlias = tuple[tuple[str, str | None], ...]

#: Fields of the body that are not parameters, and what sets them.
_SET_ELSEWHERE = {
    "messages": "--prompt and --system set it",
    "model": "--model sets it",
    "stream": "a row has one answer, which is never streamed",
}

#: What a value begins or looks like that is hardly meant as text: an object, a list, a quote, a
#: number with a comma, or one that JSON has not.
_MEANT_AS_JSON = re.compile(r'\s*(?:[{\["]|-?\d+,\d+\s*$|-?(?:NaN|Infinity)\s*$)')

#: Columns that a message lists, and characters of each.
_MOST_COLUMNS = 20
_MOST_CHARACTERS = 40

#: Columns of which is remembered that their empty cells were told.
_MOST_NOTED = 10_000


@dataclass(frozen=True, slots=True)
class Template:
    """
    The template of the requests that are made from rows.

    ``{name}`` in *prompt* and *system* stands for the row's cell in the column *name*; ``{{`` and
    ``}}`` stand for literal braces.

    Args:
        prompt: The user's message.
        system: The system message, if any.
        model: The provider's name of the model.
        max_tokens: Maximum output tokens; at least 1.
        parameters: Other fields of the body, as JSON values by name.
        id_column: The column that holds the ``custom_id`` of each row; by default rows are named
            ``row-1``, ``row-2`` and so on.

    Raises:
        JobError: A field in braces is not the name of a column, braces do not match, the model is
            missing, or a parameter is not allowed.
    """

    prompt: str
    system: str | None = None
    model: str = ""
    max_tokens: int | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    id_column: str | None = None
    _prompt: _Pieces = field(init=False, repr=False, compare=False)
    _system: _Pieces = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.prompt.strip():
            raise JobError("the prompt is empty; give a text with column names in braces")
        if not self.model:
            raise JobError("a template needs a model; give --model")
        if self.max_tokens is not None and self.max_tokens < 1:
            raise JobError(f"max_tokens must be at least 1, got {self.max_tokens}")
        for name in self.parameters:
            _check_parameter(name)
        if self.max_tokens is not None and "max_tokens" in self.parameters:
            raise JobError("max_tokens is given twice, as --max-tokens and as --param; omit one")
        # frozen: what is derived once can only be set this way
        object.__setattr__(self, "parameters", MappingProxyType(dict(self.parameters)))
        object.__setattr__(self, "_prompt", _pieces(self.prompt, "prompt"))
        object.__setattr__(self, "_system", _pieces(self.system or "", "system"))

    def __reduce__(self) -> tuple[object, ...]:
        """Go to another process by what it was made of: a proxy of a mapping cannot."""
        made_of = (self.prompt, self.system, self.model, self.max_tokens, dict(self.parameters))
        return type(self), (*made_of, self.id_column)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it needs, each once, in order of first use."""
        names = [name for _, name in (*self._system, *self._prompt) if name is not None]
        if self.id_column is not None:
            names.append(self.id_column)
        return tuple(dict.fromkeys(names))

    def check(self, columns: Sequence[str]) -> None:
        """
        Check that *columns* has all that the template needs.

        Raises:
            JobError: One is missing; the message names it, the most similar one, and all columns.
        """
        for name in self.columns:
            if name not in columns:
                raise JobError(_missing(name, columns, is_id=name == self.id_column))

    def request(self, row: Row, number: int) -> dict[str, Any]:
        """
        Return the request for *row*, the row *number*, in OpenAI's Batch format.

        A cell that is missing, ``None`` or NaN becomes empty text; text is not changed, and other
        values are written as JSON. A ``custom_id`` may be empty or repeated here; that is refused
        where requests are read.

        Raises:
            InvalidRequest: A cell holds bytes that are not UTF-8, or is nested too deeply.
        """
        messages = []
        if self.system is not None:
            messages.append({"role": "system", "content": _fill(self._system, row, number)})
        messages.append({"role": "user", "content": _fill(self._prompt, row, number)})
        body: dict[str, Any] = {"model": self.model, "messages": messages, **self.parameters}
        if self.max_tokens is not None:
            body["max_tokens"] = self.max_tokens
        name = f"row-{number}" if self.id_column is None else _cell(row, self.id_column, number)
        return {"custom_id": name, "method": "POST", "url": CHAT, "body": body}


def parse_parameters(texts: Iterable[str]) -> dict[str, Any]:
    """
    Return the parameters in *texts*, each ``NAME=VALUE``.

    The value is JSON if it can be read as such, else text: ``temperature=0`` is a number,
    ``stop=END`` and ``user="7"`` are texts.

    Raises:
        JobError: One has no ``=`` or no name, is given twice, or has a separate flag.
    """
    parameters: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        name = name.strip()
        if not equals or not name:
            raise JobError(f"--param {text!r:.80} is not NAME=VALUE, as in temperature=0")
        _check_parameter(name)
        if name in parameters:
            raise JobError(f"--param {name} is given twice; omit one")
        parameters[name] = _value(name, value)
    return parameters


def _check_parameter(name: str) -> None:
    if name in _SET_ELSEWHERE:
        raise JobError(f"{name} cannot be a parameter: {_SET_ELSEWHERE[name]}")


def _value(name: str, text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_json.refuse_constant)
    except (ValueError, RecursionError) as error:
        if not _MEANT_AS_JSON.match(text):
            return text
        quoted = json.dumps(text, ensure_ascii=False)
        raise JobError(
            f"--param {name}={text:.80} begins like JSON but is not: {error}; correct it, or, if "
            f"it is meant as text, write --param '{name}={quoted:.80}'"
        ) from error


def _pieces(text: str, where: str) -> _Pieces:
    try:
        parsed = list(Formatter().parse(text))
    except ValueError as error:
        raise JobError(
            f"the {where} cannot be read as a template: {error}; "
            f"write {{{{ and }}}} for literal braces"
        ) from error
    for _, name, form, conversion in parsed:
        if name is not None:
            _check_field(name, form or "", conversion or "", where)
    return tuple((literal, name) for literal, name, _, _ in parsed)


def _check_field(name: str, form: str, conversion: str, where: str) -> None:
    whole = name + (f"!{conversion}" if conversion else "") + (f":{form}" if form else "")
    if not name.strip():
        reason = "it does not name a column"
    elif name.isdecimal():
        reason = "columns are named, not numbered"
    elif "." in name or "[" in name:
        reason = "a field names a whole column, not a part of it"
    elif form or conversion:
        reason = "a field names a column and has no format"
    else:
        return
    raise JobError(
        f"the {where} has the field {{{whole:.80}}}: {reason}; write {{name}} with the name of a "
        f"column, or {{{{ and }}}} for literal braces"
    )


def _missing(name: str, columns: Sequence[str], *, is_id: bool) -> str:
    lower = {column.lower(): column for column in reversed(columns)}
    close = get_close_matches(name.lower(), lower, n=1)
    hint = f"did you mean {lower[close[0]]!r:.80}? " if close else ""
    there = ", ".join(f"{column:.{_MOST_CHARACTERS}}" for column in columns[:_MOST_COLUMNS])
    if len(columns) > _MOST_COLUMNS:
        there += f" and {len(columns) - _MOST_COLUMNS} more"
    use = "the id column" if is_id else "the template"
    return f"{use} names {name!r:.80}, but there is no such column; {hint}columns are: {there}"


def _fill(pieces: _Pieces, row: Row, number: int) -> str:
    parts = []
    for literal, name in pieces:
        parts.append(literal)
        if name is not None:
            parts.append(_cell(row, name, number))
    return "".join(parts)


class EmptyCellWarning(UserWarning):
    """A column has cells without a value."""


@functools.lru_cache(_MOST_NOTED)
def _note_empty(column: str) -> None:
    """Say once of *column* that cells of it have no value."""
    warnings.warn(
        f"column {column!r:.80} has cells without a value; the template takes them as empty text",
        EmptyCellWarning,
        stacklevel=2,
    )


def _cell(row: Row, name: str, number: int) -> str:
    value = row.get(name)
    if isinstance(value, str):
        return value
    if value is None or (isinstance(value, float) and math.isnan(value)):
        _note_empty(name)
        return ""
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError as error:
            raise InvalidRequest(
                f"row {number}: column {name!r:.80} holds {len(value):,} bytes that are not UTF-8 "
                f"text: {error.reason} at byte {error.start + 1}; remove it from the template"
            ) from error
    if isinstance(value, bool | int | float | list | dict):
        try:
            # what JSON does not have, a date within a list say, as Python writes it
            return json.dumps(value, ensure_ascii=False, default=str)
        except RecursionError as error:
            raise InvalidRequest(
                f"row {number}: column {name!r:.80} is nested too deeply to be written; "
                f"remove it from the template"
            ) from error
    return str(value)
