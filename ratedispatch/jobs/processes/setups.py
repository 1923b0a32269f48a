"""
What each of the processes of a job is given to send with.
"""

from __future__ import annotations

import dataclasses
import os
from typing import TYPE_CHECKING

from ratedispatch.events import RequestEnded
from ratedispatch.jobs.processes.messages import Setup
from ratedispatch.jobs.processes.parting import Part

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ratedispatch.dispatch.options import DispatcherOptions
    from ratedispatch.events import Listener
    from ratedispatch.groups import LimitGroups
    from ratedispatch.jobs.processes.crew import Crew
    from ratedispatch.limits import Limits


class Setups:
    """
    What the processes of a crew are given.

    Args:
        crew: The processes.
        limits: What the account may spend; None for a pool.
        options: How to send.
        listeners: Those of the caller of the job: where one hears of outcomes, answers come back
            with all that there is of them.
    """

    def __init__(
        self,
        crew: Crew,
        limits: Limits | LimitGroups | None,
        options: DispatcherOptions,
        listeners: Iterable[Listener],
    ) -> None:
        self._crew = crew
        self._limits = limits
        # what cannot travel is made anew there; what one process learns of its part of the limits
        # is nothing that another run could begin with
        self._options = dataclasses.replace(options, counter=None, rng=None, memory=False)
        self._is_whole = any(
            RequestEnded in getattr(one, "listens_to", (RequestEnded,)) for one in listeners
        )

    def of(self, number: int) -> Setup:
        """Return what the process *number* is given."""
        crew = self._crew
        return Setup(
            crew.opening,
            crew.running,
            self._limits,
            self._options,
            crew.aliases,
            Part(number, crew.count),
            dict(os.environ),
            self._is_whole,
        )
