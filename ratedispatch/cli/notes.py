"""Prints warnings of the library as notes for a person at the command line."""

from __future__ import annotations

import contextlib
import warnings
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def plain_warnings() -> Iterator[None]:
    """Show the library's warnings as sentences, without the line of code they came from."""

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        click.echo(f"note: {message}", err=True)

    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = show
        yield
