"""Values: a row of an input together with its answer or its failure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from ratedispatch.jobs.outputs.answer import Answer

#: The number of a row, its cells by column, and its ``custom_id``, if it has one.
Row: TypeAlias = tuple[int, Mapping[str, object], str | None]

#: Tells what happened to the row of a number; ``None`` if nothing yet.
AnswerOf: TypeAlias = Callable[[int], Answer | None]
