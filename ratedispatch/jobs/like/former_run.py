"""
Fits a provider to an earlier run: to its event log, its output, or the memory.

Recognizes the kind of a file by its lines. Reads it once, line by line, in bounded memory.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ratedispatch import _json
from ratedispatch.errors import JobError
from ratedispatch.jobs.batchfile import row_of
from ratedispatch.jobs.inputs.formats import Format, format_of
from ratedispatch.jobs.inputs.lines import LongLine, raw_lines
from ratedispatch.jobs.inputs.streams import open_bytes
from ratedispatch.jobs.like.answer_lines import AnswerLines
from ratedispatch.jobs.like.answered_rows import AnsweredRows
from ratedispatch.jobs.like.former_input import former_input
from ratedispatch.jobs.like.log_lines import LogLines, is_of_log
from ratedispatch.simulate.fit.fit import Fit, fit_of

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from ratedispatch.jobs.workload.counted import Counted
    from ratedispatch.simulate.fit.observation import Evidence

#: The word for what is remembered of an account.
MEMORY = "memory"

#: Lines within which a file shows what it is.
_FIRST_LINES = 1_000

#: Bytes of a line; an answer may be long.
_LONGEST_LINE = 64 * 2**20

_WAY_OUT = "give an event log (run --log-json), an output of run, or the word memory"


class FormerRun(NamedTuple):
    """
    What an earlier run shows.

    Args:
        fit: What the provider is like.
        answered: The rows of the current input that it has answered: line number to the tokens
            billed for prompt and output.
    """

    fit: Fit
    answered: Mapping[int, tuple[int, int]]


def like(
    where: str | os.PathLike[str],
    *,
    source: Path | None = None,
    counted: Counted | None = None,
) -> FormerRun:
    """
    Return what the file *where* shows of an earlier run.

    Args:
        where: An event log, or an output of `run`: lines in Batch format, or a table.
        source: The current input.
        counted: The rows of the current input; the result tells which of them were answered.

    Raises:
        JobError: The file is missing or shows nothing; the message says what to give instead.
    """
    path = Path(where)
    if not path.exists():
        raise JobError(f"--like {path} does not exist; {_WAY_OUT}")
    if not path.is_file():
        raise JobError(f"--like {path} is not a file; {_WAY_OUT}")
    beside = path.with_name(path.name + ".answers.jsonl")
    file_format = format_of(path)
    if file_format is not Format.JSONL and beside.is_file():
        path, file_format = beside, Format.JSONL  # the lines that the table was made of say more
    reading = _Reading(path, source, counted)
    try:
        if file_format is not Format.JSONL:
            evidence = reading.table(file_format)
        else:
            evidence = reading.lines()
    except JobError as error:
        raise JobError(f"--like: {error}") from error
    except OSError as error:
        raise JobError(f"--like {path} cannot be read: {error.strerror or error}") from error
    if not evidence.told:
        raise JobError(
            f"--like {path}: no line has the latency or the length of an answer "
            f"({evidence.skipped:,} unusable lines); {_WAY_OUT}"
        )
    return FormerRun(fit_of(evidence, path.name), reading.answered)


class _Reading:
    """Reads the file *path*, and keeps what it says about the rows of *counted*."""

    def __init__(self, path: Path, source: Path | None, counted: Counted | None) -> None:
        lines = 0 if counted is None or not len(counted.lines) else counted.lines[-1]
        self.answered = AnsweredRows(lines)
        self._path = path
        self._source = source
        self._counted = counted

    def lines(self) -> Evidence:
        """Read lines of JSON, whichever they are."""
        log = LogLines(self.answered.keep, self._is_input)
        answers: AnswerLines | None = None
        is_log: bool | None = None
        skipped = 0
        with open_bytes(self._path) as file:
            for number, line in raw_lines(file, longest=_LONGEST_LINE):
                value = None if isinstance(line, LongLine) else _value(line)
                if is_log is None:
                    is_log = _is_log(value)
                    if is_log is None:
                        skipped += bool(line)
                        if number >= _FIRST_LINES:
                            break
                        continue
                if is_log:
                    log.add(value)
                    continue
                if answers is None:
                    known = former_input(self._path, self._source, self._counted)
                    answers = AnswerLines(known, self.answered.keep)
                answers.add(value, None if isinstance(line, LongLine) else row_of(line))
        evidence = log.evidence if answers is None else answers.evidence
        evidence.skipped += skipped
        return evidence

    def table(self, file_format: Format) -> Evidence:
        """Read a table of answers."""
        from ratedispatch.jobs.inputs.row import BrokenRow
        from ratedispatch.jobs.inputs.table_files import open_table

        known = former_input(self._path, self._source, self._counted)
        answers = AnswerLines(known, self.answered.keep)
        with open_table(self._path, file_format) as table:
            for number, row in table.rows:
                if isinstance(row, BrokenRow):
                    answers.evidence.skipped += 1
                else:
                    answers.add_cells(dict(row), number)
        return answers.evidence

    def _is_input(self, flags: Mapping[str, Any]) -> bool:
        """Whether a run with *flags* was on the input that is asked about."""
        given, source = flags.get("INPUT"), self._source
        if self._counted is None or source is None or not isinstance(given, str):
            return False
        try:
            return Path(given).samefile(source)
        except (OSError, ValueError):
            return False


def _value(line: bytes) -> Any:
    try:
        return _json.loads(line)
    except (ValueError, RecursionError):
        return None


def _is_log(value: Any) -> bool | None:
    """Whether a line is one of a log rather than of an output; None if it is neither."""
    if not isinstance(value, dict):
        return None
    if is_of_log(value):
        return True
    return False if "response" in value and "custom_id" in value else None
