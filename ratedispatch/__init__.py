"""
Send many requests to an LLM API at its rate limits, without being refused.

``Dispatcher`` sends requests, ``run_file`` a whole file of them, ``count_tokens`` tells what one
costs before it is sent.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ratedispatch.budget import Budget, LocalBudget, Permit
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
    from ratedispatch.events import (
        AttemptEnded,
        AttemptSent,
        Event,
        LimitChanged,
        LinePaused,
        RequestEnded,
    )
    from ratedispatch.groups import Group, LimitGroups
    from ratedispatch.inputs.template import Template
    from ratedispatch.jobs.job import run_file
    from ratedispatch.jobs.options import JobOptions
    from ratedispatch.jobs.report import Report
    from ratedispatch.limits import Limits
    from ratedispatch.outcome import Completed, Failed, Outcome, Response, Usage
    from ratedispatch.request import Cost, Request
    from ratedispatch.retry import RetryPolicy
    from ratedispatch.snapshot import Level, Snapshot
    from ratedispatch.tokens import Counter, count_tokens, estimate
    from ratedispatch.transports.base import Transport
    from ratedispatch.verdict import Verdict

#: Where each public name is defined. A module is imported when one of its names is first used:
#: importing the package costs little, and the command line answers ``--help`` at once.
_HOMES = {
    "AttemptEnded": "events",
    "AttemptSent": "events",
    "Budget": "budget",
    "Completed": "outcome",
    "Cost": "request",
    "CostExceedsLimit": "errors",
    "Counter": "tokens",
    "Dispatcher": "dispatcher",
    "Event": "events",
    "Failed": "outcome",
    "Group": "groups",
    "InvalidLimits": "errors",
    "InvalidRequest": "errors",
    "JobError": "errors",
    "JobOptions": "jobs.options",
    "Level": "snapshot",
    "LimitChanged": "events",
    "LimitGroups": "groups",
    "Limits": "limits",
    "LinePaused": "events",
    "LocalBudget": "budget",
    "Outcome": "outcome",
    "Permit": "budget",
    "RateDispatchError": "errors",
    "Report": "jobs.report",
    "Request": "request",
    "RequestEnded": "events",
    "Response": "outcome",
    "RetryPolicy": "retry",
    "Snapshot": "snapshot",
    "Stopped": "errors",
    "Template": "inputs.template",
    "Transport": "transports.base",
    "TransportError": "errors",
    "Usage": "outcome",
    "Verdict": "verdict",
    "count_tokens": "tokens",
    "estimate": "tokens",
    "run_file": "jobs.job",
}

__all__ = [
    "AttemptEnded",
    "AttemptSent",
    "Budget",
    "Completed",
    "Cost",
    "CostExceedsLimit",
    "Counter",
    "Dispatcher",
    "Event",
    "Failed",
    "Group",
    "InvalidLimits",
    "InvalidRequest",
    "JobError",
    "JobOptions",
    "Level",
    "LimitChanged",
    "LimitGroups",
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
    "Template",
    "Transport",
    "TransportError",
    "Usage",
    "Verdict",
    "count_tokens",
    "estimate",
    "run_file",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
