"""
Generated parts of pages, between two comments.

Decides where such a part begins and ends. Knows nothing of what stands in it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

# at the beginning of a line: in the midst of one it is only spoken of
_PART = re.compile(
    r"^(<!-- generated: ([\w-]+) -->\n)(.*?)^(<!-- end -->)$", re.DOTALL | re.MULTILINE
)
_BEGIN = re.compile(r"^<!-- generated:", re.MULTILINE)


def render(text: str, makers: Mapping[str, Callable[[], str]]) -> str:
    """
    Return *text* with every generated part made anew.

    Args:
        text: A page in Markdown.
        makers: What makes the part of each name.

    Raises:
        ValueError: A part has no end, or nothing makes it.
    """
    if len(_PART.findall(text)) != len(_BEGIN.findall(text)):
        raise ValueError("a generated part has no <!-- end -->")

    def made(match: re.Match[str]) -> str:
        begin, name, _, end = match.groups()
        if name not in makers:
            raise ValueError(f"nothing makes {name}; there are {', '.join(sorted(makers))}")
        return f"{begin}\n{makers[name]().strip()}\n\n{end}"

    return _PART.sub(made, text)


def parts(text: str) -> list[str]:
    """Return the names of the generated parts of *text*."""
    return [match[2] for match in _PART.finditer(text)]


def pages(root: Path) -> list[Path]:
    """Return the pages below *root* that may have generated parts."""
    folders: Iterable[Path] = (root / "docs", root / "benchmarks")
    found = sorted(page for folder in folders for page in folder.rglob("*.md"))
    return [root / "README.md", *found]
