"""
Holds the forecast of a job: several simulations as one value, each number with an interval.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ratedispatch.simulate.forecast.course import Course, Wait
    from ratedispatch.simulate.forecast.workload import Kind


class Interval(NamedTuple):
    """
    A number that varies from one simulation to another.

    Args:
        mean: Over all courses.
        low: The lowest of them.
        high: The highest of them.
    """

    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, numbers: Iterable[float]) -> Interval:
        """Return the interval of *numbers*, of which there is at least one."""
        found = list(numbers)
        return cls(math.fsum(found) / len(found), min(found), max(found))


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """
    What is expected of a job.

    Args:
        rows: How many rows it has.
        kinds: Of which endpoints and models they are.
        courses: What came of it, each time it was played.
        method: How it was played, in a sentence or several.
        by: The same in a word: ``engine``, ``model`` or ``extrapolation``.
    """

    rows: int
    kinds: tuple[Kind, ...]
    courses: tuple[Course, ...]
    method: str
    by: str

    def interval(self, number: Callable[[Course], float]) -> Interval:
        """Return the interval of a *number* of a course."""
        return Interval.of(map(number, self.courses))

    @property
    def seconds(self) -> Interval:
        """From the first request sent to the last answer."""
        return self.interval(lambda course: course.seconds)

    @property
    def tenths(self) -> tuple[Interval, ...]:
        """Seconds until each tenth of the rows is done; infinite for what a stop leaves out."""
        return tuple(map(Interval.of, zip(*(one.tenths for one in self.courses), strict=True)))

    @property
    def held(self) -> dict[str, Interval]:
        """Seconds by what held the job back, the longest first."""
        return self._named(lambda course: course.held)

    @property
    def shares(self) -> dict[str, Interval]:
        """The share of each limit that was used."""
        return self._named(lambda course: course.shares)

    @property
    def binding(self) -> str | None:
        """What held the job back for the longest time; None if nothing did."""
        return next(iter(self.held), None)

    @property
    def stop(self) -> tuple[str, str] | None:
        """The code and the sentence of a stop before the end, if most courses had one."""
        found = [(one.stop_code, one.stop_message) for one in self.courses if one.stop_code]
        return found[0] if 2 * len(found) > len(self.courses) else None

    @property
    def waits(self) -> tuple[Wait, ...]:
        """How long rows waited, by their size; the means over all courses."""
        alike = [one.waits for one in self.courses if len(one.waits) == len(self._longest)]
        return tuple(
            first._replace(
                p50=math.fsum(wait.p50 for wait in found) / len(found),
                p95=math.fsum(wait.p95 for wait in found) / len(found),
            )
            for first, found in ((found[0], found) for found in zip(*alike, strict=True))
        )

    @property
    def _longest(self) -> tuple[Wait, ...]:
        return max((one.waits for one in self.courses), key=len)

    def _named(self, numbers: Callable[[Course], Mapping[str, float]]) -> dict[str, Interval]:
        """Return the intervals of *numbers* by name; those that a course lacks are 0 in it."""
        totals: Counter[str] = Counter()
        for course in self.courses:
            totals.update(numbers(course))
        return {
            name: self.interval(lambda course, name=name: numbers(course).get(name, 0.0))  # type: ignore[misc]
            for name, _ in totals.most_common()
        }

    def as_dict(self) -> dict[str, Any]:
        """Return everything as values of JSON; what never happens is None."""
        code, message = self.stop or (None, None)
        numbers = {
            name: _plain(self.interval(lambda course, name=name: getattr(course, name)))  # type: ignore[misc]
            for name in (
                "seconds",
                "answered",
                "failed",
                "attempts",
                "refused",
                "in_flight_peak",
                "in_flight_mean",
            )
        }
        return {
            "rows": self.rows,
            **numbers,
            "tenths": [_plain(tenth) for tenth in self.tenths],
            "binding": self.binding,
            "held_seconds": {name: _plain(time) for name, time in self.held.items()},
            "shares": {name: _plain(share) for name, share in self.shares.items()},
            "waits": [wait._asdict() for wait in self.waits],
            "kinds": [
                {
                    "endpoint": kind.endpoint,
                    "model": kind.model,
                    "prompt_tokens": _plain(self.billed(index)[0]),
                    "output_tokens": _plain(self.billed(index)[1]),
                }
                for index, kind in enumerate(self.kinds)
            ],
            "stop_code": code,
            "stop_message": message,
            "plays": len(self.courses),
            "by": self.by,
            "method": self.method,
        }

    def billed(self, kind: int) -> tuple[Interval, Interval]:
        """Return the tokens billed for prompts and for outputs of the kind with that number."""
        return (
            self.interval(lambda course: course.prompt_tokens[kind]),
            self.interval(lambda course: course.output_tokens[kind]),
        )


def _plain(interval: Interval) -> dict[str, float | None]:
    return {
        name: value if math.isfinite(value) else None for name, value in interval._asdict().items()
    }
