"""
What each member of a pool has done in a run: counted from events, and told in the report.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ratedispatch.events import AttemptEnded, AttemptSent, RouteResumed, RouteStopped
from ratedispatch.outcome import REFUSALS, Completed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ratedispatch.events import RequestEnded
    from ratedispatch.pacing.snapshot import Snapshot


@dataclass(slots=True)
class RouteFigures:
    """
    What a member of a pool, or a group of models, has done in a run.

    Args:
        sent: Requests sent to it.
        answered: Requests of these that it answered.
        refused: Answers that said the rate was too high.
        prompt_tokens: What it reports, over what it answered.
        output_tokens: The same.
        cost_usd: What these cost, in USD; None if no price is known.
        shares: Share of each of its limits that was used, by dimension, 0 to 1.
        stop_code: Why it was left alone at the end; None if it was not.
        stop_message: One sentence on that.
    """

    sent: int = 0
    answered: int = 0
    refused: int = 0
    prompt_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = None
    shares: Mapping[str, float] = field(default_factory=dict)
    stop_code: str | None = None
    stop_message: str | None = None


class RouteTally:
    """
    Counts by route what `Tally` counts of all.

    Attributes:
        figures: By the name of the route.
    """

    def __init__(self) -> None:
        self.figures: dict[str, RouteFigures] = {}

    def of(self, route: str) -> RouteFigures:
        """Return the figures of *route*."""
        found = self.figures.get(route)
        if found is None:
            found = self.figures[route] = RouteFigures()
        return found

    def count(
        self, event: AttemptSent | AttemptEnded | RequestEnded | RouteStopped | RouteResumed
    ) -> None:
        """Count *event*, which is one of a route."""
        if isinstance(event, AttemptSent):
            self.of(event.route).sent += 1
        elif isinstance(event, AttemptEnded):
            self.of(event.route).refused += event.decision in REFUSALS
        elif isinstance(event, RouteStopped):
            figures = self.of(event.route)
            figures.stop_code, figures.stop_message = event.code, event.message
        elif isinstance(event, RouteResumed):
            figures = self.of(event.route)
            figures.stop_code = figures.stop_message = None
        elif isinstance(event.outcome, Completed):
            figures, usage = self.of(event.outcome.route), event.outcome.usage
            figures.answered += 1
            if usage is not None:
                figures.prompt_tokens += usage.prompt_tokens
                figures.output_tokens += usage.output_tokens

    def ended(
        self, states: Mapping[str, Snapshot], costs: Mapping[str, float]
    ) -> dict[str, RouteFigures]:
        """
        Return the figures at the end of a run.

        Args:
            states: The states of all routes; the only one there is has no name, and is left out.
            costs: USD for what each has answered, as far as prices are known.
        """
        for name, state in states.items():
            figures = self.of(name)
            figures.cost_usd = costs.get(name)
            figures.shares = {
                level.dimension: level.used for level in state.levels if level.used is not None
            }
        return {name: self.figures[name] for name in states if name}
