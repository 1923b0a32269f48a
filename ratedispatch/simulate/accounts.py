"""
The accounts of a server: one for all clients, or one for each key.

Decides which account's limits a request is charged to. Each account has its own provider and
referee; if there are several, another referee watches them all, because a request sent to two of
them is sent twice.
"""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from ratedispatch.simulate.provider.provider import Provider
from ratedispatch.simulate.provider.standing import key_of
from ratedispatch.simulate.referee import Referee

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ratedispatch.simulate.settings import ProviderSettings


class Account(NamedTuple):
    """
    One account.

    Args:
        provider: Who charges it.
        referees: Who watches it: its own first, then the one of all.
    """

    provider: Provider
    referees: tuple[Referee, ...]


class Accounts:
    """
    All accounts of a server, from *now* on (loop time in seconds).

    Args:
        settings: The settings of the provider; with *keys*, of one that knows none of them.
        keys: The settings of each key's account; none for one account that all share.
        seed: The seed of their random numbers; each has its own.
        now: When they start.
    """

    def __init__(
        self,
        settings: ProviderSettings,
        keys: Mapping[str, ProviderSettings],
        *,
        seed: int,
        now: float,
    ) -> None:
        self._by_key: dict[str, Account] = {}
        provider = Provider(settings, rng=random.Random(seed), now=now)
        if not keys:
            self._all = Referee.of(provider, now)
        else:
            self._all = Referee.of_all(now)
            # it refuses whoever comes to it: those that come have another key
            provider = Provider(
                replace(settings, api_key=next(iter(keys))), rng=random.Random(seed), now=now
            )
        self._other = Account(provider, (self._all,))
        for key, own in keys.items():
            chance = random.Random(f"{seed}/{key}")
            provider = Provider(replace(own, api_key=key), rng=chance, now=now)
            self._by_key[key] = Account(provider, (Referee.of(provider, now), self._all))

    def of(self, headers: Mapping[str, str]) -> Account:
        """Return the account that a request with *headers* (by lower-case name) belongs to."""
        if not self._by_key:
            return self._other
        return self._by_key.get(key_of(headers), self._other)

    def named(self, key: str | None) -> Provider:
        """
        Return the provider of *key*; None is that of the only account.

        Raises:
            ValueError: There is no such key, or there are several and none is named.
        """
        if key is None and not self._by_key:
            return self._other.provider
        if key not in self._by_key:
            raise ValueError(f"there is no key {key!r}; there are {', '.join(self._by_key)}")
        return self._by_key[key].provider

    def report(self, now: float) -> dict[str, Any]:
        """Return the referee's report, with one ``by_key`` for each key if there are keys."""
        if not self._by_key:
            self._other.provider.catch_up(now)
            return self._all.report()
        found = {}
        for key, account in self._by_key.items():
            account.provider.catch_up(now)
            found[key] = account.referees[0].report()
        return {**self._all.report(), "by_key": found}
