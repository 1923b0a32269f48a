"""
Holds a setting of a run: one value for each knob.

Values only.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from ratedispatch.limits import BURST_SECONDS

#: The most requests unanswered at once: a number, ``auto``, or None for what the rate needs.
InFlight = int | Literal["auto"] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """
    One position of every knob.

    Args:
        max_in_flight: The most requests unanswered at once.
        burst_seconds: Seconds of rate that may go at once.
        max_tokens: The most tokens of each output; None for what each row says.
        order: In which order rows are sent.
        processes: How many processes send.
    """

    max_in_flight: InFlight = None
    burst_seconds: float = BURST_SECONDS
    max_tokens: int | None = None
    order: Literal["file", "interleave"] = "file"
    processes: int = 1

    def with_knob(self, knob: str, value: Any) -> Setting:
        """Return this setting with *knob* at *value*."""
        return replace(self, **{knob: value})

    def changes(self, other: Setting) -> tuple[str, ...]:
        """Return the knobs that are elsewhere in *other*."""
        return tuple(knob for knob in KNOBS if getattr(self, knob) != getattr(other, knob))


#: The names of the knobs, in the order in which they are tried.
KNOBS: tuple[str, ...] = tuple(one.name for one in fields(Setting))


def ladder(value: float, *, least: float, most: float, factor: float = 2.0) -> list[float]:
    """
    Return the steps up and down from *value*, each *factor* times the last, within the bounds.

    The bounds themselves are the last steps; *value* is not among them.
    """
    steps = []
    for step_factor, bound in ((1 / factor, least), (factor, most)):
        step = value * step_factor
        while (step > bound) if step_factor < 1 else (step < bound):
            steps.append(step)
            step *= step_factor
        if bound not in {value, *steps}:
            steps.append(bound)
    return sorted(steps)
