"""
Which clients share a gate: those of one account with equal limits, in one process.

An account is a base URL and a key. Of the key only a digest is kept.
"""

from __future__ import annotations

import dataclasses
import hashlib
import threading
import weakref
from typing import TYPE_CHECKING, Any

from ratedispatch.dispatch.wrap.gate import Gate, GateOptions
from ratedispatch.dispatch.wrap.pool_size import pool_size

if TYPE_CHECKING:
    from ratedispatch.groups import LimitGroups
    from ratedispatch.limits import Limits

#: Where a client sends to, and a digest of its key.
Account = tuple[str | None, str]

_lock = threading.Lock()
_gates: list[tuple[Account, GateOptions, weakref.ref[Gate]]] = []


def account_of(client: Any) -> Account:
    """Return the account that *client*, of the openai package, is used with."""
    keys = []
    for name in ("api_key", "_api_key_provider", "_azure_ad_token", "_azure_ad_token_provider"):
        value = getattr(client, name, None)
        # a function that gives keys is told apart by itself: its keys change
        keys.append(value if isinstance(value, str) else str(id(value) if value else 0))
    digest = hashlib.blake2b("\0".join(keys).encode("utf-8", "replace"), digest_size=16)
    return str(client.base_url), digest.hexdigest()


def gate_for(
    limits: Limits | LimitGroups | Gate,
    account: Account,
    http: Any,
    options: GateOptions | None,
    changes: dict[str, Any],
) -> Gate:
    """
    Return the gate of *account* under *limits*: one that is in use, if it paces alike.

    Args:
        limits: Of the account; or the gate itself.
        account: Whose limits they are.
        http: The http client, whose pool bounds what is in flight.
        options: How to pace.
        changes: Fields of it by name.

    Raises:
        TypeError: A gate is given and options beside it, or *limits* are none.
        ValueError: An option is out of its range.
    """
    if isinstance(limits, Gate):
        if options is not None or changes:
            raise TypeError("a Gate has its options already; give them to it")
        return limits
    wanted = dataclasses.replace(options or GateOptions(), **changes)
    with _lock:
        _gates[:] = [entry for entry in _gates if entry[2]() is not None]
        for known, how, ref in _gates:
            gate = ref()
            if gate is not None and known == account and how == wanted and gate.limits == limits:
                return gate
        chosen = wanted
        if wanted.connections is None:
            chosen = dataclasses.replace(wanted, connections=pool_size(http))
        gate = Gate(limits, base_url=account[0], options=chosen)
        _gates.append((account, wanted, weakref.ref(gate)))
        return gate
