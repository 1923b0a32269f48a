"""
What each of the processes of a job is given to send with.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
from typing import TYPE_CHECKING, Any

from ratedispatch.dispatch.pool import Pool
from ratedispatch.errors import SharingError
from ratedispatch.events import RequestEnded
from ratedispatch.groups import LimitGroups
from ratedispatch.jobs.processes.common_limits import CommonLimits
from ratedispatch.jobs.processes.limit_parts import Part
from ratedispatch.jobs.processes.messages import Setup
from ratedispatch.sharing.where import try_out

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ratedispatch.dispatch.options import DispatcherOptions
    from ratedispatch.events import Listener
    from ratedispatch.jobs.processes.crew import Crew
    from ratedispatch.limits import Limits


class Setups:
    """
    What the processes of a crew are given.

    Args:
        crew: The processes.
        client: What they send with, as the parent has it.
        limits: What the account may spend; None for a pool.
        options: How to send.
        listeners: Those of the caller of the job: where one hears of outcomes, answers come back
            with all that there is of them.

    Raises:
        SharingError: Limits cannot be shared where the options or the limits say.

    Attributes:
        shares: Whether the processes share the limits, rather than that each has its part.
        is_private: Whether they share them with nobody else.
    """

    def __init__(
        self,
        crew: Crew,
        client: Any,
        limits: Limits | LimitGroups | None,
        options: DispatcherOptions,
        listeners: Iterable[Listener],
    ) -> None:
        self._crew = crew
        self._limits = limits
        self._common: CommonLimits | None = None
        share = options.share
        for where in {share, *[one.share for one in _all_limits(client, limits)]}:
            if isinstance(where, str):
                try_out(where)  # else each of the processes would end by it, again and again
        says_where = any(one.share is not None for one in _all_limits(client, limits))
        if share is None and not says_where:
            with contextlib.suppress(OSError, SharingError):  # else each has its part
                self._common = CommonLimits()
                share = self._common.share
        self.shares = share is not None or says_where
        self._shares_all = share is not None
        self.is_private = self._common is not None
        # what cannot travel is recreated there; what one process learns of its part of the limits
        # is nothing that another run could begin with
        self._options = dataclasses.replace(
            options, share=share, counter=None, rng=None, memory=False
        )
        self._is_whole = any(
            RequestEnded in getattr(one, "listens_to", (RequestEnded,)) for one in listeners
        )

    def close(self) -> None:
        """Remove what the processes have shared."""
        if self._common is not None:
            self._common.close()

    def of(self, number: int) -> Setup:
        """Return what the process *number* is given."""
        crew = self._crew
        return Setup(
            crew.opening,
            crew.running,
            self._limits,
            self._options,
            crew.aliases,
            Part(number, crew.count, self._shares_all),
            dict(os.environ),
            self._is_whole,
        )


def _all_limits(client: Any, limits: Limits | LimitGroups | None) -> list[Limits]:
    """Return the limits of all members of a pool, or of all groups of models."""
    if isinstance(client, Pool):
        return [one.limits for one in client]
    if not isinstance(limits, LimitGroups):
        return [] if limits is None else [limits]
    default = [] if limits.default is None else [limits.default]
    return [*(group.limits for group in limits.groups), *default]
