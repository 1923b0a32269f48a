"""
Follows the pages for contributors to the letter: ``python -m tests.docs.follow_contributing``.

Clones the last commit of this repository into a folder of its own and runs there, one after
another, what ``CONTRIBUTING.md`` says, but for the whole suite, and then each worked example. It
prints how long each command took, and fails at the first one that fails. It needs an index of
packages, and takes two to four minutes.

Two commands differ from the pages: the clone is one of this repository, and no browser is opened.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.docs.pages import ROOT, blocks
from tests.docs.worked_examples import EXAMPLES

if TYPE_CHECKING:
    from collections.abc import Iterator

#: What the pages clone, and the folder that the clone makes.
ADDRESS = "https://github.com/ratedispatch/ratedispatch"
FOLDER = "ratedispatch"

#: The whole suite, which has a time of its own.
LEFT_OUT = ".venv/bin/python -m tests"


def scripts() -> Iterator[tuple[str, str]]:
    """Yield each block of commands, as it is run, with the name of its page."""
    contributing = ROOT / "CONTRIBUTING.md"
    for text in _in_order(contributing):
        script = text.replace(ADDRESS, f"{shlex.quote(str(ROOT))} {FOLDER}")
        script = script.partition(" && xdg-open ")[0].strip()
        if script != LEFT_OUT:
            yield contributing.name, script
    for page in EXAMPLES.values():
        yield page.name, "git stash -qu"
        for text in _in_order(page):
            yield page.name, text.strip()


def _in_order(page: Path) -> list[str]:
    """Return the console and shell blocks of *page* as they follow each other."""
    text = page.read_text("utf-8")
    found = [block for language in ("console", "bash") for block, _ in blocks(page, language)]
    return sorted(found, key=text.index)


def follow(folder: Path) -> int:
    """Run all scripts, the first in *folder* and the others in the clone; 1 if one fails."""
    here = folder
    for page, script in scripts():
        begun = time.perf_counter()
        done = subprocess.run(["bash", "-ec", script], cwd=here, check=False)
        seconds = time.perf_counter() - begun
        sys.stdout.write(f"== {page}: {seconds:.1f} s: {script.splitlines()[-1]}\n")
        sys.stdout.flush()
        if done.returncode != 0:
            return 1
        here = folder / FOLDER
    return 0


def main(arguments: list[str]) -> int:
    """Follow the pages in the folder that *arguments* name, or in a temporary one."""
    parser = argparse.ArgumentParser(description="Follow the pages for contributors.")
    parser.add_argument("folder", nargs="?", type=Path, help="an empty one, which is kept")
    folder = parser.parse_args(arguments).folder
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        return follow(folder.resolve())
    with tempfile.TemporaryDirectory() as temporary:
        return follow(Path(temporary))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
