"""The shape of the package: sizes that a reader can hold, and names that are found at once."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import pytest

import ratedispatch

PACKAGE = Path(ratedispatch.__file__).parent
BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
MODULES = sorted(PACKAGE.rglob("*.py"))

LONGEST_MODULE = 350
LONGEST_BODY = 60
MOST_AT_THE_TOP = 10


def name_of(module: Path) -> str:
    return str(module.relative_to(PACKAGE))


def bodies(module: Path) -> list[tuple[str, int]]:
    """Return the functions of *module* with the lines of their bodies, docstrings left out."""
    found = []
    for node in ast.walk(ast.parse(module.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) is not None else node.body
            if body:
                found.append((node.name, (body[-1].end_lineno or 0) - body[0].lineno + 1))
    return found


def test_no_module_is_long() -> None:
    """A module holds one noun, in at most 350 lines; so does one of the benchmarks."""
    modules = {name_of(one): one for one in MODULES}
    modules |= {str(one): one for one in BENCHMARKS.rglob("*.py")}
    lines = {name: len(one.read_text("utf-8").splitlines()) for name, one in modules.items()}
    assert {name: count for name, count in lines.items() if count > LONGEST_MODULE} == {}


def test_no_function_is_long() -> None:
    """A body fits on a screen: at most 60 lines without its docstring."""
    long = [
        (name_of(module), function, lines)
        for module in MODULES
        for function, lines in bodies(module)
        if lines > LONGEST_BODY
    ]
    assert long == []


def test_the_measure_of_bodies_sees_a_long_one(tmp_path: Path) -> None:
    """The check can fail."""
    module = tmp_path / "long.py"
    module.write_text('def f():\n    """Doc."""\n' + "    x = 1\n" * 61)
    assert bodies(module) == [("f", 61)]


def test_a_base_name_stands_once() -> None:
    """So that a fuzzy search for a file finds the one that is meant."""
    names = Counter(module.name for module in MODULES)
    twice = {name for name, count in names.items() if count > 1}
    assert twice == {"__init__.py"}


def test_few_modules_lie_at_the_top() -> None:
    """The public values; all else is in a room."""
    assert len(list(PACKAGE.glob("*.py"))) <= MOST_AT_THE_TOP


@pytest.mark.parametrize(
    "room", ["providers", "tokens", "sharing", "pacing", "dispatch", "observe", "jobs"]
)
def test_the_tests_mirror_the_rooms(room: str) -> None:
    """A room of the package has one of the same name among the tests."""
    assert (PACKAGE / room).is_dir()
    assert list((Path(__file__).parent / room).glob("test_*.py"))
