"""
Finds the jobs that given names of files refer to.

A shell pattern also matches errors files and other files of the same jobs; and the name of an
output that was split into shards means all its shards.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ratedispatch.errors import JobError
from ratedispatch.jobs.standing.job_notes import NotesReader
from ratedispatch.jobs.standing.job_reader import files_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_JOB = ".job"

#: What stands between the name of an output and its ending where it is a shard's.
_TAG = re.compile(r"\.(\d{1,6})-of-(\d{1,6})")

#: How files of a job end that hold no results which count.
_BESIDE = (".retry", ".stale", ".damaged", ".tmp", ".new")


def outputs_of(paths: Iterable[Path]) -> list[Path]:
    """
    Return the outputs of the jobs that *paths* name, in their order and once each.

    Raises:
        JobError: One of them belongs to no job; the sentence says what it may be instead.
    """
    found: dict[Path, None] = {}
    loose: list[Path] = []
    for path in paths:
        if not path.name or path.is_dir():
            raise JobError(f"{path} is a folder; give the file that run wrote with -o")
        output = path.with_name(path.name.removesuffix(_JOB)) if path.name != _JOB else path
        if _job_of(output).is_file():
            found[output] = None
        else:
            shards = _shards_of(output)
            if not shards:
                loose.append(path)
            found.update(dict.fromkeys(shards))
    beside = {path.absolute() for output in found for path in _beside(output)}
    for path in loose:
        if path.absolute() not in beside and not path.name.endswith(_BESIDE):
            raise JobError(_not_found(path))
    if not found:
        raise JobError(f"{loose[0]} is another file of a job, not its output; give the output")
    return list(found)


def _job_of(output: Path) -> Path:
    return output.with_name(output.name + _JOB)


def _shards_of(output: Path) -> list[Path]:
    """Return the outputs of the shards of what was asked for at *output*."""
    if not output.name or not output.parent.is_dir():
        return []
    stem, suffix = output.stem, output.suffix
    shards = []
    for path in output.parent.iterdir():
        name = path.name.removesuffix(_JOB)
        if name == path.name or not (name.startswith(stem) and name.endswith(suffix)):
            continue
        tag = _TAG.fullmatch(name, len(stem), len(name) - len(suffix))
        if tag is not None:
            shards.append((int(tag[2]), int(tag[1]), path.with_name(name)))
    return [path for _, _, path in sorted(shards)]


def _beside(output: Path) -> list[Path]:
    """Return the other files of the job of *output*."""
    try:
        files = files_of(output, NotesReader(_job_of(output)).read().manifest)
    except JobError:  # it is told when the job is read
        return []
    return [*files.results, files.retry, files.stale]


def _not_found(path: Path) -> str:
    if not path.exists():
        return f"{path} does not exist, nor does its job file {_job_of(path)}: was run started?"
    return (
        f"{path} is not an output of ratedispatch run: it has no job file {_job_of(path)}; "
        f"give the file that run wrote with -o"
    )
