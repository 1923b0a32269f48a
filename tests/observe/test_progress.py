"""What a person sees while a job runs."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from ratedispatch.observe.foresight import Ahead, Part, need_of, stock_of
from ratedispatch.observe.progress import picture, plain_line
from ratedispatch.observe.report import Tally
from ratedispatch.observe.status import Meter, Status
from ratedispatch.pacing.bottleneck import Bottleneck
from ratedispatch.pacing.snapshot import Level, Snapshot
from ratedispatch.pacing.time_left import seconds_to_send
from ratedispatch.simulate.clock import run_virtual


def level(dimension: str = "tokens", **state: Any) -> Level:
    """A limit of 100 a second of which 1,000 were spent."""
    values = {"per_minute": 6_000.0, "per_second": 100.0, "available": 0.0, "spent": 1_000.0}
    return Level(dimension, **{**values, **state})


@dataclass
class _Job:
    """As much of a job as a meter looks at."""

    binding: str = "requests"
    is_stopping: bool = False
    total: int = 1_000
    levels: tuple[Level, ...] = ()
    in_flight: int = 0
    tally: Tally = field(default_factory=Tally)

    @property
    def done(self) -> int:
        return self.tally.answered

    def ahead(self) -> Ahead | None:
        sent = self.tally.sent
        return Ahead((self.total - sent) / sent, (self.total - sent) / sent) if sent else None

    def snapshot(self) -> Snapshot:
        return Snapshot(self.in_flight, 100, 0, 0.0, self.levels)

    def members(self) -> dict[str, Snapshot]:
        return {}

    def bottleneck(self) -> Bottleneck:
        return Bottleneck(self.binding, None, 0.0)


def status(**state: Any) -> Status:
    """What is shown of a job that has answered ten rows a second for ten seconds."""

    async def main() -> Status:
        job = _Job(**state)
        meter = Meter(cast("Any", job))
        meter.read()
        for _ in range(10):
            await asyncio.sleep(1)
            job.tally.attempts += 10
            job.tally.answered += 10
            meter.read()
        return meter.read()

    return run_virtual(main())


def test_without_limits_the_time_that_is_left_follows_from_the_last_seconds() -> None:
    seen = status(binding="in_flight")
    assert seen.eta == pytest.approx(90)
    assert "ETA 01:30" in plain_line(seen)
    assert seen.verdict == "bound by the number in flight"


def test_the_time_that_is_left_follows_from_the_limits() -> None:
    """900 rows are 9 times what was sent, and the limits need 50 and 200 s for them."""
    quick, slow = level("requests", spent=1_000.0, available=4_000.0), level(spent=2_300.0)
    assert status(binding="tokens", levels=(quick, slow)).eta == pytest.approx(207)


def test_a_piled_up_minute_does_not_shorten_it() -> None:
    """The speed of the last seconds says 90 s; the limit is what counts from now on."""
    assert status(binding="nothing_waiting", levels=(level(spent=4_000.0),)).eta == 360.0


def test_where_others_take_more_than_the_limit_says_the_speed_counts() -> None:
    """There is more than it says; and this process has answered ten rows a second meanwhile."""
    mine = level("requests", per_second=10.0, spent=100.0, elsewhere=13.0)
    assert status(levels=(mine,)).eta == pytest.approx(90)
    twice = level("requests", per_second=20.0, spent=100.0, elsewhere=15.0, others=300.0)
    assert status(levels=(twice,)).eta == pytest.approx(90)
    assert status(levels=(level("requests", spent=1_000.0, elsewhere=50.0),)).eta == 180


def test_a_job_slower_than_its_limits_takes_as_long_as_its_speed_says() -> None:
    assert status(binding="in_flight", levels=(level(),)).eta == pytest.approx(90)


def test_the_last_answer_takes_its_latency() -> None:
    tally = Tally()
    tally.latency = 2.0
    seen = status(binding="tokens", levels=(level(),), tally=tally)
    assert seen.eta == pytest.approx(92)


@pytest.mark.parametrize(
    ("state", "seconds"),
    [
        ({"available": 1_000.0}, 80.0),
        ({"available": 1e9}, 0.0),
        ({"others": 3_000.0}, 180.0),
        ({"others": 9_000.0}, 1_800.0),
        ({"returned": 400.0}, 74.0),
        ({"dimension": "requests"}, 20.0),
    ],
)
def test_the_seconds_that_a_limit_needs(state: dict[str, Any], seconds: float) -> None:
    """What others take and what comes back count; half of what was sent has an answer."""
    limit = level(**state)
    needs = [[need_of(limit, Part(2.0, 9.0), 0.5)]]
    assert seconds_to_send(needs, [stock_of(limit)]) == pytest.approx(seconds)


def test_a_job_that_waits_for_a_day_or_stops_has_no_such_time() -> None:
    """It does not go on as it did."""
    waiting, stopping = status(binding="requests_per_day"), status(is_stopping=True)
    assert waiting.eta is stopping.eta is None
    assert "ETA --:--" in plain_line(waiting)
    assert waiting.verdict == "bound by requests per day"
    assert stopping.verdict == "stopping"


BUSY = Status(
    done=1_234_567,
    total=5_000_000,
    failed=12_345,
    requests_per_minute=20_749,
    tokens_per_minute=14_059_895,
    in_flight=10_000,
    refusals=54_321,
    retries=1,
    eta=123_456,
    paused=3,
    limits={"requests": 3_000, "tokens": 2_000_000},
    verdict="bound by the search for an unknown limit",
)


@pytest.mark.parametrize("width", [12, 44, 80, 100])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    lines = picture(BUSY, width).plain.splitlines()
    assert max(map(len, lines)) <= width
    assert len(lines) == {12: 9, 44: 7, 80: 4, 100: 4}[width]


def test_the_display_at_80_columns() -> None:
    assert picture(BUSY, 80).plain.splitlines() == [
        "━━━━━━━━───────────────────────────  1,234,567/5,000,000 rows  25%  ETA 34:17:36",
        "20,749 of 3,000 RPM (piled up)  14.06M of 2.00M TPM (piled up)",
        "10,000 in flight  54,321 refused  1 retry  12,345 failed",
        "bound by the search for an unknown limit  paused 3 s",
    ]


def test_members_of_a_pool_are_shown_in_a_line() -> None:
    """How much of its limit each uses, or why it does not; eight of them at most."""
    tally = Tally()
    tally.routes.of("b").stop_code = "quota"

    class Pooled(_Job):
        def members(self) -> dict[str, Snapshot]:
            used = level("requests", share=0.5)
            states = {
                "a": Snapshot(1, 10, 0, 0.0, (used,)),
                "b": Snapshot(0, 10, 0, 0.0, (used,)),
                "c": Snapshot(0, 10, 0, 12.0, (used,)),
                "d": Snapshot(7, 10, 0, 0.0, ()),
            }
            return states | {str(n): states["a"] for n in range(6)}

    async def main() -> Status:
        return Meter(cast("Any", Pooled(tally=tally))).read()

    found = run_virtual(main())
    text = ", a 50%, b stopped (quota), c paused 12 s, d 7 in flight, 0 50%, 1 50%, 2 50%, 3 50%"
    assert plain_line(found).endswith(f"{text}, and 2 more")
    assert "b stopped (quota)" in picture(found, 100).plain
