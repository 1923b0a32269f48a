"""
The generated parts of the README: the words below the picture, and the numbers of other tools.

Decides which figures a reader with five minutes is shown. Knows nothing of pages or files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.charts.picture import shown
from benchmarks.charts.tables import cpu_of_a_request, markdown, median, surroundings, workload

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The workloads that the table of the README shows.
SHOWN = ("paced", "tokens")


def caption(report: Mapping[str, Any]) -> str:
    """Return under which conditions the picture was made, and how far its runs differ."""
    ours, recipe, bounded = shown(report).values()
    bound = ours["summary"]["lower_bound_s"]["median"]
    return (
        f"The same {report['rows']:,} requests, the same server, the same limits: "
        f"{report['rpm']:,} requests and {report['tpm']:,} tokens per minute, "
        f"so {bound:.1f} s is the least possible.\n"
        "`asyncio.gather` with `backoff` is the recipe of OpenAI's guide on rate limits; "
        f"in {len(ours['runs'])} runs it took {_span(recipe)}, with at most 100 rows at a time "
        f"{_span(bounded)}, and `ratedispatch run` {_span(ours)} "
        "([how this was measured](docs/explanation/compared.md#beside-the-well-known-recipe))."
    )


def _span(way: Mapping[str, Any]) -> str:
    span = way["summary"]["makespan_s"]
    least, most = f"{span['lowest']:.0f}", f"{span['highest']:.0f}"
    return f"{least} s" if least == most else f"{least} to {most} s"


def variants(report: Mapping[str, Any]) -> str:
    """Return the table of all ways to send the file of the picture."""
    head = ("", "makespan s", "from–to", "sent", "refused", "rows lost", "in flight at most")
    rows = []
    for way in report["ways"]:
        summary = way["summary"]
        span = summary["makespan_s"]
        rows.append(
            (
                way["title"],
                median(summary, "makespan_s", ".1f"),
                f"{span['lowest']:.1f}–{span['highest']:.1f}",
                median(summary, "arrived", ",.0f"),
                median(summary, "refusals", ",.0f"),
                median(summary, "lost", ",.0f"),
                median(summary, "in_flight_peak", ",.0f"),
            )
        )
    bound = report["ways"][0]["summary"]["lower_bound_s"]["median"]
    runs = len(report["ways"][0]["runs"])
    what = (
        f"{report['rows']:,} rows of mixed lengths, {report['tokens']:,} tokens in all; "
        f"{report['rpm']:,} RPM, {report['tpm']:,} TPM, "
        f"buckets {report['server_burst_s']:g} s deep, {report['latency_s']:g} s for an answer; "
        f"lower bound {bound:.1f} s; medians of {runs} runs."
    )
    return "\n\n".join([what, markdown(head, rows), surroundings(report)])


def others(reports: Mapping[str, Mapping[str, Any]]) -> str:
    """Return who answered every row, in which time, and who lost how many."""
    found = {task: workload(report, task) for task, report in reports.items()}
    tried = [peer for peer in found["paced"]["peers"] if peer["skipped"] is None]
    summaries = {
        peer["name"]: [_summary(found[task], peer["name"]) for task in SHOWN] for peer in tried
    }
    costs = {
        peer["name"]: cpu_of_a_request(peer, found["free"]["rows"])
        for peer in found["free"]["peers"]
    }
    requests, tokens = (
        f"{one['lower_bound_s']['median']:.1f} s" for one in summaries[tried[0]["name"]]
    )
    head = ("", "requests bind", "refused", "tokens bind", "refused", "CPU for a request")
    rows, losers = [], []
    for peer in tried:
        figures = summaries[peer["name"]]
        lost = [f"{one['lost']['median']:,.0f}" for one in figures]
        if lost != ["0", "0"]:
            losers.append(f"{peer['title']} {' and '.join(lost)}")
            continue
        cells = [
            cell
            for one in figures
            for cell in (
                f"{median(one, 'makespan_s', '.1f')} s",
                median(one, "refusals", ",.0f"),
            )
        ]
        cost = costs[peer["name"]]
        rows.append((peer["title"], *cells, "–" if cost is None else f"{cost:.1f} ms"))
    before = (
        f"Two files, sent by each tool as its documentation says: one in which the limit on "
        f"requests binds (at best {requests}), one in which the limit on tokens does (at best "
        f"{tokens}).\nThese answered every row of both:"
    )
    after = (
        f"The others lost rows of the two files: {'; '.join(losers)}.\n"
        "[Compared](docs/explanation/compared.md) has versions, conditions, two more workloads, "
        "and what explains the differences."
    )
    return "\n\n".join([before, markdown(head, rows), after])


def _summary(found: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return the medians of the peer called *name*."""
    (peer,) = (peer for peer in found["peers"] if peer["name"] == name)
    summary: Mapping[str, Any] = peer["summary"]
    return summary
