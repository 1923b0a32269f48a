"""The pages of the documentation, and what stands in them."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])

#: Above a block that needs something which no test has: what that is, or where it is run instead.
NOT_RUN = re.compile(r"<!-- not run(?: here)?(?::|, but) .+ -->")

#: A block may be part of a list.
_FENCE = re.compile(r"^( *)```(\w+)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


def name_of(page: Path) -> str:
    """Return the path of *page* from the root of the source tree, to name a test by it."""
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path, language: str) -> list[tuple[str, bool]]:
    """Return the blocks of *page* in *language*, and of each whether it is to be run."""
    text = page.read_text("utf-8")
    return [
        (textwrap.dedent(match[3]), not NOT_RUN.fullmatch(line_above(text, match)))
        for match in _FENCE.finditer(text)
        if match[2] == language
    ]


def line_above(text: str, match: re.Match[str]) -> str:
    """Return the last line of *text* before *match* that is not empty."""
    return text[: match.start()].rstrip().rpartition("\n")[2].strip()


def anchors(page: Path) -> set[str]:
    """Return the anchors of the headings of *page*, as a forge and the site make them."""
    found: set[str] = set()
    text = _FENCE.sub("", page.read_text("utf-8"))
    for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE):
        words = re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", heading)
        anchor = re.sub(r"[^\w -]", "", words.strip().lower()).replace(" ", "-")
        others = (f"{anchor}-{number}" for number in range(1, len(found) + 1))
        found.add(
            anchor if anchor not in found else next(one for one in others if one not in found)
        )
    return found


def run_blocks(page: Path) -> None:
    """Run the Python of *page* from top to bottom, as one program in the current directory."""
    names = {"__name__": "page"}
    for number, (code, is_run) in enumerate(blocks(page, "python"), 1):
        program = compile(code, f"{name_of(page)}, block {number}", "exec")
        if is_run:
            exec(program, names)
