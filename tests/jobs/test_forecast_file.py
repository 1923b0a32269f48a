"""What `run_file` will do, foretold from Python."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import ratedispatch as rd
from ratedispatch.jobs.plan.spending import Caps
from tests.cli.run_command import row

if TYPE_CHECKING:
    from pathlib import Path

LIMITS = rd.Limits(requests_per_minute=60)
STILL = {"burst_seconds": 1.0, "latency_sigma": 0.0}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """An input of 20 rows."""
    file = tmp_path / "in.jsonl"
    file.write_text("".join(row(f"r{number}") + "\n" for number in range(20)))
    return file


def test_a_file_is_foretold_with_the_options_of_run_file(path: Path) -> None:
    """Twenty rows at one a second; a cap on rows and one on requests in flight count."""
    found = rd.forecast_file(path, limits=LIMITS, provider=STILL)
    assert found.seconds == pytest.approx(rd.Interval(19.2, 19.2, 19.2), abs=0.01)
    assert found.binding == "requests"
    capped = rd.JobOptions(caps=Caps(max_rows=5))
    assert rd.forecast_file(path, limits=LIMITS, provider=STILL, job_options=capped).rows == 5
    alone = rd.forecast_file(
        path,
        limits=rd.Limits(requests_per_minute=60_000),
        provider={**STILL, "latency": 2.0},
        dispatcher_options=rd.DispatcherOptions(max_in_flight=1),
        seeds=1,
    )
    assert alone.seconds.mean == pytest.approx(40.0, abs=0.1)


def test_a_setting_that_there_is_none_of_is_told(path: Path) -> None:
    """And a file that is not there."""
    with pytest.raises(TypeError, match="latencies"):
        rd.forecast_file(path, limits=LIMITS, provider={"latencies": 3})
    with pytest.raises(rd.JobError, match=r"none\.jsonl"):
        rd.forecast_file(path.with_name("none.jsonl"), limits=LIMITS)
