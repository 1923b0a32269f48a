"""Reads a TOML file of the user. Each error is one sentence that names the file."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any

from ratedispatch.errors import JobError

if TYPE_CHECKING:
    from pathlib import Path


def read_toml(path: Path, name: str) -> dict[str, Any]:
    """
    Return the tables of the file *path*, which messages call *name*.

    Raises:
        JobError: The file cannot be read, or is not valid TOML.
    """
    try:
        _check(path, name)
        data = path.read_bytes()
    except OSError as error:
        raise JobError(f"{name} cannot be read: {error.strerror or error}") from error
    try:
        return tomllib.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise JobError(f"{name} is not UTF-8 at byte {error.start:,}; save it as UTF-8") from error
    except RecursionError:
        raise JobError(f"{name} is nested too deeply") from None
    except ValueError as error:  # a wrong syntax, or a number of thousands of digits
        raise JobError(f"{name} is not valid TOML: {error}") from error


def _check(path: Path, name: str) -> None:
    if not path.exists():
        raise JobError(f"{name} does not exist")
    if path.is_dir():
        raise JobError(f"{name} is a directory; give a TOML file")
    if not path.stat().st_mode & 0o444:
        raise JobError(f"{name} cannot be read: permission denied")
    if not path.is_file():
        raise JobError(f"{name} is not a regular file")
