"""
Shares the limits among callers of one priority: by weight, in tokens.

Start-time fair queueing: each caller has an account of virtual time, which runs on by the tokens
of each of its requests over its weight, and the caller whose account is furthest back is next. It
keeps the shares of deficit round robin without its rounds: no quantum has to be as large as the
largest request, and a caller that comes late is served at once. Knows no queue and no clock.

Source: Goyal, Vin and Cheng, Start-time Fair Queueing (SIGCOMM 1996), with the virtual time of
Bennett and Zhang, Hierarchical Packet Fair Queueing Algorithms (WF2Q+, SIGCOMM 1996).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Accounts of callers that wait for nothing are searched when there are so many of them,
#: and twice as many as were left the last time.
_MANY_IDLE = 1_000


class Account:
    """
    What one caller has had, in virtual time.

    Attributes:
        weight: Its share, relative to those of others.
        start: Where its next request starts.
        waiting: How many of its requests wait.
    """

    __slots__ = ("start", "waiting", "weight")

    def __init__(self, weight: float, start: float) -> None:
        self.weight = weight
        self.start = start
        self.waiting = 0


class Shares:
    """
    The accounts of all callers of one priority.

    Args:
        weights: The weights of callers, by name; all others have a weight of 1.

    Attributes:
        waiting: Of how many callers something waits.
    """

    __slots__ = ("_accounts", "_now", "_pruned", "_served", "_weight", "_weights", "waiting")

    def __init__(self, weights: Mapping[str, float]) -> None:
        self._weights = weights
        self._accounts: dict[str, Account] = {}
        # virtual time: as it would be if all that wait were served together ...
        self._now = 0.0
        # ... and the start of what went last, which is never ahead of any that waits
        self._served = 0.0
        self._weight = 0.0  # of all that wait
        self.waiting = 0
        self._pruned = 0

    def of(self, caller: str) -> Account:
        """
        Return the account of *caller*; a new one has neither debt nor credit.

        It begins where all would be if they were served together. That runs on with each of them:
        by the start of what goes it would stand still while new callers come without end, and
        those that came before would wait forever.
        """
        account = self._accounts.get(caller)
        if account is None:
            if len(self._accounts) - self.waiting >= max(_MANY_IDLE, 2 * self._pruned):
                self._prune()
            account = Account(self._weights.get(caller, 1.0), self._now)
            self._accounts[caller] = account
        return account

    def start_of(self, account: Account) -> float:
        """Return where the next request of *account* that comes now would start."""
        return account.start if account.waiting else max(account.start, self._served)

    def wait(self, account: Account) -> None:
        """One more request of *account* waits."""
        if not account.waiting:
            # What it did not use while nothing waited was lent, and is not asked back; but what
            # others have had before it is still owed to a caller that sends one after another.
            account.start = max(account.start, self._served)
            self._weight += account.weight
            self.waiting += 1
        account.waiting += 1

    def leave(self, account: Account) -> None:
        """One request less of *account* waits."""
        account.waiting -= 1
        if not account.waiting:
            self.waiting -= 1
            # without what rounding has left
            self._weight = self._weight - account.weight if self.waiting else 0.0

    def charge(self, account: Account, tokens: float) -> None:
        """Charge *account* for a request that goes; to be called before it is said to leave."""
        start, weight = account.start, self._weight
        if not account.waiting:
            start = max(start, self._served)
            weight += account.weight
        account.start = start + tokens / account.weight
        self._served = max(self._served, start)
        # its own is part of the sum, but may be lost there beside those that are far larger
        self._now = max(self._now, start) + tokens / max(weight, account.weight)

    def _prune(self) -> None:
        """Forget the accounts that say no more than new ones would."""
        self._accounts = {
            caller: account
            for caller, account in self._accounts.items()
            if account.waiting or account.start > self._served
        }
        self._pruned = len(self._accounts) - self.waiting
