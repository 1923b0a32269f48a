"""
What an account lets one group of requests spend: windows that are charged all or none.

Decides which limit stands in the way of a request and for how long. Knows nothing of messages,
headers or faults.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from ratedispatch.simulate.provider.windows import (
    DAY,
    MINUTE,
    FixedWindow,
    SlidingLog,
    TokenBucket,
    Window,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ratedispatch.simulate.settings import ProviderSettings

    Windows = tuple[Window, ...]
    Tickets = tuple[tuple[Window, int], ...]


class Limit(NamedTuple):
    """
    A limit that can be set.

    Args:
        name: As it is counted when it refuses.
        dimension: What it counts: ``requests`` or ``tokens``.
        per: Its span of time in messages.
        short: What messages call it.
    """

    name: str
    dimension: str
    per: str
    short: str


RPM = Limit("requests", "requests", "min", "RPM")
TPM = Limit("tokens", "tokens", "min", "TPM")
RPD = Limit("requests_per_day", "requests", "day", "RPD")
TPD = Limit("tokens_per_day", "tokens", "day", "TPD")


class Block(NamedTuple):
    """
    What stands in the way of a request.

    Args:
        limit: The limit with the longest wait.
        amount: What the request would have been charged by it.
        wait: Seconds until it could go; infinite for more than the limit ever holds.
    """

    limit: Limit
    amount: int
    wait: float


class Allowance:
    """
    The windows of one group of requests.

    Args:
        settings: How the windows are kept.
        now: Loop time in seconds at which they start.
        name: The name of the model, ``*`` included, that has these limits; empty for the
            general ones.
        requests: The limit on requests per minute; None for none.
        tokens: The limit on tokens per minute; None for none.
        day: The windows of a day, which all groups of an account share.

    Attributes:
        shown: Dimension and window of what the headers describe. Requests are those of the day
            if there is such a limit, as OpenAI shows them.
    """

    def __init__(
        self,
        settings: ProviderSettings,
        now: float,
        *,
        name: str = "",
        requests: float | None,
        tokens: float | None,
        day: Mapping[Limit, Windows],
    ) -> None:
        self.name = name
        self.shown: tuple[tuple[str, Window], ...] = ()
        self._settings = settings
        self._windows: dict[Limit, Windows] = dict(day)
        self.set_limits(requests, tokens, now)

    @property
    def limits(self) -> dict[str, float | None]:
        """The limits per minute in force, by dimension."""
        return {
            limit.dimension: self._windows[limit][0].limit if limit in self._windows else None
            for limit in (RPM, TPM)
        }

    def set_limits(self, requests: float | None, tokens: float | None, now: float) -> None:
        """Change both limits per minute; what a window holds is kept, up to its new depth."""
        windows = self._windows
        for limit, amount in ((RPM, requests), (TPM, tokens)):
            if amount is None:
                windows.pop(limit, None)
            elif limit in windows:
                parts = self._parts(limit, amount)
                for window, part in zip(windows[limit], parts, strict=True):
                    window.resize(part, now)
            else:
                windows[limit] = self._make(limit, amount, now)
        shown = (RPD if RPD in windows else RPM, TPM)
        self.shown = tuple(
            (limit.dimension, windows[limit][0]) for limit in shown if limit in windows
        )

    def block(self, tokens: int, now: float) -> Block | None:
        """Return what keeps a request of *tokens* from going now, or None."""
        found: Block | None = None
        worst = 0.0
        for limit, windows in self._windows.items():
            amount = tokens if limit.dimension == "tokens" else 1
            if amount > windows[0].limit:
                return Block(limit, amount, math.inf)
            for window in windows:
                wait = window.wait(amount, now)
                if wait > worst:
                    worst, found = wait, Block(limit, amount, wait)
        return found

    def take(self, tokens: int, now: float) -> Tickets:
        """Charge a request of *tokens*; return what `give` wants to know of its tokens."""
        tickets: Tickets = ()
        for limit, windows in self._windows.items():
            for window in windows:
                if limit.dimension == "tokens":
                    tickets += ((window, window.take(tokens, now)),)
                else:
                    window.take(1, now)
        return tickets

    def take_refused(self, now: float) -> None:
        """Count a refused request against the limit on requests per minute, if it has room."""
        for window in self._windows.get(RPM, ()):
            window.take(max(0.0, min(1.0, window.remaining(now))), now)

    def level(self, limit: Limit, now: float) -> tuple[float, int]:
        """Return *limit* in its units, and what is used of it, rounded up; zeros without it."""
        if limit not in self._windows:
            return 0.0, 0
        window = self._windows[limit][0]
        return window.limit, math.ceil(window.limit - window.remaining(now) - 1e-6)

    def quoted_wait(self, block: Block, now: float) -> float:
        """Return the seconds that a message about *block* states."""
        return max(window.quoted_wait(block.amount, now) for window in self._windows[block.limit])

    def _parts(self, limit: Limit, amount: float) -> tuple[float, ...]:
        if self._settings.window == "fixed" and limit is RPM:
            # Azure: 600 per minute are refused above 10 in a second
            return amount, math.ceil(amount / MINUTE)
        return (amount,)

    def _make(self, limit: Limit, amount: float, now: float) -> Windows:
        settings = self._settings
        full = settings.start == "full"
        if settings.window == "bucket":
            return (TokenBucket(amount, now, depth=settings.burst_seconds, full=full),)
        if settings.window == "sliding":
            return (SlidingLog(amount, now, full=full),)
        return tuple(
            FixedWindow(part, now, width=width, full=full)
            for part, width in zip(self._parts(limit, amount), (MINUTE, 1.0), strict=False)
        )


def give(tickets: Tickets, amount: float, now: float) -> None:
    """Return *amount* of what was taken with *tickets* (negative: take more)."""
    for window, ticket in tickets:
        window.give(ticket, amount, now)


def day_windows(settings: ProviderSettings, now: float) -> dict[Limit, Windows]:
    """Return the windows of the limits per day: buckets, however the others are kept."""
    found: dict[Limit, Windows] = {}
    amounts = ((RPD, settings.requests_per_day), (TPD, settings.tokens_per_day))
    for limit, amount in amounts:
        if amount is not None:
            bucket = TokenBucket(amount, now, depth=DAY, width=DAY)
            bucket.take(amount * settings.day_used, now)
            found[limit] = (bucket,)
    return found


class Allowances:
    """
    The allowances of an account: the general one and those of single models.

    Args:
        settings: The limits and how they are kept.
        now: Loop time in seconds at which they start.
    """

    def __init__(self, settings: ProviderSettings, now: float) -> None:
        day = day_windows(settings, now)
        self.general = Allowance(
            settings,
            now,
            requests=settings.requests_per_minute,
            tokens=settings.tokens_per_minute,
            day=day,
        )
        self._exact: dict[str, Allowance] = {}
        self._prefixes: list[tuple[str, Allowance]] = []
        # the longest first: it says more about the model
        for name in sorted(settings.models, key=len, reverse=True):
            requests, tokens = settings.models[name]
            own = Allowance(settings, now, name=name, requests=requests, tokens=tokens, day=day)
            if name.endswith("*"):
                self._prefixes.append((name[:-1], own))
            else:
                self._exact[name] = own

    def of(self, model: str) -> Allowance:
        """Return what *model* draws from: its name's, its longest beginning's, the general one."""
        own = self._exact.get(model)
        if own is not None:
            return own
        for prefix, allowance in self._prefixes:
            if model.startswith(prefix):
                return allowance
        return self.general


def is_named(model: str, name: str) -> bool:
    """Whether *name*, perhaps with a trailing ``*``, means *model*."""
    return model.startswith(name[:-1]) if name.endswith("*") else model == name
