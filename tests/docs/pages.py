"""The pages of the documentation, and what stands in them."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])

#: Above a block that needs something which no test has.
NOT_RUN = "<!-- not run"

_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def name_of(page: Path) -> str:
    """Return the path of *page* from the root of the source tree, to name a test by it."""
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path, language: str) -> list[tuple[str, bool]]:
    """Return the blocks of *page* in *language*, and of each whether it is to be run."""
    text = page.read_text("utf-8")
    return [
        (match[2], not text[: match.start()].rstrip().rpartition("\n")[2].startswith(NOT_RUN))
        for match in _FENCE.finditer(text)
        if match[1] == language
    ]


def run_blocks(page: Path) -> None:
    """Run the Python of *page* from top to bottom, as one program in the current directory."""
    names = {"__name__": "page"}
    for number, (code, is_run) in enumerate(blocks(page, "python"), 1):
        program = compile(code, f"{name_of(page)}, block {number}", "exec")
        if is_run:
            exec(program, names)
