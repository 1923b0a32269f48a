"""
Builds the documentation site: ``python -m docs.build``.

Every warning is an error: a link to a page or a heading that is not there, a page that no index
lists, a docstring that is not well formed.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from sphinx.cmd.build import build_main

DOCS = Path(__file__).resolve().parent


def main(arguments: list[str]) -> int:
    """Build the site as *arguments* say; return 0 if nothing was wrong with it."""
    parser = argparse.ArgumentParser(prog="python -m docs.build", description="Build the site.")
    folder = DOCS.parent / "build" / "site"
    parser.add_argument("folder", nargs="?", type=Path, default=folder, help="where to write it")
    site = parser.parse_args(arguments).folder
    words = ["-b", "html", "-q", "-E", "-W", "--keep-going"]
    code = build_main([*words, "-d", str(site.parent / f"{site.name}-state"), str(DOCS), str(site)])
    if code == 0:
        sys.stdout.write(f"the site is in {site}; open {site / 'index.html'}\n")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
