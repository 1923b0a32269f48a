"""Servers that charge otherwise than was thought, in virtual time."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random

import pytest

from ratedispatch.dispatch.dispatcher import Dispatcher
from ratedispatch.limits import Limits
from ratedispatch.request import CHAT, Request
from ratedispatch.simulate.clock import run_virtual
from ratedispatch.simulate.play import play
from ratedispatch.simulate.settings import ProviderSettings
from ratedispatch.simulate.transport import ProviderTransport

RATE = 347_025 / 60


def long_and_short(seed: int) -> list[Request]:
    """Return rows of a word that is one token and six characters, 200 times in the median."""
    rng = random.Random(seed)
    rows = []
    for number in range(600):
        words = max(1, min(4000, round(rng.lognormvariate(0.0, 1.1) * 200)))
        content = f"{number} " + " ".join(["hello"] * words)
        body = {"model": "gpt-4o", "messages": [{"role": "user", "content": content}]}
        rows.append(Request({**body, "max_tokens": 64}, CHAT, f"r{number}"))
    return rows


@pytest.mark.parametrize(
    ("charge", "seed", "ratio"),
    [("tokens", 1, 1.0085), ("tokens", 3, 1.0043), ("characters", 1, 1.0049)],
)
def test_a_server_that_charges_less_than_was_reserved_is_used_fully(
    charge: str, seed: int, ratio: float
) -> None:
    """By characters a row is half as much again: all that the server has is used, none refused."""
    server = ProviderSettings(
        requests_per_minute=6000,
        tokens_per_minute=347_025,
        burst_seconds=5,
        latency=0.2,
        charge=charge,  # type: ignore[arg-type]
    )
    played = play(long_and_short(seed), Limits(6000, 347_025), server, seed=seed)
    assert len(played.answered) == 600
    assert played.refused == 0
    least = (played.stats["tokens_charged"] - 5 * RATE) / RATE + 0.2
    assert played.stats["makespan"] / least == pytest.approx(ratio, abs=1e-4)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_caps_far_above_the_answers_cost_little_where_they_are_refunded(seed: int) -> None:
    """
    Caps of 800, answers of 100: at least nine tenths of the limit are really used.

    The two seconds at each end are left out, in which the bucket is learned and runs dry.
    """
    text = " ".join(["the"] * 90)
    rows = [
        Request(
            {
                "model": "gpt-4o",
                "messages": [{"role": "user", "content": f"{number} {text}"}],
                "max_tokens": 800,
            },
            CHAT,
            f"r{number}",
        )
        for number in range(500)
    ]
    server = ProviderSettings(
        requests_per_minute=30_000,
        tokens_per_minute=300_000,
        burst_seconds=1,
        latency=0.2,
        output_tokens=100,
        refund=True,
    )
    played = play(rows, Limits(30_000, 300_000), server, seed=seed)
    assert len(played.answered) == 500
    assert played.refused == 0
    used = played.stats["per_second"]["tokens_actual"]
    middle = used[2:-2]
    assert sum(middle) / len(middle) >= 0.98 * 5000


def test_readings_of_ten_seconds_ago_stop_nothing() -> None:
    """
    A bucket one second deep runs over at the start, which was taken by nobody.

    Fifty requests in each second, also in those in which the first answers come.
    """
    rows = [
        Request(
            {"model": "gpt-4o", "messages": [{"role": "user", "content": f"{number}"}]},
            CHAT,
            f"r{number}",
        )
        for number in range(1000)
    ]
    server = ProviderSettings(
        requests_per_minute=3000,
        tokens_per_minute=2_000_000,
        burst_seconds=1,
        latency=10.0,
        latency_sigma=0.0,
    )
    played = play(rows, Limits(3000, 2_000_000), server, travel=0.001, max_in_flight=1000)
    assert played.refused == 0
    assert set(played.stats["per_second"]["admitted"][2:18]) <= {49, 50, 51}


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_a_rule_that_charges_too_little_is_not_taken_for_a_full_bucket(seed: int) -> None:
    """
    Nearly all of the charge is the cap, and no reading comes right after the one before.

    A rule that leaves the cap out predicts more than is ever read; that is an error of the rule as
    long as the bucket is not known to be that small.
    """

    async def main() -> tuple[int, dict[str, int]]:
        settings = ProviderSettings(600_000, 2_000_000, burst_seconds=2.0, latency=0.5)
        transport = ProviderTransport(settings, random.Random(seed))
        dispatcher = Dispatcher(
            transport,
            Limits(600_000, 2_000_000),
            rng=random.Random(seed),
            max_in_flight=50_000,
            weights={"92": 1, "992": 2, "3992": 4},
        )

        async def send(cap: int) -> None:
            body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}]}
            requests = itertools.repeat(Request({**body, "max_tokens": cap}))
            async for _ in dispatcher.map(requests, caller=str(cap)):
                pass

        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(10), asyncio.TaskGroup() as group:
                for cap in (92, 992, 3_992):
                    group.create_task(send(cap))
        report = transport.referee.report()
        return report["tokens_charged"], report["refused"]

    charged, refused = run_virtual(main())
    assert refused == {}
    allowed = 2_000_000 / 60 * (10 + 2)  # what flows in, and what the bucket held
    assert charged == pytest.approx(allowed, rel=0.03)  # but for the last requests
