"""Several queues shown as one."""

from __future__ import annotations

from ratedispatch.jobs.processes.merged import merged
from ratedispatch.pacing.snapshot import Level, Snapshot


def level(spent: float, *, used: float | None = 0.5) -> Level:
    return Level("requests", 300.0, 2.0, spent, 0.4, used, limit=300.0, per_second=5.0, burst=3.0)


def test_parts_of_a_limit_are_a_whole() -> None:
    """And what a process that is gone has spent still counts."""
    one = Snapshot(3, 10, 7, 0.0, (level(5.0),), "requests", {"requests": 8.0})
    other = Snapshot(2, 10, 1, 2.0, (level(6.0, used=None),), "pause", {"pause": 4.0})
    gone = Snapshot(9, 9, 9, 0.0, (level(4.0),), "pause", {"pause": 2.0})
    whole = Level("requests", 600.0, 4.0, 15.0, 0.4, 0.5, limit=600.0, per_second=10.0, burst=6.0)
    held = {"requests": 4.0, "pause": 3.0}
    assert merged([one, other], [gone]) == Snapshot(5, 20, 8, 0.0, (whole,), "requests", held)
    assert merged([]) == Snapshot(0, 0, 0, 0.0, ())


def test_a_limit_that_is_shared_is_told_once() -> None:
    """With what was spent by all."""
    one = Snapshot(3, 10, 7, 0.0, (level(5.0),), "requests", {"requests": 8.0})
    other = Snapshot(2, 10, 1, 0.0, (level(6.0, used=None),), "requests", {"requests": 4.0})
    gone = Snapshot(0, 10, 0, 0.0, (level(4.0),), "requests", {})
    assert merged([one, other], [gone], shares=True).levels == (level(15.0),)
