"""
Send many requests to an LLM API at its rate limits, without being refused.

``Dispatcher`` sends requests, ``run_file`` a whole file of them, ``count_tokens`` tells what one
costs before it is sent.
"""

from ratedispatch.budget import Budget, Level, LocalBudget, Permit, Snapshot
from ratedispatch.dispatcher import Dispatcher
from ratedispatch.errors import (
    CostExceedsLimit,
    InvalidLimits,
    InvalidRequest,
    JobError,
    RateDispatchError,
    Stopped,
    TransportError,
)
from ratedispatch.events import AttemptEnded, AttemptSent, Event, LinePaused, RequestEnded
from ratedispatch.jobs.job import run_file
from ratedispatch.jobs.report import Report
from ratedispatch.limits import Limits
from ratedispatch.outcome import Completed, Failed, Outcome, Response, Usage
from ratedispatch.request import Cost, Request
from ratedispatch.retry import RetryPolicy
from ratedispatch.tokens import count_tokens
from ratedispatch.transports.base import Transport

__all__ = [
    "AttemptEnded",
    "AttemptSent",
    "Budget",
    "Completed",
    "Cost",
    "CostExceedsLimit",
    "Dispatcher",
    "Event",
    "Failed",
    "InvalidLimits",
    "InvalidRequest",
    "JobError",
    "Level",
    "Limits",
    "LinePaused",
    "LocalBudget",
    "Outcome",
    "Permit",
    "RateDispatchError",
    "Report",
    "Request",
    "RequestEnded",
    "Response",
    "RetryPolicy",
    "Snapshot",
    "Stopped",
    "Transport",
    "TransportError",
    "Usage",
    "count_tokens",
    "run_file",
]
