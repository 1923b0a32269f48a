"""
Three members of a pool, what befalls them, and how well a job that they share has gone.

The same for a run in virtual time and one over HTTP.
"""

from __future__ import annotations

import math
from typing import Any

from benchmarks.frame.living import Living, used
from benchmarks.frame.tables import table
from ratedispatch import Request

TARGET_USED = 0.97

RPM = {"a": 600, "b": 1_200, "c": 3_000}
QUOTA = (30.0, math.inf)
OUTAGE = (10.0, 30.0)
LATENCY = 0.5

#: What befalls which member, and the time for which it is dead.
STRUCK = {"quota": ("a", QUOTA), "outage": ("b", OUTAGE)}
ROUNDS: dict[str, tuple[str, ...]] = {
    "no fault": (),
    "quota": ("quota",),
    "outage": ("outage",),
    "both": ("quota", "outage"),
}

ROWS = 6_000


def requests(rows: int) -> list[Request]:
    """Return so many requests with names of their own."""
    messages = [{"role": "user", "content": "Name a river."}]
    return [
        Request.chat(model="gpt-4o", messages=messages, max_tokens=16, custom_id=str(row))
        for row in range(rows)
    ]


def living(round_name: str) -> list[Living]:
    """Return the members of a round, as far as they live."""
    dead = dict(STRUCK[fault] for fault in ROUNDS[round_name])
    return [Living(rpm, dead.get(name)) for name, rpm in RPM.items()]


def judge(
    answers: list[float], round_name: str, rows: int, twice: int, wasted: int
) -> dict[str, Any]:
    """Return the figures of a round, of which answers came at these seconds."""
    share, lowest = used(answers, living(round_name), LATENCY)
    return {
        "seconds": round(max(answers), 3),
        "used": round(share, 4),
        "lowest": round(lowest, 4),
        "lost": rows - len(answers),
        "twice": twice,
        "wasted": wasted,
        "is_on_target": min(share, lowest) >= TARGET_USED and len(answers) == rows and not twice,
    }


def show(found: dict[str, Any]) -> str:
    """Return a table with a line for each run."""
    lines = [["round", "run", "seconds", "used", "lowest", "lost", "twice", "wasted"]]
    for name, runs in found["rounds"].items():
        for run, one in runs.items():
            shares = [f"{one['used']:.4f}", f"{one['lowest']:.4f}"]
            counts = [str(one[key]) for key in ("lost", "twice", "wasted")]
            lines.append([name, run, f"{one['seconds']:.3f}", *shares, *counts])
    verdict = "met" if found["is_on_target"] else "MISSED"
    return f"{table(lines)}\n\nTargets: {verdict}"
