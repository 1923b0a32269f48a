"""Loads Ray where it is needed, or says how it is installed."""

from __future__ import annotations

import importlib
from typing import Any


def load_ray(module: str = "ray") -> Any:
    """
    Return *module* of Ray, or of what Ray brings.

    Raises:
        ImportError: It is not installed; the sentence has the command that installs it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        library = module.partition(".")[0]
        raise ImportError(
            f"ratedispatch.ray needs {library}, which is not installed; install it with: "
            f"pip install 'ray[data]'"
        ) from error
