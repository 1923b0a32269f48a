"""
Permits: the right to send one attempt, paid for and closed exactly once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ratedispatch.pacing.feedback import ABANDONED, UNSENT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ratedispatch.limits import Reading
    from ratedispatch.pacing.budget import Reservation
    from ratedispatch.pacing.feedback import Change, Feedback, Verdict
    from ratedispatch.pacing.lane import Lane


class Permit:
    """
    The right to send one attempt, paid for. Closed exactly once.

    A context manager: if the block ends without a report, the permit is closed as an attempt whose
    usage is unknown.

    Attributes:
        lane: The lane that paid for it; determines where the attempt is sent.
        cost: The debited cost.
        granted_at: When it was granted, in seconds of the admission's clock.
        waited: Seconds spent in the queue.
        reservation: The reservation that the budget made for it.
        tell: Called with each change that its report causes.
        token: What the concurrency limit returned for it; None if it expects nothing back.
        load: The number in flight, this attempt included.
        was_full: Whether other requests waited only for room in flight.
        verdict: What its refusal is about, once reported; None if it was not refused.
    """

    __slots__ = (
        "_is_open",
        "cost",
        "granted_at",
        "lane",
        "load",
        "reservation",
        "tell",
        "token",
        "verdict",
        "waited",
        "was_full",
    )

    def __init__(
        self,
        lane: Lane,
        reservation: Reservation,
        waited: float,
        token: Any,
        load: int = 1,
        was_full: bool = False,
    ) -> None:
        self.cost = reservation.cost
        self.granted_at = reservation.at
        self.waited = waited
        self.lane = lane
        self.reservation = reservation
        self.token = token
        self.load = load
        self.was_full = was_full
        self.verdict: Verdict | None = None
        self._is_open = True
        self.tell: Callable[[Change], None] | None = None

    def report(self, feedback: Feedback) -> Sequence[Change]:
        """
        Close the permit with *feedback*: all that its attempt has shown.

        Returns:
            The changes that this causes.

        Raises:
            RuntimeError: The permit is already closed.
        """
        if not self._is_open:
            raise RuntimeError("this permit is already closed; close each permit exactly once")
        self._is_open = False
        changes = self.lane.queue.close_permit(self, feedback)
        if self.tell is not None:
            for change in changes:
                self.tell(change)
        return changes

    def observe(self, readings: tuple[Reading, ...]) -> Sequence[Change]:
        """
        Report the *readings* in the headers of an answer before its body has arrived.

        Returns:
            The changes that this causes.
        """
        if self._is_open and readings:
            return self.lane.observe(self.reservation, readings)
        return ()

    def cancel(self, *_: object) -> None:
        """
        Close the permit unused, if it is still open: nothing was sent.

        Ignores its arguments, so that it can be used as a callback.
        """
        if self._is_open:
            self.report(UNSENT)

    def close(self) -> None:
        """Close the permit, if it is still open, as an attempt whose usage is unknown."""
        if self._is_open:
            self.report(ABANDONED)

    def __enter__(self) -> Permit:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
