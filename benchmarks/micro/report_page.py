"""
What the page of a run costs: a request's share of the listener, and a page of a million rows.

Processor time. `recorded` is what the listener takes of a request, both of its events together, in
microseconds; target 5. Then the result files and the event log of `--rows` rows over `--days` days
are read as `ratedispatch report` does, in seconds, and the page is made: its size in kB (target
2,000) and the seconds that takes. Most of the rows' texts are left out, so that the files fit
anywhere; the log has the length of a real one.
Run: python -m benchmarks.micro.report_page [--repeats N] [--rows N] [--days D] [--json [FILE]]
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.frame.command import SHARED_MACHINE, make_parser, positive, publish
from benchmarks.frame.environment import environment
from benchmarks.frame.rounds import costs, cpu_seconds
from benchmarks.frame.spread import Spread
from benchmarks.frame.tables import outline
from ratedispatch.events import AttemptEnded, AttemptSent
from ratedispatch.jobs.retold.job_page import material_of
from ratedispatch.jobs.retold.log_reader import read_log
from ratedispatch.jobs.state.paths import JobFiles
from ratedispatch.observe.history import Recorder
from ratedispatch.observe.page.render import render
from ratedispatch.outcome import Decision
from ratedispatch.request import Cost, Request

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ratedispatch.events import Event

#: Microseconds of a request, and bytes of a page.
TARGET_US = 5.0
TARGET_BYTES = 2_000_000

_NOON = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)

#: Requests of which the listener is told.
_TOLD = 50_000


def events(count: int, seed: int) -> list[Event]:
    """Return the events of *count* requests, a hundred a second."""
    rng = random.Random(seed)
    found: list[Event] = []
    request, cost = Request({"model": "gpt-4o-mini", "messages": []}), Cost(200, 100)
    for number in range(count):
        at, latency = number / 100, rng.lognormvariate(0.2, 0.4)
        found.append(AttemptSent(request, 1, cost, rng.random(), at))
        decision = Decision.ANSWERED if rng.random() < 0.99 else Decision.RATE_LIMIT
        found.append(AttemptEnded(request, 1, cost, 200, decision, "", latency, at + latency))
    return found


def record(told: Sequence[Event]) -> None:
    """Tell a new listener all of *told*."""
    listener = Recorder(lambda: _NOON)
    for event in told:
        listener(event)


def write_job(folder: Path, rows: int, days: float, seed: int) -> JobFiles:
    """Write the results and the event log of a job, and return its files."""
    files = JobFiles("-", folder / "out.jsonl", folder / "out.errors.jsonl")
    rng, start = random.Random(seed), _NOON.timestamp()
    with files.output.open("w") as out, (folder / "log.jsonl").open("w") as log:
        for row in range(1, rows + 1):
            at = datetime.fromtimestamp(start + row * days * 86_400 / rows, UTC)
            prompt, output = rng.randrange(50, 900), rng.randrange(1, 300)
            usage = f'{{"prompt_tokens":{prompt},"completion_tokens":{output}}}'
            out.write(
                f'{{"id":"batch_req_{row:012}","custom_id":"row-{row}","response":{{"status_code":'
                f'200,"request_id":null,"body":{{"model":"gpt-4o-mini","usage":{usage}}}}},'
                f'"error":null}}\n'
            )
            log.write(json.dumps(_line(row, at, prompt, rng.lognormvariate(0.2, 0.4))) + "\n")
    return files


def _line(row: int, at: datetime, prompt: int, latency: float) -> dict[str, Any]:
    return {
        "event": "attempt",
        "at": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "place": row,
        "custom_id": f"row-{row}",
        "model": "gpt-4o-mini",
        "attempt": 1,
        "cost": {"requests": 1, "tokens": prompt + 100},
        "prompt": prompt,
        "cap": 100,
        "wait": round(latency / 7, 3),
        "latency": round(latency, 3),
        "status": 200,
        "decision": "answered" if row % 97 else "rate_limit",
        "code": "" if row % 97 else "rate_limit_exceeded",
        "usage": {"prompt": prompt, "output": 50},
        "remaining": {"requests": 2999, "tokens": 1999562},
    }


def make_page(files: JobFiles, folder: Path) -> dict[str, float]:
    """Return the processor seconds of each step, and the bytes of the page."""
    found: dict[str, Any] = {}

    def read_the_log() -> None:
        found["history"] = read_log(folder / "log.jsonl")

    def read_the_results() -> None:
        found["material"] = material_of(files, made=_NOON, version="0", history=found["history"])

    def make() -> None:
        found["page"] = render(found["material"])

    return {
        "log_s": cpu_seconds(read_the_log),
        "results_s": cpu_seconds(read_the_results),
        "page_s": cpu_seconds(make),
        "page_bytes": len(found["page"].encode()),
    }


def main() -> int:
    """Run everything and print the result; return 1 if a target is missed."""
    parser = make_parser(__doc__, repeats=3)
    parser.add_argument("--rows", type=positive, default=1_000_000, metavar="N")
    parser.add_argument("--days", type=float, default=7.0, metavar="D", help="how long it took")
    arguments = parser.parse_args()
    surroundings = environment(arguments.seed)
    told = events(_TOLD, arguments.seed)
    recorded = costs({"recorded": partial(record, told)}, _TOLD, arguments.repeats)["recorded"]
    with tempfile.TemporaryDirectory(prefix="ratedispatch-benchmark-") as name:
        folder = Path(name)
        files = write_job(folder, arguments.rows, arguments.days, arguments.seed)
        made = make_page(files, folder)
    spread = Spread.of(recorded)
    is_on_target = spread.median <= TARGET_US and made["page_bytes"] <= TARGET_BYTES
    result = {
        "rows": arguments.rows,
        "recorded_us": spread.as_dict(2),
        **{step: round(value, 2) for step, value in made.items()},
        "is_on_target": is_on_target,
    }
    publish(arguments, surroundings, result, outline(result), caveats=[SHARED_MACHINE])
    return 0 if is_on_target else 1


if __name__ == "__main__":
    sys.exit(main())
