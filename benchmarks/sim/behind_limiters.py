"""
Servers behind a limiter that says nothing of itself, and what a user feels of a job there.

Decides limiters, rows and what is told.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from benchmarks.sim.limiters import (
    AtOnce,
    Both,
    Chance,
    Leaky,
    Limiter,
    Outage,
    Poison,
    Weighed,
    Window,
    run_limited,
)
from ratedispatch.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass(frozen=True, slots=True)
class Hidden:
    """
    What is played.

    Args:
        name: As in the table of constants.
        make: Returns the limiter.
        limits: What the dispatcher is told.
        rows: How many there are.
        server: Further settings of the server.
        is_scattered: Whether an answer takes any time up to a second.
        jitter: Seconds that a request takes to the server at most.
    """

    name: str
    make: Callable[[], Limiter]
    limits: Limits = field(default_factory=Limits)
    rows: int = 300
    server: Mapping[str, Any] = field(default_factory=dict)
    is_scattered: bool = False
    jitter: float = 0.0


def _chance(share: float) -> Callable[[], Limiter]:
    return lambda: Chance(share, random.Random(4))


_LOW = Limits(60)

HIDDEN: tuple[Hidden, ...] = (
    Hidden("10 a second", lambda: Leaky(10, 5), Limits(600)),
    Hidden("10 a second, to be learned", lambda: Leaky(10, 5), Limits("auto")),
    Hidden("10 a second, nobody says", lambda: Leaky(10, 5)),
    Hidden("10 a second, 503", lambda: Leaky(10, 5), server={"status": 503}),
    Hidden("half of 10 a second", lambda: Leaky(5, 5), Limits(600), 200),
    Hidden(
        "40 a second, scattered",
        lambda: Leaky(40, 10),
        rows=600,
        server={"travel": 0.02},
        is_scattered=True,
    ),
    Hidden("100 in ten seconds", lambda: Weighed(100, 10)),
    Hidden("100 in ten seconds, told", lambda: Weighed(100, 10), Limits(600)),
    Hidden("100 in a minute", lambda: Window(100, 60), Limits(600)),
    Hidden("100 in a minute, nobody says", lambda: Window(100, 60)),
    Hidden("60 in a minute, ten minutes", lambda: Window(60, 60), Limits("auto"), 600),
    Hidden("5 at once", lambda: AtOnce(5), rows=120, server={"latency": 0.5}),
    Hidden(
        "5 at once, advice",
        lambda: AtOnce(5),
        rows=120,
        server={"latency": 0.5, "headers": {"retry-after": "5"}},
    ),
    Hidden(
        "5 at once, told 50 a second",
        lambda: AtOnce(5),
        Limits(3_000),
        120,
        {"latency": 0.5, "headers": {"retry-after": "5"}},
    ),
    Hidden("5 at once, far", lambda: AtOnce(5), rows=120, server={"latency": 0.5, "travel": 0.05}),
    Hidden("5 at once, quick", lambda: AtOnce(5), rows=300, server={"latency": 0.06}),
    Hidden("20 at once, quick", lambda: AtOnce(20), rows=900, server={"latency": 0.15}),
    Hidden("8 at once, reordered", lambda: AtOnce(8), rows=200, jitter=0.008),
    Hidden("8 at once, told, reordered", lambda: AtOnce(8), Limits(3_000), 200, jitter=0.004),
    Hidden("100 in 100 s", lambda: Window(100, 100), Limits(600)),
    Hidden("20 at once, scattered", lambda: AtOnce(20), rows=600, is_scattered=True),
    Hidden("5 at once and 10 a second", lambda: Both(AtOnce(5), Leaky(10, 5))),
    Hidden(
        "30 at once and 10 a second",
        lambda: Both(AtOnce(30), Leaky(10, 5)),
        server={"latency": 4.0},
    ),
    Hidden("1 % by chance", _chance(0.01), Limits(3_000), 1_500),
    Hidden("2 % by chance", _chance(0.02), Limits(3_000), 1_500),
    Hidden("2 % by chance, nobody says", _chance(0.02), rows=1_500),
    Hidden("3 % by chance, slow", _chance(0.03), Limits(3_000), 900, {"latency": 3.0}),
    Hidden("6 % by chance", _chance(0.06), Limits(3_000), 900),
    Hidden("15 % by chance", _chance(0.15), Limits(3_000), 600),
    Hidden(
        "2 % by chance, advice",
        _chance(0.02),
        Limits(3_000),
        900,
        {"headers": {"retry-after": "20"}},
    ),
    Hidden("2 % of 503 by chance", _chance(0.02), Limits(3_000), 900, {"status": 503}),
    Hidden(
        "2 % by chance and 40 a second",
        lambda: Both(Chance(0.02), Leaky(40, 20)),
        Limits(3_000),
        900,
    ),
    Hidden("a row is always refused", lambda: Poison({30}), Limits(1_200), 120, {"latency": 0.05}),
    Hidden(
        "the last row is always refused",
        lambda: Poison({119}),
        Limits(1_200),
        120,
        {"latency": 0.05},
    ),
    Hidden(
        "three rows are always refused",
        lambda: Poison({30, 31, 70}),
        Limits(1_200),
        120,
        {"latency": 0.05},
    ),
    Hidden(
        "the last three are always refused",
        lambda: Poison({57, 58, 59}),
        Limits(1_200),
        60,
        {"latency": 0.05},
    ),
    Hidden("rows refused at a low rate", lambda: Poison({5, 6, 12}), _LOW, 30),
    Hidden("refused for 60 s", lambda: Outage(2, 62), Limits(1_200)),
    Hidden("503 for 60 s", lambda: Outage(2, 62), Limits(1_200), 300, {"status": 503}),
    Hidden("refused for 60 s at a low rate", lambda: Outage(2, 62), _LOW, 30),
    Hidden(
        "refused for 3 s, long answers", lambda: Outage(2, 5), Limits(1_200), 300, {"latency": 6.0}
    ),
    Hidden("refused for 30 min", lambda: Outage(2, 1_800), Limits(1_200)),
)


def play_hidden(hidden: Hidden, seed: int) -> dict[str, float]:
    """Send the rows; return what a user feels."""
    server = dict(hidden.server)
    if hidden.is_scattered:
        server["latency"] = random.Random(f"latency {seed}").random
    if hidden.jitter:
        rng = random.Random(f"travel {seed}")
        server["travel"] = lambda: hidden.jitter * rng.random()
    run = run_limited(hidden.make(), hidden.limits, rows=hidden.rows, seed=seed, **server)
    return {
        "seconds": run.seconds,
        "unanswered": hidden.rows - len(run.answered),
        "in vain": run.refused,
    }
