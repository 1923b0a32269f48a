"""
Tells in which order a job is sent, and how much of it is still to be sent.

The latter is a multiple of what was sent. The scan has estimated the tokens of all rows, and what
was sent shows what these estimates are worth.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ratedispatch.jobs.order import is_interleaved
from ratedispatch.observe.status import Ahead

if TYPE_CHECKING:
    from ratedispatch.groups import LimitGroups
    from ratedispatch.jobs.job_files import OpenFiles
    from ratedispatch.jobs.job_options import JobOptions
    from ratedispatch.jobs.state.scan import Scan
    from ratedispatch.limits import Limits
    from ratedispatch.observe.report import Tally


class Outlook:
    """
    The rows of one run that are still to come.

    Args:
        files: Of the job, opened.
        options: Of the job.
        limits: What the account may spend, or what groups of models may.

    Attributes:
        is_in_order: Whether rows are sent in the order of the file.
    """

    def __init__(self, files: OpenFiles, options: JobOptions, limits: Limits | LimitGroups) -> None:
        self.is_in_order = not is_interleaved(options.order, files.scan, limits)
        self._scan = files.scan
        self._resumed = files.resumed
        self._most = options.caps.max_rows if options.caps is not None else None
        skipped = files.skipped
        if options.only is not None:
            chosen = sum(line not in skipped for line in options.only)
            self._most = min(chosen, self._most or chosen)
        # the rows that an earlier run has done may lie anywhere
        is_behind = files.count_before(skipped.next_missing(1)) >= files.resumed
        self._is_front = self.is_in_order and is_behind and options.only is None

    def ahead(self, tally: Tally) -> Ahead | None:
        """Return what is still to be sent in this run; None before anything was sent."""
        sent = tally.sent
        left = self._scan.rows - self._resumed - sent - tally.bad_rows
        if self._most is not None:
            left = min(left, self._most - sent)
        if not sent:
            return None
        rows = max(0, left) / sent
        if not self._is_front:  # what was sent is a fair sample
            return Ahead(rows, rows)
        first = self._resumed
        begun, now, end = (
            tokens_before(self._scan, first + count) for count in (0, sent, sent + left)
        )
        return Ahead(rows, (end - now) / (now - begun) if now > begun else rows)


def tokens_before(scan: Scan, row: int) -> float:
    """Return the estimated tokens of the first *row* rows, between checkpoints by proportion."""
    before = scan.checkpoints[0] if scan.checkpoints else scan.end
    for checkpoint in (*scan.checkpoints, scan.end):
        if checkpoint.rows >= row:
            span = checkpoint.rows - before.rows
            share = (row - before.rows) / span if span else 0.0
            return before.tokens + share * (checkpoint.tokens - before.tokens)
        before = checkpoint
    return scan.end.tokens
