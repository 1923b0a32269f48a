"""
Results as charts.

Decides axes, labels and colours, and that the same results give the same bytes. Knows nothing of
pages. Needs the ``bench`` extra.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.charts.tables import cpu_of_a_request, workload

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

# told apart by people who see colours differently, and in grey: Okabe and Ito's palette
_BLUE, _ORANGE, _GREEN, _GREY = "#0072B2", "#D55E00", "#009E73", "#666666"

# Any: matplotlib types the keys as literals, and is not everywhere installed
_STYLE: dict[Any, Any] = {
    "font.size": 11,
    "axes.titlesize": 12,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    # ids in an SVG are random without it
    "svg.hashsalt": "ratedispatch",
    "figure.dpi": 100,
}


def style() -> Any:
    """Return the context in which everything is drawn and saved."""
    from matplotlib import rc_context

    return rc_context(_STYLE)


def _figure(panels: int, width: float, height: float) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(1, panels, squeeze=False)[0]


def save(figure: Any, folder: Path, name: str) -> None:
    """Write *figure* as SVG and PNG; neither holds a date or a version."""
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / f"{name}.svg", metadata={"Date": None, "Creator": None})
    figure.savefig(folder / f"{name}.png", dpi=130, metadata={"Software": None})


def _legend(figure: Any, axes: Any) -> None:
    """Put the legend below all panels, outside of the data."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))


def in_flight(report: Mapping[str, Any]) -> Any:
    """Draw throughput and latency against the number in flight."""
    figure, (left, right) = _figure(2, 10, 4.4)
    points = report["points"]
    values = [point["value"] for point in points]

    def medians(name: str) -> list[float]:
        return [point["summary"][name]["median"] for point in points]

    left.plot(values, medians("requests_per_s"), "o-", color=_BLUE, label="answers per second")
    right.plot(values, medians("latency_p50_s"), "o-", color=_GREEN, label="latency, median")
    right.plot(values, medians("latency_p95_s"), "s--", color=_ORANGE, label="latency, p95")
    for axes, title, unit in (
        (left, "Throughput", "answers per second"),
        (right, "Latency", "seconds"),
    ):
        axes.set_xscale("log", base=2)
        axes.set_xticks(
            [1, 2, 4, 8, 16, 32, 64, 128], ["1", "2", "4", "8", "16", "32", "64", "128"]
        )
        axes.axvline(32, color=_GREY, linestyle=":", label="slots of the server")
        axes.set(title=title, xlabel="--max-in-flight (requests)", ylabel=unit)
        axes.set_ylim(bottom=0)
    handles = [*left.lines[:1], *right.lines]
    figure.legend(
        handles, [line.get_label() for line in handles], loc="outside lower center", ncols=4
    )
    return figure


def burst(report: Mapping[str, Any]) -> Any:
    """Draw refusals and makespan against the burst."""
    figure, (left, right) = _figure(2, 10, 4.4)
    for series, style, colour in (("true headers", "o-", _BLUE), ("no headers", "s--", _ORANGE)):
        points = [point for point in report["points"] if point["series"] == series]
        values = [point["value"] for point in points]
        for axes, name in ((left, "refusals"), (right, "ratio")):
            medians = [point["summary"][name]["median"] for point in points]
            axes.plot(values, medians, style, color=colour, label=series)
    rows = report["points"][0]["summary"]["rows"]["median"]
    for axes, title, unit in (
        (left, f"Refusals of {rows:,.0f} rows", "answers 429"),
        (right, "Time", "makespan / lower bound"),
    ):
        axes.axvline(1.0, color=_GREY, linestyle=":", label="depth of the server's buckets")
        axes.set(title=title, xlabel="--burst-seconds (seconds of rate)", ylabel=unit)
    left.set_ylim(bottom=-0.5)
    right.set_ylim(bottom=min(1.0, right.get_ylim()[0]))
    _legend(figure, left)
    return figure


def cap_slack(report: Mapping[str, Any]) -> Any:
    """Draw the share of the token limit that is used against the output cap."""
    figure, (axes,) = _figure(1, 7.5, 4.6)
    for series, style, colour in (
        ("reservation kept", "o-", _BLUE),
        ("reservation refunded", "s--", _ORANGE),
    ):
        points = [point for point in report["points"] if point["series"] == series]
        values = [point["value"] for point in points]
        medians = [100 * point["summary"]["utilisation"]["median"] for point in points]
        axes.plot(values, medians, style, color=colour, label=series)
    axes.set(
        title="How much of the token limit does work",
        xlabel="output cap / tokens really written",
        ylabel="tokens used (% of TPM)",
    )
    axes.set_ylim(0, 110)
    _legend(figure, axes)
    return figure


def limited(reports: Mapping[str, Mapping[str, Any]]) -> Any:
    """
    Draw the makespan of everybody, and what was lost and refused, for workloads with limits.

    Bars end at two lower bounds, with the seconds written beside: one that takes ten would leave
    no room for the others.
    """
    figure, panels = _figure(len(reports), 13, 5.2)
    handles: dict[str, Any] = {}
    for axes, (task, report) in zip(panels, reports.items(), strict=True):
        found = workload(report, task)
        peers = [peer for peer in found["peers"] if peer["skipped"] is None][::-1]
        bound = peers[-1]["summary"]["lower_bound_s"]["median"]
        for place, peer in enumerate(peers):
            summary = peer["summary"]
            lost = summary["lost"]["median"]
            makespan = summary["makespan_s"]["median"] if "makespan_s" in summary else 0.0
            shown = min(makespan, 2 * bound)
            said = f"{summary['refusals']['median']:,.0f} refused"
            said = f"{lost:,.0f} lost, {said}" if lost else said
            said = f"… {makespan:.0f} s, {said}" if shown < makespan else said
            colour, label = (_ORANGE, "rows lost") if lost else (_BLUE, "every row answered")
            handles.setdefault(label, axes.barh([place], [shown], color=colour))
            axes.annotate(
                said,
                (shown, place),
                xytext=(4, 0),
                textcoords="offset points",
                va="center",
                fontsize=9,
                # so that the line of the bound does not run through it
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
            )
        line = axes.axvline(bound, color=_GREY, linestyle=":")
        handles.setdefault("lower bound", line)
        names = [peer["title"] if axes is panels[0] else "" for peer in peers]
        axes.set_yticks(range(len(peers)), names)
        axes.set(title=task, xlabel="makespan (seconds)", xlim=(0, 4 * bound))
        # the last number of a panel would run into the first of the next
        axes.locator_params(axis="x", nbins=6, prune="upper")
        axes.grid(axis="y", visible=False)
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=len(handles))
    return figure


def free(report: Mapping[str, Any]) -> Any:
    """Draw the processor time of a request."""
    found = workload(report, "free")
    figure, (axes,) = _figure(1, 8, 4.4)
    costs = [
        (peer["title"], cost)
        for peer in found["peers"]
        if (cost := cpu_of_a_request(peer, found["rows"])) is not None
    ][::-1]
    names: Sequence[str] = [name for name, _ in costs]
    axes.barh(names, [cost for _, cost in costs], color=_BLUE)
    for place, (_, cost) in enumerate(costs):
        axes.annotate(
            f"{cost:.2f}", (cost, place), xytext=(4, 0), textcoords="offset points", va="center"
        )
    axes.set(
        title="Processor time of a request, start-up left out",
        xlabel="CPU milliseconds per request",
    )
    axes.set_xlim(0, 1.12 * max(cost for _, cost in costs))
    axes.grid(axis="y", visible=False)
    return figure
