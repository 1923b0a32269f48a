"""
How results are shown to a person.

Decides columns and lines. Knows values and their names, and nothing of what they mean.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.frame.spread import Spread, ratios

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: What stands in a cell that has no value.
NOTHING = "–"

_INDENT = "  "


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return *rows*, the first of them the headings, with the first column set to the left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows
    )


def compared(
    samples: Mapping[str, Sequence[float]], base: str, unit: str, digits: int = 2
) -> tuple[dict[str, Any], str]:
    """
    Return what each variant takes and how many times *base* that is, as JSON and as a table.

    Args:
        samples: Microseconds of each variant, the same number of each, round by round.
        base: The variant that the others are divided by.
        unit: What one sample is, the heading of the medians.
        digits: Decimal places.
    """
    spreads = {name: Spread.of(values) for name, values in samples.items()}
    times = ratios(samples, base)
    rows = [["", unit, "least", "most", f"× {base}", "least", "most"]]
    for name, spread in spreads.items():
        ratio = times.get(name)
        cells = [NOTHING] * 3 if ratio is None else [f"{value:.2f}" for value in ratio]
        rows.append([name, *(f"{value:.{digits}f}" for value in spread), *cells])
    figures = {
        "cpu_us": {name: spread.as_dict(digits) for name, spread in spreads.items()},
        f"times_{base}": {name: spread.as_dict(digits) for name, spread in times.items()},
    }
    return figures, table(rows)


def outline(result: Mapping[str, Any], depth: int = 0) -> str:
    """
    Return *result* as indented lines; what has a median and extremes takes one line.

    For results of any shape, where a table would have to know them.
    """
    lines = []
    width = max((len(name) for name in result), default=0)
    for name, value in result.items():
        if isinstance(value, dict) and value and not _is_spread(value):
            lines += [f"{_INDENT * depth}{name}", outline(value, depth + 1)]
        else:
            lines.append(f"{_INDENT * depth}{name.ljust(width)}  {_value(value)}")
    return "\n".join(lines)


def _is_spread(value: Mapping[str, Any]) -> bool:
    return "median" in value and not any(isinstance(part, dict) for part in value.values())


def _value(value: Any) -> str:
    if isinstance(value, dict):
        if not value:
            return NOTHING
        low = value.get("least", value.get("lowest"))
        high = value.get("most", value.get("highest"))
        return f"{_value(value['median'])} ({_value(low)} to {_value(high)})"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(_value, value)) or NOTHING
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
