"""Prints warnings of the library as notes for a person at the command line."""

from __future__ import annotations

import contextlib
import warnings
from typing import TYPE_CHECKING, Any

from ratedispatch.cli.console import say

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def plain_warnings() -> Iterator[None]:
    """Show the library's warnings as sentences, without the line of code they came from."""

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        say(f"note: {message}")

    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = show
        yield
