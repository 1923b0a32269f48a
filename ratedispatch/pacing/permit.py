"""
The right to send one attempt, paid for and closed exactly once.
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

    A context manager: a block that ends without a report closes the permit as an attempt whose
    use is unknown.

    Attributes:
        lane: What it is paid from; says where the attempt is to be sent.
        cost: What was debited.
        granted_at: Seconds of the admission's clock.
        waited: Seconds in the queue.
        reservation: What the budget gave for it.
        tell: Called with each change that its report brings.
        token: What the concurrency limit gave for it; None where it wants nothing back.
        load: How many were in flight with it.
        was_full: Whether others waited for nothing but room.
        verdict: What its refusal is about, once it was reported; None if it was not refused.
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
        Close the permit with everything its attempt has said; return what has changed by it.

        Raises:
            RuntimeError: It is closed already.
        """
        if not self._is_open:
            raise RuntimeError("a permit is closed exactly once")
        self._is_open = False
        changes = self.lane.queue.close_permit(self, feedback)
        if self.tell is not None:
            for change in changes:
                self.tell(change)
        return changes

    def observe(self, readings: tuple[Reading, ...]) -> Sequence[Change]:
        """
        Tell what the head of an answer says of the buckets, while its body is yet to come.

        Returns:
            What has changed by it.
        """
        if self._is_open and readings:
            return self.lane.observe(self.reservation, readings)
        return ()

    def cancel(self, *_: object) -> None:
        """
        Close the permit unused, if it is still open: nothing was sent.

        Takes and ignores arguments, so that it may be a callback.
        """
        if self._is_open:
            self.report(UNSENT)

    def close(self) -> None:
        """Close the permit, if it is still open, as an attempt whose use is unknown."""
        if self._is_open:
            self.report(ABANDONED)

    def __enter__(self) -> Permit:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
