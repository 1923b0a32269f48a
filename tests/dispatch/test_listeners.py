"""A listener that raises changes nothing."""

from __future__ import annotations

import asyncio
import functools
import logging
import random
from typing import TYPE_CHECKING, Any

import pytest

from ratedispatch.dispatch.dispatcher import Dispatcher
from ratedispatch.dispatch.listeners import Listeners
from ratedispatch.dispatch.options import DispatcherOptions
from ratedispatch.events import (
    AttemptEnded,
    AttemptSent,
    Event,
    LimitChanged,
    QueuePaused,
    RequestEnded,
)
from ratedispatch.jobs.run_file import run_file
from ratedispatch.limits import Limits
from ratedispatch.outcome import Completed, Response
from ratedispatch.simulate.clock import run_virtual
from ratedispatch.simulate.settings import ProviderSettings
from ratedispatch.simulate.transport import ProviderTransport
from tests.dispatch.world import chat
from tests.jobs.job_files import row, text_of

if TYPE_CHECKING:
    from pathlib import Path

    from ratedispatch.request import Request

KINDS = [AttemptSent, AttemptEnded, QueuePaused, LimitChanged, RequestEnded]
LIMITS = Limits(60_000)


class Raising:
    """A listener that raises on events of one kind, and counts them all."""

    def __init__(self, kind: type | None) -> None:
        self.kind = kind
        self.heard: list[type] = []

    def __call__(self, event: Event) -> None:
        self.heard.append(type(event))
        if type(event) is self.kind:
            raise ValueError("a listener's own mistake")


class Server:
    """Refuses the second attempt, and tells a lower limit with every answer; takes 0.1 s."""

    base_url = None

    def __init__(self) -> None:
        self.sent = 0

    async def send(self, request: Request, timeout: float) -> Response:
        self.sent += 1
        refuses = self.sent == 2
        await asyncio.sleep(0.1)
        headers = {
            "x-ratelimit-limit-requests": "6000",
            "x-ratelimit-remaining-requests": "5000",
            "x-ratelimit-reset-requests": "1s",
        }
        if refuses:
            return Response(429, {"retry-after": "1"}, {"error": {"code": "x", "message": "m"}})
        usage = {"prompt_tokens": 5, "completion_tokens": 2}
        return Response(200, headers, {"choices": [{"text": "hi"}], "usage": usage})


def run(kind: type | None, *, is_mapped: bool) -> tuple[list[Any], Raising, int, float]:
    """Send five requests two at a time; return outcomes, listener, errors and the time."""

    async def main() -> tuple[list[Any], Raising, int, float]:
        listener = Raising(kind)
        sender = Dispatcher(
            Server(), LIMITS, listeners=[listener], max_in_flight=2, rng=random.Random(1)
        )
        async with sender:
            requests = [chat(number) for number in range(5)]
            if is_mapped:
                outcomes = [outcome async for outcome in sender.map(requests)]
            else:
                outcomes = await asyncio.gather(*map(sender.submit, requests))
            state = sender.snapshot()
            assert (state.in_flight, state.waiting) == (0, 0)
            told = [(o.request.custom_id, type(o), o.attempts) for o in outcomes]
            return told, listener, sender.listener_errors, asyncio.get_running_loop().time()

    return run_virtual(asyncio.wait_for(main(), 60))


@pytest.mark.parametrize("is_mapped", [False, True], ids=["submit", "map"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_listener_that_raises_changes_no_outcome_and_leaks_no_permit(
    kind: type, is_mapped: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Outcomes and times are those of a listener that is silent; it is logged once and counted."""
    expected, silent, no_errors, seconds = run(None, is_mapped=is_mapped)
    assert set(silent.heard) == set(KINDS), "every kind of event occurs in this test"
    assert no_errors == 0
    with caplog.at_level(logging.ERROR, "ratedispatch"):
        outcomes, listener, errors, took = run(kind, is_mapped=is_mapped)
    assert outcomes == expected
    assert [kind for _, kind, _ in outcomes] == [Completed] * 5
    assert took == seconds
    assert listener.heard == silent.heard
    assert errors == listener.heard.count(kind)
    (record,) = caplog.records
    assert kind.__name__ in record.message
    assert record.exc_info is not None


@pytest.mark.parametrize("kind", KINDS)
def test_a_listener_that_raises_costs_a_job_no_row(
    kind: type, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A progress bar that is broken ends no job."""
    (tmp_path / "in.jsonl").write_bytes(text_of(*(row(f"r{number}") for number in range(5))))

    async def main() -> Any:
        return await run_file(
            tmp_path / "in.jsonl",
            tmp_path / "out.jsonl",
            client=Server(),
            limits=LIMITS,
            listeners=[listener],
            dispatcher_options=DispatcherOptions(
                max_in_flight=2, rng=random.Random(1), cpu_clock=float
            ),
        )

    listener = Raising(kind)
    run_virtual(main())
    assert len((tmp_path / "out.jsonl").read_bytes().splitlines()) == 5
    assert set(listener.heard) == set(KINDS)
    (record,) = caplog.records
    assert kind.__name__ in record.message


def test_the_others_are_told_all_the_same(caplog: pytest.LogCaptureFixture) -> None:
    """Each listener is logged once, and all errors are counted."""
    heard: list[Event] = []
    first, second = Raising(RequestEnded), Raising(RequestEnded)
    listeners = Listeners([first, heard.append, second])
    event: Any = RequestEnded(None, 0.0)  # type: ignore[arg-type]
    for _ in range(3):
        listeners.tell(event)
    assert heard == [event] * 3
    assert listeners.errors == 6
    assert len(caplog.records) == 2


def test_what_is_no_mistake_of_a_listener_is_not_held_back() -> None:
    """Ctrl-C while a listener runs ends the program."""

    def interrupt(event: Event) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Listeners([interrupt]).tell(RequestEnded(None, 0.0))  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [AttemptSent, RequestEnded])
def test_a_map_over_a_provider_ends_well_though_each_event_breaks_its_listener(
    kind: type,
) -> None:
    """A hundred errors, a hundred answers."""

    async def main() -> tuple[int, int]:
        transport = ProviderTransport(ProviderSettings(latency=0.5), random.Random(1))
        async with Dispatcher(transport, LIMITS, listeners=[Raising(kind)]) as sender:
            outcomes = [outcome async for outcome in sender.map(map(chat, range(100)))]
            return len(outcomes), sender.listener_errors

    assert run_virtual(main()) == (100, 100)


class Awaited:
    """A listener whose call is a coroutine."""

    async def __call__(self, event: Event) -> None:
        raise AssertionError(event)


async def awaited(event: Event) -> None:
    """A listener that nobody would await."""
    raise AssertionError(event)


@pytest.mark.parametrize(
    ("listeners", "words"),
    [
        ([awaited], "awaited is a coroutine function"),
        ([Awaited()], "Awaited is a coroutine function"),
        ([functools.partial(awaited)], "partial is a coroutine function"),
        (print, r"write listeners=\[print\]"),
        ([3], "callable with one event, got 3"),
    ],
    ids=["function", "object", "partial", "no list", "number"],
)
def test_what_could_never_hear_an_event_is_refused_at_once(
    listeners: Any, words: str, tmp_path: Path
) -> None:
    """A listener that does nothing would look like one that hears nothing; no file is touched."""
    with pytest.raises(TypeError, match=words):
        Dispatcher(Server(), LIMITS, listeners=listeners)
    with pytest.raises(TypeError, match=words):
        _ = run_file(
            tmp_path / "in", tmp_path / "out", client=Server(), limits=LIMITS, listeners=listeners
        )
