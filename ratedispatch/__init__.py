"""
Send many requests to an LLM API at its rate limits, without being refused.

``wrap`` paces a client of the openai package, ``Dispatcher`` sends requests, ``run_file`` sends a
whole file of requests, and ``count_tokens`` counts the cost of a request before it is sent.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ratedispatch.dispatch.answer_stream import AnswerStream
    from ratedispatch.dispatch.dispatcher import Dispatcher
    from ratedispatch.dispatch.options import DispatcherOptions
    from ratedispatch.dispatch.pool import Member, Pool
    from ratedispatch.dispatch.retry import RetryPolicy
    from ratedispatch.dispatch.sync_dispatcher import SyncAnswerStream, SyncDispatcher, SyncPermit
    from ratedispatch.dispatch.transports.protocol import Transport
    from ratedispatch.dispatch.wrap.call_options import options
    from ratedispatch.dispatch.wrap.drop_in import async_http_client, http_client, wrap
    from ratedispatch.dispatch.wrap.gate import Gate, GateOptions
    from ratedispatch.errors import (
        CostExceedsLimit,
        DeadlineMissed,
        InvalidLimits,
        InvalidRequest,
        JobError,
        RateDispatchError,
        RequestFailed,
        Stopped,
        TransportError,
        UnusableAnswer,
    )
    from ratedispatch.events import (
        AttemptEnded,
        AttemptSent,
        Event,
        JobStopped,
        LimitChanged,
        QueuePaused,
        RequestEnded,
        RequestSkipped,
        RouteResumed,
        RouteStopped,
        SharingChanged,
    )
    from ratedispatch.groups import LimitGroup, LimitGroups
    from ratedispatch.jobs.forecast_file import forecast_file
    from ratedispatch.jobs.inputs.template import Template
    from ratedispatch.jobs.job_options import JobOptions
    from ratedispatch.jobs.run_file import run_file
    from ratedispatch.limits import Limits
    from ratedispatch.observe.report import Report
    from ratedispatch.outcome import Completed, Failed, Outcome, Response, Usage
    from ratedispatch.pacing.bottleneck import Bottleneck
    from ratedispatch.pacing.budget import Budget
    from ratedispatch.pacing.feedback import End, Feedback, Strain
    from ratedispatch.pacing.local_budget import LocalBudget
    from ratedispatch.pacing.permit import Permit
    from ratedispatch.pacing.snapshot import Level, Snapshot
    from ratedispatch.request import Cost, Request
    from ratedispatch.simulate.forecast.forecast import Forecast, Interval
    from ratedispatch.tokens import Counter, count_tokens, estimate

#: Where each public name is defined. A module is imported when one of its names is first used:
#: importing the package costs little, and the command line answers ``--help`` at once.
_HOMES = {
    "AnswerStream": "dispatch.answer_stream",
    "AttemptEnded": "events",
    "AttemptSent": "events",
    "Budget": "pacing.budget",
    "Completed": "outcome",
    "Cost": "request",
    "CostExceedsLimit": "errors",
    "DeadlineMissed": "errors",
    "Counter": "tokens",
    "Dispatcher": "dispatch.dispatcher",
    "DispatcherOptions": "dispatch.options",
    "End": "pacing.feedback",
    "Event": "events",
    "Failed": "outcome",
    "Feedback": "pacing.feedback",
    "Forecast": "simulate.forecast.forecast",
    "Gate": "dispatch.wrap.gate",
    "GateOptions": "dispatch.wrap.gate",
    "LimitGroup": "groups",
    "Interval": "simulate.forecast.forecast",
    "InvalidLimits": "errors",
    "InvalidRequest": "errors",
    "JobError": "errors",
    "JobOptions": "jobs.job_options",
    "JobStopped": "events",
    "Level": "pacing.snapshot",
    "LimitChanged": "events",
    "LimitGroups": "groups",
    "Limits": "limits",
    "QueuePaused": "events",
    "LocalBudget": "pacing.local_budget",
    "Member": "dispatch.pool",
    "Outcome": "outcome",
    "Pool": "dispatch.pool",
    "Permit": "pacing.permit",
    "RateDispatchError": "errors",
    "Report": "observe.report",
    "Request": "request",
    "RequestEnded": "events",
    "RequestFailed": "errors",
    "RequestSkipped": "events",
    "RouteResumed": "events",
    "RouteStopped": "events",
    "SharingChanged": "events",
    "Response": "outcome",
    "RetryPolicy": "dispatch.retry",
    "Snapshot": "pacing.snapshot",
    "Stopped": "errors",
    "Strain": "pacing.feedback",
    "SyncAnswerStream": "dispatch.sync_dispatcher",
    "SyncDispatcher": "dispatch.sync_dispatcher",
    "SyncPermit": "dispatch.sync_dispatcher",
    "Template": "jobs.inputs.template",
    "Transport": "dispatch.transports.protocol",
    "TransportError": "errors",
    "UnusableAnswer": "errors",
    "Usage": "outcome",
    "Bottleneck": "pacing.bottleneck",
    "async_http_client": "dispatch.wrap.drop_in",
    "count_tokens": "tokens",
    "estimate": "tokens",
    "forecast_file": "jobs.forecast_file",
    "http_client": "dispatch.wrap.drop_in",
    "options": "dispatch.wrap.call_options",
    "run_file": "jobs.run_file",
    "wrap": "dispatch.wrap.drop_in",
}

__all__ = [
    "AnswerStream",
    "AttemptEnded",
    "AttemptSent",
    "Bottleneck",
    "Budget",
    "Completed",
    "Cost",
    "CostExceedsLimit",
    "Counter",
    "DeadlineMissed",
    "Dispatcher",
    "DispatcherOptions",
    "End",
    "Event",
    "Failed",
    "Feedback",
    "Forecast",
    "Gate",
    "GateOptions",
    "Interval",
    "InvalidLimits",
    "InvalidRequest",
    "JobError",
    "JobOptions",
    "JobStopped",
    "Level",
    "LimitChanged",
    "LimitGroup",
    "LimitGroups",
    "Limits",
    "LocalBudget",
    "Member",
    "Outcome",
    "Permit",
    "Pool",
    "QueuePaused",
    "RateDispatchError",
    "Report",
    "Request",
    "RequestEnded",
    "RequestFailed",
    "RequestSkipped",
    "Response",
    "RetryPolicy",
    "RouteResumed",
    "RouteStopped",
    "SharingChanged",
    "Snapshot",
    "Stopped",
    "Strain",
    "SyncAnswerStream",
    "SyncDispatcher",
    "SyncPermit",
    "Template",
    "Transport",
    "TransportError",
    "UnusableAnswer",
    "Usage",
    "async_http_client",
    "count_tokens",
    "estimate",
    "forecast_file",
    "http_client",
    "options",
    "run_file",
    "wrap",
]


def __getattr__(name: str) -> Any:
    if name == "ray":  # a room of its own, and no name that is imported by *
        return importlib.import_module(f"{__name__}.ray")
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
