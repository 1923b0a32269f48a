"""
Results as tables in Markdown.

Decides columns and how a number is written. Knows nothing of pages, files or pictures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.peers.table import PEERS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table whose first column is text and whose others are numbers."""
    rule = ["---", *("---:" for _ in head[1:])]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, rule, *rows))


def median(summary: Mapping[str, Any], name: str, how: str) -> str:
    """Return the median of a figure, or a dash if not every run has it."""
    return format(summary[name]["median"], how) if name in summary else "–"


def surroundings(report: Mapping[str, Any]) -> str:
    """Return where, when and with what the runs of *report* were made, in one sentence."""
    machine, versions = report["machine"], report["versions"]
    seed = "" if report["seed"] is None else f"seed {report['seed']}; "
    packages = ", ".join(f"{name} {number}" for name, number in versions.items())
    day = report["date"][:10]
    return (
        f"Measured on {day} on {machine['processor']} with {machine['cores']} cores, "
        f"shared with other work ({machine['system']}); {seed}this program with {packages}."
    )


def limited(report: Mapping[str, Any], task: str) -> str:
    """Return the table of a workload whose server has limits."""
    found = workload(report, task)
    head = ("", "makespan s", "ratio", "rows lost", "doubled", "refused", "CPU s")
    rows = []
    for peer in found["peers"]:
        if peer["skipped"] is not None:
            rows.append((peer["title"], "skipped¹", *("–" for _ in head[2:])))
            continue
        summary = peer["summary"]
        cells = (
            median(summary, "makespan_s", ".1f"),
            median(summary, "ratio", ".3f"),
            median(summary, "lost", ",.0f"),
            median(summary, "doubled", ",.0f"),
            median(summary, "refusals", ",.0f"),
            median(summary, "cpu_s", ".1f"),
        )
        rows.append((peer["title"] + _end(peer), *cells))
    return "\n\n".join([_what(found), markdown(head, rows), *_notes(found), surroundings(report)])


def free(report: Mapping[str, Any]) -> str:
    """Return the table of the workload without limits: what a request costs the client."""
    found = workload(report, "free")
    head = (
        "",
        "CPU ms / request",
        "× ours",
        "start-up CPU s",
        "whole CPU s",
        "requests / s",
        "rows lost",
        "peak MB",
    )
    costs = {peer["name"]: cpu_of_a_request(peer, found["rows"]) for peer in found["peers"]}
    ours = costs.get(PEERS[0].name)
    rows = []
    for peer in found["peers"]:
        if peer["skipped"] is not None:
            rows.append((peer["title"], "skipped¹", *("–" for _ in head[2:])))
            continue
        summary, cost = peer["summary"], costs[peer["name"]]
        cells = (
            "–" if cost is None else f"{cost:.2f}",
            "–" if cost is None or not ours else f"{cost / ours:.1f}",
            "–" if peer["start_up_cpu_s"] is None else f"{peer['start_up_cpu_s']:.1f}",
            median(summary, "cpu_s", ".1f"),
            median(summary, "requests_per_s", ",.0f"),
            median(summary, "lost", ",.0f"),
            median(summary, "peak_rss_mb", ".0f"),
        )
        rows.append((peer["title"] + _end(peer), *cells))
    return "\n\n".join([_what(found), markdown(head, rows), *_notes(found), surroundings(report)])


def cpu_of_a_request(peer: Mapping[str, Any], rows: int) -> float | None:
    """Return processor milliseconds for each request beyond the first, start-up left out."""
    if peer["skipped"] is not None or peer["start_up_cpu_s"] is None:
        return None
    if "cpu_s" not in peer["summary"] or peer["summary"]["lost"]["highest"]:
        return None
    whole: float = peer["summary"]["cpu_s"]["median"]
    start_up: float = peer["start_up_cpu_s"]
    return 1000 * (whole - start_up) / (rows - 1)


def use(report: Mapping[str, Any]) -> str:
    """Return the table of who is compared, in which version, used how."""
    versions = {
        peer["name"]: peer["versions"] for found in report["workloads"] for peer in found["peers"]
    }
    rows = []
    for peer in PEERS:
        known = versions.get(peer.name, {})
        packages = ", ".join(
            f"{name} {known[name]}" if name in known else name.replace("==", " ")
            for name in (peer.distributions if known else peer.packages)
        )
        rows.append(f"| {peer.title} | `{peer.name}` | {packages or 'this'} | {peer.use} |")
    return "\n".join(["| | NAME | packages | used as |", "|---|---|---|---|", *rows])


def in_flight(report: Mapping[str, Any]) -> str:
    """Return the table of the sweep over requests in flight."""
    head = ("`--max-in-flight`", "requests / s", "p50 s", "p95 s", "slots busy")
    rows = [
        (
            f"{point['value']:g}",
            median(point["summary"], "requests_per_s", ".1f"),
            median(point["summary"], "latency_p50_s", ".2f"),
            median(point["summary"], "latency_p95_s", ".2f"),
            median(point["summary"], "slots_busy_share", ".0%"),
        )
        for point in report["points"]
    ]
    runs = len(report["points"][0]["runs"])
    return f"{markdown(head, rows)}\n\nMedians of {runs} interleaved runs. {surroundings(report)}"


def burst(report: Mapping[str, Any]) -> str:
    """Return the table of the sweep over the burst."""
    return _two_series(
        report,
        "`--burst-seconds`",
        (("refused", "refusals", ",.0f"), ("ratio", "ratio", ".3f")),
    )


def cap_slack(report: Mapping[str, Any]) -> str:
    """Return the table of the sweep over the output cap."""
    return _two_series(
        report,
        "cap / used",
        (("used of TPM", "utilisation", ".0%"), ("requests / s", "requests_per_s", ".1f")),
    )


def _two_series(
    report: Mapping[str, Any], knob: str, figures: Sequence[tuple[str, str, str]]
) -> str:
    points = report["points"]
    series = list(dict.fromkeys(point["series"] for point in points))
    at = {(point["series"], point["value"]): point["summary"] for point in points}
    head = (knob, *(f"{name}: {heading}" for name in series for heading, _, _ in figures))
    rows = [
        (
            f"{value:g}",
            *(
                median(at[name, value], figure, how)
                for name in series
                for _, figure, how in figures
            ),
        )
        for value in dict.fromkeys(point["value"] for point in points)
    ]
    runs = len(report["points"][0]["runs"])
    return f"{markdown(head, rows)}\n\nMedians of {runs} interleaved runs. {surroundings(report)}"


#: What the rooms of a request do, in the order of `benchmarks.live.profile`.
_ROOMS = {
    "start-up": "imports and the vocabulary",
    "counting": "mostly the tokenizer itself",
    "providers": "headers, usage, errors",
    "budget": "the queue, both buckets, permits",
    "transport": "writes the body, speaks HTTP, parses the answer",
    "files": "reads a row, writes a line, finds duplicates, counts for the report",
    "dispatcher": "the order of the steps, a task for each request in flight, timeouts",
    "event loop": "waiting for sockets, timers, waking tasks",
    "other": "everything else",
}


def profile(report: Mapping[str, Any]) -> str:
    """Return the table of where the processor time of a job goes."""
    rows = [
        f"| {room} | {found['share']:.0%} | {found['us']:.0f} | {_ROOMS[room]} |"
        for room, found in report["rooms"].items()
    ]
    head = ["| room | share | µs per request | what it does |", "|---|---:|---:|---|"]
    spread = report["cpu_us_spread"]
    return (
        "\n".join([*head, *rows]) + f"\n\n{report['requests']:,} requests with "
        f"{report['in_flight']} in flight, {report['runs']} times; a request took "
        f"{report['cpu_us_per_request']:.0f} µs of processor time ({spread['least']:.0f} to "
        f"{spread['most']:.0f}). {surroundings(report)}"
    )


def overhead(report: Mapping[str, Any]) -> str:
    """Return the table of what whole processes take beside a bare loop."""
    head = ("", "CPU µs / request", "× bare", "least", "most", "requests / s", "peak MB")
    names = {"bare": "bare loop", "bare-uvloop": "bare loop on uvloop", "run": "ratedispatch run"}
    rows = [
        (
            f"{names[way]}, {size['requests']:,} requests, {size['in_flight']} in flight",
            median(found, "cpu_us_per_request", ",.0f"),
            *(f"{found['cpu_times_bare'][part]:.2f}" for part in ("median", "least", "most")),
            median(found, "requests_per_second", ",.0f"),
            median(found, "peak_mb", ".0f"),
        )
        for size in report["figures"]
        for way, found in size["ways"].items()
    ]
    rounds = report["rounds"]
    return f"{markdown(head, rows)}\n\nMedians of {rounds} interleaved runs. {surroundings(report)}"


def queue(report: Mapping[str, Any]) -> str:
    """Return the table of what a place in the queue costs."""
    head = ("waiting", "µs to join", "µs per admission", "least", "most")
    rows = [
        (
            f"{int(waiting):,}",
            median(found, "join", ".1f"),
            *(f"{found['admission'][part]:.1f}" for part in ("median", "least", "most")),
        )
        for waiting, found in report["cpu_us_per_request"].items()
    ]
    rounds = report["rounds"]
    return f"{markdown(head, rows)}\n\nMedians of {rounds} interleaved runs. {surroundings(report)}"


def workload(report: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return the part of *report* on the workload *name*."""
    found: dict[str, Any] = next(part for part in report["workloads"] if part["workload"] == name)
    return found


def _what(found: Mapping[str, Any]) -> str:
    runs = max(len(peer["runs"]) for peer in found["peers"])
    ours = next(peer for peer in found["peers"] if peer["skipped"] is None)
    bound = ours["summary"]["lower_bound_s"]["median"]
    times = "one run" if runs == 1 else f"medians of {runs} interleaved runs"
    told = f"{found['rpm']:,} RPM, {found['tpm']:,} TPM and {found['in_flight']} in flight"
    server = " ".join(found["server"])
    return (
        f"{found['rows']:,} rows, {found['tokens']:,} tokens in all, {times}; "
        f"everybody is told {told}; server `{server}`; lower bound {bound:.1f} s."
    )


def _end(peer: Mapping[str, Any]) -> str:
    codes = [run["exit_code"] for run in peer["runs"]]
    if any(code is None for code in codes):
        return " ²"
    # our own exit code 1 says that rows failed, which the table shows
    return " ³" if any(code not in {0, 1} for code in codes) else ""


def _notes(found: Mapping[str, Any]) -> list[str]:
    notes = [
        f"¹ {peer['title']}: {peer['skipped']}."
        for peer in found["peers"]
        if peer["skipped"] is not None
    ]
    marks = {_end(peer) for peer in found["peers"]}
    if " ²" in marks:
        notes.append(f"² Ended after {found['time_limit_s']:g} s, since it was still running.")
    notes += [
        f"³ {peer['title']} crashed: `{peer['runs'][-1]['last_words']}`."
        for peer in found["peers"]
        if _end(peer) == " ³"
    ]
    return notes
