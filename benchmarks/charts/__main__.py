"""
Make the tables and charts of the documentation anew from ``benchmarks/results/``.

Run it with ``python -m benchmarks.charts``; with ``--check`` nothing is written, and the exit
code is 1 if a table, or the picture of the README, is not what the results say. The charts need
the ``bench`` extra; with ``--tables`` they are left alone.
"""

from __future__ import annotations

import argparse
import json
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.charts import front, picture, tables
from benchmarks.charts.pages import pages, render

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results"
IMAGES = ROOT / "docs" / "images"

#: The picture of the README, which needs no library.
PICTURE = IMAGES / "at-the-limits.svg"

#: The workloads of the peers whose server has limits.
_LIMITED = ("paced", "tokens", "drop")


def result(name: str) -> dict[str, Any]:
    """Return the committed results called *name*."""
    report: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return report


def makers() -> dict[str, Callable[[], str]]:
    """Return what makes each generated part of the pages."""
    found: dict[str, Callable[[], str]] = {
        f"peers-{task}": partial(_limited, task) for task in _LIMITED
    }
    return found | {
        "peers-free": lambda: tables.free(result("peers-free")),
        "recipe": lambda: front.caption(result("recipe")),
        "recipe-runs": lambda: front.variants(result("recipe")),
        "others": lambda: front.others(
            {task: result(f"peers-{task}") for task in (*front.SHOWN, "free")}
        ),
        "peers-use": lambda: tables.use(result("peers-paced")),
        "profile": lambda: tables.profile(result("profile")),
        "overhead": lambda: tables.overhead(result("overhead")),
        "queue": lambda: tables.queue(result("queue")),
        "sweep-in-flight": lambda: tables.in_flight(result("sweep-in-flight")),
        "sweep-burst": lambda: tables.burst(result("sweep-burst")),
        "sweep-cap-slack": lambda: tables.cap_slack(result("sweep-cap-slack")),
    }


def _limited(task: str) -> str:
    return tables.limited(result(f"peers-{task}"), task)


def draw(folder: Path) -> None:
    """
    Write every chart to *folder*.

    Raises:
        SystemExit: matplotlib is missing.
    """
    try:
        import matplotlib as _  # noqa: F401 - only whether it is there
    except ImportError:
        sys.exit("charts need matplotlib: pip install matplotlib, or give --tables")
    from benchmarks.charts import drawings

    with drawings.style():
        figures = {
            "sweep-in-flight": drawings.in_flight(result("sweep-in-flight")),
            "sweep-burst": drawings.burst(result("sweep-burst")),
            "sweep-cap-slack": drawings.cap_slack(result("sweep-cap-slack")),
            "peers-limited": drawings.limited({task: result(f"peers-{task}") for task in _LIMITED}),
            "peers-free": drawings.free(result("peers-free")),
        }
        for name, figure in figures.items():
            drawings.save(figure, folder, name)


def main() -> int:
    """Make everything anew, or say what is not up to date."""
    parser = argparse.ArgumentParser(description="tables and charts from committed results")
    parser.add_argument("--check", action="store_true", help="write nothing")
    parser.add_argument("--tables", action="store_true", help="leave the charts alone")
    arguments = parser.parse_args()
    stale = []
    for page in pages(ROOT):
        text = page.read_text(encoding="utf-8")
        made = render(text, makers())
        if made == text:
            continue
        stale.append(page.relative_to(ROOT).as_posix())
        if not arguments.check:
            page.write_text(made, encoding="utf-8")
    drawn = picture.draw(result("recipe"))
    if not PICTURE.exists() or PICTURE.read_text(encoding="utf-8") != drawn:
        stale.append(PICTURE.relative_to(ROOT).as_posix())
        if not arguments.check:
            PICTURE.write_text(drawn, encoding="utf-8")
    if arguments.check:
        for name in stale:
            print(f"{name} is not what the results say", file=sys.stderr)
        return 1 if stale else 0
    if not arguments.tables:
        draw(IMAGES)
    return 0


if __name__ == "__main__":
    sys.exit(main())
