"""
The values of ``--key`` of ``fake-server``: a key, the limits of its account, and what happens to
it.

Decides how they are written and which settings of a fake provider they set.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ratedispatch.cli.param_types import parse_amount

if TYPE_CHECKING:
    from ratedispatch.simulate.settings import ProviderSettings

#: What can happen to a key for a time, and the setting for it.
_TIMES = {"quota-at": "quota_time", "revoked-at": "revoked_time", "outage": "outage"}


def parse_limit(text: str) -> float | None:
    """Return a limit per minute; None for ``none``."""
    return None if text == "none" else parse_amount(text)


def parse_time(text: str, flag: str) -> tuple[float, float]:
    """
    Return start and length of a time; it has no end if *text* has no length.

    Raises:
        ValueError: It is written otherwise; the message names *flag*.
    """
    start, colon, length = text.partition(":")
    try:
        return float(start), float(length) if colon else math.inf
    except ValueError:
        raise ValueError(f"{flag} {text!r} is not START[:SECONDS], such as 30 or 30:20") from None


def parse_keys(texts: tuple[str, ...], settings: ProviderSettings) -> dict[str, ProviderSettings]:
    """
    Return the settings of each key's account.

    Args:
        texts: ``NAME=RPM:TPM``, and after commas ``quota=N``, ``quota-at=START[:SECONDS]``,
            ``revoked-at=START[:SECONDS]``, ``outage=START:SECONDS``, or the name of a fault and
            ``=START:SECONDS``.
        settings: The settings of all keys that do not have their own.

    Raises:
        ValueError: One is written otherwise, or stands twice.
    """
    found: dict[str, ProviderSettings] = {}
    for text in texts:
        first, *others = text.split(",")
        name, _, limits = first.rpartition("=")
        try:
            requests, tokens = (parse_limit(part) for part in limits.split(":"))
        except ValueError:
            name = ""
        if not name:
            raise ValueError(
                f"--key {text!r} is not NAME=RPM:TPM[,WHAT=…], such as sk-a=600:none,quota-at=30"
            )
        if name in found:
            raise ValueError(f"--key gives {name!r} twice; give each key once")
        found[name] = replace(
            settings,
            requests_per_minute=requests,
            tokens_per_minute=tokens,
            **_befalling(others, settings),
        )
    return found


def _befalling(parts: list[str], settings: ProviderSettings) -> dict[str, Any]:
    values: dict[str, Any] = {}
    faults = settings.fault_times
    for part in parts:
        what, _, value = part.partition("=")
        if what == "quota":
            if not value.isdecimal():
                raise ValueError(f"--key: quota={value} is not a number of requests")
            values["quota"] = int(value)
        elif what in _TIMES:
            values[_TIMES[what]] = parse_time(value, f"--key: {what}")
        else:
            faults = (*faults, (*parse_time(value, f"--key: {what}"), what))
    return {**values, "fault_times": faults}
