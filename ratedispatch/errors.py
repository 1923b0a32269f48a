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
    ├── RequestFailed(RuntimeError)     the answer of a failed request was asked for
    ├── UnusableAnswer(ValueError)      an answer that cannot be converted to what was asked for
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
    """The root of every error that ratedispatch raises on purpose."""

    def __reduce__(self) -> tuple[object, ...]:
        """Come out of another process as it was, though its arguments are not those of args."""
        return _remade, (type(self), self.args, self.__dict__)


def _remade(kind: type[ErrorT], args: tuple[object, ...], fields: dict[str, object]) -> ErrorT:
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(fields)
    return error


class InvalidRequest(RateDispatchError, ValueError):
    """A request that cannot be counted or sent as it stands; the message names the field."""


class InvalidLimits(RateDispatchError, ValueError):
    """Limits that mean nothing (zero, negative, not a number); the message names the field."""


class CostExceedsLimit(RateDispatchError, ValueError):
    """
    A request larger than a limit, which no waiting can ever make fit.

    Attributes:
        dimension: What is limited, for example ``tokens``.
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
    A request that was not sent by its deadline, or could not have been.

    Attributes:
        earliest: Seconds after which it could have been sent at the earliest, by what the queue
            knew; None when it was the deadline that ended its wait.
        allowed: Seconds within which it was to be sent.
    """

    def __init__(self, message: str, *, allowed: float, earliest: float | None = None) -> None:
        super().__init__(message)
        self.allowed = allowed
        self.earliest = earliest


class VocabularyError(RateDispatchError, RuntimeError):
    """A packaged rank file is missing or does not have its SHA-256."""


class TransportError(RateDispatchError, ConnectionError):
    """
    No usable answer came back: refused, reset, cut off in the middle.

    Attributes:
        reached: Whether the server was reached at all. When it was, the request may have been
            executed and billed.
    """

    def __init__(self, message: str, *, reached: bool = True) -> None:
        super().__init__(message)
        self.reached = reached


class AttemptTimeout(TransportError, TimeoutError):
    """An attempt took longer than allowed; it may have been executed and billed."""


class AnswerTooLarge(TransportError):
    """An answer larger than is taken. It would be as large the next time."""


class RequestFailed(RateDispatchError, RuntimeError):
    """
    A request that cannot be answered, where its answer was asked for.

    Attributes:
        code: The reason, as in `Failed`.
        outcome: The `Failed` itself.
    """

    def __init__(self, message: str, code: str, outcome: object = None) -> None:
        super().__init__(message)
        self.code = code
        self.outcome = outcome


class UnusableAnswer(RateDispatchError, ValueError):
    """
    An answer of which the object that was asked for cannot be made.

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
    """A place for shared limits that cannot be used, as it is given; the message says why."""


class JobError(RateDispatchError, ValueError):
    """A job that cannot start as it was asked for: a file, a folder or a flag is wrong."""


class Stopped(RateDispatchError, RuntimeError):
    """
    Nothing more is sent: what is not answered yet can be resumed later.

    Attributes:
        code: A short machine-readable reason: ``quota``, ``day_limit``, ``authentication``,
            ``not_found``, ``unreachable``, ``outage``, ``all_failed``, ``output``, ``drained`` or
            ``closed``.
        started: Whether at least one request had been answered before the stop. A stop before
            any answer is a mistake in the configuration rather than an interruption.
    """

    def __init__(self, code: str, message: str, *, started: bool) -> None:
        super().__init__(message)
        self.code = code
        self.started = started
