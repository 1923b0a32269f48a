"""
Writes elements of SVG, with all that is text escaped.

A chart here needs six kinds of elements, and no library that draws charts writes them without
script, without styles of its own and with a table for those who do not see it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from markupsafe import Markup, escape

from ratedispatch.observe.human import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable


#: Characters of a text in a picture, and of one that shows when it is pointed at.
_LABEL = 40
_HINT = 1_000


def element(name: str, content: object = "", **attributes: object) -> Markup:
    """
    Return an element; of *attributes*, ``class_`` is ``class``, and an underscore is a dash.

    Args:
        name: The name of the element.
        content: What stands in it; escaped, unless it is markup.
        attributes: None leaves one out; a float is written with one digit behind the point.
    """
    given = Markup("").join(
        Markup(' {}="{}"').format(key.rstrip("_").replace("_", "-"), _value(value))
        for key, value in attributes.items()
        if value is not None
    )
    return Markup("<{0}{1}>{2}</{0}>").format(name, given, escape(content))


def group(parts: Iterable[Markup], **attributes: object) -> Markup:
    """Return a ``g`` element with *parts* in it."""
    return element("g", Markup("").join(parts), **attributes)


def text(x: float, y: float, content: str, class_: str = "", anchor: str = "start") -> Markup:
    """Return a text that ends, begins or has its middle at *x*."""
    kind = f"t {class_}".strip()
    return element("text", _cut(content, _LABEL), x=x, y=y, class_=kind, text_anchor=anchor)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    """Return a straight line."""
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def path(points: Iterable[tuple[float, float]], class_: str, *, is_closed: bool = False) -> Markup:
    """Return a line through *points*."""
    steps = "L".join(f"{x:.1f} {y:.1f}".replace(".0", "") for x, y in points)
    return element("path", d=f"M{steps}{'Z' if is_closed else ''}", class_=class_)


def rect(x: float, y: float, width: float, height: float, class_: str, hint: str = "") -> Markup:
    """Return a box, with a *hint* that shows when it is pointed at."""
    content = element("title", _cut(hint, _HINT)) if hint else ""
    size = {"x": x, "y": y, "width": max(0.0, width), "height": max(0.0, height)}
    return element("rect", content, **size, class_=class_)


def picture(name: str, label: str, about: str, size: tuple[float, float], parts: object) -> Markup:
    """
    Return a whole picture.

    Args:
        name: Unique on the page.
        label: What it shows, in a few words.
        about: What one sees in it, in sentences.
        size: Its width and height.
        parts: Markup of what is in it.
    """
    words = element("title", _cut(label, _HINT), id=f"{name}-t")
    words += element("desc", _cut(about, _HINT), id=f"{name}-d")
    return element(
        "svg",
        words + escape(parts),
        viewBox=f"0 0 {size[0]:g} {size[1]:g}",
        role="img",
        aria_labelledby=f"{name}-t {name}-d",
        xmlns="http://www.w3.org/2000/svg",
    )


def _cut(content: str, most: int) -> str:
    return one_line(content if len(content) <= most else content[: most - 1] + "…")


def _value(value: object) -> str:
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)
