"""
Failures since the last answer, in the order in which their attempts were sent, and what they show.

Pure. Attempts are numbered in the order of sending. An answer to an attempt proves that the server
worked when that attempt was sent, and so that attempts sent before it failed for reasons of their
own. Hence only failures sent after the last answered attempt count as consecutive, however long
answers take and however quickly failures come.

What counts as the same failure: all faults of a server or of the way to it (5xx, broken
connections, timeouts, web pages instead of answers) are one outage, in any mixture. Rejections of
requests (400 and the like) are the same if the server says the same of each. Refusals for the rate
are neither: pacing handles them. A server that says it is overloaded (503, 529) may also mean the
rate: pacing handles it first, and if nothing at all is answered for a while, it is an outage.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ratedispatch.outcome import Decision

if TYPE_CHECKING:
    from ratedispatch.outcome import Interpretation


class Kind(enum.Enum):
    """What a failure may be about, beside the request that met it."""

    UNREACHABLE = "unreachable"
    """No connection could be opened."""
    SERVER = "server"
    """The server, or something on the way to it, is at fault."""
    REQUEST = "request"
    """The server does not take the request."""
    ACCOUNT = "account"
    """The server does not take the key, or has no credit for it."""
    UNPAID = "unpaid"
    """The server speaks of money, in words that are not known."""


#: What each decision may be about; the others are no failures.
KINDS = {
    Decision.UNREACHABLE: Kind.UNREACHABLE,
    Decision.TRANSIENT: Kind.SERVER,
    Decision.FAIL: Kind.REQUEST,
    Decision.MISSING: Kind.REQUEST,
    Decision.STOP: Kind.ACCOUNT,
    Decision.UNPAID: Kind.UNPAID,
}


def kind_of(result: Interpretation) -> Kind | None:
    """Return what *result* may be about, beside its request; None if it is no failure."""
    if result.decision is Decision.OVERLOADED and result.delay is None:
        return Kind.SERVER
    return KINDS.get(result.decision)


#: Decisions after which an account that was good is asked again.
ABOUT_ACCOUNT = frozenset({Decision.STOP, Decision.UNPAID})

#: Decisions after which a route sends nothing more.
RETIRING = frozenset({Decision.STOP, Decision.DAY_LIMIT})


@dataclass(frozen=True, slots=True)
class StreakTuning:
    """
    How many failures in a row say something about others.

    Args:
        server_rows: Requests that met a fault of the server. If each tenth answer is a fault,
            so many in a row are chance once in 10^8 answers.
        dark_rows: So many are a sign, but no proof.
        strained_rows: So many are enough where the server says that it is at its end ...
        strained_seconds: ... and has answered nothing for so long.
        alike_rows: Requests of which the server says the same.
        failed_rows: Requests that failed, whatever was said of each.
        least_share: Of the attempts that left since the first failure, the share that must have
            failed: where answers take long and failures are quick, the rest may still be answered.
        trouble_weight: What each end counts in the share of faults among the last ones.
        trouble_share: Where that is more than this, a fault says nothing about its request.
        calm_share: Where it is at most this, the server is well, and a fault is a single one.
    """

    server_rows: int = 8
    dark_rows: int = 2
    strained_rows: int = 3
    strained_seconds: float = 3.0
    alike_rows: int = 10
    failed_rows: int = 50
    least_share: float = 0.3
    trouble_weight: float = 1 / 16
    trouble_share: float = 0.5
    calm_share: float = 0.25


DEFAULT_TUNING = StreakTuning()

#: Names of single requests, which differ where everything else is the same: at least eight
#: characters with a digit among letters, or a number too long for an amount.
_NAME = re.compile(r"\b(?=[\w-]*\d)(?=[\w-]*[A-Za-z])[\w-]{8,}\b|\b\d{10,}\b")

#: Characters of a sentence that are compared.
_LONGEST = 300


class Streak:
    """
    The failures since the last answer.

    Attributes:
        answered: The number of the latest attempt that was answered; 0 if none was.
        trouble: The share of faults of the server among the last ends; 0 if it is almost nothing.
    """

    __slots__ = ("_failures", "_tuning", "answered", "trouble")

    def __init__(self, tuning: StreakTuning = DEFAULT_TUNING) -> None:
        self._tuning = tuning
        self._failures: dict[int, tuple[int, Kind, str]] = {}  # of each row the last one
        self.answered = 0
        self.trouble = 0.0

    def __len__(self) -> int:
        return len(self._failures)

    @property
    def is_troubled(self) -> bool:
        """Whether most attempts meet faults of the server, though some are answered."""
        return self.trouble > self._tuning.trouble_share

    @property
    def is_calm(self) -> bool:
        """Whether the server has answered and few attempts meet its faults."""
        return self.answered > 0 and self.trouble <= self._tuning.calm_share

    @property
    def is_dark(self) -> bool:
        """Whether several requests have met faults of the server, and none was answered since."""
        return self.rows(Kind.SERVER) >= self._tuning.dark_rows

    @property
    def start(self) -> int:
        """The number of the first failure; 0 if there is none."""
        return min([number for number, _, _ in self._failures.values()], default=0)

    def answer(self, number: int) -> None:
        """Note that attempt *number* was answered: whatever failed before it did so by itself."""
        self.answered = max(self.answered, number)
        self.trouble *= 1 - self._tuning.trouble_weight
        if self.trouble < self._tuning.trouble_weight / 2:
            self.trouble = 0.0
        if self._failures:
            self._failures = {
                row: failure for row, failure in self._failures.items() if failure[0] > number
            }

    def fail(self, number: int, row: int, result: Interpretation) -> None:
        """Note that attempt *number*, of *row*, failed with *result*."""
        if result.decision is Decision.TRANSIENT:
            self.trouble += (1 - self.trouble) * self._tuning.trouble_weight
        if number > self.answered:
            kind = kind_of(result)
            assert kind is not None
            said = "" if kind is Kind.SERVER else _alike(result)
            self._failures[row] = (number, kind, said)

    def rows(self, kind: Kind) -> int:
        """Return how many requests failed, the last time with *kind*."""
        return sum(one is kind for _, one, _ in self._failures.values())

    def is_outage(self, result: Interpretation, undecided: int, dark_seconds: float) -> bool:
        """
        Return whether the failures show that others fail as the last one did.

        Args:
            result: The result of the last one.
            undecided: Attempts that left since the first failure and have not ended.
            dark_seconds: Since the first failure after the last answer.
        """
        tuning, failures = self._tuning, self._failures.values()
        is_long = dark_seconds >= tuning.strained_seconds
        is_new = not self.answered
        if result.decision is Decision.OVERLOADED:
            if not is_long:
                return False
            count, enough = self.rows(Kind.SERVER), 1 if is_new else tuning.strained_rows
        elif KINDS[result.decision] is Kind.SERVER:
            count = self.rows(Kind.SERVER)
            enough = tuning.dark_rows if is_new and is_long else tuning.server_rows
        else:
            said = _alike(result)
            count, enough = sum(one == said for _, _, one in failures), tuning.alike_rows
        if count < enough and len(failures) < tuning.failed_rows:
            return False
        return len(failures) >= tuning.least_share * (len(failures) + undecided)


def _alike(result: Interpretation) -> str:
    """What the server says, without what differs between requests of which it says the same."""
    return f"{result.code} {_NAME.sub('', result.message[:_LONGEST])}"
