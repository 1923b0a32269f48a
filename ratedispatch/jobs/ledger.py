"""
Which job an output belongs to, and which of its rows are done.

Decides whether a job may start, is new, or goes on. Keeps one small file beside the output,
``OUT.job``, that names the input by its digest; the rows that are done are read from the output
and the error file themselves, so there is nothing that could disagree with them.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from ratedispatch.errors import JobError
from ratedispatch.jobs.batchfile import row_of
from ratedispatch.jobs.sink import read_lines
from ratedispatch.jobs.source import is_empty

if TYPE_CHECKING:
    from pathlib import Path

_FORMAT = 1


@dataclass(frozen=True, slots=True)
class JobFiles:
    """
    The files of a job.

    Args:
        input: What to do.
        output: Answers.
        errors: Rows that failed.
    """

    input: Path
    output: Path
    errors: Path

    @property
    def job(self) -> Path:
        """The file that says which input the output belongs to."""
        return self.output.with_name(self.output.name + ".job")


class RowSet:
    """A set of row numbers that takes a bit for each row up to the largest."""

    __slots__ = ("_bits", "_count")

    def __init__(self) -> None:
        self._bits = bytearray()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __contains__(self, row: int) -> bool:
        index, bit = divmod(row, 8)
        return index < len(self._bits) and bool(self._bits[index] >> bit & 1)

    def add(self, row: int) -> bool:
        """Add *row*; return whether it was not there."""
        index, bit = divmod(row, 8)
        if index >= len(self._bits):
            self._bits.extend(bytes(index + 1 - len(self._bits) + 1024))
        if self._bits[index] >> bit & 1:
            return False
        self._bits[index] |= 1 << bit
        self._count += 1
        return True


@dataclass(frozen=True, slots=True)
class Progress:
    """Rows that an earlier run of the job has done."""

    answered: RowSet
    failed: RowSet

    def __contains__(self, row: int) -> bool:
        return row in self.answered or row in self.failed


@dataclass(frozen=True, slots=True)
class OpenJob:
    """
    A job that this process works on.

    Args:
        progress: What an earlier run has done.
        lock: Keeps other processes out until it is closed.
    """

    progress: Progress
    lock: IO[str]


def open_job(files: JobFiles) -> OpenJob:
    """
    Check that a job can start with *files*, register it, and return what is done already.

    Nothing is touched unless all of it is right. Until the result is closed, no other process
    can open the same job.

    Raises:
        JobError: One sentence that says which file is wrong, and what to do.
    """
    check_input(files.input)
    _check_distinct(files)
    for path in (files.output, files.errors):
        _check_folder(path)
    identity = _identify(files.input)
    if files.job.exists():
        _check_same_job(files, identity)
        lock = _lock(files)
        try:
            return OpenJob(read_progress(files), lock)
        except BaseException:
            lock.close()
            raise
    for path in (files.output, files.errors):
        if path.exists() and path.stat().st_size > 0:
            raise JobError(
                f"{path} exists and was not made by this job; "
                f"choose another output, or remove it to start anew"
            )
    _register(files.job, identity)
    return OpenJob(Progress(RowSet(), RowSet()), _lock(files))


def read_progress(files: JobFiles) -> Progress:
    """
    Return the rows that the output and the error file hold.

    Raises:
        JobError: A file holds a line that this program did not write.
    """
    progress = Progress(RowSet(), RowSet())
    for path, rows in ((files.output, progress.answered), (files.errors, progress.failed)):
        for number, line in enumerate(read_lines(path), 1):
            row = row_of(line)
            if row is None:
                raise JobError(
                    f"line {number} of {path} was not written by ratedispatch; "
                    f"choose another output, or remove that line"
                )
            rows.add(row)
    return progress


def check_input(path: Path) -> None:
    """
    Check that *path* is a file with rows that can be read.

    Raises:
        JobError: It is missing, unreadable, empty or no regular file; one sentence says which.
    """
    if not path.exists():
        raise JobError(f"the input {path} does not exist")
    if path.is_dir():
        raise JobError(f"the input {path} is a directory; give a JSONL file")
    if not path.stat().st_mode & 0o444:
        raise JobError(f"the input {path} cannot be read: nobody has permission to")
    if not path.is_file():
        raise JobError(f"the input {path} is no regular file, and has to be read more than once")
    if is_empty(path):
        raise JobError(f"the input {path} is empty")


def _check_distinct(files: JobFiles) -> None:
    names = {
        "input": files.input,
        "output": files.output,
        "errors": files.errors,
        "job file": files.job,
    }
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


def _check_folder(path: Path) -> None:
    folder = path.parent
    if not folder.is_dir():
        raise JobError(f"the folder {folder} for {path.name} does not exist; create it first")
    if path.is_dir():
        raise JobError(f"{path} is a directory; give the name of a file")
    if path.exists() and not path.is_file():
        raise JobError(f"{path} is no regular file; a job needs one that it can go on with")
    # the bits too, because for root os.access says yes to a folder that was made read-only
    if not os.access(folder, os.W_OK | os.X_OK) or not folder.stat().st_mode & 0o222:
        raise JobError(f"the folder {folder} for {path.name} cannot be written to")
    if path.exists() and not os.access(path, os.W_OK):
        raise JobError(f"{path} cannot be written to")


def _identify(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16))
        return {
            "format": _FORMAT,
            "input": path.name,
            "bytes": file.tell(),
            "blake2b": digest.hexdigest(),
        }


def _check_same_job(files: JobFiles, identity: dict[str, Any]) -> None:
    try:
        known = json.loads(files.job.read_text(encoding="utf-8"))
        digest, name, size = known["blake2b"], known["input"], known["bytes"]
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise JobError(
            f"{files.job} cannot be read as a job file; remove it together with {files.output} "
            f"to start anew"
        ) from error
    if digest != identity["blake2b"]:
        raise JobError(
            f"{files.output} belongs to another job: it was made from {name} of {size:,} bytes, "
            f"and {files.input} with {identity['bytes']:,} bytes has other content; "
            f"choose another output"
        )


def _register(path: Path, identity: dict[str, Any]) -> None:
    try:
        path.write_text(json.dumps(identity) + "\n", encoding="utf-8")
    except OSError as error:
        raise JobError(f"{path} cannot be written: {error.strerror}") from error


def _lock(files: JobFiles) -> IO[str]:
    """Lock the job file; the system lets go of it when this process ends, however it ends."""
    file = files.job.open("r+", encoding="utf-8")
    try:
        import fcntl
    except ImportError:  # Windows: two processes on one output are not noticed there
        return file
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise JobError(
            f"another process is working on {files.output}; wait for it, or choose another output"
        ) from error
    return file
