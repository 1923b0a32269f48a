"""A dispatcher without an event loop: threads, Ctrl-C, forks, and the end of its thread."""

from __future__ import annotations

import asyncio
import errno
import multiprocessing
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import openai
import pytest

import ratedispatch as rd
from ratedispatch.dispatch.source_thread import SourceThread
from ratedispatch.pacing.feedback import End
from ratedispatch.simulate.server.child import FakeServerProcess
from tests.dispatch.scripted import OK, error
from tests.dispatch.world import chat

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FAST = rd.Limits(6e6, 6e9)


class Quick:
    """A transport that answers at once, or waits until it is cancelled."""

    def __init__(self, on_send: Callable[[rd.Request], None] | None = None) -> None:
        self.on_send = on_send
        self.hangs = False
        self.in_flight = self.cancelled = self.closed = 0
        self.threads: set[str] = set()

    async def send(self, request: rd.Request, timeout: float) -> rd.Response:
        self.threads.add(threading.current_thread().name)
        self.in_flight += 1
        try:
            if self.on_send is not None:
                self.on_send(request)
            await (asyncio.Event().wait() if self.hangs else asyncio.sleep(0))
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.in_flight -= 1
        return OK

    async def stream(self, request: rd.Request, timeout: float) -> Any:
        from tests.dispatch.streams import WHOLE, Streamed

        return Streamed(WHOLE, 0)

    async def close(self) -> None:
        self.closed += 1


def names(outcomes: Any) -> list[str]:
    return [outcome.request.custom_id for outcome in outcomes]


def alive() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("SyncDispatcher")]


def test_it_submits_maps_streams_and_paces_without_a_loop() -> None:
    transport = Quick()
    with rd.SyncDispatcher(transport, FAST) as dispatcher:
        assert isinstance(dispatcher.submit(chat("a"), priority=1, caller="me"), rd.Completed)
        requests = [chat(number) for number in range(500)]
        assert names(dispatcher.map(requests, ordered=True)) == [str(n) for n in range(500)]
        assert len(names(dispatcher.map(iter(requests)))) == 500
        stream = dispatcher.stream(chat("b"))
        assert len(list(stream)) == 3
        assert isinstance(stream.outcome, rd.Completed)
        with dispatcher.permit(rd.Cost(5)) as permit:
            assert permit.cost.tokens == 5
            assert dispatcher.snapshot().in_flight == 1
            permit.report(rd.Feedback(End.ANSWERED, rd.Usage(3, 2)))
            with pytest.raises(RuntimeError, match="already closed"):
                permit.report(rd.Feedback(End.ANSWERED))
        assert dispatcher.snapshot().in_flight == 0
        assert dispatcher.bottleneck().binding
        assert dispatcher.listener_errors == 0
    assert transport.threads == {"SyncDispatcher"}
    assert transport.closed == 1
    assert alive() == []


def test_many_threads_share_it() -> None:
    with rd.SyncDispatcher(Quick(), FAST) as dispatcher, ThreadPoolExecutor(20) as pool:
        outcomes = list(pool.map(lambda n: dispatcher.submit(chat(n)), range(400)))
        maps = list(
            pool.map(
                lambda n: len(list(dispatcher.map(chat(f"{n}-{i}") for i in range(50)))), range(10)
            )
        )
    assert names(outcomes) == [str(number) for number in range(400)]
    assert maps == [50] * 10


def test_a_failure_is_an_outcome_and_a_stop_is_raised() -> None:
    class Refusing(Quick):
        async def send(self, request: rd.Request, timeout: float) -> rd.Response:
            return error(401, "invalid_api_key") if request.custom_id == "x" else error(400, "bad")

    with rd.SyncDispatcher(Refusing(), FAST) as dispatcher:
        assert isinstance(dispatcher.submit(chat("a")), rd.Failed)
        with pytest.raises(TypeError, match="expected a Request"):
            dispatcher.submit("hello")  # type: ignore[arg-type]
        with pytest.raises(rd.Stopped):
            dispatcher.submit(chat("x"))
        with pytest.raises(rd.Stopped):
            list(dispatcher.map([chat("a")]))


def test_what_the_source_raises_comes_after_the_outcomes_before_it() -> None:
    """It is read in a thread, and closed there when the loop is left."""
    closed = threading.Event()

    def source(breaks: bool) -> Iterator[rd.Request]:
        try:
            for number in range(10_000 if not breaks else 200):
                yield chat(number)
            raise LookupError("the source broke")
        finally:
            closed.set()

    with rd.SyncDispatcher(Quick(), FAST) as dispatcher:
        came: list[Any] = []
        outcomes = dispatcher.map(source(breaks=True))
        with pytest.raises(LookupError, match="the source broke"):
            came.extend(iter(outcomes.__next__, None))
        closed.clear()
        for _ in dispatcher.map(source(breaks=False)):
            break
        assert closed.wait(10)
        assert dispatcher.snapshot().in_flight == 0


def test_what_a_slow_source_has_given_goes_while_the_next_is_made() -> None:
    """And it is read in a thread of its own, so that nothing else waits for it."""
    answered = threading.Event()

    def source() -> Iterator[rd.Request]:
        yield chat(1)
        assert answered.wait(10)  # the second one waits for the first one's answer
        yield chat(2)

    with rd.SyncDispatcher(Quick(lambda _: answered.set()), FAST) as dispatcher:
        assert sorted(names(dispatcher.map(source()))) == ["1", "2"]


def test_a_source_is_read_no_further_ahead_than_it_is_taken() -> None:
    made = 0

    def source() -> Iterator[int]:
        nonlocal made
        for number in range(1_000):
            made += 1
            yield number

    async def main() -> list[int]:
        items = SourceThread(source())
        taken = [await anext(items) for _ in range(100)]
        assert made <= 100 + 64
        rest = [item async for item in items]
        items.close()
        return taken + rest

    assert asyncio.run(main()) == list(range(1_000))


def test_leaving_a_map_cancels_what_is_in_flight() -> None:
    transport = Quick()
    with rd.SyncDispatcher(transport, FAST, max_in_flight=20) as dispatcher:
        for _ in dispatcher.map([chat(n) for n in range(1_000)]):
            transport.hangs = True
            break
        assert transport.in_flight == 0
        assert dispatcher.snapshot().in_flight == 0
        transport.hangs = False
        assert isinstance(dispatcher.submit(chat("a")), rd.Completed)


def interrupt(_: rd.Request) -> None:
    """Ctrl-C, while a request is in flight."""
    main = threading.main_thread().ident
    assert main is not None
    signal.pthread_kill(main, signal.SIGINT)


@pytest.fixture
def heeds_ctrl_c() -> Iterator[None]:
    """Let Ctrl-C raise, which it does not in a process that was started in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.usefixtures("heeds_ctrl_c")
@pytest.mark.parametrize("how", ["submit", "map", "stream"])
def test_ctrl_c_cancels_what_is_in_flight_and_waits(how: str) -> None:
    """When it is raised, nothing is in flight any more, and the dispatcher still works."""
    assert threading.current_thread() is threading.main_thread()
    transport = Quick(interrupt)
    transport.hangs = True
    transport.stream = transport.send  # type: ignore[method-assign]
    with rd.SyncDispatcher(transport, FAST, max_in_flight=1) as dispatcher:
        use: dict[str, Callable[[], object]] = {
            "submit": lambda: dispatcher.submit(chat(1)),
            "map": lambda: list(dispatcher.map([chat(n) for n in range(100)])),
            "stream": lambda: list(dispatcher.stream(chat(1))),
        }
        with pytest.raises(KeyboardInterrupt):
            use[how]()
        assert transport.in_flight == 0
        assert transport.cancelled >= 1
        assert dispatcher.snapshot().in_flight == 0
        transport.hangs, transport.on_send = False, None
        assert isinstance(dispatcher.submit(chat(2)), rd.Completed)


def test_ctrl_c_before_the_wait_has_begun_cancels_too() -> None:
    """In the very moment in which the request is handed to the loop."""
    transport = Quick()
    transport.hangs = True
    with rd.SyncDispatcher(transport, FAST) as dispatcher:
        loop = dispatcher._thread._loop
        hand_over = loop.call_soon_threadsafe

        def interrupted(*args: Any) -> None:
            loop.call_soon_threadsafe = hand_over  # type: ignore[method-assign]
            hand_over(*args)
            while not transport.in_flight:
                time.sleep(0)
            raise KeyboardInterrupt

        loop.call_soon_threadsafe = interrupted  # type: ignore[assignment, method-assign]
        with pytest.raises(KeyboardInterrupt):
            dispatcher.submit(chat(1))
        assert (transport.in_flight, transport.cancelled) == (0, 1)


def test_ctrl_c_in_the_moment_of_a_permit_closes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with rd.SyncDispatcher(Quick(), FAST) as dispatcher:
        thread = dispatcher._thread
        run = thread.run

        def interrupted(coroutine: Any) -> Any:
            result = run(coroutine)
            if coroutine.__name__ == "__aenter__":
                raise KeyboardInterrupt
            return result

        monkeypatch.setattr(thread, "run", interrupted)
        with pytest.raises(KeyboardInterrupt), dispatcher.permit(rd.Cost(1)):
            pass
        monkeypatch.undo()
        assert dispatcher.snapshot().in_flight == 0


@pytest.mark.parametrize("how", ["submit", "map"])
def test_an_exit_in_a_listener_ends_the_waits(how: str) -> None:
    """It ends the loop as well, in which nobody would answer any more."""

    def leave(event: rd.Event) -> None:
        if isinstance(event, rd.AttemptEnded):
            raise SystemExit(7)

    dispatcher = rd.SyncDispatcher(Quick(), FAST, listeners=[leave])
    use: dict[str, Callable[[], object]] = {
        "submit": lambda: dispatcher.submit(chat(1)),
        "map": lambda: list(dispatcher.map([chat(n) for n in range(10)])),
    }
    with pytest.raises(SystemExit), dispatcher:
        use[how]()
    with pytest.raises(RuntimeError, match="closed"):
        dispatcher.submit(chat(1))


def test_a_loop_that_cannot_be_made_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise OSError(errno.EMFILE, "too many open files")

    monkeypatch.setattr(asyncio, "new_event_loop", fail)
    monkeypatch.setattr(asyncio.events, "new_event_loop", fail)
    with pytest.raises(OSError, match="too many open files"):
        rd.SyncDispatcher(Quick(), FAST)


def test_after_an_error_in_the_block_other_threads_are_not_waited_for() -> None:
    """Those raise that it was stopped."""
    sent = threading.Event()
    transport = Quick(lambda _: sent.set())
    transport.hangs = True
    stops: list[str] = []

    def work(dispatcher: rd.SyncDispatcher) -> None:
        try:
            dispatcher.submit(chat(1))
        except rd.Stopped as stopped:
            stops.append(stopped.code)

    def fail() -> None:
        with rd.SyncDispatcher(transport, FAST) as dispatcher:
            thread = threading.Thread(target=work, args=(dispatcher,))
            thread.start()
            assert sent.wait(10)
            raise LookupError("the block broke")

    with pytest.raises(LookupError, match="the block broke"):
        fail()
    assert alive() == []
    while threading.active_count() > 1 and not stops:
        pass
    assert stops == ["closed"]
    assert transport.in_flight == 0


def test_without_an_error_what_is_in_flight_is_waited_for() -> None:
    sent, go = threading.Event(), asyncio.Event()

    class Waiting(Quick):
        async def send(self, request: rd.Request, timeout: float) -> rd.Response:
            sent.set()
            await go.wait()
            return OK

    outcomes: list[Any] = []
    with rd.SyncDispatcher(Waiting(), FAST) as dispatcher:
        thread = threading.Thread(target=lambda: outcomes.append(dispatcher.submit(chat(1))))
        thread.start()
        assert sent.wait(10)
        dispatcher._thread.post(go.set)
    thread.join(10)
    assert isinstance(outcomes[0], rd.Completed)


def test_a_deadline_that_is_over_is_missed() -> None:
    """Of each method that takes one, counted from its call."""
    with rd.SyncDispatcher(Quick(), rd.Limits(1)) as dispatcher:
        assert isinstance(dispatcher.submit(chat("a"), deadline=10), rd.Completed)
        late = dispatcher.submit(chat("b"), deadline=1)
        assert isinstance(late, rd.Failed)
        assert late.code == "deadline_missed"
        with pytest.raises(rd.RequestFailed) as caught:
            next(dispatcher.stream(chat("c"), deadline=1))
        assert caught.value.code == "deadline_missed"
        permit = dispatcher.permit(rd.Cost(1), deadline=1)
        with pytest.raises(rd.DeadlineMissed):
            permit.__enter__()


def test_once_closed_it_says_so() -> None:
    dispatcher = rd.SyncDispatcher(Quick(), FAST)
    outcomes = dispatcher.map([chat(n) for n in range(100)])
    next(outcomes)
    dispatcher.close()
    dispatcher.close()
    for use in (
        lambda: dispatcher.submit(chat(1)),
        lambda: list(dispatcher.map([chat(1)])),
        lambda: list(dispatcher.stream(chat(1))),
        lambda: dispatcher.permit(rd.Cost(1)).__enter__(),
        lambda: next(outcomes),
        dispatcher.snapshot,
    ):
        with pytest.raises(RuntimeError, match="this SyncDispatcher is closed; make a new one"):
            use()


def test_in_its_own_thread_it_says_so_instead_of_waiting_for_itself() -> None:
    errors: list[str] = []

    def listen(event: rd.Event) -> None:
        try:
            dispatcher.submit(chat("again"))
        except RuntimeError as error:
            errors.append(str(error))

    with rd.SyncDispatcher(Quick(), FAST, listeners=[listen]) as dispatcher:
        dispatcher.submit(chat(1))
    assert len(errors) == 3
    assert "it would wait for itself" in errors[0]


def use_in_child(dispatcher: rd.SyncDispatcher, answers: Any) -> None:
    try:
        dispatcher.submit(chat(1))
    except RuntimeError as error:
        answers.put(str(error))
    dispatcher.close()
    with rd.SyncDispatcher(Quick(), FAST) as own:
        answers.put(type(own.submit(chat(1))).__name__)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_after_a_fork_it_belongs_to_the_parent() -> None:
    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()
    with rd.SyncDispatcher(Quick(), FAST) as dispatcher:
        child = context.Process(target=use_in_child, args=(dispatcher, answers))
        child.start()
        assert "made before a fork" in answers.get()
        assert answers.get() == "Completed"
        child.join(10)
        assert child.exitcode == 0
        assert isinstance(dispatcher.submit(chat(2)), rd.Completed)


def test_with_the_real_client_and_real_http() -> None:
    with FakeServerProcess("--latency", "0.01") as server:
        client = openai.AsyncOpenAI(base_url=server.base_url, api_key="sk-any")
        with rd.SyncDispatcher(client, FAST) as dispatcher:
            outcomes = list(dispatcher.map(chat(n) for n in range(40)))
            assert all(isinstance(outcome, rd.Completed) for outcome in outcomes)
            chunks = list(dispatcher.stream(chat("s", cap=20)))
            assert chunks[0].choices[0].delta.role == "assistant"
        assert client.is_closed()
