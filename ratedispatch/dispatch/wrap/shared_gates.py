"""
Which clients share a gate: those of one account with equal limits, in one process.

An account is a base URL and a key. Of the key only a digest is kept.
"""

from __future__ import annotations

import dataclasses
import os
import threading
import weakref
from typing import Any

from ratedispatch.dispatch.options import changed
from ratedispatch.dispatch.recollection import digest_of, is_lasting
from ratedispatch.dispatch.wrap.gate import Gate, GateOptions
from ratedispatch.dispatch.wrap.pool_size import pool_size
from ratedispatch.groups import LimitGroups
from ratedispatch.limits import Limits

#: Where a client sends to, and a digest of its key.
Account = tuple[str | None, bytes]

_lock = threading.Lock()
_gates: list[tuple[Account, GateOptions, weakref.ref[Gate]]] = []


def account_of(client: Any) -> Account:
    """Return the account that *client*, of the openai package, is used with."""
    for name in ("_azure_ad_token_provider", "_azure_ad_token", "_api_key_provider", "api_key"):
        key = getattr(client, name, None)
        if key:
            break
    # a function that gives keys is told apart by itself: its keys change, and it ends with the
    # process
    return str(client.base_url), digest_of(key) if isinstance(key, str) else b"%d" % id(key)


def checked_options(
    limits: object, options: GateOptions | None, changes: dict[str, Any]
) -> GateOptions:
    """
    Return *options* with *changes*.

    Raises:
        TypeError: *limits* are not limits, or there is no such option.
        ValueError: An option is out of its range.
    """
    if not isinstance(limits, Limits | LimitGroups):
        raise TypeError(f"expected Limits or LimitGroups, got {type(limits).__name__}")
    return changed(options or GateOptions(), changes)


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
        limits: The limits of the account; or the gate itself.
        account: The account that the limits belong to.
        http: The http client, whose pool bounds what is in flight.
        options: How to pace.
        changes: Fields of it by name.

    Raises:
        TypeError: A gate is given together with options, or *limits* are not limits.
        ValueError: An option is out of its range.
    """
    if isinstance(limits, Gate):
        if options is not None or changes:
            raise TypeError("a Gate has its own options; pass them to the Gate instead")
        return limits
    wanted = checked_options(limits, options, changes)
    with _lock:
        _gates[:] = [entry for entry in _gates if entry[2]() is not None]
        for known, how, ref in _gates:
            gate = ref()
            if gate is not None and known == account and how == wanted and gate.limits == limits:
                return gate
        chosen = wanted
        if wanted.connections is None:
            chosen = dataclasses.replace(wanted, connections=pool_size(http))
        url, digest = account
        if not is_lasting(digest):
            chosen = dataclasses.replace(chosen, memory=False)
        gate = Gate(limits, base_url=url, digest=digest, options=chosen)
        _gates.append((account, wanted, weakref.ref(gate)))
        return gate


def _renew() -> None:
    """After a fork: the lock may be held by a thread that stayed in the parent."""
    global _lock  # noqa: PLW0603 - it belongs to the process
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
