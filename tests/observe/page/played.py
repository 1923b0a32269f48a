"""A job for the tests of pages: two runs with refusals, pauses, a limit that changes, failures."""

from __future__ import annotations

import math
import random
from datetime import UTC, datetime
from typing import Any

from ratedispatch.observe.history import History, LimitStep, pause_in, stop_in
from ratedispatch.observe.outcomes import Example, Outcomes
from ratedispatch.observe.page.material import Material
from ratedispatch.observe.report import Report

MADE = datetime(2026, 11, 27, 20, 0, 0, tzinfo=UTC)
START = MADE.timestamp() - 7_200


def played_history(seconds: float = 240.0, rate: float = 8.0) -> History:
    """Return two runs of so many seconds."""
    rng, history = random.Random(1), History()
    for number in range(2):
        start = START + number * 3_000
        run = history.begin(start)
        run.version, run.server = "0.1.0", "https://api.example.com/v1"
        run.command = "ratedispatch run in.jsonl --output out.jsonl --rpm 600"
        run.step(LimitStep(start, "requests", "", 600.0))
        run.step(LimitStep(start, "tokens", "", 200_000.0))
        run.step(LimitStep(start + seconds / 2, "requests", "", 300.0))
        for count in range(int(seconds * rate)):
            at = start + count / rate
            latency = rng.lognormvariate(0.3, 0.4)
            history.sent(run, at, (1, 300, 200), rng.expovariate(2))
            refused = seconds / 2 < at - start < seconds / 2 + 4
            said = ("rate_limit", "slow_down") if refused else ("answered", "")
            history.ended(run, at + latency, latency, *said)
        pause_in(run, start + seconds / 2 + 4, 6.0, "slow_down", "")
    stop_in(history.runs[0], START + seconds, "drained", "the run was asked to stop")
    return history


def outcomes(name: str = "row-7", message: str = "too long") -> Outcomes:
    """Return those of 2,000 rows, of which some failed as *name* and *message* say."""
    found = Outcomes(rows=2_100)
    rng = random.Random(2)
    for number in range(2_000):
        model = ("gpt-4o", "gpt-4.1-mini")[number % 2]
        found.add_answer(model, (rng.randrange(50, 500), rng.randrange(1, 200)))
    for number in range(3):
        found.add_failure("context_length_exceeded", Example(number + 1, name, message))
    return found


def report(**values: Any) -> Report:
    """Return the figures of the last run."""
    fields: dict[str, Any] = {
        "answered": 2_000,
        "failed": 3,
        "attempts": 1_920,
        "refusals": 64,
        "seconds": 241.0,
        "shares": {"requests": 0.97},
        "binding": "requests",
        "held_seconds": {"requests": 221.0, "pause": 12.0, "in_flight": 8.0},
        "started": True,
    }
    return Report(**{**fields, **values})


def material(**values: Any) -> Material:
    """Return all that a page can show."""
    fields: dict[str, Any] = {
        "name": "out.jsonl",
        "made": MADE,
        "version": "0.1.0",
        "outcomes": outcomes(),
        "history": played_history(),
        "report": report(),
        "cost": "$1.21",
        "costs": {"gpt-4o": 1.0, "gpt-4.1-mini": 0.21},
        "priced_by": "Cost: list prices.",
    }
    return Material(**{**fields, **values})


#: What an input, a provider or a log may put into a text.
HOSTILE = (
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "\"'><svg onload=alert(1)>",
    "</title></style></textarea>",
    "\u202egnp.exe \u2066\u200f",
    "\x00\x07\x1b[31m\x9b",
    "\ud800 half a pair",
    "{{ 7 * 7 }} {% raw %}",
    "n" * 100_000,
    str(math.nan),
)
