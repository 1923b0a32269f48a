"""
Chooses the gate that paces a request of an http client used with several accounts.

A framework is given an http client before anything says where that sends to. So the account of a
request is read from the request itself: its base URL, and the key in its headers.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from ratedispatch.dispatch.recollection import digest_of
from ratedispatch.dispatch.wrap.shared_gates import checked_options, gate_for
from ratedispatch.request import endpoint_like

if TYPE_CHECKING:
    from ratedispatch.dispatch.wrap.gate import Gate, GateOptions
    from ratedispatch.groups import LimitGroups
    from ratedispatch.limits import Limits

#: Accounts that one http client keeps apart; beyond them the first is forgotten. Keys that are
#: renewed each hour must not pile up.
_MOST_ACCOUNTS = 64


class AccountGates:
    """
    The gates of the accounts that an http client is used with, each made for its first request.

    Args:
        limits: What each account may spend.
        http: The http client, whose pool bounds what is in flight.
        options: How to pace.
        changes: Fields of it by name.

    Raises:
        TypeError: *limits* are not limits, or there is no such option.
        ValueError: An option is out of its range.
    """

    def __init__(
        self,
        limits: Limits | LimitGroups,
        http: Any,
        options: GateOptions | None,
        changes: dict[str, Any],
    ) -> None:
        self._options = checked_options(limits, options, changes)
        self._limits = limits
        self._http = http
        self._gates: dict[tuple[str, bytes, bytes, int], Gate] = {}

    @property
    def known(self) -> tuple[Gate, ...]:
        """Those that are there."""
        return tuple(self._gates.values())

    def of(self, request: Any) -> Gate | None:
        """Return the gate of *request*, one of httpx; None if nothing limits it."""
        url = request.url
        base = _base_of(url.raw_path)
        if base is None:
            return None
        key = _key_of(request.headers)
        # a hash of 64 bits with a secret of the process, which takes no time: of the key nothing
        # else is kept
        account = (url.scheme, url.netloc, base, hash(key))
        return self._gates.get(account) or self._begin(account, key)

    def _begin(self, account: tuple[str, bytes, bytes, int], key: str) -> Gate:
        scheme, netloc, base, _ = account
        url = f"{scheme}://{netloc.decode('ascii')}{base.decode('ascii')}"
        gate = gate_for(self._limits, (url, digest_of(key)), self._http, self._options, {})
        # without a lock, which a fork may find taken: each step is one, and all get the same gate
        known = list(self._gates)
        for first in known[: max(0, len(known) - _MOST_ACCOUNTS + 1)]:
            self._gates.pop(first, None)
        return self._gates.setdefault(account, gate)


@functools.lru_cache(maxsize=4096)
def _base_of(path: bytes) -> bytes | None:
    """Return the path of the base URL, as the SDK has it; None if *path* is of no endpoint."""
    endpoint = endpoint_like(path.decode("ascii", "replace"))
    if endpoint is None:
        return None
    bare = path.partition(b"?")[0].rstrip(b"/")
    return bare[: -len(endpoint.removeprefix("/v1"))] + b"/"


def _key_of(headers: Any) -> str:
    """Return the key that a request is sent with, as a client of the SDK has it."""
    bearer: str | None = headers.get("authorization")
    if bearer is None:
        return headers.get("api-key") or ""  # of Azure
    return bearer.removeprefix("Bearer ")
