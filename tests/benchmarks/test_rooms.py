"""No room of the benchmarks leans on one whose figures are less exact than its own."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import benchmarks

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(benchmarks.__path__[0])

#: What each room may import besides itself.
ALLOWED = {
    "frame": set[str](),
    "micro": {"frame"},
    "sim": {"frame"},
    "live": {"frame"},
    "real": {"frame"},
    "drop_in": {"frame"},
    "peers": {"frame", "live"},
    "charts": {"frame", "peers"},
}


def imported(source: str) -> Iterator[str]:
    """Yield the rooms that *source* imports from, inside functions and for types too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            modules = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        else:
            continue
        yield from (name.split(".")[1] for name in modules if name.startswith("benchmarks."))


def test_imports_are_found_wherever_they_stand() -> None:
    """At the top, in a function, and of the room itself."""
    source = "import benchmarks.live.kill\ndef f():\n    from benchmarks import frame\nimport json"
    assert sorted(imported(source)) == ["frame", "live"]


def test_every_room_is_known() -> None:
    """A new one says here what it may import."""
    found = {path.name for path in ROOT.iterdir() if (path / "__init__.py").exists()}
    assert found | {path.parent.name for path in ROOT.glob("micro/*.py")} == set(ALLOWED)


@pytest.mark.parametrize("room", sorted(ALLOWED))
def test_a_room_imports_quieter_rooms_only(room: str) -> None:
    """`sim`, which is exact, imports nothing of `live`, which depends on the machine."""
    for path in (ROOT / room).rglob("*.py"):
        others = set(imported(path.read_text("utf-8"))) - {room}
        assert others <= ALLOWED[room], f"{path} imports {others - ALLOWED[room]}"
