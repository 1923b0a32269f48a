"""Events on their way from one process to another."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from ratedispatch.events import (
    AttemptEnded,
    AttemptSent,
    Event,
    QueuePaused,
    RequestEnded,
    RequestSkipped,
)
from ratedispatch.jobs.batchfile import outcome_line
from ratedispatch.jobs.processes.messages import restored, stripped
from ratedispatch.outcome import Completed, Decision, Failed, Response, Usage
from ratedispatch.request import CHAT, Cost, Request

REQUEST = Request({"model": "m", "messages": []}, CHAT, "a", 7, was_read=True)
COST = Cost(9, 16, counted_tokens=8, expected_tokens=9, expected_output_tokens=16)
TEXT = b'{"choices": [1, 2.5, "\xc3\xa9"]}'
BODY = {"choices": [1, 2.5, "é"]}
ANSWER = Response(200, {"x-request-id": "q", "date": "today"}, BODY, text=TEXT)
REFUSAL = Response(400, {"x-request-id": "q"}, {"error": {"code": "bad"}})
PAGE = Response(502, {}, "<html>", is_json=False)


def travelled(event: Event, *, is_whole: bool = True, before: int = 0) -> Any:
    """Return *event* as it is told in the other process."""
    parts = pickle.loads(pickle.dumps(stripped(event, is_whole=is_whole)))
    return restored(parts, REQUEST, before)


@pytest.mark.parametrize(
    "event",
    [
        AttemptSent(REQUEST, 1, COST, 0.25, 5.0, "east"),
        AttemptEnded(REQUEST, 2, COST, 429, Decision.RATE_LIMIT, "slow", 0.5, 6.0),
        AttemptEnded(REQUEST, 2, COST, None, Decision.UNREACHABLE, "", 0.5, 6.0, "east"),
        AttemptEnded(REQUEST, 1, COST, 200, Decision.ANSWERED, "", 0.5, 6.0, "", Usage(21, 7)),
        RequestSkipped(REQUEST, 3, 7.0),
        RequestEnded(Completed(REQUEST, ANSWER, COST, Usage(9, 3), 2, 0.5, "east"), 7.0),
        RequestEnded(Completed(REQUEST, ANSWER, COST), 7.0),
        RequestEnded(Failed(REQUEST, "bad", "It is bad.", REFUSAL, 1), 7.0),
        RequestEnded(Failed(REQUEST, "server", "It is away.", PAGE, 6), 7.0),
        RequestEnded(Failed(REQUEST, "invalid_request", "It is none."), 7.0),
    ],
)
def test_an_event_arrives_as_it_was(event: Event) -> None:
    """With the request of the parent, which is the same."""
    assert travelled(event) == event


def test_an_event_of_no_row_travels_as_it_is() -> None:
    """A pause, for example."""
    event = QueuePaused(2.0, "slow", 5.0)
    assert stripped(event, is_whole=False) is event


@pytest.mark.parametrize(
    "outcome",
    [
        Completed(REQUEST, ANSWER, COST, Usage(9, 3), 2),
        Completed(REQUEST, Response(200, {}, BODY), COST),
        Completed(REQUEST, Response(200, {}, BODY, text=TEXT), COST),
    ],
)
def test_where_nobody_listens_the_line_is_the_same(outcome: Completed) -> None:
    """Only what it needs travels."""
    event = RequestEnded(outcome, 7.0)
    found = travelled(event, is_whole=False).outcome
    assert outcome_line(found, "0123456789abcdef") == outcome_line(outcome, "0123456789abcdef")
    assert found.usage == outcome.usage


def test_attempts_of_a_process_that_is_gone_count() -> None:
    """The row goes on where it was."""
    sent = AttemptSent(REQUEST, 1, COST, 0.0, 5.0)
    assert travelled(sent, before=2).attempt == 3
    ended = RequestEnded(Failed(REQUEST, "bad", "", None, 1), 7.0)
    assert travelled(ended, before=2).outcome.attempts == 3
