"""
A process that takes from a file of shared limits until it is ended, for `test_file_processes`.

For each request it reserves 1, waits for its turn, says that it is sent, and writes the instant to
the referee's file. At the end of its standard input it writes how long its exchanges took.
"""

from __future__ import annotations

import json
import os
import select
import sys
import time
from pathlib import Path

from ratedispatch.pacing.shared.store import Note, Sheet, StoreGone
from ratedispatch.sharing.file_store import FileStore
from tests.sharing.notes import limit


def main() -> None:
    """Take until standard input ends."""
    path, referee, flow, burst = sys.argv[1:]
    store = FileStore(Path(path))
    sent = os.open(referee, os.O_WRONLY | os.O_APPEND)
    answers: list[Sheet | StoreGone] = []
    seconds, reasons = [], []
    told = limit(1.0, held=1.0, flow=float(flow), burst=float(burst), first=float(burst))
    while not select.select([sys.stdin], [], [], 0)[0]:
        started = time.monotonic()  # noqa: TID251
        store.exchange(Note(0.0, (told,)), answers.append)
        seconds.append(time.monotonic() - started)  # noqa: TID251
        answer = answers.pop()
        if isinstance(answer, StoreGone):
            reasons.append(answer.reason)
            time.sleep(0.001)
            continue
        lacking = -answer.limits[0].available
        if lacking > 0:
            time.sleep(lacking / float(flow))
        store.redeemed()
        os.write(sent, f"{time.monotonic()!r}\n".encode())  # noqa: TID251
    store.close()
    sys.stdout.write(json.dumps({"seconds": seconds, "reasons": reasons}))


if __name__ == "__main__":
    main()
