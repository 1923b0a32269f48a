"""
What the figures of a run depend on besides the benchmark itself.

Decides which facts on machine, versions, seed and date stand beside a result. Knows no benchmark.
"""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

#: Named in every result.
_PACKAGES = ("ratedispatch", "openai", "aiohttp", "aiolimiter", "backoff", "tiktoken")

#: Named where they are installed: each of them changes what something costs.
_OPTIONAL = ("httpx", "httpx2", "msgspec", "orjson", "uvloop")


def environment(seed: int | None, *, now: datetime | None = None) -> dict[str, Any]:
    """
    Return seed, date, versions and machine, as JSON types; call it when a run begins.

    Args:
        seed: What chance was drawn from; None where there is none.
        now: The instant; by default that of the call.
    """
    instant = datetime.now(UTC) if now is None else now
    return {
        "seed": seed,
        "date": instant.astimezone(UTC).isoformat(timespec="seconds"),
        "versions": {
            "python": platform.python_version(),
            **{name: _version(name) or "source tree" for name in _PACKAGES},
            **{name: number for name in _OPTIONAL if (number := _version(name)) is not None},
        },
        "machine": {
            "system": platform.platform(),
            "processor": _processor(),
            "cores": os.cpu_count(),
            "load_average": load_average(),
        },
    }


def load_average() -> float | None:
    """Return how many processes wanted to run in the last minute; None where nobody counts."""
    try:
        return round(os.getloadavg()[0], 2)
    except (AttributeError, OSError):  # Windows has no such figure
        return None


def describe(surroundings: dict[str, Any]) -> str:
    """Return `environment` as two lines for a person."""
    machine, versions = surroundings["machine"], surroundings["versions"]
    load = machine["load_average"]
    first = [machine["processor"], f"{machine['cores']} cores", machine["system"]]
    if load is not None:
        first.append(f"load {load:g}")
    second = [f"{name} {number}" for name, number in versions.items()]
    seed = "" if surroundings["seed"] is None else f"; seed {surroundings['seed']}"
    return f"{', '.join(first)}\n{', '.join(second)}{seed}; {surroundings['date']}"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123 - no real path
            names = [line.partition(":")[2].strip() for line in file if "model name" in line]
    except OSError:
        names = []
    return names[0] if names else platform.processor()
