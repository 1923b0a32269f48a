"""
Decides whether a file is unchanged since it was counted, and would be counted the same way.

Reads only samples of it: makes a digest of the file's metadata, of the samples, and of every
setting that a count depends on.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import ratedispatch

if TYPE_CHECKING:
    from ratedispatch.jobs.workload.row_reading import Reading

#: Bytes of the samples that are read of a file: at both ends more, between them in even steps.
_END_BYTES = 64 * 1024
_SAMPLE_BYTES = 4 * 1024
_SAMPLES = 64

#: Packages that counts depend on, if they are there.
_PACKAGES = ("ratedispatch", "tiktoken", "pypdf", "pyarrow", "msgspec")


def identity_of(path: Path, reading: Reading) -> bytes | None:
    """
    Return 32 bytes that stand for the file *path* as it is now, counted as *reading* says.

    None if it is not a plain file, or cannot be read.
    """
    try:
        if not path.is_file():  # to open a pipe would wait for its writer
            return None
        with path.open("rb", buffering=0) as file:
            about = os.fstat(file.fileno())
            if not stat.S_ISREG(about.st_mode):
                return None
            samples = _samples(file, about.st_size)
        where = os.fsencode(path.resolve(strict=True)).hex()
    except OSError:
        return None
    values = [
        [where, about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns, samples],
        _plain(reading),
        _program(),
    ]
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).digest()


def _samples(file: BinaryIO, size: int) -> str:
    digest = hashlib.sha256()
    places = [(0, _END_BYTES), (max(0, size - _END_BYTES), _END_BYTES)]
    places += [(size * number // _SAMPLES, _SAMPLE_BYTES) for number in range(1, _SAMPLES)]
    for place, length in places:
        file.seek(place)
        digest.update(file.read(length))
    return digest.hexdigest()


def _plain(value: Any) -> Any:
    """Return all that *value* was made of, as values of JSON."""
    if is_dataclass(value):
        return [
            [field.name, _plain(getattr(value, field.name))]
            for field in fields(value)
            if field.init
        ]
    if isinstance(value, Mapping):
        return sorted([str(name), _plain(one)] for name, one in value.items())
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value if value is None or isinstance(value, bool | int | float) else str(value)


def _program() -> list[Any]:
    """Return what stands for the program and its libraries: a new one may count otherwise."""
    found: list[Any] = []
    for name in _PACKAGES:
        try:
            found.append(version(name))
        except PackageNotFoundError:
            found.append(None)
    package = Path(ratedispatch.__file__).parent
    for path in sorted(package.rglob("*.py")):  # a checkout changes without a new version
        about = path.stat()
        found.append([path.name, about.st_size, about.st_mtime_ns])
    return found
