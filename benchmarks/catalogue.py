"""
Which benchmarks there are.

Decides by the source of the modules in the rooms, and imports none of them: one that needs a
package which is not installed is still listed. A benchmark is a module with a function ``main``
at its top level whose docstring does not say "Run as a child", which is how the programs that
benchmarks start themselves are marked. A room with a ``__main__.py`` is a benchmark of its own
name.
"""

from __future__ import annotations

import ast
import difflib
import functools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.frame.command import summary

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: In the order in which they are listed; one that is not there is left out.
ROOMS = ("micro", "sim", "live", "real", "drop_in", "peers")

_HERE = Path(__file__).resolve().parent
_CHILD = "Run as a child"
_ITSELF = "__main__"


@dataclass(frozen=True, slots=True)
class Benchmark:
    """
    One benchmark.

    Args:
        name: Room and module, ``micro.counting``; the room alone for its ``__main__``.
        summary: The first paragraph of its docstring.
    """

    name: str
    summary: str

    @property
    def room(self) -> str:
        """The room that it is in."""
        return self.name.partition(".")[0]

    @property
    def module(self) -> str:
        """The module, or package, that ``python -m`` runs."""
        return f"{__package__}.{self.name}"


@functools.cache
def find_benchmarks(root: Path = _HERE) -> tuple[Benchmark, ...]:
    """Return the benchmarks below *root*, room by room and there by name."""
    found = (one for room in ROOMS for one in _of_room(root / room))
    return tuple(found)


def _of_room(folder: Path) -> Iterator[Benchmark]:
    for path in sorted(folder.glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        docstring = ast.get_docstring(tree) or ""
        functions = (ast.FunctionDef, ast.AsyncFunctionDef)
        has_main = any(isinstance(node, functions) and node.name == "main" for node in tree.body)
        if has_main and _CHILD not in docstring:
            name = folder.name if path.stem == _ITSELF else f"{folder.name}.{path.stem}"
            yield Benchmark(name, summary(docstring))


def select(name: str, benchmarks: Iterable[Benchmark]) -> tuple[Benchmark, ...]:
    """
    Return the benchmark called *name*, or all of the room of that name.

    Raises:
        KeyError: There is neither; its argument is a sentence that names the nearest.
    """
    known = tuple(benchmarks)
    exact = tuple(one for one in known if one.name == name)
    chosen = exact or tuple(one for one in known if one.room == name)
    if not chosen:
        raise KeyError(
            f"there is no benchmark or room {name!r}; the nearest is {_nearest(name, known)}"
        )
    return chosen


def _nearest(name: str, known: Iterable[Benchmark]) -> str:
    """Return the known name most like *name*, which may leave out the room."""
    spellings = {one.name.rpartition(".")[2]: one.name for one in known}
    spellings |= {one.name: one.name for one in known} | {one.room: one.room for one in known}
    return spellings[difflib.get_close_matches(name, spellings, n=1, cutoff=0.0)[0]]
