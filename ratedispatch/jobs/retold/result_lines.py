"""
Adds up the result files of a job, line by line, to `Outcomes`.

Reads only, and takes no lock: the files of a running job can be read. A line that is not whole is
the last one of a job that still writes, or was killed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ratedispatch import _json
from ratedispatch.jobs.batchfile import row_of
from ratedispatch.jobs.inputs.lines import raw_lines
from ratedispatch.jobs.state.manifest import Manifest
from ratedispatch.observe.outcomes import Example, Outcomes
from ratedispatch.outcome import Response
from ratedispatch.providers.read.error_body import read_error
from ratedispatch.providers.read.usage import read_usage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ratedispatch.jobs.state.paths import JobFiles

#: Characters of names and messages that are kept.
_LONGEST_NAME = 200
_LONGEST_MESSAGE = 1_000

#: Bytes of the first line of a job file; a manifest has some thousand.
_LONGEST_MANIFEST = 64 * 2**20

_UNKNOWN = "unknown"


def read_outcomes(files: JobFiles) -> Outcomes:
    """
    Return what the files of a job tell of its rows.

    Raises:
        OSError: One is there and cannot be read.
    """
    outcomes = Outcomes()
    manifest = manifest_beside(files.job)
    if manifest is None:
        outcomes.notes.append(
            f"The job file {files.job.name} is missing or unreadable, so it is not known how many "
            f"rows the input has."
        )
    elif isinstance(manifest.rows, int):
        outcomes.rows = manifest.rows
    if manifest is not None and not files.errors.exists():
        outcomes.notes.append(
            f"The errors file {files.errors.name} is missing, so rows that failed are not shown."
        )
    for path in (files.output, files.errors):
        if not path.is_file():  # the job file, which anybody may have written, names one
            continue
        for line in _lines(path, outcomes):
            try:
                _add(outcomes, line)
            except (LookupError, ValueError, TypeError, AttributeError, RecursionError):
                outcomes.unread += 1
    return outcomes


def manifest_beside(path: Path) -> Manifest | None:
    """Return what the job file *path* says the job was made from; None if it cannot be read."""
    if not path.is_file():
        return None
    try:
        with path.open("rb") as file:
            return Manifest.from_line(file.readline(_LONGEST_MANIFEST))
    except (OSError, ValueError, RecursionError):
        return None


def _lines(path: Path, outcomes: Outcomes) -> Iterator[bytes]:
    """Yield the whole lines of *path*; count those that are too long to be read."""
    with path.open("rb") as file:
        for _, line in raw_lines(file):
            if not isinstance(line, bytes):
                outcomes.unread += 1
            elif line.endswith(b"\n") and not line.isspace():
                yield line


def _add(outcomes: Outcomes, line: bytes) -> None:
    value = _json.loads(line)
    response, error = value["response"], value["error"]
    status = response["status_code"] if response else None
    if error is None and isinstance(status, int) and status < 400:
        body = response["body"]
        model = body.get("model") if isinstance(body, dict) else None
        usage = read_usage(body)
        name = model[:_LONGEST_NAME] if isinstance(model, str) and model else _UNKNOWN
        used = None if usage is None else (usage.prompt_tokens, usage.output_tokens)
        outcomes.add_answer(name, used)
        return
    code, message = _reason(error, status, response)
    name = _cut(value.get("custom_id") or "", _LONGEST_NAME)
    code = _cut(code, _LONGEST_NAME) or _UNKNOWN
    outcomes.add_failure(code, Example(row_of(line), name, _cut(message, _LONGEST_MESSAGE)))


def _reason(error: Any, status: Any, response: Any) -> tuple[Any, Any]:
    """Return the code and the message of a row that failed."""
    if isinstance(error, dict):
        return error.get("code"), error.get("message")
    if not response:
        return _UNKNOWN, "the result of this row does not say why"
    found = read_error(Response(status if isinstance(status, int) else 0, {}, response["body"]))
    return found.code or f"http_{status}", found.message or f"HTTP status {status}"


def _cut(value: Any, most: int) -> str:
    text = "" if value is None else str(value)
    return text if len(text) <= most else text[: most - 1] + "…"
