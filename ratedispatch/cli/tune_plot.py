"""
Draws the advice of ``tune``: time against cost, and rows per second against each flag.

Readable without colour: kinds of points differ by shape and are named beside them. matplotlib is
imported only here, and only when something is drawn.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import click

from ratedispatch.observe.human import one_line
from ratedispatch.simulate.tune.trial import frontier

if TYPE_CHECKING:
    from pathlib import Path

    from ratedispatch.jobs.tuning.tuner import Tuning
    from ratedispatch.simulate.tune.trial import Trial

_SUFFIXES = (".png", ".svg")

_LONGEST_NAME = 24

#: The shapes of points, by service.
_NOW = "now"
_SHAPES = {"live": "o", "flex": "s", "batch": "D", _NOW: "x"}

#: Points whose times are apart by a smaller factor (its logarithm) have one label.
_TOGETHER = 0.2

#: More names than these stand in two columns.
_LEGEND_LINES = 7

_NAMES = {
    "max_in_flight": "--max-in-flight",
    "burst_seconds": "--burst-seconds (s)",
    "max_tokens": "--max-tokens",
    "order": "--order",
    "processes": "--processes",
}

#: What a run does that says nothing about a flag.
_UNSAID = {"max_in_flight": "default", "max_tokens": "as in the rows"}

#: Fewer numbers than these are drawn as bars.
_LEAST_POINTS = 3

#: Seconds that are named on an axis.
_TICKS = (1, 10, 60, 600, 3_600, 6 * 3_600, 86_400, 7 * 86_400, 30 * 86_400)

_INK, _SOFT, _ACCENT = "#1a1a1a", "#8a8a8a", "#0b5fa5"


def check_plot(path: Path) -> None:
    """
    Check that charts can be drawn, before anything takes time.

    Raises:
        click.UsageError: The name says no known format, is a link or no regular file, its folder is
            missing, or matplotlib is.
    """
    if path.suffix.lower() not in _SUFFIXES:
        raise click.UsageError(f"--plot {path} must end in {' or '.join(_SUFFIXES)}")
    if not path.parent.is_dir():
        raise click.UsageError(f"--plot {path}: the folder {path.parent} does not exist")
    if path.is_symlink():  # another user of the folder could have any file replaced
        raise click.UsageError(f"--plot {path} is a link, and links are not followed; name a file")
    if path.exists() and not path.is_file():
        raise click.UsageError(f"--plot {path} is not a regular file; name another file")
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise click.UsageError(
            "--plot needs matplotlib; install it with: pip install matplotlib"
        ) from error


def draw(tuning: Tuning, path: Path) -> None:
    """
    Write the charts of *tuning* to *path*.

    Raises:
        click.UsageError: The file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    knobs = [name for name, trials in tuning.advice.found.singles.items() if len(trials) > 1]
    panels = 1 + len(knobs)
    rows = math.ceil(panels / 2)
    figure = Figure(figsize=(10, 3.4 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    axes = list(figure.subplots(rows, 2, squeeze=False).flat)
    _draw_costs(axes[0], tuning)
    for axis, knob in zip(axes[1:], knobs, strict=False):
        _draw_knob(axis, knob, tuning)
    for axis in axes[panels:]:
        axis.set_visible(False)
    for axis in axes[:panels]:
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(labelsize=8, colors=_INK)
    try:
        # of a chart that was drawn before, so that its bytes are the same
        about = {"Date": None} if path.suffix.lower() == ".svg" else {"Software": None}
        figure.savefig(path, dpi=150, metadata=about)
    except OSError as error:
        raise click.UsageError(f"--plot {path} cannot be written: {error.strerror}") from error


def _draw_costs(axis: Any, tuning: Tuning) -> None:
    """Draw each account and service by its time and its cost, and those that nothing beats."""
    points = _points(tuning)
    axis.set_title("Time and cost; the line joins the best trade-offs", fontsize=9, loc="left")
    if not points:
        axis.text(0.5, 0.5, "prices are not known", ha="center", transform=axis.transAxes)
        axis.set_axis_off()
        return
    # nothing is promised of flex processing: it is drawn at the least that it takes
    front = frontier([point[:2] for point in points if point[2] not in {"flex", _NOW}])
    axis.plot(*zip(*front, strict=True), color=_ACCENT, linewidth=1.2, zorder=1)
    for seconds, usd, service, _ in points:
        is_best = (seconds, usd) in front and service != "flex"
        shape, fill = _SHAPES[service], _ACCENT if is_best and service != _NOW else "white"
        edge = {"c": _INK} if service == _NOW else {"c": fill, "edgecolors": _ACCENT}
        axis.scatter(seconds, usd, marker=shape, s=42, zorder=2, **edge)
    _number(axis, points)
    _scale_costs(axis, [point[0] for point in points], [point[1] for point in points])


def _number(axis: Any, points: list[tuple[float, float, str, str]]) -> None:
    """Write a number beside each point, one for those that lie together, and what they are."""
    at: dict[tuple[int, str], list[int]] = {}
    for number, (seconds, usd, _, _) in enumerate(points, 1):
        near = round(math.log(max(seconds, 1e-9)) / _TOGETHER), f"{usd:.2g}"
        at.setdefault(near, []).append(number)
    for numbers in at.values():
        seconds, usd, service, _ = points[numbers[0] - 1]
        offset = (6, -11 if service == _NOW else 5)
        _write(axis, ", ".join(map(str, numbers)), (seconds, usd), xytext=offset)
    names = [f"{number}  {label}" for number, (*_, label) in enumerate(points, 1)]
    half = math.ceil(len(names) / 2) if len(names) > _LEGEND_LINES else len(names)
    for place, lines in ((0.03, names[:half]), (0.52, names[half:])):
        axis.text(place, 0.03, "\n".join(lines), transform=axis.transAxes, fontsize=7, color=_INK)


def _points(tuning: Tuning) -> list[tuple[float, float, str, str]]:
    """Return the seconds, the cost, the service and the label of each account and service."""
    points = []
    for one in tuning.accounts:
        name = one_line(one.account.name)[:_LONGEST_NAME]
        best = one.advice.best
        ways = [(way.service, way.most or way.least, way.usd) for way in one.ways]
        for service, seconds, usd in ways or [("live", best.seconds, best.usd)]:
            if usd is not None and math.isfinite(seconds):
                what = {"live": name, "flex": f"{name}, flex, or longer"}
                points.append((seconds, usd, service, what.get(service, f"{name}, {service}")))
    now = tuning.advice.default
    if now.usd is not None and math.isfinite(now.seconds) and tuning.advice.changes:
        points.append((now.seconds, now.usd, _NOW, "current"))
    return points


def _scale_costs(axis: Any, seconds: list[float], usd: list[float]) -> None:
    from matplotlib.ticker import FixedLocator, NullLocator

    axis.set_xscale("log")
    low, high = min(seconds) / 2, max(seconds) * 3
    axis.set_xlim(low, high)
    ticks = [tick for tick in _TICKS if low <= tick <= high]
    axis.xaxis.set_major_locator(FixedLocator(ticks or [min(seconds)]))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter(lambda at, _: _time(at))
    axis.set_ylim(0, (max(usd) or 1) * 1.15)
    axis.set_xlabel("time, at most", fontsize=8)
    axis.set_ylabel("USD", fontsize=8)


def _write(axis: Any, text: str, point: tuple[float, float], **others: Any) -> None:
    style = {"textcoords": "offset points", "fontsize": 7, "color": _INK, **others}
    axis.annotate(text, point, **style)


def _draw_knob(axis: Any, knob: str, tuning: Tuning) -> None:
    """Draw rows per second by the values of *knob*, with all others as they are."""
    trials = [one for one in tuning.advice.found.singles[knob] if math.isfinite(one.seconds)]
    default, best = tuning.advice.default.setting, tuning.advice.best.setting
    numbers = sorted(
        (one for one in trials if isinstance(getattr(one.setting, knob), int | float)),
        key=lambda one: getattr(one.setting, knob),
    )
    words = [one for one in trials if one not in numbers]
    axis.set_title(_NAMES[knob], fontsize=9, loc="left")
    axis.set_ylabel("rows per second", fontsize=8)
    top = max((_rate(one) for one in trials), default=1.0)
    if len(numbers) >= _LEAST_POINTS:
        _draw_line(axis, knob, numbers, words)
        _mark(axis, getattr(default, knob), "current")
        if getattr(best, knob) != getattr(default, knob):
            _mark(axis, getattr(best, knob), "best")
    else:
        labels = [_label(one, knob) for one in trials]
        rates = [_rate(one) for one in trials]
        axis.bar(labels, rates, color="white", edgecolor=_ACCENT, width=0.5)
    axis.set_ylim(0, top * 1.15)


def _draw_line(axis: Any, knob: str, numbers: list[Trial], words: list[Trial]) -> None:
    values = [getattr(one.setting, knob) for one in numbers]
    axis.plot(values, [_rate(one) for one in numbers], "o-", color=_ACCENT, ms=4, lw=1.2)
    if values[0] > 0 and values[-1] / values[0] > 20:
        axis.set_xscale("log", base=2)
        axis.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    at: dict[str, list[Trial]] = {}
    for one in words:  # those that are hardly apart have one line
        at.setdefault(f"{_rate(one):.2g}", []).append(one)
    for line, alike in zip(("--", ":", "-."), at.values(), strict=False):
        rate = _rate(alike[0])
        axis.axhline(rate, color=_SOFT, linewidth=1, linestyle=line)
        text = ", ".join(_label(one, knob) for one in alike)
        _write(axis, text, (0.99, rate), xycoords=("axes fraction", "data"), xytext=(0, 3),
               ha="right")  # fmt: skip


def _label(trial: Trial, knob: str) -> str:
    value = getattr(trial.setting, knob)
    return _UNSAID.get(knob, "current") if value is None else str(value)


def _mark(axis: Any, value: Any, text: str) -> None:
    if isinstance(value, int | float):
        axis.axvline(value, color=_INK, linewidth=0.8, linestyle="--" if text == "best" else ":")
        _write(axis, text, (value, 0.04), xycoords=("data", "axes fraction"), xytext=(3, 0))


def _rate(trial: Trial) -> float:
    return trial.rows / trial.seconds if trial.seconds else 0.0


def _time(seconds: float) -> str:
    for length, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= length:
            return f"{seconds / length:g} {unit}"
    return f"{seconds:g} s"
