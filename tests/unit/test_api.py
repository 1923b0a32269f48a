"""The public names, and what importing them costs."""

from __future__ import annotations

import subprocess
import sys
import types

import ratedispatch


def test_the_public_names_are_those_present() -> None:
    """Sorted, and nothing else is public."""
    names = ratedispatch.__all__
    assert names == sorted(names)
    present = {
        name
        for name, value in vars(ratedispatch).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType)
    }
    assert present == set(names)


def test_importing_pulls_in_neither_the_sdk_nor_the_tokenizer() -> None:
    """They are loaded when first used."""
    code = "import sys, ratedispatch; print([m for m in ('openai', 'tiktoken', 'aiohttp', 'rich') if m in sys.modules])"  # noqa: E501
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
