"""The reference of the command line is what the commands say."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

from tests.docs.pages import DOCS

if TYPE_CHECKING:
    from types import ModuleType


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_cli", DOCS / "generate_cli.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_cli_reference_is_up_to_date() -> None:
    """When this fails: python docs/generate_cli.py."""
    module = generator()
    assert (DOCS / "reference" / "cli.md").read_text("utf-8") == module.page()
