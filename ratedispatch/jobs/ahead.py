"""
Decides the order in which a job is sent, and estimates how much of it is still to be sent.

The estimate is a multiple of what was sent. The scan has estimated the tokens of all rows, and the
rows sent so far show how good these estimates are.
"""

from __future__ import annotations

import bisect
from typing import TYPE_CHECKING

from ratedispatch.jobs.order import is_interleaved
from ratedispatch.observe.foresight import Ahead, Part

if TYPE_CHECKING:
    from ratedispatch.groups import LimitGroups
    from ratedispatch.jobs.job_files import OpenFiles
    from ratedispatch.jobs.job_options import JobOptions
    from ratedispatch.jobs.state.scan import Scan
    from ratedispatch.limits import Limits
    from ratedispatch.observe.report import Tally


#: Spread of what rows are taken for, as a share of the mean, from which on a line is worth more
#: than a proportion.
_SPREAD = 0.05

#: Rows take at least this share of what they would in proportion.
_LEAST = 0.1

#: Parts of the rest that are told apart.
_PARTS = 32


class Outlook:
    """
    The rows of one run that are still to come.

    Args:
        files: The files of the job, opened.
        options: The options of the job.
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
        self._sizes = SizeLine()

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
        first, now = self._resumed, self._resumed + sent
        begun, at = tokens_before(self._scan, first), tokens_before(self._scan, now)
        if at <= begun:
            return Ahead(rows, rows)
        self._sizes.add(sent, at - begun, tally.tokens * sent / tally.attempts)
        whole = self._sizes.tokens(sent, at - begun)
        parts, before = [], at
        for part in range(1, _PARTS + 1):
            until = tokens_before(self._scan, now + left * part / _PARTS)
            tokens = self._sizes.tokens(left / _PARTS, until - before) / whole
            parts.append(Part(rows / _PARTS, tokens))
            before = until
        return Ahead(rows, sum(part.tokens for part in parts), tuple(parts))


class SizeLine:
    """
    What rows are reserved, in tokens, by what the scan took them for: a straight line.

    The scan knows bytes and caps. Of a short row most of the bytes are no text, so that what it
    takes rows for is not in proportion to their tokens, and in a sorted file the rest is longer
    than what was sent. The line is fitted to what was sent in between two looks; where that was
    all of about one length, it goes through zero.
    """

    def __init__(self) -> None:
        self._before = (0.0, 0.0, 0.0)
        self._rows = self._guess = self._tokens = 0.0
        self._squares = self._products = 0.0

    def add(self, rows: float, guess: float, tokens: float) -> None:
        """Take in that so far *rows* were sent, taken for *guess* tokens, and were *tokens*."""
        was_rows, was_guess, was_tokens = self._before
        new, more, real = rows - was_rows, guess - was_guess, tokens - was_tokens
        if new < 1:
            return
        self._before = rows, guess, tokens
        self._rows += new
        self._guess += more
        self._tokens += real
        self._squares += more * more / new
        self._products += more * real / new

    def tokens(self, rows: float, guess: float) -> float:
        """Return the tokens of *rows* that the scan took for *guess*."""
        if not self._rows or self._guess <= 0 or self._tokens <= 0:
            return guess
        mean = self._guess / self._rows
        real = self._tokens / self._rows
        variance = self._squares / self._rows - mean * mean
        together = self._products / self._rows - mean * real
        trust = (_SPREAD * mean) ** 2
        slope = max(0.0, together + trust * real / mean) / (max(0.0, variance) + trust)
        found = real * rows + slope * (guess - mean * rows)
        return max(found, _LEAST * guess * real / mean)


def tokens_before(scan: Scan, row: float) -> float:
    """Return the estimated tokens of the first *row* rows, between checkpoints by proportion."""
    marks = scan.checkpoints
    place = bisect.bisect_left(marks, row, key=lambda mark: mark.rows)
    after = marks[place] if place < len(marks) else scan.end
    if place == 0 or after.rows <= row:
        return after.tokens
    before = marks[place - 1]
    share = (row - before.rows) / (after.rows - before.rows)
    return before.tokens + share * (after.tokens - before.tokens)
