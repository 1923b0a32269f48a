"""
Draw ``docs/images/architecture.svg``: which room of the package imports which.

Run it after an import between two rooms has come or gone: ``python docs/generate_architecture.py``.
A test fails while the drawing and the imports differ.

The arrows are those of the import graph, as grimp reads it, without those that follow from others:
``cli`` imports ``jobs``, which imports ``dispatch``, so no arrow leads from ``cli`` to
``dispatch``. A room stands above everything that it imports.
"""

from __future__ import annotations

import re
import tomllib
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import grimp

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PICTURE = Path(__file__).resolve().parent / "images" / "architecture.svg"

PACKAGE = "ratedispatch"

#: What each room does, in a line that fits into its box.
ROOMS = {
    "cli": "one file for each command",
    "ray": "datasets and actors of Ray",
    "jobs": "rows in, answers out, resumable",
    "testing": "public names of the simulation",
    "observe": "progress, event log, report",
    "simulate": "a provider that is not there",
    "dispatch": "send, interpret, retry, report",
    "sharing": "limits kept for many processes",
    "memory": "what earlier runs have learned",
    "tokens": "what a request costs",
    "pacing": "when the next request may go",
    "providers": "what a provider charges and says",
}

#: Modules and packages that hold values; all rooms may import them.
VALUES = (
    "request", "outcome", "events", "limits", "groups", "errors", "dimension", "typed", "_json",
)  # fmt: skip

Edges = dict[str, set[str]]

#: Pixels: width and height of a box, between boxes, from row to row, around all of it.
_BOX, _TALL, _GAP, _ROW, _EDGE = 256, 62, 14, 104, 16

_STYLE = """\
  .card { fill: #ffffff; }
  .box { fill: #eef4fb; stroke: #3b6ea5; }
  .values { fill: #f4f4f2; stroke: #7a7a72; }
  .name { fill: #12304f; font: 600 15px ui-monospace, Menlo, Consolas, monospace; }
  .text { fill: #30363d; font: 12.5px system-ui, -apple-system, "Segoe UI", sans-serif; }
  .package { fill: #57606a; font: 11px ui-monospace, Menlo, Consolas, monospace; }
  .arrow { stroke: #57606a; stroke-width: 1.5; fill: none; }
  .head { fill: #57606a; }
  @media (prefers-color-scheme: dark) {
    .card { fill: #14181d; }
    .box { fill: #1c2a3a; stroke: #6ea3d8; }
    .values { fill: #22252a; stroke: #8d96a0; }
    .name { fill: #d6e6f7; }
    .text { fill: #d0d7de; }
    .package { fill: #a5aeb8; }
    .arrow { stroke: #a5aeb8; }
    .head { fill: #a5aeb8; }
  }"""


def room_of(module: str) -> str:
    """Return the room that *module* is in; for the package itself, an empty string."""
    return module.partition(".")[2].partition(".")[0]


def dependencies() -> set[str]:
    """Return the packages that ``pyproject.toml`` names, without those for development."""
    path = Path(__file__).resolve().parent.parent / "pyproject.toml"
    project = tomllib.loads(path.read_text("utf-8"))["project"]
    named = [*project["dependencies"]]
    for extra, more in project["optional-dependencies"].items():
        named += more if extra != "dev" else []
    return {re.split(r"[^\w.-]", one)[0].lower() for one in named}


def read_graph() -> tuple[Edges, Edges]:
    """Return the rooms that each room imports, and the dependencies that it imports."""
    graph = grimp.build_graph(PACKAGE, include_external_packages=True, cache_dir=None)
    rooms: Edges = {room: set() for room in ROOMS}
    packages: Edges = {room: set() for room in ROOMS}
    known = dependencies()
    for module in graph.modules:
        room = room_of(module)
        if module.partition(".")[0] != PACKAGE or room not in ROOMS:
            continue
        for imported in graph.find_modules_directly_imported_by(module):
            top = imported.partition(".")[0]
            if top == PACKAGE:
                rooms[room].add(room_of(imported))
            elif top in known:
                packages[room].add(top)
    return {room: found & set(ROOMS) - {room} for room, found in rooms.items()}, packages


def below(room: str, edges: Edges) -> set[str]:
    """Return all rooms that *room* imports, directly or not."""
    found: set[str] = set()
    waiting = [room]
    while waiting:
        for one in edges[waiting.pop()] - found:
            found.add(one)
            waiting.append(one)
    return found


def without_shortcuts(edges: Edges) -> Edges:
    """Return *edges* without those that follow from others."""
    return {
        room: imported - set().union(*(below(one, edges) for one in imported))
        for room, imported in edges.items()
    }


def rows_of(edges: Edges) -> list[list[str]]:
    """Return the rooms in rows, the lowest first: a room is above everything that it imports."""
    rank: dict[str, int] = {}
    while len(rank) < len(edges):
        ready = {
            room for room, imported in edges.items() if room not in rank and imported <= set(rank)
        }
        if not ready:
            raise ValueError(f"rooms import each other: {', '.join(set(edges) - set(rank))}")
        rank |= {room: max((rank[one] + 1 for one in edges[room]), default=0) for room in ready}
    return [
        [room for room in edges if rank[room] == number] for number in range(max(rank.values()) + 1)
    ]


def places_of(rows: list[list[str]], edges: Edges) -> dict[str, tuple[float, float]]:
    """Return the upper left corner of each box: a room is as near as it can be to its imports."""
    most = max(len(row) for row in rows)
    width = most * _BOX + (most - 1) * _GAP
    middle: dict[str, float] = {}
    places: dict[str, tuple[float, float]] = {}
    for number, row in enumerate(rows):
        wanted = {
            room: sum(middle[one] for one in edges[room]) / len(edges[room])
            if edges[room]
            else width / 2
            for room in row
        }
        share = width / len(row)
        for place, room in enumerate(sorted(row, key=lambda room: wanted[room])):
            middle[room] = share * (place + 0.5)
            y = _EDGE + (len(rows) - 1 - number) * _ROW
            places[room] = (round(_EDGE + middle[room] - _BOX / 2), y)
    return places


def draw() -> str:
    """Return the drawing."""
    edges, packages = read_graph()
    arrows = without_shortcuts(edges)
    rows = rows_of(edges)
    places = places_of(rows, arrows)
    width = max(x for x, _ in places.values()) + _BOX + _EDGE
    low = max(y for _, y in places.values()) + _ROW
    height = low + _TALL + _EDGE
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}"',
        f'width="{width:g}" height="{height:g}" role="img" aria-labelledby="title">',
        '<title id="title">The rooms of ratedispatch, and which imports which</title>',
        f"<style>\n{_STYLE}\n</style>",
        f'<rect class="card" width="{width:g}" height="{height:g}" rx="8"/>',
        *_arrows(arrows, places),
        *(_box(room, places[room], packages[room]) for row in rows[::-1] for room in row),
        *_strip(low, width),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _arrows(arrows: Edges, places: Mapping[str, tuple[float, float]]) -> Iterable[str]:
    for room, imported in arrows.items():
        for one in sorted(imported):
            x, y = places[room][0] + _BOX / 2, places[room][1] + _TALL
            to_x, to_y = places[one][0] + _BOX / 2, places[one][1]
            bend = (to_y - y) / 2
            yield (
                f'<path class="arrow" d="M{x:g} {y:g} C{x:g} {y + bend:g} {to_x:g} '
                f'{to_y - bend:g} {to_x:g} {to_y - 7:g}"/>'
            )
            yield f'<path class="head" d="M{to_x:g} {to_y:g} l-5 -9 h10 z"/>'


def _box(room: str, place: tuple[float, float], packages: Iterable[str]) -> str:
    x, y = place
    return "\n".join(
        (
            f'<rect class="box" x="{x:g}" y="{y:g}" width="{_BOX}" height="{_TALL}" rx="6"/>',
            _text("name", x + 10, y + 20, room),
            _text("text", x + 10, y + 37, ROOMS[room]),
            _text("package", x + 10, y + 54, ", ".join(sorted(packages))),
        )
    )


def _strip(y: float, width: float) -> Iterable[str]:
    whole = width - 2 * _EDGE
    names = ", ".join(VALUES)
    return (
        f'<rect class="values" x="{_EDGE}" y="{y:g}" width="{whole:g}" height="{_TALL}" rx="6"/>',
        _text("name", _EDGE + 12, y + 20, "values"),
        _text("text", _EDGE + 12, y + 37, "what travels between the rooms; each may import them"),
        _text("package", _EDGE + 12, y + 54, names),
    )


def _text(kind: str, x: float, y: float, words: str) -> str:
    return f'<text class="{kind}" x="{x:g}" y="{y:g}">{escape(words)}</text>' if words else ""


if __name__ == "__main__":
    PICTURE.write_text(draw(), encoding="utf-8")
