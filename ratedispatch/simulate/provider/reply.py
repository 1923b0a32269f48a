"""
The reply of a provider to one request.

A value only: `provider` decides it, and the owner of the connection carries it out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ratedispatch.simulate.provider.allowance import Tickets
    from ratedispatch.simulate.provider.answer_events import Stream
    from ratedispatch.simulate.provider.calls import Call


@dataclass(slots=True)
class Reply:
    """
    What one arriving request gets.

    Args:
        status: HTTP status.
        headers: By lower-case name; without ``content-length``.
        body: Complete.
        kind: ``answer``; a refusal: ``requests``, ``tokens``, ``requests_per_day``,
            ``tokens_per_day``, ``too_large``, ``quota``, ``outage``, ``queue_full``; a fault's
            name; or ``invalid`` for what made no sense; ``other`` for what is not a request (the
            list of models).
        delay: Seconds from arrival to answer, those in the queue included.
        call: What was asked, if it made sense.
        fault: The fault that strikes, if any. Faults named in `faults.WIRE_FAULTS` have to be
            acted out on the connection; the body is then what would have been sent.
        charged: Tokens taken at admission; 0 if it was not admitted.
        stream: The answer in parts, if it was asked for so; *body* is empty then, and *delay* is
            that of the last part.
        actual: Tokens really used, once answered.
        tickets: For `Provider.finish`.
        group: The name in the settings' ``models`` whose limits it draws from; empty for the
            general ones.
    """

    status: int
    headers: dict[str, str]
    body: bytes
    kind: str
    delay: float = 0.0
    call: Call | None = None
    fault: str | None = None
    charged: int = 0
    actual: int = 0
    tickets: Tickets = ()
    group: str = ""
    stream: Stream | None = None

    @property
    def is_admitted(self) -> bool:
        """Whether the limits were charged for it."""
        return self.kind == "answer" or self.fault is not None
