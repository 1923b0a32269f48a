"""
Whether what a provider says of its bucket moves as what we spend.

Decides from successive readings how much is used for each unit we spend, and how much others
use beside us. Pure arithmetic on instants; knows no bucket, no headers, no loop.

A header may be wrong in any way: multiplied, of another window, of another bucket. What it says
is only acted upon as far as it was seen to move with our own spending.
"""

from __future__ import annotations

import math

#: Seconds after which an observation counts for 1/e, and requests, whichever is longer: others come
#: and go within seconds, but a slow line needs minutes to see anything at all.
_MEMORY = 2.0
_MEMORY_REQUESTS = 16.0

#: Requests between the readings that are compared before anything is concluded: fewer are within
#: what rounding and overtaking on the way to the provider can do. Half of them are enough where
#: they are spread over so many seconds that none can have overtaken another.
_ENOUGH = 8.0
_ORDERLY = 0.5

#: Spent less than this, in whatever unit, is nothing.
_LEAST_SPENT = 1e-6

#: Below this share of what we spend, readings are not taken to speak of our own bucket in our own
#: unit; a provider may count somewhat differently.
_LEAST_HONEST = 0.5

#: Above this share, what they say is left is not ours alone to spend.
MOST_HONEST = 1.5

#: A reading at least this share of the most that was ever read counts as that of a full bucket,
#: which does not refill.
_FULL = 0.9

#: Requests after which an observation counts for 1/e when it is asked what the provider gives back,
#: which does not change from one second to the next.
_LONG = 64.0

#: A bucket falls by less than this share of what we spend if it does not fall at all; and less
#: than this share unused is not worth telling apart.
_FLAT = 0.3
_WORTHWHILE = 0.3

#: What is left may rise by the refill, and a little more by what is given back; by this share of
#: the most that was ever read it does not rise but leap.
_LEAP = 0.25

#: Readings that understate by more than this are taken to say nothing.
_LEAST_EXCHANGE = 0.05


class Evidence:
    """
    What the readings of one dimension are worth.

    All amounts are in the unit of the dimension; sums are forgotten exponentially.
    """

    __slots__ = (
        "_clear_gone",
        "_clear_requests",
        "_clear_spent",
        "_clear_used",
        "_last_at",
        "_last_mark",
        "_last_number",
        "_last_remaining",
        "_last_returned",
        "_requests",
        "_run_fallen",
        "_run_gone",
        "_run_requests",
        "_run_spent",
        "_seconds",
        "_spent",
        "_top",
        "_used",
        "seen",
        "settles",
    )

    def __init__(self) -> None:
        self.seen = 0
        """Readings so far, whatever became of them."""
        self.settles = False
        """Whether the provider seems to give back what turns out unused."""
        self._top = 0.0
        self.forget()

    def forget(self) -> None:
        """Begin anew: what was seen so far proves nothing any more."""
        self._last_at = math.nan
        self._last_mark = self._last_returned = self._last_remaining = 0.0
        self._last_number = 0
        self._requests = self._seconds = self._spent = self._used = 0.0
        self._clear_requests = self._clear_spent = self._clear_gone = self._clear_used = 0.0
        self._run_fallen = self._run_requests = self._run_spent = self._run_gone = 0.0

    def add(
        self,
        remaining: float,
        per_second: float,
        *,
        at: float,
        mark: float,
        returned: float,
        number: int,
    ) -> None:
        """
        Take in a reading; readings come in the order in which their requests were sent.

        Args:
            remaining: What the provider says is left.
            per_second: How fast it says that its bucket refills.
            at: When the request left, in seconds of the loop.
            mark: What we had spent by then, this request included.
            returned: What of that had turned out unused by then.
            number: How many requests we had sent by then, this one included.
        """
        self.seen += 1
        self._top = max(self._top, remaining)
        elapsed = at - self._last_at
        risen = remaining - self._last_remaining - per_second * max(elapsed, 0.0)
        if risen > _LEAP * self._top:  # a counter has started anew, or another one is shown
            self.forget()
        elif elapsed >= 0:  # not the first
            spent = mark - self._last_mark
            fallen = self._last_remaining - remaining
            used = fallen + per_second * elapsed
            requests = number - self._last_number
            gone = returned - self._last_returned
            if remaining >= _FULL * self._top:  # what flowed in may have run over
                used = max(fallen, min(used, spent))
                self._run_fallen += fallen
                self._run_requests += requests
                self._run_spent += spent
                self._run_gone += gone
            else:
                self._run_fallen = self._run_requests = self._run_spent = self._run_gone = 0.0
                if self._last_remaining < _FULL * self._top:
                    fade = math.exp(-requests / _LONG)
                    self._clear_requests = self._clear_requests * fade + requests
                    self._clear_spent = self._clear_spent * fade + spent
                    self._clear_gone = self._clear_gone * fade + gone
                    self._clear_used = self._clear_used * fade + used
            keep = math.exp(-min(elapsed / _MEMORY, requests / _MEMORY_REQUESTS))
            self._requests = self._requests * keep + requests
            self._seconds = self._seconds * keep + elapsed
            self._spent = self._spent * keep + spent
            self._used = self._used * keep + used
            self._judge_refunds()
        self._last_at, self._last_mark, self._last_returned = at, mark, returned
        self._last_remaining, self._last_number = remaining, number

    def _judge_refunds(self) -> None:
        """
        Judge whether the provider gives back what turns out unused.

        It does if it stays full while we spend, or if what is used is nearer to what was really
        used than to what we reserved. Where little is unused it cannot be told, nor does it
        matter.
        """
        run_unused = self._run_gone >= _WORTHWHILE * self._run_spent
        if self._run_requests >= 2 * _ENOUGH and run_unused:
            self.settles |= self._run_fallen < _FLAT * self._run_spent
        clear_unused = self._clear_gone >= _WORTHWHILE * self._clear_spent
        if self._clear_requests >= 2 * _ENOUGH and clear_unused:
            self.settles = self._clear_used < self._clear_spent - self._clear_gone / 2

    @property
    def share(self) -> float | None:
        """What was used at the provider for each unit that we spent; None if not yet known."""
        enough = _ENOUGH if self._seconds < _ORDERLY else _ENOUGH / 2
        if self._requests < enough or self._spent < _LEAST_SPENT:
            return None
        return max(0.0, self._used / self._spent)

    @property
    def is_ours(self) -> bool:
        """Whether the readings were seen to fall by what we spend, if not by more."""
        share = self.share
        return share is not None and share >= _LEAST_HONEST

    @property
    def exchange(self) -> float:
        """What one unit of ours is in the readings' unit, where that is much less than one."""
        share = self.share
        if share is None or share >= _LEAST_HONEST:
            return 1.0
        return max(share, _LEAST_EXCHANGE)

    @property
    def others(self) -> float:
        """What others use beside us, in units per second."""
        if self.share is None or self._seconds < _MEMORY / 10:
            return 0.0
        return max(0.0, (self._used - self._spent) / self._seconds)
