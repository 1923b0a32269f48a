"""One budget in many places: threads, event loops, forks, and loops that are long closed."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

import openai
import pytest

import ratedispatch as rd
from ratedispatch.dispatch.thread_alarm import ThreadAlarm, TimerThread, timer_thread
from ratedispatch.dispatch.wrap.paced_http import gate_of
from ratedispatch.simulate.server.child import FakeServerProcess
from ratedispatch.tokens.counter import DEFAULT
from ratedispatch.tokens.vocabulary import SHARED
from tests.dispatch.wrap.upstream import ASK, Upstream, sync_client

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def server() -> Iterator[FakeServerProcess]:
    with FakeServerProcess("--rpm", "6000", "--burst-seconds", "1", "--latency", "0.01") as child:
        yield child


LIMITS = rd.Limits(requests_per_minute=6_000, burst_seconds=0.05)


def sync(server: FakeServerProcess, **settings: Any) -> openai.OpenAI:
    return openai.OpenAI(base_url=server.base_url, api_key="any", max_retries=0, **settings)


def asynchronous(server: FakeServerProcess) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=server.base_url, api_key="any", max_retries=0)


def test_threads_and_loops_share_one_budget(server: FakeServerProcess) -> None:
    """Ten threads with the blocking client, and two loops with one each: nothing is refused."""
    server.reset()
    answers: list[Any] = []

    async def gathered() -> None:
        async with rd.wrap(asynchronous(server), LIMITS) as client:
            calls = [client.chat.completions.create(**ASK) for _ in range(20)]
            answers.extend(await asyncio.gather(*calls))

    def work() -> None:
        answers.extend([client.chat.completions.create(**ASK) for _ in range(3)])

    with rd.wrap(sync(server), LIMITS) as client:
        threads = [threading.Thread(target=work) for _ in range(10)]
        threads += [threading.Thread(target=lambda: asyncio.run(gathered())) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        paces = gate_of(client._client)
    assert paces is not None
    assert len(answers) == 70
    assert server.stats()["refused"] == {}
    state = paces.snapshot()
    assert (state.in_flight, state.waiting, state.levels[0].spent) == (0, 0, 70)


def test_a_blocking_client_inside_a_running_loop(server: FakeServerProcess) -> None:
    """As in a notebook, whose cells run in a loop: it blocks, and is woken by a thread."""
    client = rd.wrap(sync(server), LIMITS)

    async def cell() -> int:
        return len([client.chat.completions.create(**ASK) for _ in range(8)])

    assert asyncio.run(cell()) == 8
    client.close()


def test_a_loop_for_each_call(server: FakeServerProcess) -> None:
    """As pytest-asyncio does it: each has a client of its own, and the budget outlives them."""
    paces = rd.Gate(rd.Limits(requests_per_minute=6_000, burst_seconds=0))

    async def one() -> None:
        async with rd.wrap(asynchronous(server), paces) as client:
            await asyncio.gather(*(client.chat.completions.create(**ASK) for _ in range(2)))

    for _ in range(3):
        asyncio.run(one())
    state = paces.snapshot()
    assert (state.in_flight, state.waiting, state.levels[0].spent) == (0, 0, 6)


def test_a_loop_that_is_closed_while_its_calls_wait_keeps_nothing() -> None:
    """Its tasks are cancelled, and leave the queue."""
    paces = rd.Gate(rd.Limits(requests_per_minute=1))
    upstream = Upstream()
    rd.wrap(sync_client(upstream), paces).chat.completions.create(**ASK)

    async def main() -> None:
        plain = openai.AsyncOpenAI(api_key="any", base_url="http://127.0.0.1:9/v1")
        client = rd.wrap(plain, paces)
        task = asyncio.create_task(client.chat.completions.create(**ASK))
        async with asyncio.timeout(30):  # a machine with much to do takes its time
            while not paces.snapshot().waiting:  # noqa: ASYNC110 - the gate tells nobody
                await asyncio.sleep(0.001)
        assert not task.done()

    asyncio.run(main())
    assert paces.snapshot().waiting == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_fork_begins_with_everything_to_itself() -> None:
    """The child's buckets are full, its queue is empty and its timers run; the parent's stay."""
    upstream = Upstream()
    client = rd.wrap(sync_client(upstream), rd.Limits(600, burst_seconds=0))
    paces = gate_of(client._client)
    assert paces is not None
    client.chat.completions.create(**ASK)
    with paces._routes.only.admission.lock:  # type: ignore[union-attr] # held by another thread
        child = os.fork()
        if not child:
            status = 1
            try:
                for _ in range(2):
                    client.chat.completions.create(**ASK)
                status = 0 if paces.snapshot().levels[0].spent == 2 else 2
            finally:
                os._exit(status)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert paces.snapshot().levels[0].spent == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_fork_counts_whatever_another_thread_was_counting() -> None:
    """A lock of the tokenizer that a thread of the parent holds is free in the child."""
    client = rd.wrap(sync_client(Upstream()), rd.Limits(tokens_per_minute=60_000))
    client.chat.completions.create(**ASK)
    texts = DEFAULT._text_counter("o200k_base")._texts
    with DEFAULT._lock, SHARED._lock, texts._lock:
        child = os.fork()
        if not child:
            status = 1
            try:
                signal.alarm(20)  # a child that hangs would keep the parent
                other: Any = [{"role": "user", "content": "No text that was counted before."}]
                counts = threading.Thread(
                    target=client.chat.completions.create, kwargs={**ASK, "messages": other}
                )
                counts.start()
                counts.join()
                status = 0
            finally:
                os._exit(status)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0


class TestTimerThread:
    """The one thread that wakes queues."""

    def test_it_calls_in_the_order_of_the_instants_and_forgets_what_was_replaced(self) -> None:
        """One alarm holds one timer."""
        done = threading.Event()
        called: list[str] = []
        first, second, third = ThreadAlarm(), ThreadAlarm(), ThreadAlarm()
        now = first.time()
        first.set(now + 0.02, lambda: called.append("replaced"))
        second.set(now + 0.02, lambda: called.append("cleared"))

        def last() -> None:
            called.append("last")
            done.set()

        third.set(now + 0.03, last)
        first.set(now + 0.01, lambda: called.append("first"))
        second.clear()
        assert done.wait(5)
        assert called == ["first", "last"]

    def test_one_that_fails_stops_no_other(self, caplog: pytest.LogCaptureFixture) -> None:
        """It is logged."""
        done = threading.Event()
        nothing: dict[str, None] = {}
        ThreadAlarm().soon(lambda: nothing["there"])
        ThreadAlarm().soon(done.set)
        assert done.wait(5)
        assert "a timer failed" in caplog.text

    def test_there_is_one_thread_at_most(self) -> None:
        """However many queues wait."""
        alarms = [ThreadAlarm() for _ in range(20)]
        for alarm in alarms:
            alarm.set(alarm.time() + 60, lambda: None)
        names = [thread.name for thread in threading.enumerate()]
        assert names.count("ratedispatch-timer") == 1
        for alarm in alarms:
            alarm.clear()

    def test_it_ends_when_nothing_is_left(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """And begins again when something comes."""
        monkeypatch.setattr("ratedispatch.dispatch.thread_alarm._IDLE_SECONDS", 0.01)
        alone = TimerThread()
        alarm = ThreadAlarm()
        for _ in range(2):
            done = threading.Event()
            alone.add(alarm.time(), alarm, done.set)
            assert done.wait(5)
            until = time.perf_counter() + 5
            while alone._is_running and time.perf_counter() < until:
                time.sleep(0.005)
            assert not alone._is_running

    def test_a_timer_in_a_thousand_years_stops_no_other(self) -> None:
        """A lock cannot wait for so long."""
        alone = TimerThread()
        far, near = ThreadAlarm(), ThreadAlarm()
        alone.add(far.time() + 1e12, far, lambda: None)
        for _ in range(2):
            done = threading.Event()
            alone.add(near.time() + 0.01, near, done.set)
            assert done.wait(5)

    def test_a_thread_that_cannot_be_begun_is_begun_by_the_next(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A process may have no more threads for a while."""

        def fails(_: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        alone = TimerThread()
        done, also = threading.Event(), threading.Event()
        first, second = ThreadAlarm(), ThreadAlarm()
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", fails)
            with pytest.raises(RuntimeError, match="new thread"):
                alone.add(first.time(), first, done.set)
        alone.add(second.time(), second, also.set)
        assert done.wait(5)
        assert also.wait(5)

    def test_the_thread_of_the_process_is_one(self) -> None:
        """Whoever asks."""
        assert timer_thread() is timer_thread()
