"""The modules that the documentation names are there."""

from __future__ import annotations

import importlib
import re
from typing import TYPE_CHECKING

import pytest

from tests.docs.pages import DOCS, PAGES, ROOT, name_of

if TYPE_CHECKING:
    from pathlib import Path

ROOMS = {
    path.name
    for path in [*(ROOT / "ratedispatch").rglob("*"), ROOT / "benchmarks", ROOT / "tests"]
    if path.is_dir() and path.name != "__pycache__"
}
IN_TICKS = re.compile(r"`([\w./-]+)`")
#: What the diffs of the worked examples add is not there yet.
DIFF = re.compile(r"^```diff\n.*?^```$", re.MULTILINE | re.DOTALL)
MODULE = re.compile(r"\b((?:ratedispatch|benchmarks|tests)(?:\.\w+)+)")
#: Files that are named like modules.
NO_MODULES = {"benchmarks.md", "ratedispatch.toml", "ratedispatch.fish"}

#: Pages about the past, which name modules that are no more.
OF_THE_PAST = {"docs/reference/migration.md", "CHANGELOG.md"}


def is_module(name: str) -> bool:
    """Whether *name* is a module of this project, or a name in one."""
    parent, _, last = name.rpartition(".")
    for module in (name, parent):
        path = ROOT.joinpath(*module.split("."))
        if path.is_dir() or path.with_suffix(".py").is_file():
            return module == name or hasattr(importlib.import_module(module), last)
    return False


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_modules_named_on_a_page_exist(page: Path) -> None:
    """Every dotted name of this project on it is a module, or a name in a module."""
    if name_of(page) in OF_THE_PAST:
        return
    for name in MODULE.findall(DIFF.sub("", page.read_text("utf-8"))):
        assert name in NO_MODULES or is_module(name), name


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_source_files_named_on_a_page_exist(page: Path) -> None:
    """Every path of a source file, and every folder of a room, is in the tree."""
    if name_of(page) in OF_THE_PAST:
        return
    for path in IN_TICKS.findall(page.read_text("utf-8")):
        is_file = path.endswith(".py") and not path.startswith("/")
        is_folder = path.endswith("/") and path.split("/")[0] in ROOMS
        if (is_file or is_folder) and path != "tutorial.py":
            bases = (ROOT, ROOT / "ratedispatch", page.parent, DOCS)
            assert any((base / path).exists() for base in bases), path
