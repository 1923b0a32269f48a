"""
Turns: what decides the place of a request in the queue, besides its rank. Values only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ratedispatch.pacing.lane import Lane


@dataclass(frozen=True, slots=True)
class Turn:
    """
    The claim of a request on its place in the queue.

    Args:
        priority: Higher goes first, whatever waits below.
        caller: For whom it is sent; callers of one priority share what there is.
        deadline: The instant, of the admission's clock, after which it is not to be granted; None
            if there is none.
        session: What it belongs to, for those who choose lanes; not interpreted here.
        lanes: The lanes that it may take; None for any.
    """

    priority: int = 0
    caller: str = ""
    deadline: float | None = None
    session: str | None = None
    lanes: frozenset[Lane] | None = None

    def untied(self) -> Turn:
        """Return the same turn for any lane."""
        return replace(self, lanes=None)


#: The turn of nearly all requests. Compared by identity, so that they pay nothing for the others.
FIRST_COME = Turn()


def turn_of(
    priority: int = 0,
    caller: str = "",
    deadline: float | None = None,
    session: str | None = None,
) -> Turn:
    """
    Return the turn with these claims; `FIRST_COME` itself if there are none.

    Raises:
        TypeError: *priority* is not a whole number, or *caller* or *session* is not a string.
        ValueError: *deadline* is not a number.
    """
    if not priority and not caller and deadline is None and session is None:
        return FIRST_COME
    if not isinstance(priority, int):
        raise TypeError(f"priority must be a whole number, not {priority!r}")
    if not isinstance(caller, str):
        raise TypeError(f"caller must be a string, not {caller!r}")
    if session is not None and not isinstance(session, str):
        raise TypeError(f"session must be a string, not {session!r}")
    if deadline is not None and math.isnan(deadline):
        raise ValueError("deadline must be a number of seconds, not nan")
    return Turn(priority, caller, deadline, session)
