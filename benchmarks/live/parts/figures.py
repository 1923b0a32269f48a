"""
What a run came to, and what several come to together.

Values and their medians. Knows nothing of servers, processes or files.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from benchmarks.frame.spread import Spread

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.frame.bounds import Account
    from benchmarks.frame.workload import Workload
    from benchmarks.live.parts.rowcheck import RowCheck


@dataclass(frozen=True, slots=True)
class Ended:
    """
    How a child process went.

    Args:
        wall: Seconds from its start to its end.
        exit_code: ``None`` if it was ended because it took too long.
        last_words: The last line it wrote to standard error.
    """

    wall: float
    exit_code: int | None
    last_words: str = ""


@dataclass(frozen=True, slots=True)
class Figures:
    """
    One run.

    Args:
        server_seed: Of the fake server's latencies and faults.
        lower_bound: Seconds that nobody can go below.
        makespan: Seconds from the first arrival to the last answer, as the server saw it;
            ``None`` if nothing was answered.
        ended: How the process went.
        rows: What became of the rows.
        stats: The referee's report.
        work: Tokens of the distinct rows, as the server charges them.
        load_average: Of the machine over the minute before.
        extra: What only one scenario measures.
    """

    server_seed: int
    lower_bound: float
    makespan: float | None
    ended: Ended
    rows: RowCheck
    stats: Mapping[str, Any]
    work: int
    load_average: float
    extra: Mapping[str, float] = field(default_factory=dict)

    @property
    def ratio(self) -> float | None:
        """Makespan over lower bound; ``None`` unless every row was answered."""
        complete = self.rows.lost == 0 and self.rows.failed == 0
        return self.makespan / self.lower_bound if complete and self.makespan is not None else None

    @property
    def refusals(self) -> int:
        """Requests that the server refused because they came too fast."""
        return sum(self.stats["refused"].values())

    def as_dict(self) -> dict[str, Any]:
        """Return the figures by name, for JSON; seconds end in ``_s``."""
        stats, rows = self.stats, self.rows
        return {
            "lower_bound_s": round(self.lower_bound, 3),
            "makespan_s": _rounded(self.makespan),
            "ratio": _rounded(self.ratio, 4),
            "wall_s": round(self.ended.wall, 3),
            "exit_code": self.ended.exit_code,
            "answered": rows.answered,
            "failed": rows.failed,
            "lost": rows.lost,
            "doubled": rows.doubled,
            "unknown": rows.unknown,
            "swapped": rows.swapped,
            "unexplained": rows.unexplained,
            "refusals": self.refusals,
            "faults": dict(stats["faults"]),
            "arrived": stats["arrived"],
            "admitted": stats["admitted"],
            "admissions_too_many": stats["admissions_too_many"],
            "rows_answered_twice": stats["answered_twice"],
            "in_flight_peak": stats["in_flight_peak"],
            "connections_peak": stats["connections_peak"],
            "work_tokens": self.work,
            "tokens_charged": stats["tokens_charged"],
            "latency_p50_s": stats["latency"]["p50"],
            **{name: _rounded(value, 4) for name, value in self.extra.items()},
            "last_words": self.ended.last_words,
            "server_seed": self.server_seed,
            "load_average": round(self.load_average, 2),
        }


def figures(
    workload: Workload,
    account: Account,
    stats: Mapping[str, Any],
    *,
    ended: Ended,
    rows: RowCheck,
    server_seed: int,
    load_average: float,
    extra: Mapping[str, float] | None = None,
) -> Figures:
    """
    Put together what one run showed.

    Raises:
        RuntimeError: The server's charge is not the work counted beforehand, although it
            admitted every row exactly once: then the lower bound would be wrong.
    """
    once = stats["admitted"] == stats["admitted_rows"] == len(workload.rows)
    if once and stats["tokens_charged"] != workload.tokens:
        raise RuntimeError(
            f"the server charged {stats['tokens_charged']} tokens for rows of {workload.tokens}"
        )
    return Figures(
        server_seed=server_seed,
        lower_bound=account.lower_bound(len(workload.rows), workload.tokens),
        makespan=stats["makespan"],
        ended=ended,
        rows=rows,
        stats=stats,
        work=workload.tokens,
        load_average=load_average,
        extra=extra or {},
    )


@dataclass(frozen=True, slots=True)
class Targets:
    """
    What a run is to reach; ``None`` means that nothing is asked.

    Args:
        ratio: The most that the makespan may be of the lower bound.
        refusals: The most refusals.
        wait_ratio: The most that a large row may wait, of what its place explains.
        all_answered: Whether no row may fail either.
    """

    ratio: float | None = None
    refusals: int | None = None
    wait_ratio: float | None = None
    all_answered: bool = True

    def misses(self, run: Figures) -> list[str]:
        """Return a sentence for each target that *run* misses."""
        found = []
        if not run.rows.is_exact:
            found.append(f"not every row has exactly one line with its reason: {run.rows}")
        if self.all_answered and run.rows.failed:
            found.append(f"{run.rows.failed} rows failed")
        if self.ratio is not None and (run.ratio is None or run.ratio > self.ratio):
            found.append(f"makespan {run.ratio or float('nan'):.3f} × the lower bound")
        if self.refusals is not None and run.refusals > self.refusals:
            found.append(f"{run.refusals} refusals")
        worst = run.extra.get("worst_wait_ratio")
        if self.wait_ratio is not None and (worst is None or worst > self.wait_ratio):
            found.append(f"a large row waited {worst or float('nan'):.2f} × what is explained")
        return found


def summarise(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return median, lowest and highest of every figure that is a number in all *runs*."""
    summary: dict[str, Any] = {}
    for name in runs[0]:
        values = [run[name] for run in runs]
        if name != "server_seed" and all(isinstance(value, int | float) for value in values):
            spread = Spread.of(values)
            summary[name] = {
                "median": _rounded(spread.median, 4),
                "lowest": spread.least,
                "highest": spread.most,
            }
    return summary


def _rounded(value: float | None, digits: int = 3) -> float | None:
    return None if value is None else round(value, digits)
