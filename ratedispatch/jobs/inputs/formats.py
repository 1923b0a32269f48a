"""Decides which format an input has, by its name or by what the user says. Reads nothing."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from ratedispatch.errors import JobError

if TYPE_CHECKING:
    from ratedispatch.jobs.inputs.streams import Source


class Format(StrEnum):
    """How an input is written."""

    JSONL = "jsonl"
    CSV = "csv"
    TSV = "tsv"
    PARQUET = "parquet"


_SUFFIXES = {
    ".csv": Format.CSV,
    ".tsv": Format.TSV,
    ".tab": Format.TSV,
    ".parquet": Format.PARQUET,
    ".pq": Format.PARQUET,
}
#: Suffixes of compressed files, in lower case.
PACKED = frozenset({".gz", ".zst"})

_WAYS_OUT = {
    ".xlsx": "save it as CSV (UTF-8)",
    ".xls": "save it as CSV (UTF-8)",
    ".ods": "save it as CSV (UTF-8)",
    ".zip": "unpack it first",
    ".bz2": "unpack it first",
    ".xz": "unpack it first",
    ".7z": "unpack it first",
}


def format_of(path: Source, name: str | None = None) -> Format:
    """
    Return the format of *path*: *name* if given, else what its suffix before .gz or .zst says.

    Standard input, and every suffix that means nothing here, is JSONL.

    Raises:
        JobError: *name* is no format, or the suffix is known to be one that cannot be read.
    """
    if name is not None:
        try:
            return Format(name.lower())
        except ValueError as error:
            known = ", ".join(Format)
            raise JobError(f"the format {name!r:.40} is not one of {known}") from error
    if not isinstance(path, Path):
        return Format.JSONL
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in PACKED:
        suffixes.pop()
    suffix = suffixes[-1] if suffixes else ""
    if suffix in _WAYS_OUT:
        raise JobError(
            f"the input {path} ends in {suffix}, which cannot be read; {_WAYS_OUT[suffix]}"
        )
    return _SUFFIXES.get(suffix, Format.JSONL)
