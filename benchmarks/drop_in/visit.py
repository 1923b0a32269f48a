"""
Goes through the door of one framework: one call, one stream, fifty calls at once.

Run as a child of `benchmarks.drop_in.frameworks`, in the environment of the framework:
``python -m benchmarks.drop_in.visit DOOR URL plain|paced``. Prints what came of it as JSON.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
import sys
import time
import warnings
from typing import Any

#: Calls at once.
_CALLS = 50

#: Seconds until a door is left: one that waits a minute after a refusal may take long.
_MOST_SECONDS = 90.0


async def visit(door: Any) -> dict[str, Any]:
    """Return what came of all calls through *door*."""
    found: dict[str, Any] = {"errors": []}
    for kind in ("ask", "stream"):
        try:
            found[kind] = bool(await getattr(door, kind)("Say something short."))
        except Exception as error:
            found[kind] = False
            found["errors"].append(_named(error))
    begun = time.perf_counter()
    calls = [asyncio.create_task(door.ask(f"Say something about {one}.")) for one in range(_CALLS)]
    await asyncio.wait(calls, timeout=_MOST_SECONDS)
    found["seconds"] = time.perf_counter() - begun
    found["failed"] = 0
    for call in calls:
        if not call.done():
            found["failed"] += 1
            call.cancel()
        elif (raised := call.exception()) is not None or not call.result():
            found["failed"] += 1
            found["errors"].append("an empty answer" if raised is None else _named(raised))
    found["errors"] = sorted(set(found["errors"]))[:3]
    return found


def _named(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:300]


def main() -> None:
    """Visit the door that the command line names."""
    name, url, variant = sys.argv[1:]
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    module = importlib.import_module(f"benchmarks.drop_in.doors.{name}")
    found = asyncio.run(visit(module.Door(url, variant == "paced")))
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
