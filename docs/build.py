"""
Builds the documentation site: ``python -m docs.build``.

Every warning is an error: a link to a page or a heading that is not there, a page that no index
lists, a docstring that is not well formed.
``--check`` reads every page and follows every link, but writes the first page only; it takes half
of the time, and the tests do it.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from sphinx.cmd.build import build_main

DOCS = Path(__file__).resolve().parent
SITE = DOCS.parent / "build" / "site"

_STRICTLY = ["-q", "-W", "--keep-going"]


def _parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(prog="python -m docs.build", description="Build the site.")
    parser.add_argument("folder", nargs="?", type=Path, default=SITE, help="where to write it")
    parser.add_argument("--check", action="store_true", help="write the first page only")
    return parser


def main(arguments: list[str]) -> int:
    """Build the site as *arguments* say; return 0 if nothing is wrong with it."""
    options = _parser().parse_args(arguments)
    site: Path = options.folder
    state = ["-d", str(site.parent / f"{site.name}-state")]
    folders = [*state, str(DOCS), str(site)]
    if options.check:
        code = build_main(["-b", "dummy", "-E", *_STRICTLY, *folders])
        first = str(DOCS / "index.md")
        # without warnings: that the index of the search is incomplete is what is asked for here
        return code or build_main(["-b", "html", "-Q", *folders, first])
    code = build_main(["-b", "html", "-E", *_STRICTLY, *folders])
    if code == 0:
        print(f"the site is in {site}; open {site / 'index.html'}")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
