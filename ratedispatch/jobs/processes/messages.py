"""
What the processes of a job tell each other. Values, and events without the requests in them.

The parent has the requests, so an event travels with the number of its row alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from ratedispatch import _json
from ratedispatch.events import AttemptEnded, AttemptSent, RequestEnded, RequestSkipped
from ratedispatch.outcome import Completed, Decision, Failed, Response, Usage
from ratedispatch.request import Cost

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Mapping
    from contextlib import AbstractAsyncContextManager, AbstractContextManager

    from ratedispatch.dispatch.options import DispatcherOptions
    from ratedispatch.events import Event
    from ratedispatch.groups import LimitGroups
    from ratedispatch.jobs.processes.limit_parts import Part
    from ratedispatch.limits import Limits
    from ratedispatch.outcome import Outcome
    from ratedispatch.pacing.bottleneck import Bottleneck
    from ratedispatch.pacing.snapshot import Snapshot
    from ratedispatch.request import Request

_DECISIONS = {one.value: one for one in Decision}


@dataclass(frozen=True, slots=True)
class Setup:
    """
    What a process needs to send.

    Args:
        opening: Opens the client, or a pool of them; found by its name in the process.
        running: Gives what runs the event loop; found by its name, too.
        limits: What the account may spend; None for a pool.
        options: How to send, without a counter.
        aliases: The caller's own names of models, for the counter; None for none.
        part: Which of the processes it is.
        environment: The variables of the parent as they are now.
        is_whole: Whether answers are to come back with all that there is of them, because somebody
            listens to outcomes.
    """

    opening: Callable[[], AbstractAsyncContextManager[Any]] = field(repr=False)
    running: Callable[[], AbstractContextManager[asyncio.Runner]]
    limits: Limits | LimitGroups | None
    options: DispatcherOptions
    aliases: Mapping[str, str] | None
    part: Part
    environment: Mapping[str, str] = field(repr=False)
    is_whole: bool = False


class RowSent(NamedTuple):
    """A row for a process, and whether it has been sent before and may have been billed."""

    row: int
    is_doubtful: bool
    custom_id: str | None
    endpoint: str
    body: Mapping[str, Any]
    was_read: bool


@dataclass(frozen=True, slots=True)
class State:
    """
    A process at one instant.

    Args:
        all: Its queue, or all of its queues together.
        apart: Each of them, by its name.
        bottleneck: What holds it back.
        cpu_seconds: Seconds of processor time that it has taken since it began to send.
    """

    all: Snapshot
    apart: Mapping[str, Snapshot]
    bottleneck: Bottleneck
    cpu_seconds: float


def stripped(event: Event, *, is_whole: bool) -> Any:
    """Return *event* as it travels: a tuple that begins with a letter, or the event itself."""
    match event:
        case AttemptSent():
            row, cost = event.request.row, _cost_out(event.cost)
            return "s", row, event.attempt, cost, event.waited, event.at, event.route
        case AttemptEnded():
            row, value, cost = event.request.row, event.decision.value, _cost_out(event.cost)
            said = event.status, value, event.code, event.latency, _usage_out(event.usage)
            return "a", row, event.attempt, cost, *said, event.at, event.route
        case RequestEnded():
            return "e", event.outcome.request.row, _outcome_out(event.outcome, is_whole), event.at
        case RequestSkipped():
            return "k", event.request.row, event.attempts, event.at
    return event


def restored(parts: Any, request: Request, before: int) -> Event:
    """
    Return the event that `stripped` made *parts* of.

    Args:
        parts: A tuple.
        request: The request of its row.
        before: Attempts that another process has made for it.
    """
    match parts[0]:
        case "s":
            _, _, attempt, cost, waited, at, route = parts
            return AttemptSent(request, attempt + before, Cost(*cost), waited, at, route)
        case "a":
            _, _, attempt, cost, status, decision, code, latency, usage, at, route = parts
            used = None if usage is None else Usage(*usage)
            said = status, _DECISIONS[decision], code, latency, at, route, used
            return AttemptEnded(request, attempt + before, Cost(*cost), *said)
        case "e":
            return RequestEnded(_outcome_in(parts[2], request, before), parts[3])
    return RequestSkipped(request, parts[2] + before, parts[3])


def _cost_out(cost: Cost) -> tuple[Any, ...]:
    return (
        *(cost.prompt_tokens, cost.output_tokens, cost.requests, (), cost.counted_tokens),
        *(cost.expected_tokens, cost.choices, cost.is_capped, cost.expected_output_tokens),
        *(cost.character_tokens, cost.custom, cost.assumed_tokens),
    )


def _usage_out(usage: Usage | None) -> tuple[int, int] | None:
    return None if usage is None else (usage.prompt_tokens, usage.output_tokens)


def _outcome_out(outcome: Outcome, is_whole: bool) -> tuple[Any, ...]:
    response = outcome.response
    if isinstance(outcome, Failed):
        found = None if response is None else _whole(response)
        return False, outcome.code, outcome.message, found, outcome.attempts
    assert response is not None
    said: tuple[Any, ...]
    if is_whole or response.text is None:
        said = _whole(response)
    else:  # all that a line of the output needs
        said = response.status, response.request_id, response.text
    usage = _usage_out(outcome.usage)
    cost = _cost_out(outcome.cost)
    return True, said, cost, usage, outcome.attempts, outcome.latency, outcome.route


def _whole(response: Response) -> tuple[Any, ...]:
    body = response.body if response.text is None else None
    return response.status, dict(response.headers), body, response.is_json, response.text


def _response_in(said: tuple[Any, ...]) -> Response:
    if len(said) == 3:
        status, request_id, text = said
        headers = {} if request_id is None else {"x-request-id": request_id}
        return Response(status, headers, None, text=text)
    status, headers, body, is_json, text = said
    return Response(status, headers, body if text is None else _json.loads(text), is_json, text)


def _outcome_in(parts: tuple[Any, ...], request: Request, before: int) -> Outcome:
    if not parts[0]:
        _, code, message, found, attempts = parts
        response = None if found is None else _response_in(found)
        return Failed(request, code, message, response, attempts + before)
    _, said, cost, usage, attempts, latency, route = parts
    used = None if usage is None else Usage(*usage)
    rest = Cost(*cost), used, attempts + before, latency, route
    return Completed(request, _response_in(said), *rest)
