"""
Reads the lines of an output: lengths of answers, and what was billed for them.

An output contains no refusals and no times. It is joined with its input by the position of the row,
which gives its output cap and its model; without the input, the answer itself says whether it was
cut.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ratedispatch.jobs.like.numbers import name_in, tokens_in
from ratedispatch.providers.read.usage import read_usage
from ratedispatch.simulate.fit.observation import Evidence, Observation

if TYPE_CHECKING:
    from collections.abc import Callable

    from ratedispatch.jobs.like.former_input import FormerInput


class AnswerLines:
    """
    Gathers the evidence of an output.

    Args:
        former: What its input says about a row.
        on_answer: Called with the place of a row that was answered, and its usage.

    Attributes:
        evidence: What was seen.
    """

    def __init__(self, former: FormerInput, on_answer: Callable[[int, int, int], None]) -> None:
        self.evidence = Evidence(tells_attempts=False)
        self._former = former
        self._on_answer = on_answer

    def add(self, line: Any, place: int | None) -> None:
        """Take in the JSON value of a line, of the row at *place*."""
        response = line.get("response") if isinstance(line, dict) else None
        body = response.get("body") if isinstance(response, dict) else None
        usage = read_usage(body)
        if usage is None or not isinstance(body, Mapping):
            self.evidence.skipped += 1
            return
        self._add(
            place,
            (usage.prompt_tokens, usage.output_tokens),
            name_in(body.get("model")),
            is_cut=_is_cut(body),
        )

    def add_cells(self, row: Mapping[str, object], place: int) -> None:
        """Take in a row of a table of answers."""
        prompt = tokens_in(_whole(row.get("prompt_tokens")))
        output = tokens_in(_whole(row.get("output_tokens")))
        if prompt is None or output is None:
            self.evidence.skipped += 1
            return
        self._add(place, (prompt, output), name_in(row.get("model")), is_cut=False)

    def _add(self, place: int | None, usage: tuple[int, int], model: str, *, is_cut: bool) -> None:
        billed, output = usage
        known = self._former.row(place)
        cap = known.cap
        self.evidence.add(
            Observation(
                model=known.model or model,
                prompt=known.prompt or billed,
                billed=billed if known.prompt else 0,
                output=output,
                cap=cap if cap is not None else (output if is_cut else None),
                is_cut=is_cut or bool(cap and output >= cap),
            )
        )
        if place is not None and self._former.is_ours:
            self._on_answer(place, billed, output)


def _is_cut(body: Mapping[str, Any]) -> bool:
    """Whether an answer says that its cap has ended it."""
    choices = body.get("choices")
    if isinstance(choices, list):
        return any(
            isinstance(one, dict) and one.get("finish_reason") == "length" for one in choices
        )
    details = body.get("incomplete_details")
    return isinstance(details, dict) and details.get("reason") == "max_output_tokens"


def _whole(value: object) -> object:
    """Return *value*, or the number that it is the text of, as in a CSV file."""
    if isinstance(value, str) and value.isdecimal() and len(value) <= 10:
        return int(value)
    return value
