"""
The shared limits of the routes of one dispatcher, or of one gate.

Opens the store that the options name, makes budgets that spend from it, and tells what happens to
them. Which processes share is decided by the address and the key; see `ratedispatch.sharing`.
"""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING, Any

from ratedispatch.dispatch.recollection import digest_of, is_lasting
from ratedispatch.errors import SharingError
from ratedispatch.pacing.shared.shared_budget import SharedBudget
from ratedispatch.pacing.shared.shared_search import SharedSearch
from ratedispatch.pacing.shared.store import LONGEST_NAME, MOST_LIMITS

# before whoever imports this module does anything in a child of a fork
from ratedispatch.sharing import forks  # noqa: F401

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ratedispatch.dispatch.route import Route
    from ratedispatch.limits import Limits
    from ratedispatch.pacing.concurrency.adaptive import AdaptiveLimit
    from ratedispatch.pacing.feedback import Change
    from ratedispatch.pacing.limit.limit_memory import LimitMemory
    from ratedispatch.pacing.shared.membership import Membership
    from ratedispatch.pacing.shared.store import Store
    from ratedispatch.providers.charge import ChargePolicy

    #: Opens the store of the limits of a group of models; the group's name is empty for all models.
    StoreFactory = Callable[[str], Store]

    #: What opens the store: a place as ``--share`` names it, or a function.
    Share = str | StoreFactory


#: Before the name of the group in that of the store of a number in flight: no group is called so.
_SEARCH = "in flight\0"


class SharedLimits:
    """
    Where the routes of one client share their limits.

    Args:
        share: For all routes; None where the limits themselves say it.
        account: The server, and what stands for the key, where no transport tells them.
    """

    def __init__(self, share: Share | None, account: tuple[str | None, bytes] | None) -> None:
        self._share = share
        self._account = account
        self._members: list[SharedBudget | SharedSearch] = []

    def budget(
        self,
        limits: Limits,
        charge: ChargePolicy,
        group: str,
        transport: Any,
        memories: Sequence[LimitMemory],
    ) -> SharedBudget | None:
        """
        Return the budget of a route; None if it shares nothing.

        Raises:
            SharingError: The store cannot be opened.
        """
        share = self._share if self._share is not None else limits.share
        if share is None or not limits.rates():
            return None
        _check(limits)
        store = share(group) if callable(share) else self._open(share, group, transport)
        budget = SharedBudget(
            limits,
            store,
            refunds=charge.refunds,
            output_up_front=charge.output_up_front,
            group=group,
            memories=memories,
        )
        self._members.append(budget)
        return budget

    def search(
        self, search: AdaptiveLimit, limits: Limits, group: str, transport: Any
    ) -> SharedSearch | None:
        """
        Return *search*, for the number in flight of a route, with others; None if it is not shared.

        It has a store of its own: who shares a limit need not be short of room.

        Raises:
            SharingError: The store cannot be opened.
        """
        share = self._share if self._share is not None else limits.share
        name = _SEARCH + group
        if isinstance(share, str):
            store = self._open(share, name, transport)
        elif share is not None and getattr(share, "opens_any", False):
            store = share(name)
        else:
            return None
        shared = SharedSearch(search, store, 1.0 + int.from_bytes(os.urandom(6), "big"))
        self._members.append(shared)
        return shared

    def close(self, now: float) -> None:
        """Give back what is held, and leave the stores."""
        while self._members:
            self._members.pop().close(now)

    def _open(self, share: str, group: str, transport: Any) -> Store:
        from ratedispatch.sharing.where import open_store, parse_where

        place = parse_where(share)
        digest: bytes | None
        if self._account is not None:
            url, digest = self._account
        else:
            url, key = getattr(transport, "base_url", None), getattr(transport, "api_key", "")
            digest = digest_of(key) if isinstance(key, str) else None
        if digest is None or not is_lasting(digest):
            raise SharingError(
                f"limits cannot be shared in {place.name}: the client gets its key from a "
                f"function, so the account is not known; return the store from your own function, "
                f"share=lambda group: store"
            )
        return open_store(place, base_url=url, key=digest.hex(), group=group)


def _check(limits: Limits) -> None:
    """
    See whether a store has room for *limits*.

    Raises:
        SharingError: It has not; the message says for what, and how much room there is.
    """
    names = [rate.dimension for rate in limits.rates()]
    if len(names) > MOST_LIMITS:
        raise SharingError(
            f"{len(names)} limits cannot be shared: a store holds {MOST_LIMITS}; omit those that "
            f"never bind"
        )
    for name in names:
        length = len(name.encode("utf-8", "replace"))
        if length > LONGEST_NAME:
            raise SharingError(
                f"the limit on {name[:LONGEST_NAME]!r} cannot be shared: its name has {length} "
                f"bytes, and a store holds {LONGEST_NAME}; give it a shorter one"
            )
        if not _is_text(name):
            raise SharingError(
                f"the limit on {name!r} cannot be shared: its name has characters that cannot be "
                f"stored; give it another name"
            )


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:  # half of a character
        return False
    return True


def attach(route: Route, note: Callable[[Route, Change], None] | None = None) -> None:
    """
    Let what *route* shares pause its queue, wake it, and tell what it hears.

    Args:
        route: A new one.
        note: Called soon after something has changed, with it; None to leave that to the reports.
    """
    budget, admission = route.lane.budget, route.admission
    heard: Membership | SharedSearch
    if isinstance(search := route.lane.brake.concurrency, SharedSearch):
        search.on_reply = admission.look_again
        heard = search
    if isinstance(budget, SharedBudget):
        heard = budget.membership
        heard.on_reply = admission.look_again
        budget.on_pause = route.lane.brake.cooldown.join
        route.lane.on_turn = budget.stand_for
    elif not isinstance(search, SharedSearch):
        return
    if note is None:
        return

    def tell() -> None:
        changes = list(heard.changes)
        heard.changes.clear()
        for change in changes:
            note(route, change)

    heard.on_change = functools.partial(admission.alarm.soon, tell)
