"""
Holds what the rows answered by an earlier run were billed, by line: eight bytes for each.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping

#: Tokens of a row above which they count as so many: what an array holds.
_MOST_TOKENS = 2**32 - 2

#: Lines beyond which a file has none.
_MOST_LINES = 100_000_000


class AnsweredRows(Mapping[int, tuple[int, int]]):
    """
    The tokens billed for prompt and output, by line.

    Args:
        lines: The number of the last line that can be requested; others are not kept.
    """

    def __init__(self, lines: int) -> None:
        size = min(max(0, lines), _MOST_LINES) + 1
        # one more than was billed, so that zero means nothing
        self._prompts = array("I", [0]) * size
        self._outputs = array("I", [0]) * size
        self._count = 0

    def keep(self, line: int, prompt: int, output: int) -> None:
        """Take in what the row of *line* was billed; the last answer of several counts."""
        if not 0 <= line < len(self._prompts):
            return
        self._count += not self._prompts[line]
        self._prompts[line] = min(prompt, _MOST_TOKENS) + 1
        self._outputs[line] = min(output, _MOST_TOKENS)

    def __contains__(self, line: object) -> bool:
        return isinstance(line, int) and 0 <= line < len(self._prompts) and self._prompts[line] != 0

    def __getitem__(self, line: int) -> tuple[int, int]:
        if line not in self:
            raise KeyError(line)
        return self._prompts[line] - 1, self._outputs[line]

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[int]:
        return (line for line, prompt in enumerate(self._prompts) if prompt)
