"""
What one exchange with a limit on a Redis costs: here, at the server, and in time.

Microseconds of processor time of this process and of the server for each exchange, and the median
and the 99th percentile of the round trip in microseconds, for one member after another: each waits
for its reply, as a shared budget does. Two limits are told, and the state has as many members.
With several stores at once their notes go together in one write.
Needs redis-server or valkey-server on the path, which it starts on a socket of its own.
Run: python -m benchmarks.micro.redis_share [--exchanges N] [--members N ...]
"""

from __future__ import annotations

import queue
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from benchmarks.frame.command import SHARED_MACHINE, make_parser, positive, publish
from benchmarks.frame.environment import environment
from benchmarks.frame.tables import table
from ratedispatch.pacing.shared.store import TOTALS, LimitNote, Note, Sheet, StoreGone
from ratedispatch.sharing.redis_store import RedisStore
from tests.sharing.redis_server import PROGRAM, RedisServer


class Costs(NamedTuple):
    """Microseconds for each exchange."""

    here: float
    server: float
    median: float
    worst_of_100: float


def note() -> Note:
    """Return a note of two limits."""
    added = (1.0, 1.0, *[0.0] * (TOTALS - 2))
    limits = [
        LimitNote(name, added, 50.0, 50.0, 0.0, 50.0, None, None, 0.0, 3000.0)
        for name in ("requests", "tokens")
    ]
    return Note(0.0, tuple(limits))


def seconds_of(process: int) -> float:
    """Return the processor time that *process* has used."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def measure(server: RedisServer, members: int, exchanges: int) -> Costs:
    """Return what *exchanges* cost with so many members."""
    stores = [RedisStore(server.url, f"bench{members}") for _ in range(members)]
    replies: queue.SimpleQueue[Sheet | StoreGone] = queue.SimpleQueue()
    told = note()

    def exchange(store: RedisStore) -> None:
        store.exchange(told, replies.put)
        reply = replies.get(timeout=10)
        assert isinstance(reply, Sheet), reply

    for store in stores:
        exchange(store)
    assert server.process is not None
    trips = []
    server_before = seconds_of(server.process.pid)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    here_before = usage.ru_utime + usage.ru_stime
    for number in range(exchanges):
        began = time.perf_counter()
        exchange(stores[number % members])
        trips.append(time.perf_counter() - began)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    here = usage.ru_utime + usage.ru_stime - here_before
    at_server = seconds_of(server.process.pid) - server_before
    for store in stores:
        store.close()
    return Costs(
        here / exchanges * 1e6,
        at_server / exchanges * 1e6,
        statistics.median(trips) * 1e6,
        statistics.quantiles(trips, n=100)[98] * 1e6,
    )


def main() -> int:
    """Run everything and print the result; return 2 where there is no server."""
    parser = make_parser(__doc__, repeats=1, seed=None)
    parser.add_argument("--exchanges", type=positive, default=10_000, metavar="N", help="of each")
    parser.add_argument(
        "--members", type=positive, nargs="+", default=[1, 8, 64], metavar="N", help="at once"
    )
    arguments = parser.parse_args()
    if PROGRAM is None:
        print("there is no redis-server and no valkey-server on this machine")
        return 2
    surroundings = environment(None)
    found = {}
    rows = [["members", "here µs", "server µs", "round trip p50 µs", "p99 µs"]]
    with tempfile.TemporaryDirectory(prefix="rd-redis-") as folder:
        server = RedisServer(Path(folder))
        try:
            for members in arguments.members:
                taken = [
                    measure(server, members, arguments.exchanges) for _ in range(arguments.repeats)
                ]
                middle = Costs(*map(statistics.median, zip(*taken, strict=True)))
                found[str(members)] = middle._asdict()
                rows.append([str(members), *[f"{one:.0f}" for one in middle]])
        finally:
            server.kill()
    publish(arguments, surroundings, found, table(rows), caveats=[SHARED_MACHINE])
    return 0


if __name__ == "__main__":
    sys.exit(main())
