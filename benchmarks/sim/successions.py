"""
Runs one after the other on one account, each of which begins with what those before have learned.

Decides accounts, lengths and the time between; figures are those of the last run.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from benchmarks.frame.workload import short
from ratedispatch.limits import AUTO, Limits
from ratedispatch.memory.state_folder import HeldMemory
from ratedispatch.request import CHAT, Request
from ratedispatch.simulate.play import Played, play
from ratedispatch.simulate.settings import ProviderSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

_DAY = 86_400.0

_MUTE: Mapping[str, Any] = {"headers": False, "numbers": False}


@dataclass(frozen=True, slots=True)
class Run:
    """
    One run.

    Args:
        rpm: The limit of the account on requests per minute.
        rows: How many are sent.
        settings: Further ones of the provider.
    """

    rpm: float
    rows: int
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Succession:
    """
    Runs on one account.

    Args:
        name: As in the table of constants.
        runs: In order.
        days: From one to the next; below zero if the clock was set back.
        settings: Of the provider in all of them.
        limits: What the dispatcher is told.
    """

    name: str
    runs: tuple[Run, ...]
    days: float = 1.0
    settings: Mapping[str, Any] = field(default_factory=lambda: _MUTE)
    limits: Limits = field(default_factory=lambda: Limits(AUTO, AUTO))


_TWO = (Run(600, 400), Run(600, 300))

SUCCESSIONS: tuple[Succession, ...] = (
    Succession("the next day", _TWO),
    Succession("three weeks later", _TWO, days=20.0),
    Succession("after the clock was set back", _TWO, days=-0.7),
    Succession("after a run of some seconds", (Run(600, 90), Run(600, 300))),
    Succession("lifted, no refusal", (Run(60, 150), Run(600, 60), Run(600, 300))),
    Succession(
        "ended where a window had begun",
        (Run(600, 640), Run(600, 300)),
        settings={**_MUTE, "window": "fixed"},
    ),
    Succession("lifted for longer", (Run(60, 60), Run(600, 400))),
    Succession(
        "a day's limit, most of which is spent",
        (Run(3_000, 800), Run(3_000, 920, {"day_used": 0.1})),
        0.7,
        {**_MUTE, "requests_per_day": 1_000.0},
        Limits(3_000, requests_per_day=1_000),
    ),
)


def play_succession(succession: Succession, seed: int) -> dict[str, float]:
    """Play the runs; return what a user feels of the last."""
    clock = [0.0]
    memory = HeldMemory(lambda: clock[0])
    clock[0] = 100 * _DAY
    played: Played | None = None
    for number, run in enumerate(succession.runs):
        played = play(
            _rows(run.rows, seed + number),
            succession.limits,
            ProviderSettings(
                **{
                    "requests_per_minute": run.rpm,
                    "tokens_per_minute": run.rpm * 600,
                    "burst_seconds": 1.0,
                    **succession.settings,
                    **run.settings,
                }
            ),
            seed=f"succession {seed} {number}",
            memory=memory,
        )
        clock[0] += succession.days * _DAY
    assert played is not None
    return {
        "seconds": played.seconds,
        "unanswered": succession.runs[-1].rows - len(played.answered),
        "in vain": played.refused,
    }


def _rows(count: int, seed: int) -> list[Request]:
    rows = short(count, seed).rows
    return [Request(row.body, CHAT, row.custom_id, place) for place, row in enumerate(rows, 1)]
