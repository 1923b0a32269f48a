"""Writes a page to its file, and reads the forecast that it shows."""

from __future__ import annotations

import contextlib
import json
import os
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ratedispatch.observe.page.material import Material, Predicted

# readable by its owner only: names of rows and messages of failures are on it
_MODE = 0o600

# how each page begins; a browser takes either case
_PAGE_BEGINS = b"<!doctype html"

#: Bytes of a forecast; those of the program have some thousand.
_LONGEST = 10 * 2**20


def check_place(path: Path, flag: str) -> None:
    """
    Check that a page can be written to *path*; nothing is touched.

    Raises:
        click.UsageError: It cannot; says why, and names the *flag*.
    """
    folder = path.parent
    if path.is_symlink():
        raise click.UsageError(f"{flag} {path} is a link, and links are not followed; name a file")
    if path.exists() and not path.is_file():
        raise click.UsageError(f"{flag} {path} is not a regular file; name another file")
    if not _is_replaceable(path):
        raise click.UsageError(
            f"{flag} {path} exists and is not an HTML page, so it is not replaced; name another "
            f"file, or remove it"
        )
    if not folder.is_dir():
        raise click.UsageError(
            f"{flag} {path}: the folder {folder} does not exist; create it first"
        )
    if not os.access(folder, os.W_OK | os.X_OK) or not folder.stat().st_mode & 0o222:
        raise click.UsageError(f"{flag} {path}: the folder {folder} cannot be written to")


def _is_replaceable(path: Path) -> bool:
    """Whether a page may replace *path*: it is not an input, a log or an output."""
    try:
        with path.open("rb") as file:
            begin = file.read(len(_PAGE_BEGINS))
    except FileNotFoundError:
        return True
    except OSError:  # what cannot be read may be anything
        return False
    return not begin or begin.lower() == _PAGE_BEGINS


def write_page(path: Path, material: Material, key: str | Sequence[str] = "") -> int:
    """
    Write the page of *material* to *path*, in place of what is there, and return its bytes.

    Args:
        path: A file, or nothing yet.
        material: What the page shows.
        key: Kept out of it; or each of several.

    Raises:
        OSError: It cannot be written.
    """
    from ratedispatch.jobs.state.files import replacing, write_all
    from ratedispatch.observe.page.render import render
    from ratedispatch.observe.redact import redact_text

    text = redact_text(render(material), key).encode("utf-8", "replace")
    if path.is_symlink():  # since it was checked
        raise OSError(None, "it is a link, and links are not followed", str(path))
    with replacing(path, mode=_MODE) as file:
        write_all(file, text)
    with contextlib.suppress(OSError):  # who could read the former page could read this one
        path.chmod(_MODE)
    return len(text)


def read_forecast(path: Path | None) -> Predicted | None:
    """
    Return what the file *path* predicts; None without one.

    Raises:
        click.UsageError: It cannot be read, or is not a forecast.
    """
    from ratedispatch.observe.page.material import predicted_from

    if path is None:
        return None
    try:
        with path.open("rb") as file:
            found = predicted_from(json.loads(file.read(_LONGEST)))
    except OSError as error:
        raise click.UsageError(f"--forecast {path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise click.UsageError(f"--forecast {path} is not JSON: {error}") from error
    if found is None:
        raise click.UsageError(
            f"--forecast {path} has none of seconds, cost_usd and tenths; give the output of "
            f"ratedispatch simulate --json"
        )
    return found
