"""The worked examples for contributors do what their pages say, in a copy of the source."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from benchmarks.catalogue import ROOMS, find_benchmarks
from tests.docs.follow_contributing import scripts
from tests.docs.pages import DOCS, ROOT, blocks
from tests.docs.worked_examples import EXAMPLES, diff_of

if TYPE_CHECKING:
    from pathlib import Path

CHECK = ".venv/bin/python -m pytest "
PROGRAM = ".venv/bin/ratedispatch "


def copy_for(diff: str, folder: Path) -> Path:
    """Return a copy of what *diff* changes and of what its tests need."""
    copy = folder / "clone"
    shutil.copytree(ROOT / "ratedispatch", copy / "ratedispatch")
    shutil.copytree(DOCS / "examples", copy / "docs" / "examples")
    (copy / "tests").mkdir()
    tests = ("tests/__init__.py", "tests/conftest.py", "tests/certificate.py")
    for name in ("pyproject.toml", *tests):
        shutil.copy(ROOT / name, copy / name)
    for changed in re.findall(r"^\+\+\+ b/(tests/.*)$", diff, re.MULTILINE):
        here = (copy / changed).parent
        here.mkdir(parents=True, exist_ok=True)
        while here != copy:
            (here / "__init__.py").touch()
            here = here.parent
        if (ROOT / changed).exists():
            shutil.copy(ROOT / changed, copy / changed)
    return copy


def run(copy: Path, words: list[str], text: str = "") -> str:
    """Run *words* in *copy*, which comes before what is installed; return what it prints."""
    surroundings = os.environ | {
        "PYTHONPATH": str(copy),
        "GIT_CEILING_DIRECTORIES": str(copy.parent),
    }
    done = subprocess.run(
        words, cwd=copy, env=surroundings, input=text, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{shlex.join(words)}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("git") is None, reason="the pages apply diffs by git")
@pytest.mark.parametrize("name", EXAMPLES)
def test_a_worked_example_can_be_followed(name: str, tmp_path: Path) -> None:
    """
    Its diff applies, the tests that it names pass, and what it tries works.

    When the diff does not apply, a line beside a change was edited: edit it on the page, too.
    """
    diff = diff_of(name)
    copy = copy_for(diff, tmp_path)
    run(copy, ["git", "apply"], diff)
    changed = re.findall(r"^\+\+\+ b/(.*\.py)$", diff, re.MULTILINE)
    run(copy, [sys.executable, "-m", "ruff", "check", "-q", *changed])
    run(copy, [sys.executable, "-m", "ruff", "format", "-q", "--check", *changed])
    (check,) = re.findall(rf"^{CHECK}(.*)$", EXAMPLES[name].read_text("utf-8"), re.MULTILINE)
    words = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *shlex.split(check)]
    assert "passed" in run(copy, words)
    for trial, _ in blocks(EXAMPLES[name], "bash"):
        here = f"{shlex.quote(sys.executable)} -m ratedispatch "
        printed = run(copy, ["sh", "-ec", trial.replace(PROGRAM, here)])
        for shown, _ in blocks(EXAMPLES[name], "text"):
            assert shown.strip() in printed


def test_contributing_begins_with_a_worked_example() -> None:
    """Its commands are those of the page, and all commands are followed before a release."""
    followed = list(scripts())
    assert followed[0][1].startswith(
        f"git clone {shlex.quote(str(ROOT))} ratedispatch\ncd ratedispatch\n"
    )
    first = [text.strip() for text, _ in blocks(EXAMPLES["add-a-provider"], "console")]
    assert set(first) <= {text for page, text in followed if page == "CONTRIBUTING.md"}
    assert {page for page, _ in followed[1:]} == {
        "CONTRIBUTING.md",
        *(page.name for page in EXAMPLES.values()),
    }


def test_the_benchmarks_of_the_page_exist() -> None:
    """Each that the page names stands in the list of ``python -m benchmarks``."""
    text = (DOCS / "contribute" / "benchmarks.md").read_text("utf-8")
    rooms = "|".join(ROOMS)
    named = set(re.findall(rf"(?:`|-m benchmarks )((?:{rooms})(?:\.\w+)?)(?=[ `])", text))
    assert len(named) > 30
    assert named <= {one.name for one in find_benchmarks()}
