"""The drawing of the architecture shows the imports that there are."""

from __future__ import annotations

import importlib.util
import tomllib
from typing import TYPE_CHECKING

import pytest

from tests.docs.pages import DOCS, ROOT

if TYPE_CHECKING:
    from types import ModuleType

PACKAGE = ROOT / "ratedispatch"


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("drawing", DOCS / "generate_architecture.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_drawing_is_up_to_date(generator: ModuleType) -> None:
    """When this fails: python docs/generate_architecture.py, and look at the picture."""
    assert generator.PICTURE.read_text("utf-8") == generator.draw()


def test_every_room_is_drawn(generator: ModuleType) -> None:
    """Whatever lies at the top of the package is a room or a value, in the order of its layers."""
    there = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__", "__main__"}
    there |= {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert there == {*generator.ROOMS, *generator.VALUES}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    (layers,) = (
        one["layers"] for one in project["tool"]["importlinter"]["contracts"] if "layers" in one
    )
    named = [room.strip() for layer in layers for room in layer.split("|")]
    assert [room for room in named if room not in generator.VALUES] == list(generator.ROOMS)


def test_an_arrow_that_follows_from_others_is_left_out(generator: ModuleType) -> None:
    """The top imports both of the others, and one arrow is enough for it."""
    edges = {"top": {"middle", "low"}, "middle": {"low"}, "low": set[str]()}
    assert generator.without_shortcuts(edges) == {
        "top": {"middle"},
        "middle": {"low"},
        "low": set(),
    }
    assert generator.rows_of(edges) == [["low"], ["middle"], ["top"]]


def test_the_page_describes_every_room(generator: ModuleType) -> None:
    """Each room of the drawing has a row in the table below it."""
    text = (DOCS / "contribute" / "architecture.md").read_text("utf-8")
    for room in generator.ROOMS:
        assert f"\n| `{room}/` |" in text, room
