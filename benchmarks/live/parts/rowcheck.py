"""
Whether every row of an input has exactly one line in the outputs.

Decides by ``custom_id`` alone. Knows nothing of servers or of time.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class RowCheck:
    """
    What became of the rows.

    Args:
        answered: Rows with a line in the output.
        failed: Rows with a line in the errors.
        lost: Rows without any line.
        doubled: Rows with more than one line, output and errors together.
        unknown: Lines whose ``custom_id`` the input does not have, or that are no JSON.
        swapped: Answers whose text names another row than the line does.
        unexplained: Failures that state neither an error nor a status of 400 or more.
    """

    answered: int
    failed: int
    lost: int
    doubled: int
    unknown: int
    swapped: int
    unexplained: int

    @property
    def is_exact(self) -> bool:
        """Whether every row has exactly one line, its own, and every failure its reason."""
        wrong = (self.lost, self.doubled, self.unknown, self.swapped, self.unexplained)
        return not any(wrong)


def check_rows(
    ids: Iterable[str], output: Iterable[str], errors: Iterable[str], *, echoes: bool = True
) -> RowCheck:
    """
    Compare the lines of *output* and *errors* with the *ids* of the input.

    Args:
        ids: Every ``custom_id`` of the input, each once.
        output: Lines in Batch output format.
        errors: The same, of rows that failed.
        echoes: Whether answers repeat the ``custom_id``: they do if it was sent along.
    """
    wanted = set(ids)
    answers, failures = [_parse(line) for line in output], [_parse(line) for line in errors]
    seen = Counter(line.get("custom_id") for line in (*answers, *failures))
    return RowCheck(
        answered=len(wanted & {line.get("custom_id") for line in answers}),
        failed=len(wanted & {line.get("custom_id") for line in failures}),
        lost=sum(name not in seen for name in wanted),
        doubled=sum(seen[name] > 1 for name in wanted),
        unknown=sum(count for name, count in seen.items() if name not in wanted),
        swapped=sum(not _is_own(line) for line in answers) if echoes else 0,
        unexplained=sum(not _has_reason(line) for line in failures),
    )


def check_files(ids: Iterable[str], output: Path, errors: Path, *, echoes: bool = True) -> RowCheck:
    """Compare the files *output* and *errors*, each possibly missing, with *ids*."""
    return check_rows(ids, _lines(output), _lines(errors), echoes=echoes)


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def _parse(line: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _is_own(line: dict[str, Any]) -> bool:
    """Whether the answer's text ends with the row's name, as the fake server writes it."""
    try:
        text = line["response"]["body"]["choices"][0]["message"]["content"]
    except (KeyError, IndexError, TypeError):
        return False
    return str(text).split()[-1:] == [line.get("custom_id")]


def _has_reason(line: dict[str, Any]) -> bool:
    error, response = line.get("error"), line.get("response")
    if isinstance(error, dict) and error.get("code"):
        return True
    return isinstance(response, dict) and (response.get("status_code") or 0) >= 400
