"""Which limits a dispatcher, or a gate, shares with other processes, and what cannot be shared."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

import openai
import pytest

import ratedispatch as rd
from ratedispatch.dispatch.thread_alarm import ThreadAlarm
from ratedispatch.dispatch.wrap.gate import GateOptions
from ratedispatch.errors import SharingError
from ratedispatch.pacing.budget import Reservation
from ratedispatch.pacing.shared.memory_store import SharedRecord
from ratedispatch.pacing.shared.shared_budget import SharedBudget
from tests.sharing.redis_server import RedisServer, running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SECRET = "redis://me:secret@host/0"


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    yield from running()


@pytest.mark.parametrize("options", [GateOptions, rd.DispatcherOptions])
def test_options_show_no_password(options: Callable[..., object]) -> None:
    assert "secret" not in repr(options(share=SECRET))


def test_more_limits_than_a_store_holds_are_told_at_once() -> None:
    """Otherwise each process would go on with all of them, as where a store is gone."""
    custom = {f"limit {number}": 60.0 for number in range(8)}
    with pytest.raises(SharingError, match="9 limits cannot be shared: a store holds 8"):
        rd.Gate(rd.Limits(600, custom=custom), share=lambda _: SharedRecord().join())


@pytest.mark.parametrize(("name", "said"), [("é" * 25, "50 bytes"), ("\udc80", "characters")])
def test_a_name_that_no_store_can_hold_is_told_at_once(name: str, said: str) -> None:
    with pytest.raises(SharingError, match=said):
        rd.Gate(rd.Limits(custom={name: 60.0}), share=lambda _: SharedRecord().join())


def test_a_key_that_a_function_makes_is_nobodys() -> None:
    """Each process would have a file of its own, and nobody would hear of it."""
    client = openai.OpenAI(api_key=lambda: "key")
    with pytest.raises(SharingError, match="gets its key from a function"):
        rd.wrap(client, rd.Limits(600, share="local"))


@pytest.mark.parametrize(
    ("limits", "share"),
    [
        (rd.Limits(600), "local"),
        (rd.Limits(600, share="local"), None),
        (rd.LimitGroups((rd.LimitGroup("mini", ("m",), rd.Limits(600, share="local")),)), None),
    ],
)
def test_a_budget_is_not_shared_beside_itself(
    limits: rd.Limits | rd.LimitGroups, share: str | None
) -> None:
    """Otherwise nobody would hear that nothing is shared."""
    client = openai.AsyncOpenAI(api_key="key")
    with pytest.raises(TypeError, match="either budget= or share="):
        rd.Dispatcher(client, limits, budget=rd.LocalBudget(rd.Limits(600)), share=share)


def test_what_is_no_place_is_told() -> None:
    with pytest.raises(SharingError, match=r"share must be local.*, got int"):
        rd.Gate(rd.Limits(600), share=5)


def budget_of(gate: rd.Gate) -> SharedBudget:
    ticket = gate.ticket(b"/chat/completions", b'{"model": "m", "messages": []}')
    assert ticket is not None
    budget = ticket.route.admission.budget
    assert isinstance(budget, SharedBudget)
    return budget


def takes(budget: SharedBudget) -> bool:
    """Ask for one request, for three seconds."""
    clock = ThreadAlarm()
    ends = clock.time() + 3
    while clock.time() < ends:
        if isinstance(budget.reserve(rd.Cost(0), clock.time()), Reservation):
            return True
        time.sleep(0.005)
    return False


def in_child(what: Callable[[], bool]) -> bool:
    """Return what *what* says in a child of a fork."""
    child = os.fork()
    if not child:
        status = 1
        try:
            signal.alarm(20)
            status = 0 if what() else 2
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_child_of_a_fork_is_one_more_member_of_a_redis(redis: RedisServer) -> None:
    """As of a server that forks its workers; those that start while the Redis is gone go on."""
    gate = rd.Gate(rd.Limits(600, share=redis.url), base_url="http://host")
    assert takes(budget_of(gate))

    def is_second() -> bool:
        budget = budget_of(gate)
        return takes(budget) and budget.membership.members == 2

    assert in_child(is_second)
    redis.kill()

    def is_apart() -> bool:
        budget = budget_of(gate)
        return takes(budget) and budget.membership.is_apart

    assert in_child(is_apart)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_store_that_cannot_be_opened_in_a_child_keeps_no_gate_from_its_locks() -> None:
    """Each is renewed, and the first call of the one that it is about says what is wrong."""
    parent = os.getpid()

    def join(_: str) -> object:
        if os.getpid() != parent:
            raise SharingError("not here")
        return SharedRecord().join()

    gates = [rd.Gate(rd.Limits(600), share=join) for _ in range(2)]

    def tells() -> bool:
        for gate in gates:
            with gate._lock:
                pass
            with pytest.raises(SharingError, match="not here"):
                budget_of(gate)
        return True

    for gate in gates:
        gate._lock.acquire()  # held by another thread
    assert in_child(tells)
