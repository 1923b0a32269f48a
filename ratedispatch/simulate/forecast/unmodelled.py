"""
Decides which scenes the model of a queue does not cover, and why.

Refuses rather than guesses; the engine simulates these scenes.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ratedispatch.limits import Limits

if TYPE_CHECKING:
    from ratedispatch.simulate.forecast.scene import Scene
    from ratedispatch.simulate.settings import ProviderSettings

#: Limits that are modelled, by their dimension.
_MODELLED = ("requests", "tokens")

#: Share of faults up to which a server is taken for well. Above, the engine may hold the queue.
_MOST_FAULTS = 0.05

#: An attempt may take this long at least before it is given up, in seconds, and a latency is
#: longer than its median by so many standard deviations once in a million times.
_SHORTEST_TIMEOUT = 180.0
_DEVIATIONS = 4.75

#: Settings of a provider that the model does not have, with what each means.
_UNKNOWN_SETTINGS = {
    "refusals_count": "refused requests count against a limit",
    "api_key": "the provider asks for a key",
    "quota": "the account runs empty",
    "quota_time": "the account runs empty for a while",
    "revoked_time": "no key is accepted for a while",
    "outage": "the provider has an outage",
    "fault_times": "at some times every request meets a fault",
    "changes": "the limits change",
    "competitor": "another client uses the account",
    "queue": "the server refuses requests that do not fit into its queue",
    "models": "models have limits of their own",
    "requests_per_day": "requests are limited per day",
    "tokens_per_day": "tokens are limited per day",
}


def knows(scene: Scene) -> str:
    """Return nothing, or in one clause why the model does not know *scene*."""
    return _about_limits(scene) or _about_provider(scene.provider) or _about_time(scene)


def _about_limits(scene: Scene) -> str:
    limits, account = scene.limits, scene.provider
    if not isinstance(limits, Limits):
        return "models have limits of their own"
    told = {}
    for rate in limits.rates():
        if rate.dimension not in _MODELLED:
            return f"there is a limit on {rate.dimension}"
        if rate.is_auto:
            return f"the limit on {rate.dimension} is to be learned"
        told[rate.dimension] = rate.per_minute
    for name in _MODELLED:
        there = getattr(account, f"{name}_per_minute")
        if there is None:
            continue
        if name not in told:
            return f"the provider has a limit on {name} that the job does not have"
        if told[name] > there:
            return f"the job's limit on {name} is higher than the provider's"
    return ""


def _about_provider(account: ProviderSettings) -> str:
    for name, meaning in _UNKNOWN_SETTINGS.items():
        if getattr(account, name):
            return meaning
    if account.window != "bucket":
        return f"the window of the provider is {account.window}"
    if account.start != "full":
        return "the buckets of the provider are empty at the start"
    if account.header_factor != 1.0:
        return "the headers of the provider are wrong"
    if account.faults.get("hang"):
        return "some requests are never answered"
    if sum(account.faults.values()) > _MOST_FAULTS:
        return f"more than {_MOST_FAULTS:.0%} of the answers are faults"
    return ""


def _about_time(scene: Scene) -> str:
    account = scene.provider
    longest = account.latency * math.exp(_DEVIATIONS * account.latency_sigma)
    timeout = scene.timeout or _SHORTEST_TIMEOUT
    return f"answers may take longer than the {timeout:.0f} s allowed" if longest > timeout else ""
