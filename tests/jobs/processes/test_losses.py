"""What becomes of a job whose processes end."""

from __future__ import annotations

import pytest

from ratedispatch.events import AttemptEnded, AttemptSent
from ratedispatch.jobs.processes.losses import Losses, ended_how, events_of_loss
from ratedispatch.jobs.processes.member import OpenRow
from ratedispatch.outcome import Decision
from ratedispatch.request import Cost, Request


def row(name: str = "a", *, sent: int = 0, ended: int = 0) -> OpenRow:
    return OpenRow(Request({"model": "m"}, custom_id=name, row=1), sent=sent, ended=ended)


def test_a_process_that_worked_is_replaced_at_once() -> None:
    """However many, as long as rows are answered."""
    losses = Losses()
    for ended in range(10, 200, 10):
        assert losses.add(10, ended, [row()]) is None
        assert losses.delay == 0.0
    assert losses.notes == ["19 processes of this run ended early, with 19 rows in flight"]


def test_those_that_end_early_are_replaced_later_and_later() -> None:
    """The others go on meanwhile."""
    losses, delays = Losses(), []
    for ended in range(10, 110, 10):
        assert losses.add(0, ended, []) is None
        delays.append(losses.delay)
    assert delays == [0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]
    assert losses.add(1, 200, []) is None
    assert losses.delay == 0.0


def test_three_in_a_row_without_any_answer_stop_the_job() -> None:
    """Something is wrong that another process would meet as well."""
    losses = Losses()
    assert losses.add(0, 0, []) is None
    assert losses.add(0, 0, []) is None
    reason = losses.add(0, 0, [])
    assert reason == "3 processes ended one after another without answering any row"


def test_a_row_that_ends_three_processes_stops_the_job() -> None:
    """It is named."""
    losses, bad = Losses(), row("poison")
    assert losses.add(5, 5, [bad, row()]) is None
    assert losses.add(5, 10, [row(), bad]) is None
    reason = losses.add(5, 15, [bad])
    assert reason == "3 processes ended one after another at request 'poison'"


@pytest.mark.parametrize(
    ("sent", "ended", "left", "told"),
    [
        (0, 0, 0, []),  # it only waited
        (1, 1, 1, []),  # it waited for another attempt
        (1, 0, 1, [AttemptEnded]),
        (0, 0, 1, [AttemptSent, AttemptEnded]),  # what it said of it was lost
        (1, 1, 2, [AttemptSent, AttemptEnded]),
    ],
)
def test_what_was_in_flight_has_broken_off(
    sent: int, ended: int, left: int, told: list[type]
) -> None:
    """By what the process said, and by the journal."""
    one = row(sent=sent, ended=ended)
    events = events_of_loss(one, left, 5.0)
    assert [type(event) for event in events] == told
    if events:
        last = AttemptEnded(
            one.request, left, Cost(0), None, Decision.TRANSIENT, "process_lost", 0.0, 5.0
        )
        assert events[-1] == last
    assert (one.sent, one.ended, one.before) == (left, left, left)


@pytest.mark.parametrize(
    ("code", "in_flight", "goes_on", "text"),
    [
        (1, 0, False, "ended with exit code 1"),
        (-9, 0, True, "was ended by SIGKILL (out of memory?); another process takes its place"),
        (-15, 1, False, "was ended by SIGTERM; 1 row in flight may have been billed"),
        (-200, 2, False, "was ended by signal 200; 2 rows in flight may have been billed"),
    ],
)
def test_it_is_told_in_a_sentence(code: int, in_flight: int, goes_on: bool, text: str) -> None:
    """How it ended and what is in doubt."""
    assert ended_how(code, in_flight, goes_on=goes_on) == text
