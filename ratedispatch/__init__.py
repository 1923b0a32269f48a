"""
Send many requests to an LLM API at its rate limits, without being refused.

``Dispatcher`` sends requests, ``run_file`` a whole file of them, ``count_tokens`` tells what one
costs before it is sent.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ratedispatch.dispatch.dispatcher import Dispatcher
    from ratedispatch.dispatch.retry import RetryPolicy
    from ratedispatch.dispatch.transports.base import Transport
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
    from ratedispatch.jobs.inputs.template import Template
    from ratedispatch.jobs.job import run_file
    from ratedispatch.jobs.options import JobOptions
    from ratedispatch.limits import Limits
    from ratedispatch.observe.report import Report
    from ratedispatch.outcome import Completed, Failed, Outcome, Response, Usage
    from ratedispatch.pacing.bottleneck import Verdict
    from ratedispatch.pacing.budget import Budget, LocalBudget, Permit
    from ratedispatch.pacing.snapshot import Level, Snapshot
    from ratedispatch.request import Cost, Request
    from ratedispatch.tokens import Counter, count_tokens, estimate

#: Where each public name is defined. A module is imported when one of its names is first used:
#: importing the package costs little, and the command line answers ``--help`` at once.
_HOMES = {
    "AttemptEnded": "events",
    "AttemptSent": "events",
    "Budget": "pacing.budget",
    "Completed": "outcome",
    "Cost": "request",
    "CostExceedsLimit": "errors",
    "Counter": "tokens",
    "Dispatcher": "dispatch.dispatcher",
    "Event": "events",
    "Failed": "outcome",
    "Group": "groups",
    "InvalidLimits": "errors",
    "InvalidRequest": "errors",
    "JobError": "errors",
    "JobOptions": "jobs.options",
    "Level": "pacing.snapshot",
    "LimitChanged": "events",
    "LimitGroups": "groups",
    "Limits": "limits",
    "LinePaused": "events",
    "LocalBudget": "pacing.budget",
    "Outcome": "outcome",
    "Permit": "pacing.budget",
    "RateDispatchError": "errors",
    "Report": "observe.report",
    "Request": "request",
    "RequestEnded": "events",
    "Response": "outcome",
    "RetryPolicy": "dispatch.retry",
    "Snapshot": "pacing.snapshot",
    "Stopped": "errors",
    "Template": "jobs.inputs.template",
    "Transport": "dispatch.transports.base",
    "TransportError": "errors",
    "Usage": "outcome",
    "Verdict": "pacing.bottleneck",
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
