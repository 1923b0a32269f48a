"""Draws bar charts: histograms of amounts, and how long each cause held a job back."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from markupsafe import Markup

from ratedispatch.observe.page import svg
from ratedispatch.observe.page.captions import measure
from ratedispatch.observe.page.ticks import amount, decade_ticks, round_ticks, short

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ratedispatch.observe.page.time_chart import Layout
    from ratedispatch.observe.spread import Spread

#: Bars of a picture at most.
_BARS = {"wide": 40, "narrow": 24}

#: Pixels of a plot, and above it for the labels of the marks.
_HEIGHT = 150.0
_TOP = 34.0

#: Pixels of a character of a label, on average, and beside it.
_CHARACTER, _BESIDE = 6.9, 6.0

#: Quantiles that are marked.
_MARKED = ((0.5, "half"), (0.95, "95 %"))


def histogram(
    spread: Spread, unit: str, words: tuple[str, str], layout: Layout, name: str
) -> Markup:
    """
    Return the picture of *spread*, on an axis on which each step is a factor.

    Args:
        spread: What was seen.
        unit: Behind a number: ``s``, ``tokens``.
        words: Its title, and what one sees in it.
        layout: Its sizes.
        name: Unique on the page.
    """
    bars = spread.bars(_BARS[layout.kind])
    left, width = layout.left, layout.width / (2 if layout.is_wide else 1) - layout.left - 10
    lower, upper = bars[0][0], bars[-1][1]
    bottom = _TOP + _HEIGHT
    ticks = round_ticks(max(count for _, _, count in bars), 4)

    def x(value: float) -> float:
        share = math.log(max(value, lower) / lower) / math.log(upper / lower)
        return left + min(1.0, share) * width

    def y(count: float) -> float:
        return bottom - count / ticks[-1] * _HEIGHT

    parts: list[Markup] = []
    for tick in ticks:
        parts += [svg.line(left, y(tick), left + width, y(tick), "grid")]
        parts += [svg.text(left - 6, y(tick) + 4, short(tick), anchor="end")]
    for begin, end, count in bars:
        if count:
            hint = f"{amount(begin)} – {amount(end)} {unit}: {count:,}"
            size = max(1.0, x(end) - x(begin) - 1), bottom - y(count)
            parts.append(svg.rect(x(begin), y(count), *size, "bar", hint))
    for tick in decade_ticks(lower, upper, 6):
        parts.append(svg.line(x(tick), bottom, x(tick), bottom + 5, "axis"))
        parts.append(svg.text(x(tick), bottom + 19, short(tick), anchor="middle"))
    parts.append(svg.line(left, bottom, left + width, bottom, "axis"))
    for row, (share, label) in enumerate(_MARKED):
        value = spread.quantile(share)
        at, height = x(value), 12.0 + 15 * row
        parts.append(svg.line(at, height + 3, at, bottom, f"line mark{row}"))
        # away from the other mark, where there is room
        said = f"{label} ≤ {measure(value, unit)}"
        wide = len(said) * _CHARACTER + _BESIDE
        to_the_left = at - left > wide if row == 0 else left + width - at < wide
        anchor = "end" if to_the_left else "start"
        beside = at - 4 if to_the_left else at + 4
        parts.append(svg.text(beside, height + 2, said, "label", anchor))
    size = left + width + 10, bottom + 24
    return svg.picture(name, *words, size, Markup("").join(parts))


def shares(rows: Sequence[tuple[str, float, str]], about: str, layout: Layout, name: str) -> Markup:
    """
    Return bars from the left, one below the other.

    Args:
        rows: What each is called, its share from 0 to 1, and what stands behind it.
        about: What one sees, in sentences.
        layout: The sizes of the picture.
        name: Unique on the page.
    """
    step = 28.0 if layout.is_wide else 44.0
    left = 260.0 if layout.is_wide else 0.0
    most = layout.width - left - 190

    def bars() -> Iterator[Markup]:
        """Yield each bar with its label and its figures."""
        for number, (label, share, figures) in enumerate(rows):
            y = step * number
            size = max(1.5, share * most), 18.0
            below = y + (4 if layout.is_wide else 20)
            if layout.is_wide:
                yield svg.text(left - 10, y + 17, label, "label", "end")
            else:
                yield svg.text(0.0, y + 14, label, "label")
            yield svg.rect(left, below, *size, f"bar b{number % 3}")
            yield svg.text(left + size[0] + 8, below + 13, figures)

    height = step * len(rows) + 6
    return svg.picture(
        name, "What held the run back", about, (layout.width, height), Markup("").join(bars())
    )
