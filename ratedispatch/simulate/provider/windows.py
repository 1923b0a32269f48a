"""
How a provider counts one quantity: bucket, sliding log, fixed window.

Knows limits, amounts and instants. Knows nothing of requests, tokens, HTTP or waiting.
The bucket is kept as what is *available*, refilled when looked at, so that it shares no
formula with the leaky meter that the dispatcher stands on.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import Protocol

MINUTE = 60.0
DAY = 86_400.0

#: Slack for sums of floats, in the unit counted: who waits exactly as long as told is admitted.
SLACK = 1e-6


class Window(Protocol):
    """One count of one quantity; every ``now`` is loop time in seconds and never runs back."""

    limit: float
    """What may be spent in one window."""

    def wait(self, amount: float, now: float) -> float:
        """Return the seconds until *amount* fits, 0.0 if it fits now."""

    def quoted_wait(self, amount: float, now: float) -> float:
        """Return the wait that an error message states: from whole numbers, never shorter."""

    def take(self, amount: float, now: float) -> int:
        """Spend *amount*, whether it fits or not; return a ticket for `give`."""

    def give(self, ticket: int, amount: float, now: float) -> None:
        """Return *amount* of what was taken with *ticket* (negative: take more)."""

    def remaining(self, now: float) -> float:
        """Return what is available, below zero when in debt."""

    def reset(self, now: float) -> float:
        """Return the seconds until the whole of it is available again."""

    def resize(self, limit: float, now: float) -> None:
        """Change the limit; what is already spent stays spent."""


class TokenBucket:
    """
    A bucket that fills continuously and starts full or empty.

    Args:
        limit: Units per *width*.
        now: Loop time in seconds.
        depth: How much it holds, in seconds of its rate; *width* for a provider's own.
        width: Seconds that *limit* is meant for: 60, or 86,400 for a limit per day.
        full: Whether it starts full.

    An amount above what it holds but not above *limit* is granted when it is full, and leaves
    a debt behind: a provider's real bucket is as deep as its limit.

    Source: level, wait and reset as published in OpenAI's headers and error messages:
    ``reset = used × width / limit``, ``wait = (used + requested − limit) × width / limit``.
    """

    def __init__(
        self,
        limit: float,
        now: float,
        *,
        depth: float = MINUTE,
        width: float = MINUTE,
        full: bool = True,
    ) -> None:
        self.limit = limit
        self._width = width
        self._seconds = depth
        self._rate = limit / width
        self._depth = self._rate * depth
        self._available = self._depth if full else 0.0
        self._at = now

    def _refill(self, now: float) -> float:
        if now > self._at:
            grown = self._available + (now - self._at) * self._rate
            self._available = min(self._depth, grown)
            self._at = now
        return self._available

    def wait(self, amount: float, now: float) -> float:
        """Return the seconds until *amount* fits; for more than it holds, until it is full."""
        missing = min(amount, self._depth) - self._refill(now)
        return missing / self._rate if missing > SLACK else 0.0

    def quoted_wait(self, amount: float, now: float) -> float:
        """Return the published arithmetic, with what is used rounded up to a whole number."""
        if amount > self._depth:
            return self.wait(amount, now)
        used = math.ceil(self.limit - self._refill(now) - SLACK)
        return max(0.0, (used + amount - self.limit) * self._width / self.limit)

    def take(self, amount: float, now: float) -> int:
        """Spend *amount*; the ticket says nothing, since a bucket does not remember who took."""
        self._available = self._refill(now) - amount
        return 0

    def give(self, ticket: int, amount: float, now: float) -> None:  # noqa: ARG002 - see Window
        """Put *amount* back, as far as it has room."""
        self._available = min(self._refill(now) + amount, self._depth)

    def remaining(self, now: float) -> float:
        """Return what it holds now."""
        return self._refill(now)

    def reset(self, now: float) -> float:
        """Return the seconds until it is full."""
        return (self._depth - self._refill(now)) / self._rate

    def resize(self, limit: float, now: float) -> None:
        """Fill at the new rate from now on; what it holds is kept, up to the new depth."""
        available = self._refill(now)
        self.limit = limit
        self._rate = limit / self._width
        self._depth = self._rate * self._seconds
        self._available = min(available, self._depth)


class SlidingLog:
    """
    A log of the last *width* seconds whose sum may not exceed *limit*.

    A start that is not *full* counts as if the whole limit had been spent at *now*.
    """

    def __init__(
        self, limit: float, now: float, *, width: float = MINUTE, full: bool = True
    ) -> None:
        self.limit = limit
        self._width = width
        self._entries: OrderedDict[int, tuple[float, float]] = OrderedDict()
        self._sum = 0.0
        self._next = 0
        if not full:
            self.take(limit, now)

    def _expire(self, now: float) -> None:
        entries = self._entries
        while entries:
            ticket = next(iter(entries))
            at, amount = entries[ticket]
            # 1 ns: an entry is gone at the very instant that `wait` named
            if now - at < self._width - 1e-9:
                return
            del entries[ticket]
            self._sum -= amount
        self._sum = 0.0  # nothing left: drop the rounding of many sums

    def wait(self, amount: float, now: float) -> float:
        """Return the seconds until enough of the log has expired."""
        self._expire(now)
        excess = self._sum + amount - self.limit
        if excess <= SLACK:
            return 0.0
        at = now
        for at, spent in self._entries.values():  # noqa: B007 - the last one is used
            excess -= spent
            if excess <= SLACK:
                break
        return max(0.0, at + self._width - now)

    def quoted_wait(self, amount: float, now: float) -> float:
        """Return `wait`: there is no published arithmetic for a log."""
        return self.wait(amount, now)

    def take(self, amount: float, now: float) -> int:
        """Add an entry."""
        self._expire(now)
        ticket = self._next
        self._next += 1
        self._entries[ticket] = (now, amount)
        self._sum += amount
        return ticket

    def give(self, ticket: int, amount: float, now: float) -> None:
        """Correct an entry, unless it has expired."""
        self._expire(now)
        entry = self._entries.get(ticket)
        if entry is not None:
            self._entries[ticket] = (entry[0], entry[1] - amount)
            self._sum -= amount

    def remaining(self, now: float) -> float:
        """Return what the last *width* seconds left."""
        self._expire(now)
        return self.limit - self._sum

    def reset(self, now: float) -> float:
        """Return the seconds until the newest entry expires."""
        self._expire(now)
        if not self._entries:
            return 0.0
        return max(0.0, self._entries[next(reversed(self._entries))][0] + self._width - now)

    def resize(self, limit: float, now: float) -> None:  # noqa: ARG002 - see Window
        """Compare with the new limit from now on."""
        self.limit = limit


class FixedWindow:
    """
    A counter that starts over every *width* seconds, counted from *now*.

    Source: Azure OpenAI, "a running count that is reset each minute".
    """

    def __init__(
        self, limit: float, now: float, *, width: float = MINUTE, full: bool = True
    ) -> None:
        self.limit = limit
        self._width = width
        self._origin = now
        self._index = 0
        self._used = 0.0 if full else limit

    def _turn(self, now: float) -> None:
        # 1 ns: the next window has begun at the very instant that `wait` named
        index = int((now - self._origin + 1e-9) // self._width)
        if index > self._index:
            self._index = index
            self._used = 0.0

    def wait(self, amount: float, now: float) -> float:
        """Return the seconds until the next window, if this one has no room."""
        self._turn(now)
        return self.reset(now) if self._used + amount > self.limit + SLACK else 0.0

    def quoted_wait(self, amount: float, now: float) -> float:
        """Return `wait`: a message cannot say more than when the window ends."""
        return self.wait(amount, now)

    def take(self, amount: float, now: float) -> int:
        """Count *amount* in this window; the ticket is the window's number."""
        self._turn(now)
        self._used += amount
        return self._index

    def give(self, ticket: int, amount: float, now: float) -> None:
        """Take *amount* off the count, unless it was counted in an earlier window."""
        self._turn(now)
        if ticket == self._index:
            self._used -= amount

    def remaining(self, now: float) -> float:
        """Return what this window still holds."""
        self._turn(now)
        return self.limit - self._used

    def reset(self, now: float) -> float:
        """Return the seconds until the next window."""
        return max(0.0, self._origin + (self._index + 1) * self._width - now)

    def resize(self, limit: float, now: float) -> None:  # noqa: ARG002 - see Window
        """Compare with the new limit from now on."""
        self.limit = limit
