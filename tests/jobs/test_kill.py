"""A job that is killed over and over, against a real server with faults."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks.live.kill import kill_over_and_over

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.slow
def test_forty_kills_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    """Each row stands in one file, once; no more is sent again than was in flight."""
    killed = kill_over_and_over(tmp_path, kills=40, seed=7, rows=4_000)
    assert killed.kills > 20
    assert (killed.lost, killed.doubled, killed.wrong) == (0, 0, 0)
    assert killed.exit_code == 0
    assert 0 < killed.sent_again <= killed.kills * killed.in_flight
    assert 0 < killed.billed_twice <= killed.told


@pytest.mark.slow
def test_a_pool_loses_and_doubles_nothing_either(tmp_path: Path) -> None:
    """Whichever member had a row when the job was killed."""
    killed = kill_over_and_over(tmp_path, kills=10, seed=8, rows=1_500, has_pool=True)
    assert killed.kills > 5
    assert (killed.lost, killed.doubled, killed.wrong) == (0, 0, 0)
    assert killed.exit_code == 0
    assert killed.sent_again <= killed.kills * killed.in_flight
    assert killed.billed_twice <= killed.told


@pytest.mark.slow
def test_several_processes_lose_and_double_nothing_either(tmp_path: Path) -> None:
    """Whichever of them was killed, the one with the files included."""
    killed = kill_over_and_over(tmp_path, kills=3, seed=2, rows=500, processes=2)
    assert killed.kills > 1
    assert (killed.lost, killed.doubled, killed.wrong) == (0, 0, 0)
    assert killed.exit_code == 0
    assert killed.sent_again <= killed.kills * killed.in_flight
    assert killed.billed_twice <= killed.told
