"""
One knob, many values: what it does to throughput, refusals and use of a limit.

Each point is a run of ``ratedispatch run`` against the fake server, each a process of its own.
The knobs are those of the guide in ``docs/how-to/tune-throughput.md``:

``in-flight``: ``--max-in-flight`` before a server with 32 slots that grow slower as they fill.
``burst``: ``--burst-seconds`` before a server whose buckets are 1 s deep.
``cap-slack``: an output cap of k times what answers use, before a server that reserves the cap.

Run it with ``python -m benchmarks.live.sweep --what KNOB [--runs 3] [--json [FILE]]``. Points are
interleaved: every value once, then every value again.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.frame.bounds import Account, share_of_rate
from benchmarks.frame.command import LOOPBACK, make_parser, progress, publish
from benchmarks.frame.environment import environment
from benchmarks.frame.rounds import interleave
from benchmarks.frame.tables import NOTHING, table
from benchmarks.frame.workload import Row, Workload, mixed, short
from benchmarks.live.parts.figures import summarise
from benchmarks.live.parts.rowcheck import check_files
from benchmarks.live.parts.scenario import Files, run_to_end
from ratedispatch.simulate.server.child import FakeServerProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_TIME_LIMIT = 180.0

# in-flight: a server of one's own
_SLOTS = 32
_SERVICE = 0.25
_BATCHING = 1.0
_SECONDS = 12.0

# burst: an account of OpenAI's middle tiers whose buckets are shallow
_RPM = 3_000
_DEPTH = 1.0
_LATENCY = 0.2

# cap-slack: prompts of 100 tokens, answers of 100
_PROMPT = 100
_USED = 100
_TPM = 300_000
_REFUNDING_ROWS = 500

#: Seconds at either end of a run that say nothing about a rate in the middle.
_MARGIN = 2

_COLUMNS = (
    ("requests/s", "requests_per_s", ".1f"),
    ("refused", "refusals", ",.0f"),
    ("p50 s", "latency_p50_s", ".2f"),
    ("p95 s", "latency_p95_s", ".2f"),
    ("slots busy", "slots_busy_share", ".0%"),
    ("ratio", "ratio", ".3f"),
    ("used of TPM", "utilisation", ".0%"),
)


@dataclass(frozen=True, slots=True)
class Point:
    """
    One value of a knob on one kind of server.

    Args:
        series: The kind of server.
        value: Of the knob; as on the command line, except ``cap-slack``, where it is k.
        workload: The file.
        server: Flags of the fake server.
        run: Flags of ``ratedispatch run``.
        figures: What the point shows, from the referee's report and the rows answered.
    """

    series: str
    value: float
    workload: Workload
    server: tuple[str, ...]
    run: tuple[str, ...]
    figures: Callable[[Mapping[str, Any]], dict[str, Any]]

    def measure(self, server_seed: int) -> dict[str, Any]:
        """Run it once."""
        with tempfile.TemporaryDirectory(prefix="ratedispatch-sweep-") as folder:
            files = Files(Path(folder))
            self.workload.write(files.input)
            with FakeServerProcess(*self.server, "--seed", str(server_seed)) as server:
                command = [sys.executable, "-m", "ratedispatch", "run", str(files.input)]
                command += ["-o", str(files.output), "--errors-file", str(files.errors), "--quiet"]
                command += ["--json", "--base-url", server.base_url, *self.run]
                ended = run_to_end(command, _TIME_LIMIT, files)
                stats = server.stats()
            rows = check_files(self.workload.ids, files.output, files.errors)
        if ended.exit_code != 0 or not rows.is_exact or rows.failed:
            raise RuntimeError(
                f"{self.series} at {self.value:g}: exit code {ended.exit_code}, {rows}; "
                f"its last words were: {ended.last_words}"
            )
        latency = stats["latency"]
        return {
            "rows": len(self.workload.rows),
            "makespan_s": round(stats["makespan"], 3),
            "requests_per_s": round(stats["answered"] / stats["makespan"], 2),
            "latency_p50_s": round(latency["p50"], 4),
            "latency_p95_s": round(latency["p95"], 4),
            "refusals": sum(stats["refused"].values()),
            "in_flight_peak": stats["in_flight_peak"],
            **self.figures(stats),
            "server_seed": server_seed,
        }


def in_flight(seed: int) -> list[Point]:
    """Return the points of ``--max-in-flight``; rows enough for some twelve seconds each."""
    server = (
        *("--engine-slots", str(_SLOTS), "--latency", str(_SERVICE), "--latency-sigma", "0.3"),
        *("--engine-batching", str(_BATCHING)),
    )
    points = []
    for value in (1, 2, 4, 8, 16, 24, 32, 48, 64, 96, 128):
        active = min(value, _SLOTS)
        service = _SERVICE * (1 + _BATCHING * (active - 1) / _SLOTS)
        workload = short(max(40, round(_SECONDS * active / service)), seed)
        run = ("--rpm", "none", "--tpm", "none", "--max-in-flight", str(value))
        points.append(Point("32 slots", value, workload, server, run, _slots))
    return points


def _slots(stats: Mapping[str, Any]) -> dict[str, Any]:
    return {"slots_busy_share": stats["slots_busy_share"]}


def burst(seed: int) -> list[Point]:
    """Return the points of ``--burst-seconds``, with headers that are true and with none."""
    workload = short(400, seed)
    tpm = 250_000
    account = Account(_RPM, tpm, _DEPTH, _LATENCY)
    bound = account.lower_bound(len(workload.rows), workload.tokens)

    def figures(stats: Mapping[str, Any]) -> dict[str, Any]:
        return {"lower_bound_s": round(bound, 3), "ratio": round(stats["makespan"] / bound, 4)}

    limits = ("--rpm", str(_RPM), "--tpm", str(tpm))
    server = (*limits, "--burst-seconds", str(_DEPTH), "--latency", str(_LATENCY))
    kinds: tuple[tuple[str, tuple[str, ...]], ...] = (
        ("true headers", ()),
        ("no headers", ("--no-headers",)),
    )
    return [
        Point(
            series,
            value,
            workload,
            (*server, *flags),
            (*limits, "--burst-seconds", str(value)),
            figures,
        )
        for value in (0.0, 0.25, 0.5, 0.7, 0.9, 1.0, 1.25, 1.5, 2.0, 3.0, 5.0)
        for series, flags in kinds
    ]


def cap_slack(seed: int) -> list[Point]:
    """Return the points of the output cap, where a reservation is kept and where it is refunded."""
    points = []
    rate = _TPM / 60

    def figures(stats: Mapping[str, Any]) -> dict[str, Any]:
        used = stats["per_second"]["tokens_actual"]
        end = max((second + 1 for second, amount in enumerate(used) if amount), default=0)
        begin = int(stats["first_arrival"]) + _MARGIN
        share = share_of_rate(used, begin, end - _MARGIN, rate)
        return {"utilisation": None if share is None else round(share, 4)}

    for slack in (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0):
        cap = round(_USED * slack)
        server = (
            *("--rpm", "30k", "--tpm", str(_TPM), "--burst-seconds", str(_DEPTH)),
            *("--latency", str(_LATENCY), "--output-tokens", str(_USED)),
        )
        kept = round((_SECONDS + 2 * _MARGIN) * rate / (_PROMPT + cap))
        limits = ("--rpm", "30k", "--tpm", str(_TPM))
        kinds: tuple[tuple[str, int, tuple[str, ...]], ...] = (
            ("reservation kept", kept, ()),
            ("reservation refunded", _REFUNDING_ROWS, ("--refund",)),
        )
        for series, count, flags in kinds:
            workload = _capped(count, seed, cap)
            points.append(Point(series, slack, workload, (*server, *flags), limits, figures))
    return points


def _capped(count: int, seed: int, cap: int) -> Workload:
    """Return rows whose prompts are *_PROMPT* tokens, with an output cap of *cap*."""
    plain = mixed(count, seed, median=_PROMPT + 16, sigma=0.0)
    return Workload(
        plain.name,
        tuple(
            Row(row.custom_id, {**row.body, "max_tokens": cap}, row.tokens - 16 + cap)
            for row in plain.rows
        ),
    )


KNOBS: dict[str, Callable[[int], list[Point]]] = {
    "in-flight": in_flight,
    "burst": burst,
    "cap-slack": cap_slack,
}


def sweep(what: str, runs: int, seed: int) -> list[dict[str, Any]]:
    """Return every point of the knob *what* with its runs and their medians."""

    def run(point: Point, number: int) -> dict[str, Any]:
        found = point.measure(seed + number)
        shown = f"{found['requests_per_s']:.1f} a second, {found['refusals']} refused"
        progress(f"{what} {number + 1}/{runs} {point.series} {point.value:g}: {shown}")
        return found

    points = KNOBS[what](seed)
    results = interleave({f"{p.series} {p.value:g}": partial(run, p) for p in points}, runs)
    return [
        {
            "series": point.series,
            "value": point.value,
            "server": list(point.server),
            "run": list(point.run),
            "summary": summarise(found),
            "runs": found,
        }
        for point, found in zip(points, results.values(), strict=True)
    ]


def text_of(points: Iterable[Mapping[str, Any]]) -> str:
    """Return the medians of *points* as a table, with the columns that any of them has."""
    known = list(points)
    columns = [one for one in _COLUMNS if any(one[1] in point["summary"] for point in known)]
    rows = [["", "value", *(heading for heading, _, _ in columns)]]
    for point in known:
        summary = point["summary"]
        cells = [
            format(summary[name]["median"], how) if name in summary else NOTHING
            for _, name, how in columns
        ]
        rows.append([point["series"], f"{point['value']:g}", *cells])
    return table(rows)


def main() -> int:
    """Measure the knob that is asked for."""
    parser = make_parser(__doc__, repeats=3, flag="--runs")
    parser.add_argument("--what", choices=tuple(KNOBS), required=True)
    arguments = parser.parse_args()
    surroundings = environment(arguments.seed)
    points = sweep(arguments.what, arguments.repeats, arguments.seed)
    # the day alone: it is what the pages say that are made of committed results
    result = {"date": surroundings["date"][:10], "sweep": arguments.what, "points": points}
    text = f"--what {arguments.what}, medians\n\n{text_of(points)}"
    publish(arguments, surroundings, result, text, caveats=LOOPBACK)
    return 0


if __name__ == "__main__":
    sys.exit(main())
