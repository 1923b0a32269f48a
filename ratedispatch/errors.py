"""
What can go wrong, as types.

Every other module may raise from here.

    RateDispatchError
    ├── InvalidRequest(ValueError)      a request that cannot be counted or sent as it is
    ├── InvalidLimits(ValueError)       limits that make no sense: zero, negative, not a number
    ├── CostExceedsLimit(ValueError)    a request that can never be sent: larger than the limit
    ├── DeadlineMissed(TimeoutError)    a request that cannot be sent in time
    ├── VocabularyError(RuntimeError)   a packaged rank file that is damaged
    ├── TransportError(ConnectionError) no usable response arrived
    │   ├── AnswerTooLarge
    │   └── AttemptTimeout(TimeoutError)
    ├── RequestFailed(RuntimeError)     the answer of a failed request was requested
    ├── UnusableAnswer(ValueError)      an answer that cannot be converted to what was requested
    ├── SharingError(ValueError)        a place for shared limits that cannot be used
    ├── JobError(ValueError)            a job that cannot start: files, flags
    └── Stopped(RuntimeError)           nothing more is sent; unanswered requests can be resumed
"""

from __future__ import annotations

import math
from typing import TypeVar

from ratedispatch.dimension import dimension_named

ErrorT = TypeVar("ErrorT", bound=BaseException)


class RateDispatchError(Exception):
    """The base class of all errors that ratedispatch raises itself."""

    def __reduce__(self) -> tuple[object, ...]:
        """Come out of another process as it was, though its arguments are not those of args."""
        return _remade, (type(self), self.args, self.__dict__)


def _remade(kind: type[ErrorT], args: tuple[object, ...], fields: dict[str, object]) -> ErrorT:
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(fields)
    return error


class InvalidRequest(RateDispatchError, ValueError):
    """A request that cannot be counted or sent as it is; the message names the field."""


class InvalidLimits(RateDispatchError, ValueError):
    """Limits that make no sense (zero, negative, not a number); the message names the field."""


class CostExceedsLimit(RateDispatchError, ValueError):
    """
    A request that costs more than a limit can ever hold, so waiting does not help.

    Attributes:
        dimension: The dimension of the limit, for example ``tokens``.
        amount: What the request costs in that dimension.
        limit: The most that the limit can ever hold, in the same unit.
    """

    def __init__(self, item: str, dimension: str, amount: float, limit: float) -> None:
        self.dimension = dimension
        self.amount = amount
        self.limit = limit
        limited = dimension_named(dimension)
        super().__init__(
            f"{item} costs {_whole(amount, up=True)} {limited.unit} but the limit is "
            f"{_whole(limit, up=False)} {limited.phrase}, so it can never be sent; shorten it, "
            f"lower its output cap, or raise the limit"
        )


def _whole(number: float, *, up: bool) -> str:
    """*number* for a message: whole unless it is small, and on its own side of the other one."""
    if number < 10 and number != int(number):
        return f"{number:.3g}"
    return f"{math.ceil(number) if up else math.floor(number):,}"


class DeadlineMissed(RateDispatchError, TimeoutError):
    """
    A request that was not, or could not be, sent by its deadline.

    Attributes:
        earliest: The earliest time at which the queue expected to send it, in seconds from now;
            None if the deadline passed while it waited.
        allowed: Seconds within which it had to be sent.
    """

    def __init__(self, message: str, *, allowed: float, earliest: float | None = None) -> None:
        super().__init__(message)
        self.allowed = allowed
        self.earliest = earliest


class VocabularyError(RateDispatchError, RuntimeError):
    """A packaged rank file is missing or does not have its SHA-256."""


class TransportError(RateDispatchError, ConnectionError):
    """
    No usable response arrived: the connection was refused, reset or cut off.

    Attributes:
        reached: Whether the server was reached. If it was, the request may have been executed and
            billed.
    """

    def __init__(self, message: str, *, reached: bool = True) -> None:
        super().__init__(message)
        self.reached = reached


class AttemptTimeout(TransportError, TimeoutError):
    """An attempt exceeded its timeout; it may have been executed and billed."""


class AnswerTooLarge(TransportError):
    """An answer larger than allowed. It is not retried, because it would be as large again."""


class RequestFailed(RateDispatchError, RuntimeError):
    """
    A request that failed; raised where its answer is requested.

    Attributes:
        code: The reason for machines, as in `Failed`.
        outcome: The `Failed` itself.
    """

    def __init__(self, message: str, code: str, outcome: object = None) -> None:
        super().__init__(message)
        self.code = code
        self.outcome = outcome


class UnusableAnswer(RateDispatchError, ValueError):
    """
    An answer that cannot be turned into the object that was requested.

    Attributes:
        reason: ``refused``, ``truncated``, ``filtered``, ``empty``, ``no_text``, ``no_json`` or
            ``misfit``.
        text: What the model wrote.
    """

    def __init__(self, message: str, reason: str, text: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.text = text


class SharingError(RateDispatchError, ValueError):
    """A store for shared limits that cannot be used; the message says why."""


class JobError(RateDispatchError, ValueError):
    """A job that cannot start: a file, a folder or a flag is wrong."""


class Stopped(RateDispatchError, RuntimeError):
    """
    Nothing more is sent. Requests that are not answered yet can be sent later.

    Attributes:
        code: A short machine-readable reason: ``quota``, ``day_limit``, ``authentication``,
            ``not_found``, ``unreachable``, ``outage``, ``all_failed``, ``output``, ``drained`` or
            ``closed``.
        started: Whether at least one request was answered before the stop. A stop before any
            answer means a mistake in the configuration rather than an interruption.
    """

    def __init__(self, code: str, message: str, *, started: bool) -> None:
        super().__init__(message)
        self.code = code
        self.started = started
