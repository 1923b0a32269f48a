"""
The interface to a store of limits that several processes share, and the messages exchanged with it.

A process sends a `Note`: what it has taken since its last one, and what it has found out. It gets
a `Sheet`: what stands in the store for all. What was taken is a difference, so that notes may come
in any order and from copies that are a moment old; what was found out replaces what stands there.
Values and protocols only.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

#: Sums of one limit, in the order of `Totals`: what was let through less what came back, what was
#: sent, what of it was refused, what was not sent after all, what turned out unused; and the
#: eleven sums of `ratedispatch.pacing.limit.account.Position`.
TOTALS = 5 + 11
TAKEN, SPENT, REFUSED, GIVEN_BACK, RETURNED, FIRST_SUM = range(6)

#: Numbers of one limit that were learned; what they mean only `learned` knows.
LEARNED = 40

#: Limits that one store can hold, members, and what the name of a limit may have, in bytes.
MOST_LIMITS = 8
MOST_MEMBERS = 64
LONGEST_NAME = 48

#: The highest priority that is told, and less zero the lowest: all stores count exactly so far.
MOST_PRIORITY = 1 << 53

Totals = tuple[float, ...]


class StoreGone(Exception):
    """
    The store cannot be reached now.

    Args:
        reason: The end of a sentence for a person, such as ``connection refused``.
        members: Processes that spend from the limits all the same, as far as is known.
    """

    def __init__(self, reason: str, members: int = 1) -> None:
        super().__init__(reason)
        self.reason = reason
        self.members = members


class Stand(NamedTuple):
    """
    What may be spent of a limit, as an answer has proven it.

    Args:
        available: What may be spent, in the unit of the limit; below zero while in debt.
        surplus: What of it is beyond the burst's own.
        taken: The sum `TAKEN` for which that holds.
    """

    available: float
    surplus: float
    taken: float


class LimitNote(NamedTuple):
    """
    One limit in a note.

    Args:
        name: The name of its dimension.
        added: To each of the sums, since the last note.
        flow: What flows in, in units per second, at the speed of now.
        burst: What it holds.
        ceiling: What a bucket with surplus holds at most; 0 without one.
        first: What may be spent of it if the store knows nothing of it yet.
        stand: What was proven; None if nothing was.
        learned: All numbers that were learned, if one of them is new; None otherwise.
        held: What was taken and is not sent yet.
        asked: The limit per minute that the user has set; infinite if none.
        at: When the last of it was taken, by the store's clock, if that was some time ago: what
            has flowed in since is not lost.
    """

    name: str
    added: Totals
    flow: float
    burst: float
    ceiling: float
    first: float
    stand: Stand | None
    learned: Totals | None
    held: float
    asked: float
    at: float = math.inf


class Pause(NamedTuple):
    """
    An episode of refusals; instants of the store's clock, in seconds.

    Args:
        began: When it began.
        until: When all go on.
    """

    began: float
    until: float


class Note(NamedTuple):
    """
    What a member tells the store.

    Args:
        now: Seconds of the member's clock.
        limits: Those that it knows.
        pause: The newest episode that it has met; None if it was told.
        wants: Whether a request of its waits.
        priority: The priority of that request.
        leaves: Whether this is its last note.
    """

    now: float
    limits: tuple[LimitNote, ...]
    pause: Pause | None = None
    wants: bool = True
    priority: int = 0
    leaves: bool = False


class LimitSheet(NamedTuple):
    """
    One limit as it stands for all.

    Args:
        name: The name of its dimension.
        totals: The sums.
        available: What may be spent now, this note included.
        surplus: What of it is beyond the burst's own.
        ceiling: What a bucket with surplus holds at most.
        learned: What was learned last, by whomever; None if the member knows it, or nobody does.
        asked: The least limit per minute that a member has set; infinite if none has.
    """

    name: str
    totals: Totals
    available: float
    surplus: float
    ceiling: float
    learned: Totals | None
    asked: float


class Sheet(NamedTuple):
    """
    The content of the store.

    Args:
        now: Seconds of the store's clock.
        epoch: A number that is another one when the store has started over.
        limits: The limits of the note, in its order.
        pause: The newest episode.
        living: Members that there are, this one included.
        wanting: Those of them that have asked for something lately, this one included.
        priority: The highest of those that wait now, this one left out; None if none does.
        news: What `Store.news` returns as long as nothing important has changed.
        was_reaped: Whether what this member held before the note is no longer set aside for it:
            it was silent for too long, or the store has started over.
    """

    now: float
    epoch: float
    limits: tuple[LimitSheet, ...]
    pause: Pause | None
    living: int
    wanting: int
    priority: int | None
    news: float
    was_reaped: bool


class Store(Protocol):
    """
    A place that several processes see: a file, a server.

    One for each member; not safe for threads, but for `news`.

    Attributes:
        is_remote: Whether a reply takes a round trip, and comes from another thread.
        name: What messages call it, without passwords.
    """

    is_remote: bool
    name: str

    def exchange(self, note: Note, reply: Callable[[Sheet | StoreGone], None]) -> None:
        """
        Apply *note* as a whole, and call *reply* once with the content of the store afterwards.

        At once and in this thread where that takes no waiting; otherwise later, from another
        thread. No second note is given before the reply to the first. Never raises, never blocks
        for more than a few milliseconds.
        """

    def news(self) -> float:
        """Return a number that changes when a pause, a limit or a member is new. Costs nothing."""

    def redeemed(self) -> None:
        """Hear that what this member held was sent. Costs nothing."""

    def close(self) -> None:
        """Leave; what was told stays."""
