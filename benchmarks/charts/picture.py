"""
The picture of the README, as SVG.

Decides axes, colours and words, and that one result gives one picture, to the byte. The rates are
averages over five seconds; refusals are added up. The background is part of the picture, so that
it can be read on any page, and follows the colour scheme of the reader. Knows nothing of pages.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

#: The columns: how each is called here, and the ways of `benchmarks.live.recipe` of which it shows
#: the one with the least median makespan.
COLUMNS = {
    "ratedispatch run": ("run",),
    "asyncio.gather + backoff": ("backoff", "backoff-sdk"),
    "the same, 100 at a time": ("backoff-100",),
}

#: Seconds on each side of an instant whose average a rate is.
_REACH = 2

_LEFT, _TOP, _WIDTH, _HEIGHT = 68, 98, 256, 70
_GAP, _STEP = 20, 104
_PICTURE = (_LEFT + 3 * _WIDTH + 2 * _GAP + 18, _TOP + 2 * _STEP + _HEIGHT + 46)

# told apart by people who see colours differently, and in grey: Okabe and Ito's palette
_STYLE = """
  text { font: 13px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; }
  text, .plain { fill: #1f2328; }
  .card { fill: #ffffff; stroke: #d0d7de; }
  .panel { fill: #f3f5f7; }
  .name { font-size: 14px; }
  .sum { font-size: 20px; font-weight: 600; }
  .row { font-weight: 600; }
  .quiet { fill: #57606a; }
  .limit { stroke: #57606a; stroke-width: 1.5; stroke-dasharray: 5 4; }
  .sent { stroke: #0072b2; fill: #0072b2; }
  .refused { stroke: #c04c00; fill: #c04c00; }
  path { stroke-width: 2; fill-opacity: 0.22; stroke-linejoin: round; }
  @media (prefers-color-scheme: dark) {
    text, .plain { fill: #e6edf3; }
    .card { fill: #0d1117; stroke: #30363d; }
    .panel { fill: #171c24; }
    .quiet { fill: #9da7b3; }
    .limit { stroke: #9da7b3; }
    .sent { stroke: #56b4e9; fill: #56b4e9; }
    .refused { stroke: #f0a030; fill: #f0a030; }
  }
"""


@dataclass(frozen=True, slots=True)
class Row:
    """
    What one row of panels shows.

    Args:
        title: What is counted, with its unit.
        kind: Its class in the style.
        top: The value at the upper edge of its panels.
        limit: Where the limit is drawn; ``None`` where there is none.
        values: Instants in seconds and values, for each column.
    """

    title: str
    kind: str
    top: float
    limit: float | None
    values: Mapping[str, Sequence[tuple[float, float]]]


def rates(counts: Sequence[int]) -> list[tuple[float, float]]:
    """Return amounts per minute, each the average of the five seconds around it."""
    found = []
    for second in range(len(counts)):
        near = counts[max(0, second - _REACH) : second + _REACH + 1]
        found.append((second + 0.5, 60 * sum(near) / len(near)))
    return [(0.0, found[0][1]), *found, (float(len(counts)), found[-1][1])]


def totals(counts: Sequence[int]) -> list[tuple[float, float]]:
    """Return how many there were up to the end of each second."""
    return [(float(at), float(value)) for at, value in enumerate(accumulate(counts, initial=0))]


def shown(report: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return what each column shows, by its name."""
    ways = {way["way"]: way for way in report["ways"]}
    return {
        column: min(
            (ways[name] for name in names), key=lambda way: way["summary"]["makespan_s"]["median"]
        )
        for column, names in COLUMNS.items()
    }


def rows(report: Mapping[str, Any]) -> list[Row]:
    """Return the three rows of the picture."""
    seconds = {name: way["per_second"] for name, way in shown(report).items()}
    refused = {name: totals(one["refused"]) for name, one in seconds.items()}
    most = max(value for series in refused.values() for _, value in series)
    found = [Row("Refusals (429) so far", "refused", _round_up(most), None, refused)]
    for title, limit, name in (
        ("Tokens per minute", report["tpm"], "tokens_charged"),
        ("Requests per minute", report["rpm"], "admitted"),
    ):
        series = {way: rates(one[name]) for way, one in seconds.items()}
        found.insert(0, Row(title, "sent", 1.4 * limit, limit, series))
    return found


def _round_up(value: float) -> float:
    step = 10.0 ** (len(str(int(value))) - 1)
    return max(1.0, -(-value // step) * step)


def draw(report: Mapping[str, Any]) -> str:
    """Return the picture of a result of `benchmarks.live.recipe`."""
    width, height = _PICTURE
    ends = {name: summary(way) for name, way in shown(report).items()}
    last = max(seconds for seconds, _ in ends.values())
    span = -(-last // 10) * 10
    words = "; ".join(
        f"{name}: {seconds:.0f} s, {refusals:,.0f} refused"
        for name, (seconds, refusals) in ends.items()
    )
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}"',
        f' viewBox="0 0 {width} {height}" role="img" aria-labelledby="title desc">',
        '<title id="title">The same file, server and limits, sent three ways</title>',
        f'<desc id="desc">{escape(words)}</desc>',
        f"<style>{_STYLE}</style>",
        f'<rect class="card" x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="8"/>',
    ]
    for column, (name, (seconds, refusals)) in enumerate(ends.items()):
        left = _left(column)
        lines.append(f'<text class="name" x="{left}" y="30">{escape(name)}</text>')
        said = f"{seconds:.0f} s, {refusals:,.0f} refused"
        lines.append(f'<text class="sum" x="{left}" y="55">{said}</text>')
    for number, row in enumerate(rows(report)):
        lines += _row(row, _TOP + number * _STEP, span)
    lines += _seconds(span)
    return "\n".join([*lines, "</svg>", ""])


def summary(way: Mapping[str, Any]) -> tuple[float, float]:
    """Return the seconds and the refusals of the run of *way* that is drawn."""
    middle = way["summary"]["makespan_s"]
    drawn = min(way["runs"], key=lambda run: abs(run["makespan_s"] - middle["median"]))
    return drawn["makespan_s"], drawn["refusals"]


def _left(column: int) -> int:
    return _LEFT + column * (_WIDTH + _GAP)


def _row(row: Row, top: int, span: float) -> Iterator[str]:
    yield f'<text class="row" x="{_LEFT}" y="{top - 9}">{escape(row.title)}</text>'
    base = top + _HEIGHT
    high = row.limit if row.limit is not None else row.top
    level = base - _HEIGHT * high / row.top
    for value, y in ((0.0, base), (high, level)):
        yield (
            f'<text class="quiet" x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">'
            f"{_short(value)}</text>"
        )
    for column, name in enumerate(COLUMNS):
        left = _left(column)
        yield f'<rect class="panel" x="{left}" y="{top}" width="{_WIDTH}" height="{_HEIGHT}"/>'
        points = [
            (left + _WIDTH * at / span, base - _HEIGHT * value / row.top)
            for at, value in row.values[name]
        ]
        yield _area(points, base, row.kind)
        if row.limit is not None:
            yield (
                f'<line class="limit" x1="{left}" y1="{level:.1f}" x2="{left + _WIDTH}"'
                f' y2="{level:.1f}"/>'
            )
            if column == 0:
                yield (
                    f'<text class="quiet" x="{left + _WIDTH - 6}" y="{level - 5:.1f}"'
                    ' text-anchor="end">limit</text>'
                )


def _area(points: Sequence[tuple[float, float]], base: float, kind: str) -> str:
    """Return a line over its area; the edges of the area have no stroke."""
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    first, last = points[0][0], points[-1][0]
    area = f"M{first:.1f},{base} L{line} L{last:.1f},{base} Z"
    return (
        f'<path class="{kind}" style="stroke:none" d="{area}"/>'
        f'<path class="{kind}" style="fill:none" d="M{line}"/>'
    )


def _seconds(span: float) -> Iterator[str]:
    base = _TOP + 2 * _STEP + _HEIGHT
    for column in range(len(COLUMNS)):
        # the last one would run into the first of the next column
        for at in range(0, int(span) - 9, 20):
            yield _centred(_left(column) + _WIDTH * at / span, base + 18, str(at))
        yield _centred(_left(column) + _WIDTH / 2, base + 36, "seconds")


def _centred(x: float, y: float, text: str) -> str:
    return f'<text class="quiet" x="{x:.1f}" y="{y}" text-anchor="middle">{text}</text>'


def _short(value: float) -> str:
    return f"{value / 1e6:g}M" if value >= 1e6 else f"{value:,.0f}"
