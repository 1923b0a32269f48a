"""The public names, and what importing them costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

import ratedispatch


def test_the_public_names_are_those_that_can_be_had() -> None:
    """Sorted, each of them real, and the table of their homes lists no other."""
    names = ratedispatch.__all__
    assert names == sorted(names)
    assert set(names) == set(ratedispatch._HOMES)
    for name in names:
        assert getattr(ratedispatch, name).__doc__ or name in {"Event", "Outcome"}
    assert set(names) <= set(dir(ratedispatch))


def test_another_name_is_an_attribute_error() -> None:
    """As with any module."""
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = ratedispatch.nothing


def test_importing_pulls_in_neither_the_sdk_nor_the_tokenizer() -> None:
    """They are loaded when first used."""
    code = "import sys, ratedispatch; print([m for m in ('openai', 'tiktoken', 'aiohttp', 'rich', 'asyncio') if m in sys.modules])"  # noqa: E501
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
