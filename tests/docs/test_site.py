"""The documentation site builds without a warning, and has all that it should have."""

from __future__ import annotations

import re
import subprocess
import sys
import zlib
from typing import TYPE_CHECKING

import pytest

import ratedispatch
from tests.docs.pages import NOT_RUN, PAGES, ROOT, name_of

if TYPE_CHECKING:
    from pathlib import Path

#: Bytes of the first page with all that it loads, compressed as a web server would.
MOST_OF_THE_FIRST_PAGE = 300_000

#: What starts a command that the tests check, or is an input or an output to look at.
NO_PROGRAMS = {
    "bash",
    "console",
    "ipython",
    "json",
    "jsonl",
    "sh",
    "text",
    "{eval-rst}",
    "diff",
    "toml",
    "yaml",
}

_FENCE = re.compile(r"^ *```(?!$)(.+)$", re.MULTILINE)
_NOT_RUN = re.compile(r"<!-- not run.*")
_LOADED = re.compile(r"""<(?:link|script|img)\b[^>]*?\b(?:href|src)="([^"]+)"[^>]*>""")


def loaded(site: Path, page: str) -> dict[str, int]:
    """Return the files that a browser loads for *page*, each with its size when compressed."""
    sizes = {page: len(zlib.compress((site / page).read_bytes()))}
    for match in _LOADED.finditer((site / page).read_text("utf-8")):
        name = match[1].partition("?")[0]
        if re.search(r'\brel="(?:index|search|next|prev)"', match[0]):
            continue
        assert "://" not in name, f"{page} loads {name} from elsewhere"
        file = (site / page).parent / name
        sizes[name] = len(zlib.compress(file.read_bytes()))
    return sizes


def entries(site: Path) -> set[str]:
    """Return the names of all objects that the API reference describes."""
    _, _, _, _, packed = (site / "objects.inv").read_bytes().split(b"\n", 4)
    lines = zlib.decompress(packed).decode("utf-8").splitlines()
    return {line.split(" ")[0] for line in lines if " py:" in line}


@pytest.mark.slow  # reads every page
def test_the_site_is_whole(tmp_path: Path) -> None:
    """Every link and heading is there, no page is an orphan, and every public name has an entry."""
    site = tmp_path / "site"
    command = [sys.executable, "-m", "docs.build", "--check", str(site)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    sizes = loaded(site, "index.html")
    assert sum(sizes.values()) <= MOST_OF_THE_FIRST_PAGE, sizes
    missing = {f"ratedispatch.{name}" for name in ratedispatch.__all__} - entries(site)
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_block_is_in_a_language_that_is_checked(page: Path) -> None:
    """Python is run by ``test_pages``; a block in a language that is no program says which."""
    text = page.read_text("utf-8")
    assert "~~~" not in text, "the tests find blocks by backticks"
    for language in _FENCE.findall(text):
        assert language in {"python", *NO_PROGRAMS}, f"a block of {name_of(page)}: {language!r}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_block_that_is_not_run_says_why(page: Path) -> None:
    """A comment above it names what it needs, or what runs it instead."""
    for comment in _NOT_RUN.findall(page.read_text("utf-8")):
        assert NOT_RUN.fullmatch(comment), comment
