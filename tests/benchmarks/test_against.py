"""Two versions of the program side by side: whose turn it is, and what the figures say."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from benchmarks.live import against
from benchmarks.live.against import OTHER, THIS, Tree, summarise, take_turns, text_of, turns

if TYPE_CHECKING:
    from pathlib import Path


needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def test_who_goes_first_changes_from_round_to_round() -> None:
    """What a run leaves behind, warm caches or a hot processor, meets both alike."""
    assert [turns([OTHER, THIS], number)[0] for number in range(4)] == [OTHER, THIS, OTHER, THIS]
    asked: list[str] = []

    def run(name: str) -> float:
        asked.append(name)
        return float(len(asked))

    found = take_turns({OTHER: lambda: run(OTHER), THIS: lambda: run(THIS)}, 2)
    assert asked == [OTHER, THIS, THIS, OTHER]
    assert found == {OTHER: [1.0, 4.0], THIS: [2.0, 3.0]}


def test_the_ratio_is_that_of_each_round() -> None:
    """A machine that was slow for a round has slowed both."""
    figure = summarise({OTHER: [4.0, 8.0, 5.0], THIS: [3.0, 6.0, 4.0]}, 10_000)
    assert figure["ratio"] == {"median": 0.75, "least": 0.75, "most": 0.8}
    assert figure["ratio_of_least"] == 0.75
    assert figure["cpu_us_per_request"] == {OTHER: 500.0, THIS: 400.0}
    assert figure["cpu_s"][THIS] == {"median": 4.0, "least": 3.0, "most": 6.0}


def test_the_table_has_a_line_for_each_file() -> None:
    figures = [summarise({OTHER: [0.5], THIS: [0.4]}, 1), summarise({OTHER: [5], THIS: [4]}, 2_000)]
    lines = text_of(figures).splitlines()
    assert [line.split() for line in lines[1:]] == [
        ["1", "0.500", "0.400", "0.800", "0.800", "0.800", "0.800"],
        ["2,000", "5.000", "4.000", "0.800", "0.800", "0.800", "0.800"],
    ]


@needs_git
def test_a_commit_that_is_not_there_is_named() -> None:
    with pytest.raises(ValueError, match="--commit no-such-thing: there is no such commit in "):
        against.commit_of("no-such-thing")


@pytest.mark.slow  # a Python is started
def test_an_interpreter_that_finds_another_package_is_refused(tmp_path: Path) -> None:
    """A copy is run as it is; a folder without a package would run the installed one."""
    against.copy_this(tmp_path / "copy")
    tree = Tree(tmp_path / "copy", sys.executable)
    against.prepare(tree)
    assert list((tree.folder / "ratedispatch").glob("__pycache__/*.pyc"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(RuntimeError, match="does not run the package in"):
        against.prepare(Tree(tmp_path / "empty", sys.executable))


@needs_git
@pytest.mark.slow
def test_a_commit_is_taken_out_of_the_history(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its package alone, whatever the source tree holds now."""
    monkeypatch.setattr(against, "_ROOT", tmp_path)

    def git(*words: str) -> None:
        names = ("-c", "user.name=x", "-c", "user.email=x@example.org")
        subprocess.run(["git", *names, *words], cwd=tmp_path, check=True, capture_output=True)

    (tmp_path / "ratedispatch").mkdir()
    module = tmp_path / "ratedispatch" / "__init__.py"
    module.write_text("VALUE = 1\n")
    git("init")
    git("add", ".")
    git("commit", "-m", "first")
    module.write_text("VALUE = 2\n")
    against.take_out(against.commit_of("HEAD"), tmp_path / "then")
    assert (tmp_path / "then" / "ratedispatch" / "__init__.py").read_text() == "VALUE = 1\n"
