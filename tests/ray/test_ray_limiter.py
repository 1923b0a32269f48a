"""The actor that keeps shared limits, and the store of a member; both without Ray."""

from __future__ import annotations

import asyncio
import concurrent.futures
import itertools
import queue
import threading
from typing import TYPE_CHECKING, Any

import pytest

from ratedispatch import Limits
from ratedispatch.pacing.shared.store import TOTALS, LimitNote, Note, Pause, Sheet, StoreGone
from ratedispatch.ray import ray_store
from ratedispatch.ray.ray_limiter import LimitKeeper, limiter
from ratedispatch.ray.ray_store import _THREAD, MOST_DOUBTFUL, RayStore
from ratedispatch.simulate.clock import run_virtual

if TYPE_CHECKING:
    from collections.abc import Callable


NUMBERS = itertools.count(1)


def note(taken: float = 0.0, *, pause: Pause | None = None, held: float = 0.0) -> Note:
    added = (taken, *[0.0] * (TOTALS - 1))
    limit = LimitNote("requests", added, 1.0, 10.0, 0.0, 10.0, None, None, held, 60.0)
    return Note(0.0, (limit,), pause)


async def tell(keeper: LimitKeeper, told: Note, member: int) -> Sheet:
    sheet = await keeper.exchange([(next(NUMBERS), 0.0, told)], member)
    assert isinstance(sheet, Sheet)
    return sheet


def test_members_spend_from_one_bucket() -> None:
    """Of 10 one takes 4 and the other 5; 2 s later 2 have come back."""

    async def run() -> list[float]:
        keeper = LimitKeeper()
        levels = [(await tell(keeper, note(4.0), 1)).limits[0].available]
        levels.append((await tell(keeper, note(5.0), 2)).limits[0].available)
        await asyncio.sleep(2)
        sheet = await tell(keeper, note(), 1)
        assert (sheet.living, sheet.wanting) == (2, 1 + 1)
        return [*levels, sheet.limits[0].available]

    assert run_virtual(run()) == [6.0, 1.0, 3.0]


def test_one_that_was_started_again_lets_nothing_go_at_once() -> None:
    """The burst may have gone just before it ended, and members that are not back go on."""

    async def run() -> list[float]:
        keeper = LimitKeeper(is_anew=True)
        levels = [(await tell(keeper, note(), 1)).limits[0].available]
        await asyncio.sleep(2)
        return [*levels, (await tell(keeper, note(), 2)).limits[0].available]

    assert run_virtual(run()) == [-0.5, 1.5]


def test_what_was_sent_is_not_given_back_in_silence() -> None:
    """A member that holds 6 into debt and dies gives them back; one that sent them does not."""

    async def run(*, is_sent: bool) -> float:
        keeper = LimitKeeper()
        await tell(keeper, note(20.0), 1)
        await tell(keeper, note(6.0, held=6.0), 2)
        if is_sent:
            await keeper.redeem(2)
        await asyncio.sleep(3)
        return (await tell(keeper, note(), 1)).limits[0].available

    assert run_virtual(run(is_sent=False)) == -7.0
    assert run_virtual(run(is_sent=True)) == -13.0


def test_a_full_record_is_told_and_changes_nothing() -> None:
    async def run() -> str:
        keeper = LimitKeeper()
        for member in range(64):
            await tell(keeper, note(), member)
        gone = await keeper.exchange([(1, 0.0, note())], 64)
        assert isinstance(gone, StoreGone)
        return gone.reason

    assert "64 members" in run_virtual(run())


def test_a_note_in_doubt_counts_once_and_only_where_it_was_meant_for() -> None:
    """One that has arrived does nothing the second time; nor does one for what was there before."""

    async def run() -> list[float]:
        keeper = LimitKeeper()
        epoch = (await tell(keeper, note(), 7)).epoch
        number = next(NUMBERS)
        here = (number, epoch, note(2.0))
        before = (number + 1, epoch + 1, note(3.0))
        levels = []
        for letters in ([here], [here, (next(NUMBERS) + 2, epoch, note(1.0))]):
            sheet = await keeper.exchange(letters, 7)
            assert isinstance(sheet, Sheet)
            levels.append(sheet.limits[0].available)
        lost = (number + 100, epoch, note(4.0))
        sheet = await keeper.exchange([before, lost, (number + 101, epoch, note())], 7)
        assert isinstance(sheet, Sheet)
        return [*levels, sheet.limits[0].available]

    assert run_virtual(run()) == [8.0, 7.0, 3.0]


class _Ref:
    """What a call of an actor returns."""

    def __init__(self, future: concurrent.futures.Future[Any]) -> None:
        self._future = future

    def future(self) -> concurrent.futures.Future[Any]:
        return self._future


class _Method:
    def __init__(self, calls: list[tuple[str, tuple[Any, ...], Any]], name: str) -> None:
        self._calls, self._name = calls, name

    def remote(self, *arguments: Any) -> _Ref:
        future: concurrent.futures.Future[Any] = concurrent.futures.Future()
        self._calls.append((self._name, arguments, future))
        return _Ref(future)


class _Actor:
    """A handle whose calls are answered by the test."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[Any, ...], Any]] = []

    def __getattr__(self, name: str) -> _Method:
        return _Method(self.calls, name)


def sheet(news: float) -> Sheet:
    return Sheet(0.0, 1.0, (), None, 1, 1, None, news, was_reaped=False)


def end(call: tuple[str, tuple[Any, ...], Any], result: Any) -> None:
    """Let *call* end with *result*, and wait until it was told."""
    future = call[2]
    if isinstance(result, BaseException):
        future.set_exception(result)
    else:
        future.set_result(result)
    _THREAD.submit(int).result(5)


def test_a_note_is_a_call_and_its_reply_comes_from_another_thread() -> None:
    """Who asks holds a lock that the reply takes; also a call that has ended at once is one."""
    actor = _Actor()
    store = RayStore(actor, "here")
    replies: list[tuple[Any, int]] = []

    def reply(answer: Any) -> None:
        replies.append((answer, threading.get_ident()))

    store.exchange(note(), reply)
    call = actor.calls.pop()
    assert (call[0], replies) == ("exchange", [])
    end(call, sheet(5.0))
    ((answer, thread),) = replies
    assert (answer, store.news()) == (sheet(5.0), 5.0)
    assert thread != threading.get_ident()


def test_a_reply_that_is_late_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its note goes again before the next, and what comes after all changes nothing."""
    monkeypatch.setattr(ray_store, "LATE_SECONDS", 0.0)
    actor = _Actor()
    store = RayStore(actor, "here")
    replies: queue.Queue[Any] = queue.Queue()
    store.exchange(note(), replies.put)
    assert not store._is_watching  # an actor takes its time to start
    end(actor.calls.pop(), sheet(1.0))
    assert replies.get(timeout=5) == sheet(1.0)
    store.exchange(note(2.0), replies.put)
    assert replies.get(timeout=5).reason == "no reply for more than a second"
    end(actor.calls.pop(), sheet(2.0))
    assert (replies.empty(), store.news()) == (True, 1.0)
    monkeypatch.setattr(ray_store, "LATE_SECONDS", 60.0)
    store.exchange(note(), replies.put)
    (letters, _) = actor.calls[-1][1]
    assert [letter[2] for letter in letters] == [note(2.0), note()]
    end(actor.calls.pop(), sheet(3.0))
    assert replies.get(timeout=5) == sheet(3.0)
    store.exchange(note(), replies.put)
    assert len(actor.calls.pop()[1][0]) == 1


def test_what_is_told_while_an_actor_cannot_be_had_drops_no_note_that_counts() -> None:
    """The first one in doubt says what was spent; those after it only ask."""
    actor = _Actor()
    store = RayStore(actor, "here")
    for taken in [5.0, *[0.0] * 20]:
        store.exchange(note(taken), lambda _: None)
        end(actor.calls[-1], ConnectionError())
    letters = actor.calls[-1][1][0]
    assert len(letters) == MOST_DOUBTFUL
    assert letters[0][2] == note(5.0)
    assert [letter[0] for letter in letters[-2:]] == [7, 21]


def test_an_actor_that_is_gone_is_a_reply() -> None:
    """Whether the call fails, or cannot even be made."""
    actor = _Actor()
    store = RayStore(actor, "here")
    replies: list[Any] = []
    store.exchange(note(), replies.append)
    end(actor.calls.pop(), ConnectionError("of 10 lines"))
    assert replies.pop().reason == "the actor is gone (ConnectionError)"
    store.exchange(note(1.0), replies.append)
    call = actor.calls.pop()
    (letters, _) = call[1]
    assert [(letter[0], letter[2]) for letter in letters] == [(1, note()), (2, note(1.0))]
    end(call, sheet(1.0))
    assert actor.calls == []

    class Broken:
        def __getattr__(self, name: str) -> Callable[..., Any]:
            raise RuntimeError("Ray is shut down")

    RayStore(Broken(), "here").exchange(note(), replies.append)
    _THREAD.submit(int).result(5)
    assert replies.pop().reason == "the actor is gone (RuntimeError)"


def test_the_next_note_tells_what_was_sent() -> None:
    """Only where none comes there is a call for it."""
    actor = _Actor()
    store = RayStore(actor, "here")
    store.redeemed()
    store.exchange(note(), lambda _: None)
    store._redeem()
    assert [call[0] for call in actor.calls] == ["exchange"]
    store.redeemed()
    store._redeem()
    assert [call[0] for call in actor.calls] == ["exchange", "redeem"]


@pytest.mark.parametrize(
    ("name", "limits", "error"), [("x", 5, TypeError), ("", Limits(5), ValueError)]
)
def test_mistakes_are_told_before_ray_is_needed(
    name: str, limits: Any, error: type[Exception]
) -> None:
    with pytest.raises(error):
        limiter(name, limits)
