"""
Keeps the journal of a job: what it was made from, and which attempts were sent.

``OUT.job`` holds one line of JSON, the manifest, then a short line for each attempt: ``s12``
before row 12 is sent, ``t12`` before it is sent again although its former attempt may have been
billed, ``b12`` when it came back unbilled, and ``d12`` when it failed, may have been billed, and
will be sent again. A line is written before its attempt leaves. ``c5,3`` says that 5 nano-USD
were spent so far, and 3 for the dearest answer; it is written before the lines of those answers.
So after the end of the process, however it came, the rows that may have been billed are those that
left, did not come back, and have no result. The open file is locked, which keeps other processes
out.

The journal does not say which rows are done: only the result files do, so nothing can disagree
with them.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from typing import TYPE_CHECKING, BinaryIO

from ratedispatch.errors import JobError
from ratedispatch.jobs.state.files import (
    CHUNK,
    check_place,
    first_line,
    lock,
    no_space,
    open_appending,
    open_new,
    sync_folder,
    write_all,
)
from ratedispatch.jobs.state.manifest import Manifest
from ratedispatch.jobs.state.rowset import RowSet

if TYPE_CHECKING:
    from pathlib import Path

#: A record of one row: what happened, and its number.
RECORD = re.compile(rb"([stbd])(\d{1,12})\n")
_SENT = re.compile(rb"s(\d{1,12})\n")
_SPENT = re.compile(rb"c(\d{1,18}),(\d{1,18})\n")

#: Nano-USD in a USD: a token of the cheapest model costs some 20.
_NANO = 1_000_000_000

#: Seconds within which the children of a killed process end, too, and release the lock.
_PATIENCE = 0.5

# custom_ids are not in here, but prompts of a template are
_MODE = 0o600


class Journal:
    """
    An open job file, locked.

    Use :func:`open_journal`.

    Attributes:
        manifest: What the job was made from; None if the file is new.
        open_rows: Rows that were sent and may have been billed, and are not known to have ended.
        doubtful: Rows that failed, may have been billed, and have not been sent again yet.
        billed_twice: Attempts that may have been billed a second time, of all runs.
        spent: USD that all runs have spent, as far as prices were known.
        dearest: USD of the most expensive answer.
        generation: Counts the files that replaced the first one.
    """

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._path = path
        self._file = file
        self.manifest: Manifest | None = None
        self.open_rows = RowSet()
        self.doubtful = RowSet()
        self.billed_twice = 0
        self.spent = self.dearest = 0.0
        self.generation = 0
        self._repeated = RowSet()  # of these, rows whose last attempt was not their first
        self._read()

    @property
    def descriptor(self) -> int:
        """The file, open for appending."""
        return self._file.fileno()

    def close(self) -> None:
        """Let other processes in."""
        self._file.close()

    def write_manifest(self, manifest: Manifest) -> None:
        """
        Put *manifest* in place of what is there, with nothing behind it.

        Raises:
            JobError: It cannot be written.
        """
        fresh = self._path.with_name(self._path.name + ".new")
        text = self.text(manifest)
        try:
            fresh.unlink(missing_ok=True)  # of a kill, or somebody's link
            file = open_new(fresh, _MODE)
            try:
                lock(file, self._path.with_suffix(""))
                write_all(file, text)
                os.fsync(file.fileno())
                fresh.replace(self._path)
                sync_folder(self._path)
            except BaseException:
                file.close()
                fresh.unlink(missing_ok=True)
                raise
        except OSError as error:
            raise JobError(f"{self._path} cannot be written: {error.strerror}") from error
        self.manifest = manifest
        self._file.close()
        self._file = file
        self.generation += 1

    def text(self, manifest: Manifest) -> bytes:
        """Return all that the file has to hold, with *manifest* at its beginning."""
        records = [b"s%d\n" % row for row in self.open_rows]
        records += [b"t%d\n" % row for row in self._repeated]
        records += [b"d%d\n" % row for row in self.doubtful]
        records += [_cost_record(self.spent, self.dearest)]
        # the repeats are counted in the manifest, and again by their records
        counted = replace(manifest, billed_twice=self.billed_twice - len(self._repeated))
        return b"".join([counted.to_line(), *records])

    def take_in(self, other: Journal) -> None:
        """Add what the journal *other*, of other rows of the same input, says; writes nothing."""
        self.open_rows.merge(other.open_rows)
        self._repeated.merge(other._repeated)
        self.doubtful.merge(other.doubtful)
        self.billed_twice += other.billed_twice
        self.spent += other.spent
        self.dearest = max(self.dearest, other.dearest)

    def send(self, row: int) -> None:
        """
        Note that *row* is about to be sent.

        Raises:
            OSError: It cannot be written.
        """
        if row in self.doubtful or not self.open_rows.add(row):
            self.append(b"t%d\n" % row)
            self._repeat(row)
            return
        try:
            self.append(b"s%d\n" % row)
        except OSError:
            self.open_rows.discard(row)
            raise

    def take_back(self, row: int) -> None:
        """
        Note that *row* came back and was not billed.

        Raises:
            OSError: It cannot be written.
        """
        if row in self.open_rows:
            self.append(b"b%d\n" % row)
            self._return(row)

    def doubt(self, rows: RowSet) -> None:
        """
        Note that *rows* failed, may have been billed, and are to be sent again.

        Raises:
            OSError: It cannot be written.
        """
        if len(rows):
            self.append(b"".join(b"d%d\n" % row for row in rows))
            for row in rows:
                self._doubt(row)

    def note_spent(self, spent: float, dearest: float) -> None:
        """
        Note that *spent* USD were spent so far by all runs, and *dearest* for the dearest answer.

        Raises:
            OSError: It cannot be written.
        """
        if spent != self.spent:
            self.append(_cost_record(spent, dearest))
            self.spent, self.dearest = spent, dearest

    def end(self, row: int) -> None:
        """End *row*: it has its line in a result file, which says so itself."""
        self.open_rows.discard(row)
        self._repeated.discard(row)

    def end_all(self, rows: RowSet) -> None:
        """End all *rows*: they have their lines."""
        self.open_rows.remove(rows)
        self._repeated.remove(rows)

    def count_open_rows_as_billed_twice(self) -> None:
        """Count the open rows as billed twice: rows have other numbers now and cannot be found."""
        self.billed_twice += len(self.open_rows)
        self.spent += len(self.open_rows) * self.dearest
        self.open_rows, self._repeated, self.doubtful = RowSet(), RowSet(), RowSet()

    def restore(self) -> None:
        """
        Restore the file if it was removed; without it, the job could not be resumed.

        Raises:
            JobError: It cannot be written.
        """
        if self.manifest is not None and not self._path.exists():
            self.write_manifest(self.manifest)

    def check(self) -> None:
        """
        Make sure that the file is where it was made; put it back if it was removed.

        Raises:
            OSError: There is another one in its place, or it cannot be put back.
        """
        try:
            self.restore()
        except JobError as error:
            raise OSError(None, str(error)) from error
        check_place(self._file, self._path)

    def sync(self) -> None:
        """Wait until what was noted is on the disk; may be called in a thread."""
        os.fsync(self._file.fileno())

    def replay(self, kind: bytes, row: int) -> None:
        """Take in a record of *row*: one of the file, or that another process has written."""
        if kind == b"s":
            self.open_rows.add(row)
        elif kind == b"t":
            self._repeat(row)
        elif kind == b"b":
            self._return(row)
        else:
            self._doubt(row)

    def append(self, record: bytes) -> None:
        """
        Write *record*, whole lines.

        Raises:
            OSError: It cannot be written.
        """
        # one call of the system, not buffered: it has to be there when the process is killed
        if self._file.write(record) != len(record):
            raise no_space()

    def _read(self) -> None:
        self._file.seek(0)
        first, rest = first_line(self._file)
        if not first and not rest:
            return
        try:
            self.manifest = Manifest.from_line(first)
        except ValueError as error:
            raise JobError(
                f"{self._path} cannot be read as a job file; to start over, remove it and the "
                f"output"
            ) from error
        self.billed_twice = self.manifest.billed_twice
        while True:
            block = self._file.read(CHUNK)
            text = rest + block
            end = text.rfind(b"\n") + 1
            if any(kind in text for kind in (b"t", b"b", b"d")):
                for kind, row in RECORD.findall(text, 0, end):
                    self.replay(kind, int(row))
            else:
                self.open_rows.update(map(int, _SENT.findall(text, 0, end)))
            for spent, dearest in _SPENT.findall(text, 0, end)[-1:]:
                self.spent, self.dearest = int(spent) / _NANO, int(dearest) / _NANO
            rest = text[end:]
            if not block:
                break
        if rest and self._file.writable():  # torn by a crash: the row had not left
            self._file.seek(-len(rest), os.SEEK_END)
            self._file.truncate()

    def _doubt(self, row: int) -> None:
        self.end(row)
        self.doubtful.add(row)

    def _repeat(self, row: int) -> None:
        self.doubtful.discard(row)
        self.open_rows.add(row)
        self._repeated.add(row)
        self.billed_twice += 1

    def _return(self, row: int) -> None:
        """The last attempt was not billed; one before it may have been."""
        if self._repeated.discard(row):
            self.billed_twice -= 1
        else:
            self.open_rows.discard(row)


def open_journal(path: Path) -> Journal:
    """
    Open the job file *path*, make it if it is missing, and keep other processes out.

    Raises:
        JobError: Another process has it open, it is not a job file, or it cannot be opened.
    """
    while True:
        try:
            file = open_appending(path, _MODE)
        except OSError as error:
            raise JobError(f"{path} cannot be opened: {error.strerror}") from error
        try:
            lock(file, path.with_suffix(""), patience=_PATIENCE)
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return Journal(path, file)
        except FileNotFoundError:  # replaced or removed by another process
            pass
        except BaseException:
            file.close()
            raise
        file.close()


def read_journal(path: Path) -> Journal:
    """
    Return what the job file *path* says; it is closed, and was not changed.

    Raises:
        JobError: A process is working on the job, it is not a job file, or it cannot be read.
    """
    try:
        with path.open("rb", buffering=0) as file:
            lock(file, path.with_suffix(""), is_shared=True)
            return Journal(path, file)
    except OSError as error:
        raise JobError(f"{path} cannot be read: {error.strerror}") from error


def _cost_record(spent: float, dearest: float) -> bytes:
    return b"c%d,%d\n" % (round(spent * _NANO), round(dearest * _NANO))
