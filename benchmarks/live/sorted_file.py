"""
A sorted file: short rows first, then long ones, at limits where either half takes as long.

Short rows are bound by requests per minute and long ones by tokens per minute. In the order of the
file a job takes as long as both halves; read from many places in turn, it uses both limits at
once. Each half alone is run too, and the whole in both orders. The bound is what the limits allow
for all rows together.

    python -m benchmarks.live.sorted_file
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.frame.command import LOOPBACK, make_parser, publish
from benchmarks.frame.environment import environment
from benchmarks.frame.tables import outline
from ratedispatch.simulate.server.child import FakeServerProcess

if TYPE_CHECKING:
    from collections.abc import Sequence

_RPM = 3_000
_TPM = 1_800_000
_SHORT = (1_000, 20)
_LONG = (200, 3_000)
_OUTPUT = 8
_LATENCY = 0.2


def rows(count: int, tokens: int, first: int, rng: random.Random) -> list[str]:
    """Return *count* rows of about *tokens* tokens, the output cap included."""
    made = []
    for number in range(first, first + count):
        # 7 tokens around a message, and the number before its words
        words = rng.choices(("one", "two", "red", "sun"), k=max(1, tokens - _OUTPUT - 10))
        body = {
            "model": "gpt-4o-mini",
            "messages": [{"role": "user", "content": f"{number}: {' '.join(words)}"}],
            "max_tokens": _OUTPUT,
        }
        line = {"custom_id": f"row-{number}", "method": "POST", "url": "/v1/chat/completions"}
        made.append(json.dumps({**line, "body": body}))
    return made


def run(folder: Path, name: str, lines: Sequence[str], *flags: str) -> dict[str, Any]:
    """Run a job over *lines* against a server of its own; return its report, and the makespan."""
    source = folder / f"{name}.jsonl"
    source.write_text("\n".join(lines) + "\n")
    limits = ("--rpm", str(_RPM), "--tpm", str(_TPM))
    with FakeServerProcess(
        *limits, "--burst-seconds", "1", "--latency", str(_LATENCY), "--latency-sigma", "0"
    ) as server:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "ratedispatch", "run", str(source), "--json", "--quiet"),
                *("-o", str(folder / f"{name}.out.jsonl"), "--base-url", server.base_url),
                *(*limits, *flags),
            ],
            env={**os.environ, "OPENAI_API_KEY": "sorted-file-key-1"},
            capture_output=True,
            text=True,
            check=True,
        )
        stats = server.stats()
    report = json.loads(done.stdout)
    return {
        "makespan_s": round(stats["makespan"], 2),
        "rows": report["answered"],
        "tokens": stats["tokens_charged"],
        "refusals": report["refusals"],
    }


def measure(seed: int) -> dict[str, Any]:
    """Return what each half takes, and both in either order."""
    rng = random.Random(seed)
    short = rows(*_SHORT, 0, rng)
    long = rows(*_LONG, len(short), rng)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found: dict[str, Any] = {
            "short": run(folder, "short", short),
            "long": run(folder, "long", long),
            "in_turn": run(folder, "auto", short + long),
            "file_order": run(folder, "file", short + long, "--order", "file"),
        }
    whole = found["in_turn"]
    bound = max(whole["rows"] / _RPM, whole["tokens"] / _TPM) * 60 - 1 + _LATENCY
    half = max(found["short"]["makespan_s"], found["long"]["makespan_s"])
    found["bound_s"] = round(bound, 2)
    found["ratio_to_bound"] = round(whole["makespan_s"] / bound, 3)
    found["ratio_to_half"] = round(whole["makespan_s"] / half, 3)
    found["file_order_ratio_to_half"] = round(found["file_order"]["makespan_s"] / half, 3)
    return found


def main() -> int:
    """Print what was measured."""
    parser = make_parser(__doc__, repeats=1, flag="--runs")
    arguments = parser.parse_args()
    surroundings = environment(arguments.seed)
    runs = [measure(arguments.seed + run) for run in range(arguments.repeats)]
    text = "\n\n".join(outline(run) for run in runs)
    publish(arguments, surroundings, {"runs": runs}, text, caveats=LOOPBACK)
    return 0


if __name__ == "__main__":
    sys.exit(main())
