"""
Holds the data of a report page, and reads it from files. Values only.

Figures and predictions come from files that anybody may have written: what has not the right kind
is left out.
"""

from __future__ import annotations

import math
from dataclasses import MISSING, dataclass, field, fields
from typing import TYPE_CHECKING, Any, NamedTuple

from ratedispatch.observe.report import Report
from ratedispatch.observe.route_figures import RouteFigures

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from ratedispatch.observe.history import History
    from ratedispatch.observe.outcomes import Outcomes

#: Numbers beyond this are no figures of a job.
_MOST = 1e18

#: Entries of a mapping, and characters of a text, that are kept.
_MOST_ENTRIES = 200
_LONGEST = 2_000

_VALUES = ("value", "median", "middle", "mean", "expected")
_COSTS = ("cost_usd", "usd", "cost")


class Range(NamedTuple):
    """A number that was predicted, and between which it was to be."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Predicted:
    """
    What was predicted of a run.

    Args:
        seconds: Until the last answer; None if that was not predicted.
        usd: What it costs.
        refused: Answers that say the rate is too high.
        tenths: Seconds until each tenth of the rows is done; empty if that was not predicted.
        binding: What would hold it back for the longest time; empty if unknown.
    """

    seconds: Range | None = None
    usd: Range | None = None
    refused: Range | None = None
    tenths: Sequence[float] = ()
    binding: str = ""


@dataclass(frozen=True, slots=True)
class Material:
    """
    What a page is made of.

    Args:
        name: The output of the job.
        made: When the page is made.
        version: The version of the program that makes it.
        outcomes: The outcome of the rows, in all runs.
        history: What happened in the runs; None without a timeline.
        report: The figures of the last run; None if they are not known.
        cost: What that run cost, as a person reads it; None to leave it out.
        costs: USD by model, of all runs, as far as prices are known.
        priced_by: Where the prices are from.
        predicted: What was predicted of the job.
        notes: What a reader has to know of the page.
        is_free: Whether the job was a trial that costs nothing.
    """

    name: str
    made: datetime
    version: str
    outcomes: Outcomes
    history: History | None = None
    report: Report | None = None
    cost: str | None = None
    costs: Mapping[str, float] = field(default_factory=dict)
    priced_by: str = ""
    predicted: Predicted | None = None
    notes: tuple[str, ...] = ()
    is_free: bool = False


def report_from(values: Mapping[str, Any]) -> Report | None:
    """Return the report whose fields *values* has by name; None if nothing of it can be read."""
    found: dict[str, Any] = {}
    for one in fields(Report):
        value, default = values.get(one.name), one.default
        if one.name == "routes" and isinstance(value, dict):
            found["routes"] = dict(_routes(value))
        elif default is MISSING or one.name == "notes":
            if isinstance(value, dict):
                found[one.name] = _numbers(value)
        elif isinstance(default, bool):
            found[one.name] = value is True
        elif isinstance(default, int | float) or one.name in _FLOATS:
            if _is_number(value):
                found[one.name] = value
        elif isinstance(value, str):
            found[one.name] = value[:_LONGEST]
    return Report(**found) if found else None


#: Fields that are None or a number.
_FLOATS = frozenset({"request_share", "token_share", "cost_usd"})


def _routes(values: Mapping[Any, Any]) -> list[tuple[str, RouteFigures]]:
    counts = ("sent", "answered", "refused", "prompt_tokens", "output_tokens")
    found = []
    for name, value in list(values.items())[:_MOST_ENTRIES]:
        if not isinstance(value, dict):
            continue
        figures = RouteFigures()
        for count in counts:
            if _is_number(value.get(count)):
                setattr(figures, count, int(value[count]))
        shares = value.get("shares")
        figures.shares = _numbers(shares) if isinstance(shares, dict) else {}
        figures.cost_usd = value["cost_usd"] if _is_number(value.get("cost_usd")) else None
        for text in ("stop_code", "stop_message"):
            if isinstance(value.get(text), str):
                setattr(figures, text, value[text][:_LONGEST])
        found.append((str(name)[:_LONGEST], figures))
    return found


def _numbers(values: Mapping[Any, Any]) -> dict[str, Any]:
    kept = list(values.items())[:_MOST_ENTRIES]
    return {str(name)[:_LONGEST]: value for name, value in kept if _is_number(value)}


def predicted_from(values: Any) -> Predicted | None:
    """
    Return what *values*, the JSON of a forecast, predicts; None if that is nothing.

    A number stands alone, or in an object with ``low`` and ``high``.
    """
    if not isinstance(values, dict):
        return None
    tenths = values.get("tenths")
    middles = [_range(one) for one in tenths] if isinstance(tenths, list) else []
    known = [one.value for one in middles if one is not None]
    binding = values.get("binding")
    usd = next((cost for name in _COSTS if (cost := _range(values.get(name)))), None)
    found = Predicted(
        seconds=_range(values.get("seconds")),
        usd=usd,
        refused=_range(values.get("refused")),
        tenths=known if len(known) == len(middles) == 10 else (),
        binding=binding[:_LONGEST] if isinstance(binding, str) else "",
    )
    return None if found == Predicted() else found


def _range(value: Any) -> Range | None:
    if _is_number(value):
        return Range(value, value, value)
    if isinstance(value, dict):
        middle = next((value[name] for name in _VALUES if _is_number(value.get(name))), None)
        if middle is None:
            return None
        low, high = value.get("low", middle), value.get("high", middle)
        if _is_number(low) and _is_number(high):
            return Range(middle, min(low, middle), max(high, middle))
    return None


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value) and 0 <= value < _MOST if abs(value) < _MOST else False
