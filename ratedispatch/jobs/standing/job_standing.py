"""
The progress of a job: which rows have a result, whether a process works on it, and its speed.

Values only; module `job_reader` reads them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from ratedispatch.jobs.shard import Shard

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from ratedispatch.jobs.state.run_notes import Begun, Ended


class State(StrEnum):
    """Whether a process works on a job."""

    RUNNING = "running"
    """A process has it open."""
    FINISHED = "finished"
    """All rows have a line."""
    STOPPED = "stopped"
    """The last run has ended before the last row, and said why."""
    DEAD = "dead"
    """The last run has ended, and said nothing: it was killed."""
    UNKNOWN = "not running"
    """No process has it open, and no run was noted: an older release made it."""


@dataclass(frozen=True, slots=True)
class Pace:
    """
    The speed of a run.

    Args:
        rows_per_minute: Rows that got a line.
        seconds: The time over which it was taken.
    """

    rows_per_minute: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Standing:
    """
    How far a job is.

    Args:
        output: Where its answers go: the table if it makes one.
        shard: Its part of the rows; None for all.
        state: Whether somebody works on it.
        rows: How many it has.
        answered: Rows with an answer.
        failed: Rows that failed.
        in_doubt: Rows that were sent, have no line, and may be billed; of a run, those in flight.
        begun: When the last run began and what started it; None if that is not known.
        ended: How it ended; None if it did not, or did not say.
        last: When a line was written last, in seconds since 1970; None if none was.
        pace: Its speed over the last minutes; None if it is not known.
        spent: USD that all runs have spent; None if no price was known.
        failures: How many rows failed for which reason.
        notes: Sentences about problems.
        other_rows: Rows of the other shards.
    """

    output: Path
    shard: Shard | None
    state: State
    rows: int
    answered: int
    failed: int
    in_doubt: int
    begun: Begun | None = None
    ended: Ended | None = None
    last: float | None = None
    pace: Pace | None = None
    spent: float | None = None
    failures: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    other_rows: int = 0

    @property
    def done(self) -> int:
        """Rows that have a line."""
        return self.answered + self.failed

    @property
    def left(self) -> int:
        """Rows that have none."""
        return max(0, self.rows - self.done)

    @property
    def eta(self) -> float | None:
        """Seconds to the end at the speed of the last minutes; None if it is not known."""
        if self.state is not State.RUNNING or self.pace is None or not self.pace.rows_per_minute:
            return None
        return self.left / self.pace.rows_per_minute * 60


@dataclass(frozen=True, slots=True)
class Sum:
    """
    Several jobs as one.

    Args:
        parts: Each of them.
    """

    parts: Sequence[Standing]

    @property
    def rows(self) -> int:
        """How many rows they have, those of shards that are not among them included."""
        return sum(part.rows for part in self.parts) + self._rows_elsewhere

    @property
    def answered(self) -> int:
        """Rows with an answer."""
        return sum(part.answered for part in self.parts)

    @property
    def failed(self) -> int:
        """Rows that failed."""
        return sum(part.failed for part in self.parts)

    @property
    def in_doubt(self) -> int:
        """Rows that were sent and have no line."""
        return sum(part.in_doubt for part in self.parts)

    @property
    def spent(self) -> float | None:
        """USD that were spent; None if no price was known."""
        known = [part.spent for part in self.parts if part.spent is not None]
        return sum(known) if known else None

    @property
    def failures(self) -> Mapping[str, int]:
        """How many rows failed for which reason, the most frequent first."""
        found: dict[str, int] = {}
        for part in self.parts:
            for reason, count in part.failures.items():
                found[reason] = found.get(reason, 0) + count
        return dict(sorted(found.items(), key=lambda item: -item[1]))

    @property
    def rows_per_minute(self) -> float | None:
        """The speed of all that run; None if it is not known."""
        running = [part.pace for part in self.parts if part.state is State.RUNNING]
        known = [pace.rows_per_minute for pace in running if pace is not None]
        return sum(known) if known else None

    @property
    def eta(self) -> float | None:
        """Seconds to the end of the last that runs; None if that is not known, or not all run."""
        left = [part for part in self.parts if part.left]
        if not left or self.missing:
            return None
        etas = [part.eta for part in left]
        return None if None in etas else max(eta for eta in etas if eta is not None)

    @property
    def missing(self) -> list[Shard]:
        """The shards that are not among them, of those that there are."""
        shards = [part.shard for part in self.parts if part.shard is not None]
        if len(shards) < len(self.parts) or len({shard.count for shard in shards}) != 1:
            return []
        known = {shard.index for shard in shards}
        count = shards[0].count
        return [Shard(index, count) for index in range(count) if index not in known]

    @property
    def _rows_elsewhere(self) -> int:
        """Rows of the shards that are missing."""
        if not self.missing:
            return 0
        whole = max(part.rows + part.other_rows for part in self.parts)
        return max(0, whole - sum(part.rows for part in self.parts))
