"""
What the scenarios came to when they were last accepted.

Decides what a difference is: any digit. Knows names and values, and nothing of how they come
about.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    #: Figures by name, by seed, by scenario.
    Results = Mapping[str, Mapping[str, Mapping[str, Any]]]

#: The accepted figures.
EXPECTED = Path(__file__).resolve().parent / "expected.json"

_MISSING = object()


def read_expected(path: Path = EXPECTED) -> Results:
    """Return the accepted figures; none if there is no such file."""
    try:
        found: Results = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return found


def write_expected(results: Results, path: Path = EXPECTED) -> None:
    """Accept *results*: a line for each run, so that a diff shows which have changed."""
    lines = []
    for name, by_seed in results.items():
        runs = [f"    {json.dumps(seed)}: {json.dumps(run)}" for seed, run in by_seed.items()]
        lines.append(f"  {json.dumps(name)}: {{\n" + ",\n".join(runs) + "\n  }")
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def differences(expected: Results, found: Results, *, is_whole: bool = False) -> Iterator[str]:
    """
    Yield a sentence for each figure of *found* that is not as *expected*.

    Args:
        expected: What was accepted; scenarios and seeds that were not found are left alone.
        found: What came of a run.
        is_whole: Whether it has every scenario there is, so that others expect what is gone.
    """
    for name in expected if is_whole else ():
        if name not in found:
            yield f"{name}: there is no such scenario any more; drop it with --update"
    for name, by_seed in found.items():
        for seed, run in by_seed.items():
            accepted = expected.get(name, {}).get(seed)
            where = f"{name}, seed {seed}"
            if accepted is None:
                yield f"{where}: nothing is expected yet; accept it with --update"
                continue
            for figure in dict.fromkeys((*accepted, *run)):
                was, now = accepted.get(figure, _MISSING), run.get(figure, _MISSING)
                if was != now:
                    yield f"{where}: {figure} is {_shown(now)}, expected {_shown(was)}"


def _shown(value: object) -> str:
    return "missing" if value is _MISSING else json.dumps(value)
