"""
Decides whether refusals can come from one rate.

Compares the intervals between refusals. A bucket that refills at a constant rate does not refuse
requests at a speed well below one at which it has admitted others for a long time. A server that
does so refuses at any speed, and slowing down does not help. Depends only on the instants that it
is given.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class ConstancyTuning:
    """
    What can be tuned of the comparison.

    Args:
        fewest_admitted: Requests admitted between two refusals below which these tell nothing: a
            limit that is reached refuses several in a row.
        speed_seconds: The speed at a refusal is that of so many seconds before it.
        well_below: At most this share of a speed is well below it.
        fewest_signs: So many refusals have to contradict a rate; a limit that is shared with
            others changes a little.
        remembered: Stretches that are examined; a limit may be lowered.
    """

    fewest_admitted: int = 10
    speed_seconds: float = 1.0
    well_below: float = 0.7
    fewest_signs: int = 2
    remembered: int = 8


_TUNING = ConstancyTuning()


class Constancy:
    """
    The stretches between refusals of one queue.

    Attributes:
        is_refuted: Whether there is no rate that could have led to the refusals.
    """

    __slots__ = ("_admitted", "_admitted_speeds", "_signs", "_since", "_tuning", "is_refuted")

    def __init__(self, tuning: ConstancyTuning = _TUNING) -> None:
        self._tuning = tuning
        self._since: float | None = None  # when what was last refused had left
        self._admitted = 0
        self._admitted_speeds: deque[float] = deque(maxlen=tuning.remembered)
        self._signs = 0
        self.is_refuted = False

    def on_refusal(
        self,
        sent_at: float,
        *,
        admitted: int,
        resumed_at: float,
        grants: Sequence[tuple[float, int]],
    ) -> None:
        """
        Compare the stretch that ends with this refusal to those before.

        Args:
            sent_at: When the refused request left.
            admitted: Requests that were not refused so far.
            resumed_at: When the last pause ended.
            grants: The latest requests that left; each with its instant first.
        """
        tuning, since = self._tuning, self._since
        if since is not None and sent_at <= since:
            return
        gained = admitted - self._admitted
        if since is not None and gained >= tuning.fewest_admitted:
            beginning = sent_at - tuning.speed_seconds
            if resumed_at <= beginning:
                sent = bisect_left(grants, (sent_at, 0)) - bisect_left(grants, (beginning, 0))
                # what was admitted in the whole stretch counts too: few a second are no speed
                speed = max((sent + 1) / tuning.speed_seconds, gained / (sent_at - since))
                fastest = max(self._admitted_speeds, default=0.0)
                self._signs += speed <= tuning.well_below * fastest
                self.is_refuted = self._signs >= tuning.fewest_signs
            self._admitted_speeds.append(gained / (sent_at - since))
        self._since, self._admitted = sent_at, admitted

    def forget(self) -> None:
        """Start over: it was a rate after all."""
        self._admitted_speeds.clear()
        self._signs = 0
        self.is_refuted = False
