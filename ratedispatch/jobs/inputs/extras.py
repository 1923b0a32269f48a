"""Loads libraries that only some inputs need, when such an input is read."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from ratedispatch.errors import JobError

if TYPE_CHECKING:
    from types import ModuleType


def load(module: str, what: str) -> ModuleType:
    """
    Return *module*, which reading *what* needs.

    Raises:
        JobError: It is not installed; the sentence has the command that installs it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        library = module.partition(".")[0]
        raise JobError(
            f"{what} needs {library}, which is not installed; install it with: pip install "
            f"{library}"
        ) from error
