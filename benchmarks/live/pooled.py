"""
A file sent by a pool of three keys to a real server, while one is spent and one answers 502.

The same members, faults and figures as `benchmarks.sim.pools`, over HTTP: the fake server is a
process of its own, each member is a key of it with limits of its own, and `rd.run_file` writes the
answers to a file, whose rows are counted. Seconds are those since the first request left, soon
after the server began.
Targets: at least 97 % of what the living members allow, nothing lost, nothing answered twice.
Run: python -m benchmarks.live.pooled [--runs N] [--rows N] [--json [FILE]]
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.frame.command import LOOPBACK, make_parser, positive, progress, publish
from benchmarks.frame.environment import environment
from benchmarks.frame.pool_rounds import (
    LATENCY,
    OUTAGE,
    QUOTA,
    ROUNDS,
    ROWS,
    RPM,
    STRUCK,
    judge,
    requests,
    show,
)
from ratedispatch import (
    AttemptSent,
    Completed,
    Limits,
    Member,
    Pool,
    RequestEnded,
    estimate,
    run_file,
)
from ratedispatch.dispatch.transports.bulk import plain_bulk
from ratedispatch.simulate.server.child import FakeServerProcess

_FAULTS = {
    "quota": f",quota-at={QUOTA[0]:g}",
    "outage": f",html={OUTAGE[0]:g}:{OUTAGE[1] - OUTAGE[0]:g}",
}

#: Bytes of an answer at most.
_MOST_BYTES = 2**20


def flags(round_name: str) -> list[str]:
    """Return the flags of the server of a round."""
    found = ["--burst-seconds", "1", "--latency", str(LATENCY), "--latency-sigma", "0.1"]
    for name, rpm in RPM.items():
        faults = [_FAULTS[fault] for fault in ROUNDS[round_name] if STRUCK[fault][0] == name]
        found += ["--key", f"key-of-member-{name}={rpm}:none{''.join(faults)}"]
    return found


async def send(folder: Path, base_url: str, server: FakeServerProcess) -> list[float]:
    """Send the file in *folder*; return when each answer came."""
    answers: list[float] = []
    begin = 0.0

    def listen(event: object) -> None:
        nonlocal begin
        if isinstance(event, AttemptSent):
            begin = begin or event.at
        elif isinstance(event, RequestEnded) and isinstance(event.outcome, Completed):
            answers.append(event.at - begin)

    async with contextlib.AsyncExitStack() as stack:
        members = []
        for name, rpm in RPM.items():
            key = f"key-of-member-{name}"
            client: Any = plain_bulk(base_url, key, 1_000, os.environ, _MOST_BYTES)
            await stack.enter_async_context(client)
            members.append(Member(client, Limits(rpm), name))
        estimate(requests(1)[0].body)  # the vocabulary is read before the clock starts
        server.reset()
        await run_file(
            folder / "in.jsonl", folder / "out.jsonl", client=Pool(members), listeners=[listen]
        )
    return answers


def play(round_name: str, rows: int) -> dict[str, Any]:
    """Return the figures of a round."""
    with tempfile.TemporaryDirectory() as name, FakeServerProcess(*flags(round_name)) as server:
        folder = Path(name)
        lines = [
            json.dumps({"custom_id": one.custom_id, "url": one.endpoint, "body": dict(one.body)})
            for one in requests(rows)
        ]
        (folder / "in.jsonl").write_text("\n".join(lines) + "\n")
        answers = asyncio.run(send(folder, server.base_url, server))
        written = (folder / "out.jsonl").read_text().splitlines()
        names = {json.loads(line)["custom_id"] for line in written}
        stats = server.stats()
    found = judge(answers, round_name, rows, stats["answered_twice"], stats["arrived"] - rows)
    found["lost"] = rows - len(names)
    found["is_on_target"] &= len(names) == len(written) == rows
    return found


def main() -> int:
    """Print the figures; return 1 if a target is missed."""
    parser = make_parser(__doc__, repeats=1, flag="--runs", seed=None)
    parser.add_argument("--rows", type=positive, default=ROWS, help="default: %(default)s")
    arguments = parser.parse_args()
    found: dict[str, Any] = {"rounds": {name: {} for name in ROUNDS}}
    for run in range(arguments.repeats):
        for name in ROUNDS:
            found["rounds"][name][str(run)] = one = play(name, arguments.rows)
            progress(f"{run + 1}/{arguments.repeats} {name}: {one['used']:.4f} used")
    single = [one for by_run in found["rounds"].values() for one in by_run.values()]
    found["is_on_target"] = all(one["is_on_target"] for one in single)
    publish(arguments, environment(None), found, show(found), caveats=LOOPBACK)
    return 0 if found["is_on_target"] else 1


if __name__ == "__main__":
    sys.exit(main())
