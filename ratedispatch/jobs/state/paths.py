"""
Names the files of a job, and checks whether the job can use them.

Checks names, kinds, permissions, locks and sizes; creates and changes nothing.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ratedispatch.errors import JobError
from ratedispatch.jobs.outputs.table import OutputFormat
from ratedispatch.jobs.state.files import lock

if TYPE_CHECKING:
    from ratedispatch.jobs.inputs.streams import Source
    from ratedispatch.jobs.shard import Shard


#: Bytes of a name where the system does not tell, and those that the longest ending adds to it.
_LONGEST_NAME = 255
_LONGEST_ENDING = len(".answers.jsonl.errors.jsonl.damaged")

#: Bytes that have to be free: a hundred answers in flight.
_LEAST_ROOM = 65_536

#: Characters of a name that a message shows.
_SHOWN = 80

#: The name by which other programs mean standard output.
_DASH = Path("-")


@dataclass(frozen=True, slots=True)
class JobFiles:
    """
    The files of a job.

    Args:
        input: What to do; ``-`` for standard input.
        output: Answers.
        errors: Rows that failed.
        table: The table that is made of both at the end, if one is.
    """

    input: Source
    output: Path
    errors: Path
    table: Path | None = None

    @property
    def results(self) -> list[Path]:
        """All that the job writes for its user."""
        found = [self.output, self.errors]
        return found if self.table is None else [*found, self.table]

    @property
    def job(self) -> Path:
        """The file that says which input the output belongs to."""
        asked = self.table or self.output
        return asked.with_name(asked.name + ".job")

    @property
    def retry(self) -> Path:
        """Where the lines of failed rows are kept that are sent again."""
        return self.errors.with_name(self.errors.name + ".retry")

    @property
    def stale(self) -> Path:
        """Where results go whose rows are no longer in the input."""
        asked = self.table or self.output
        return asked.with_name(asked.name + ".stale")


def default_errors_path(output: Path) -> Path:
    """Return where failed rows go: ``out.errors.jsonl`` for ``out.jsonl``."""
    return output.with_name(output.name.removesuffix(".jsonl") + ".errors.jsonl")


def files_of(
    input: Source,  # noqa: A002
    output: Path,
    errors: Path | None,
    output_format: OutputFormat,
    shard: Shard | None = None,
) -> JobFiles:
    """
    Return the files of a job.

    Args:
        input: What to do.
        output: Where answers are wanted; with a table, lines go to ``….answers.jsonl`` beside it.
        errors: Where failed rows go, if that is not beside the output.
        output_format: How answers are wanted.
        shard: The part of the rows that the job has, which its files are named after.

    Raises:
        JobError: One of them is the folder that we are in, which has no name; or is a pipe, a
            terminal or a folder; or has a name that is too long for the files beside it; or is
            named after another shard.
    """
    if shard is not None:
        output = shard.path(output)
        errors = None if errors is None else shard.path(errors)
    for path in (output, errors):
        if path is None:
            continue
        if not path.name:
            raise JobError(f"{path} is a directory; give the name of a file")
        if path == _DASH:
            raise JobError(
                "results cannot go to standard output (-), because a job resumes from the lines in "
                "its files; give the name of a file, and read that"
            )
        _check_length(path)
        _check_kind(path)
    errors = default_errors_path(output) if errors is None else _target(errors)
    output = _target(output)
    if output_format is OutputFormat.JSONL:
        return JobFiles(input, output, errors)
    return JobFiles(input, output.with_name(output.name + ".answers.jsonl"), errors, output)


def _target(path: Path) -> Path:
    """Return where *path* leads: to replace a link would leave what it stands for as it was."""
    return path.resolve() if path.is_symlink() else path


def check_files(files: JobFiles) -> None:
    """
    Check that a job can read and write *files*. Nothing is touched.

    Raises:
        JobError: One sentence that says which file is wrong, and what to do.
    """
    check_input(files.input)
    _check_distinct(files)
    for path in (files.job, files.errors, files.retry, files.stale):
        if path.is_symlink():
            raise JobError(f"{path} is a link, and links are not followed; remove it")
    for path in files.results:
        _check_folder(path)
    _check_room(files.output.parent)
    if files.job.exists():
        _check_folder(files.job)
    else:
        refuse_foreign(files)


def refuse_shared(files: JobFiles) -> None:
    """
    Refuse result files that another process writes to, before anything is made.

    Raises:
        JobError: One does.
    """
    for path in (files.output, files.errors):
        if path.exists():
            with path.open("rb", buffering=0) as file:
                lock(file, path)


def refuse_foreign(files: JobFiles) -> None:
    """
    Refuse result files that have something in them, for a job that is new.

    Raises:
        JobError: One has.
    """
    for path in files.results:
        if path.exists() and path.stat().st_size > 0:
            raise JobError(
                f"{path} exists and was not made by this job; "
                f"choose another output, or remove it to start over"
            )


def check_input(path: Source) -> None:
    """
    Check that *path* is a file that can be read more than once, or standard input.

    Raises:
        JobError: It is missing, unreadable, or no regular file; one sentence says which.
    """
    if isinstance(path, str):
        return
    if not path.exists():
        raise JobError(f"the input {path} does not exist")
    if path.is_dir():
        raise JobError(f"the input {path} is a directory; give a JSONL file")
    if not path.stat().st_mode & 0o444:
        raise JobError(f"the input {path} cannot be read: permission denied")
    if not path.is_file():
        raise JobError(
            f"the input {path} is not a regular file, but has to be read more than once; "
            f"for a pipe, give - and connect it to standard input"
        )


def _check_distinct(files: JobFiles) -> None:
    names = {"output": files.output, "errors": files.errors, "job file": files.job}
    if not isinstance(files.input, str):
        names = {"input": files.input, **names}
    if files.table is not None:
        names["table"] = files.table
    seen: dict[Path, str] = {}
    for name, path in names.items():
        real = path.resolve()
        twin = seen.get(real)
        if twin is None and path.exists():
            twin = next((other for known, other in seen.items() if _same_file(known, path)), None)
        if twin is not None:
            raise JobError(f"the {twin} and the {name} are the same file: {path}")
        seen[real] = name


def _same_file(one: Path, other: Path) -> bool:
    return one.exists() and one.samefile(other)


def _check_length(path: Path) -> None:
    """Refuse a name beside which there is no room for the names of the job's other files."""
    try:
        most = os.pathconf(path.parent, "PC_NAME_MAX")
    except (OSError, ValueError, AttributeError):  # no such folder, or no such question
        most = _LONGEST_NAME
    length = len(os.fsencode(path.name))
    if length + _LONGEST_ENDING > most:
        raise JobError(
            f"the name {path.name[:_SHOWN]}… has {length} bytes, and the other files of the job "
            f"need up to {_LONGEST_ENDING} more, but a name may have {most}; choose a shorter one"
        )


def _check_kind(path: Path) -> None:
    """Refuse what is there and is not a regular file, through links."""
    try:
        path.stat()
    except FileNotFoundError:
        return
    except OSError as error:  # a path that is too long, a ring of links
        raise JobError(f"{str(path)[:_SHOWN]} cannot be used: {error.strerror}") from error
    if path.is_dir():
        raise JobError(f"{path} is a directory; give the name of a file")
    if path.exists() and not path.is_file():
        raise JobError(f"{path} is not a regular file; a job needs one in order to resume")


def _check_room(folder: Path) -> None:
    """Refuse a disk that is full: what is in flight when that is noticed is paid for and lost."""
    try:
        free = shutil.disk_usage(folder).free
    except OSError:
        return
    if free < _LEAST_ROOM:
        raise JobError(
            f"the disk of the folder {folder} has {free:,} bytes left, but a job needs "
            f"{_LEAST_ROOM:,}; free some space, or choose another folder"
        )


def _check_folder(path: Path) -> None:
    folder = path.parent
    if not folder.is_dir():
        raise JobError(f"the folder {folder} for {path.name} does not exist; create it first")
    _check_kind(path)
    # the bits too, because for root os.access says yes to a folder that was made read-only
    if not os.access(folder, os.W_OK | os.X_OK) or not folder.stat().st_mode & 0o222:
        raise JobError(f"the folder {folder} for {path.name} cannot be written to")
    if path.exists() and not os.access(path, os.W_OK):
        raise JobError(f"{path} cannot be written to")
