"""
Decides whether an account is served at all: its key, its quota, and its outages.

Decides yes or no, and until when. Knows nothing of limits, messages of limits, or connections.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ratedispatch.simulate.provider.allowance import is_named
from ratedispatch.simulate.provider.calls import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ratedispatch.simulate.settings import ProviderSettings


class Standing:
    """
    What an account may be refused for, whatever its limits have left.

    Args:
        settings: The settings of the provider.
        start: Loop time in seconds from which the times in the settings are counted.
    """

    __slots__ = ("_has_key", "_has_quota", "_settings", "_start")

    def __init__(self, settings: ProviderSettings, start: float) -> None:
        self._settings = settings
        self._start = start
        self._has_key = settings.api_key is not None or settings.revoked_time is not None
        self._has_quota = settings.quota is not None or settings.quota_time is not None

    def check_key(self, headers: Mapping[str, str], now: float) -> None:
        """
        Check the key in *headers*.

        Raises:
            Problem: There is none, it is not the one wanted, or it is revoked.
        """
        if not self._has_key:
            return
        wanted, revoked = self._settings.api_key, self._settings.revoked_time
        key = key_of(headers)
        if (wanted is None or key == wanted) and not self._is_within(revoked, now):
            return
        raise wrong_key(key)

    def is_spent(self, admitted: int, now: float) -> bool:
        """Return whether the quota is used up after so many *admitted* requests."""
        if not self._has_quota:
            return False
        settings = self._settings
        if settings.quota is not None and admitted >= settings.quota:
            return True
        return self._is_within(settings.quota_time, now)

    def outage_left(self, model: str | None, now: float) -> float:
        """Return the seconds for which *model* is still refused; None is that of no outage."""
        settings = self._settings
        if settings.outage is None:
            return 0.0
        named = settings.outage_model
        if named is not None and (model is None or not is_named(model, named)):
            return 0.0
        if not self._is_within(settings.outage, now):
            return 0.0
        start, length = settings.outage
        return self._start + start + length - now

    def _is_within(self, time: tuple[float, float] | None, now: float) -> bool:
        return time is not None and time[0] <= now - self._start < time[0] + time[1]


def key_of(headers: Mapping[str, str]) -> str:
    """Return the key that a request carries, as OpenAI's or as Azure's clients do; "" if none."""
    scheme, _, key = headers.get("authorization", "").partition(" ")
    return key if key and scheme.lower() == "bearer" else headers.get("api-key", "")


def wrong_key(key: str) -> Problem:
    """Return what a request with *key* gets where that is not accepted."""
    return Problem(
        401,
        "Incorrect API key provided." if key else "You didn't provide an API key.",
        code="invalid_api_key" if key else None,
    )
