"""
Foretell what ten files cost, and compare with what a fake server bills for them.

Each file is foretold twice: by ``simulate --probe 200``, which sends 200 of its rows first, and by
``simulate --like`` the event log of a former run of other rows of the same kind. Then all of it is
sent, and the bill is what the answers say was used. Beside each error stands the least that is
possible on average, by theory: that of the mean of as many answers as were seen, and of the file
itself, whose lengths are chances too. A file whose theory says 2 % misses 3 % in one of four runs,
however well it is foretold.

    python -m benchmarks.live.foretold_cost --rows 3000
"""

from __future__ import annotations

import json
import math
import os
import random
import statistics
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.frame.command import LOOPBACK, make_parser, positive, publish
from benchmarks.frame.environment import environment
from benchmarks.frame.tables import table
from benchmarks.live.parts.kinds_of_files import KINDS, serving, write
from ratedispatch.jobs.batchfile import row_of
from ratedispatch.jobs.plan.price_book import PriceBook
from ratedispatch.jobs.workload.file_workload import read_workload

if TYPE_CHECKING:
    from benchmarks.live.parts.kinds_of_files import Kind
    from ratedispatch.jobs.workload.counted import Counted

#: Rows that are sent first.
_PROBE = 200

#: What the errors may be, in percent: their median, and the worst of ten files.
_MEDIAN, _WORST = 1.0, 3.0

#: By which sums of floats differ that are the same.
_ROUNDING = 1e-6

#: The time is not what is asked for.
_ONCE = ("--seeds", "1")

_NO_LIMITS = ("--rpm", "none", "--tpm", "none", "--max-in-flight", "64", "--no-config", "--quiet")


@dataclass(slots=True)
class Foretold:
    """
    What was foretold of one file, and what came.

    Args:
        kind: What the file is like.
        usd: What was billed.
        probe: Percent by which the forecast was off that rests on 200 rows.
        probe_least: Percent that theory gives for it: its standard error.
        probe_held: Whether its interval held the bill.
        former: The same of the forecast that rests on a former run.
        former_least: See *probe_least*.
        former_held: See *probe_held*.
    """

    kind: str
    usd: float = 0.0
    probe: float = 0.0
    probe_least: float = 0.0
    probe_held: bool = False
    former: float = 0.0
    former_least: float = 0.0
    former_held: bool = False


def foretell(folder: Path, kind: Kind, *, rows: int, seed: int) -> Foretold:
    """Foretell what a file of *kind* costs in both ways, send it, and compare."""
    source = folder / "in.jsonl"
    write(folder / "former.jsonl", kind, rows, random.Random(seed + 1_000))
    write(source, kind, rows, random.Random(seed))
    with serving(kind, seed) as url:
        at = ("--base-url", url, *_NO_LIMITS)
        _command(
            folder, "run", "former.jsonl", "-o", "former-out.jsonl", "--log-json", "former.log", *at
        )
        former = _command(folder, "simulate", "in.jsonl", "--like", "former.log", *at, *_ONCE)
        probe = ("--probe", str(_PROBE), "-o", "out.jsonl")
        by_probe = _command(folder, "simulate", "in.jsonl", *probe, *at, *_ONCE)
        probed = set(_usage(folder / "out.jsonl"))
        _command(folder, "run", "in.jsonl", "-o", "out.jsonl", *at)
    usage, counted = _usage(folder / "out.jsonl"), read_workload(source)
    if len(probed) != _PROBE or len(usage) != rows:
        raise RuntimeError(f"{len(probed)} rows of a probe, {len(usage)} of all")
    found = Foretold(kind.name, _usd(counted, usage))
    found.probe, found.probe_held = _error(by_probe["expected_bill"], found.usd)
    found.probe_least = _least(counted, kind, usage, _PROBE, probed)
    found.former, found.former_held = _error(former["expected_bill"], found.usd)
    found.former_least = _least(counted, kind, usage, rows, set())
    return found


def _error(bill: dict[str, float], usd: float) -> tuple[float, bool]:
    """Return by how many percent *bill* is off, and whether its interval holds *usd*."""
    holds = bill["low"] <= usd * (1 + _ROUNDING) and usd <= bill["high"] * (1 + _ROUNDING)
    return round((bill["usd"] / usd - 1) * 100, 3), holds


def _usd(counted: Counted, usage: dict[int, tuple[int, int]]) -> float:
    prices, workload = PriceBook(), counted.workload
    total = 0.0
    for line, (prompt, output) in usage.items():
        price = prices.of(workload.kinds[workload.kind[line - 1]].model)
        assert price is not None
        total += price.usd(prompt, output)
    return total


def _least(
    counted: Counted,
    kind: Kind,
    usage: dict[int, tuple[int, int]],
    n: int,
    known: set[int],
) -> float:
    """
    Return the percent that a forecast is off by at least, on average.

    That of the mean of *n* lengths which are as scattered as those of rows with the same model and
    cap, once they are divided by what they follow.
    """
    base, slope, _ = kind.follows or (1.0, 0.0, 0.0)
    cells: dict[tuple[int, int], list[tuple[float, float]]] = {}
    workload, prices = counted.workload, PriceBook()
    for line, (_, output) in usage.items():
        if line not in known:
            row = workload[line - 1]
            middle = base + slope * row.billed
            cells.setdefault((row.kind, row.cap), []).append((middle, output / middle))
    rest = sum(map(len, cells.values()))
    variance = 0.0
    for (place, _), lengths in cells.items():
        price = prices.of(workload.kinds[place].model)
        assert price is not None
        sigma = statistics.pstdev(factor for _, factor in lengths) * price.output / 1e6
        seen = max(1.0, n * len(lengths) / rest)
        middles = sum(middle for middle, _ in lengths)
        squares = sum(middle * middle for middle, _ in lengths)
        variance += sigma**2 * (middles**2 / seen + squares)
    return round(100 * math.sqrt(variance) * math.sqrt(2 / math.pi) / _usd(counted, usage), 3)


def _command(folder: Path, *words: str) -> dict[str, Any]:
    """Return what a command prints as JSON."""
    done = subprocess.run(
        [sys.executable, "-m", "ratedispatch", *words, "--json", "--no-memory"],
        cwd=folder,
        env={**os.environ, "OPENAI_API_KEY": "foretold-test-key-1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    if done.returncode:
        raise RuntimeError(f"{words[0]}: exit code {done.returncode}: {done.stderr}")
    values = json.loads(done.stdout)
    assert isinstance(values, dict)
    return values


def _usage(path: Path) -> dict[int, tuple[int, int]]:
    """Return the tokens that were billed for prompt and output, by row."""
    found = {}
    for line in path.read_bytes().splitlines():
        usage = json.loads(line)["response"]["body"]["usage"]
        row = row_of(line)
        assert row is not None
        found[row] = usage["prompt_tokens"], usage["completion_tokens"]
    return found


def main() -> int:
    """Print the error of each forecast; 0 if they are on target."""
    parser = make_parser(__doc__, repeats=1)
    parser.add_argument("--rows", type=positive, default=3_000, metavar="N")
    arguments = parser.parse_args()
    surroundings = environment(arguments.seed)
    found = []
    for run in range(arguments.repeats):
        for place, kind in enumerate(KINDS):
            with tempfile.TemporaryDirectory() as folder:
                # another for each: files that meet the same chance would err to the same side
                seed = arguments.seed + run * len(KINDS) + place
                found.append(foretell(Path(folder), kind, rows=arguments.rows, seed=seed))
    result: dict[str, Any] = {"files": [asdict(one) for one in found], "rows": arguments.rows}
    for way in ("probe", "former"):
        errors = sorted(abs(getattr(one, way)) for one in found)
        result[f"{way}_median"] = statistics.median(errors)
        result[f"{way}_worst"] = errors[-1]
        result[f"{way}_held"] = sum(getattr(one, f"{way}_held") for one in found)
    on_target = [
        result["probe_median"] <= _MEDIAN,
        result["probe_worst"] <= _WORST,
        result["former_median"] <= _MEDIAN,
        result["former_worst"] <= _WORST,
    ]
    result["is_on_target"] = all(on_target)
    head = ("file", "USD", f"by {_PROBE} rows %", "theory %", "by a former run %", "theory %")
    lines = [
        (
            one.kind,
            f"{one.usd:.4f}",
            f"{one.probe:+.2f}",
            f"{one.probe_least:.2f}",
            f"{one.former:+.2f}",
            f"{one.former_least:.2f}",
        )
        for one in found
    ]
    sums = [
        f"{words}: median {result[f'{way}_median']:.2f} %, worst {result[f'{way}_worst']:.2f} %, "
        f"{result[f'{way}_held']} of {len(found)} within their interval"
        for way, words in (("probe", f"by {_PROBE} rows"), ("former", "by a former run"))
    ]
    text = "\n".join([table([head, *lines]), "", *sums])
    publish(arguments, surroundings, result, text, caveats=LOOPBACK)
    return 0 if result["is_on_target"] else 1


if __name__ == "__main__":
    sys.exit(main())
