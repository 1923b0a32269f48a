"""
Reads models and caps of rows from the input of an earlier run, without their texts.

Found by the job file beside the output. Four bytes and an index for each row.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ratedispatch.errors import JobError
from ratedispatch.jobs.batchfile import BadRow, parse_line
from ratedispatch.jobs.inputs.lines import LongLine, raw_lines
from ratedispatch.jobs.inputs.streams import open_bytes
from ratedispatch.jobs.like.numbers import name_in, tokens_in
from ratedispatch.jobs.state.files import first_line
from ratedispatch.jobs.state.manifest import Manifest
from ratedispatch.simulate.fit.observation import MOST_MODELS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ratedispatch.jobs.workload.counted import Counted
    from ratedispatch.simulate.forecast.workload import Row

#: Where a request names the most tokens of an output.
_CAPS = ("max_completion_tokens", "max_tokens", "max_output_tokens")


class Known(NamedTuple):
    """
    What is known of a row.

    Args:
        model: As it names it; empty if not known.
        cap: The most tokens of its outputs together; 0 for none, None if not known.
        prompt: Tokens of its prompt as they were counted; 0 if not known.
    """

    model: str = ""
    cap: int | None = None
    prompt: int = 0


_UNKNOWN = Known()


class FormerInput:
    """
    The rows of the input of an earlier run, as far as they are known.

    Attributes:
        is_ours: Whether they are those of the workload that is asked about.
    """

    is_ours = False

    def row(self, place: int | None) -> Known:  # noqa: ARG002 - nothing is known of any
        """Return what is known of the row at *place*, counted from 1."""
        return _UNKNOWN


class _Alike(FormerInput):
    """Rows of which all that is known is the same."""

    def __init__(self, known: Known) -> None:
        self._known = known

    def row(self, place: int | None) -> Known:  # noqa: ARG002 - the same for each
        return self._known


class CountedInput(FormerInput):
    """The rows of the workload that is asked about."""

    is_ours = True

    def __init__(self, counted: Counted) -> None:
        self._counted = counted

    def row(self, place: int | None) -> Known:
        """Return what was counted of the row at *place*."""
        lines = self._counted.lines
        index = len(lines) if place is None else bisect_left(lines, place)
        if index == len(lines) or lines[index] != place:
            return _UNKNOWN
        row = self._counted.workload[index]
        model = self._counted.workload.kinds[row.kind].model
        return Known(model, most_tokens(row, self._counted.billed_outputs[index]), row.billed)


class _Read(FormerInput):
    """The rows of an input in Batch format."""

    def __init__(self, path: Path) -> None:
        self._caps = array("q", [-1])  # by place; below zero for one that is not known
        self._models = array("H", [0])
        self._names: list[str] = [""]
        places: dict[str, int] = {"": 0}
        with open_bytes(path) as file:
            for number, line in raw_lines(file):
                request = None if isinstance(line, LongLine) else parse_line(line, number)
                if request is None or isinstance(request, BadRow):
                    self._caps.append(-1)
                    self._models.append(0)
                    continue
                self._caps.append(_cap_in(request.body))
                model = name_in(request.model)
                place = places.get(model)
                if place is None:
                    place = 0
                    if len(self._names) < MOST_MODELS:
                        place = places[model] = len(self._names)
                        self._names.append(model)
                self._models.append(place)

    def row(self, place: int | None) -> Known:
        """Return what the row at *place* says."""
        if place is None or not 0 < place < len(self._caps):
            return _UNKNOWN
        cap = self._caps[place]
        return Known(self._names[self._models[place]], None if cap < 0 else cap)


def most_tokens(row: Row, billed: int) -> int:
    """Return the most tokens of all outputs of *row* together, *billed* at most; 0 for no cap."""
    return max(row.cap, billed) if row.cap else 0


def _cap_in(body: Mapping[str, object]) -> int:
    caps = [cap for name in _CAPS if (cap := tokens_in(body.get(name)))]
    choices = tokens_in(body.get("n")) or 1
    return min(max(caps, default=0) * choices, 2**40)


def former_input(output: Path, source: object, counted: Counted | None) -> FormerInput:
    """
    Return what is known of the rows whose answers are in *output*.

    Args:
        output: An output of a run.
        source: The input that is asked about now.
        counted: Its rows.
    """
    manifest = _manifest_of(output)
    if manifest is None:
        return FormerInput()
    path = _path_of(manifest, output)
    if counted is not None and isinstance(source, Path) and _is_same(path, source, manifest):
        return CountedInput(counted)
    if manifest.template:
        model = name_in(manifest.template.get("--model"))
        return _Alike(Known(model, tokens_in(manifest.template.get("--max-tokens")) or 0))
    if path is None:
        return FormerInput()
    try:
        return _Read(path)
    except (JobError, OSError):
        return FormerInput()


def _manifest_of(output: Path) -> Manifest | None:
    job = output.with_name(output.name.removesuffix(".answers.jsonl") + ".job")
    try:
        if not job.is_file():
            return None
        with job.open("rb") as file:
            return Manifest.from_line(first_line(file)[0])
    except (OSError, ValueError, RecursionError):
        return None


def _path_of(manifest: Manifest, output: Path) -> Path | None:
    """Return where the input is: as it was called, or beside the output."""
    if not isinstance(manifest.input, str) or not manifest.input:
        return None
    called = Path(manifest.input)
    for path in (called, output.parent / called, output.parent / called.name):
        if path.is_file():
            return path
    return None


def _is_same(path: Path | None, source: Path, manifest: Manifest) -> bool:
    """Whether *source* is the input of the job that *manifest* is of."""
    if path is None or not source.is_file():
        return False
    if not path.samefile(source):
        return False
    # a compressed file and a table have another size than their lines
    is_plain = source.suffix.lower() not in {".gz", ".zst"} and not manifest.template
    return not is_plain or source.stat().st_size == manifest.size
