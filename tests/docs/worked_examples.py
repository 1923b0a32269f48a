"""
The worked examples on the pages for contributors: their diffs, as text.

``python -m tests.docs.worked_examples add-a-provider`` prints the diff of that page, for
``git apply``.
"""

from __future__ import annotations

import sys

from tests.docs.pages import DOCS, blocks

EXAMPLES = {page.stem: page for page in sorted((DOCS / "contribute").glob("add-*.md"))}


def diff_of(name: str) -> str:
    """Return the diff on the page *name*, all blocks of it one after another."""
    return "".join(text for text, _ in blocks(EXAMPLES[name], "diff"))


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in EXAMPLES:
        sys.exit(f"usage: python -m tests.docs.worked_examples {'|'.join(EXAMPLES)}")
    sys.stdout.write(diff_of(sys.argv[1]))
