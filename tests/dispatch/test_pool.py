"""A pool: requests go where they could start soonest, and on when a member stops."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from ratedispatch.dispatch.dispatcher import Dispatcher
from ratedispatch.dispatch.pool import Member, Pool
from ratedispatch.errors import Stopped
from ratedispatch.events import AttemptEnded, Event
from ratedispatch.limits import Limits
from ratedispatch.outcome import Completed, Failed
from ratedispatch.simulate.clock import run_virtual
from ratedispatch.simulate.referee import Referee
from ratedispatch.simulate.settings import ProviderSettings
from ratedispatch.simulate.transport import ProviderTransport
from tests.dispatch.scripted import OK, Scripted, error
from tests.dispatch.world import chat

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ratedispatch.outcome import Outcome

RPM = {"a": 600, "b": 1_200, "c": 3_000}


class Played:
    """What came of requests that a pool of fake providers was given."""

    def __init__(self, rows: int, changes: Mapping[str, Mapping[str, Any]]) -> None:
        self.outcomes: list[Outcome] = []
        self.stop: Stopped | None = None
        self.ends: Counter[tuple[str, str]] = Counter()
        run_virtual(self._play(rows, changes))

    async def _play(self, rows: int, changes: Mapping[str, Mapping[str, Any]]) -> None:
        loop = asyncio.get_running_loop()
        began, overseer = loop.time(), Referee.of_all(loop.time())
        members = []
        for number, (name, rpm) in enumerate(RPM.items()):
            settings = ProviderSettings(
                requests_per_minute=rpm, burst_seconds=1, latency=0.5, **changes.get(name, {})
            )
            transport = ProviderTransport(settings, random.Random(number), overseer=overseer)
            members.append(Member(transport, Limits(rpm), name))
        dispatcher = Dispatcher(Pool(members), listeners=[self._listen], rng=random.Random(1))
        async with dispatcher:
            try:
                async for outcome in dispatcher.map(chat(row) for row in range(rows)):
                    self.outcomes.append(outcome)
            except Stopped as stop:
                self.stop = stop
        self.seconds = loop.time() - began
        self.twice = overseer.report()["answered_twice"]

    def _listen(self, event: Event) -> None:
        if isinstance(event, AttemptEnded):
            self.ends[event.route, event.code or "ok"] += 1

    @property
    def answered(self) -> int:
        """How many requests were answered."""
        return len({one.request.custom_id for one in self.outcomes if isinstance(one, Completed)})


def test_members_are_used_at_their_limits_together() -> None:
    """4,800 requests a minute in all: a minute, less what the buckets hold at the start."""
    played = Played(4_800, {})
    assert (played.answered, played.twice) == (4_800, 0)
    assert played.ends == {("a", "ok"): 600, ("b", "ok"): 1_199, ("c", "ok"): 3_001}
    assert played.seconds == pytest.approx(60, abs=1)  # its last answers come when chance says


def test_a_member_without_credit_is_left_alone() -> None:
    """What it refuses goes to the others, and it is asked again after 30 s, and after 60 more."""
    played = Played(4_800, {"a": {"quota_time": (20, 1e9)}})
    assert (played.answered, played.twice) == (4_800, 0)
    assert played.ends["a", "quota"] == 3
    assert played.ends["a", "ok"] < 220
    allowed = (4_800 - played.ends["a", "ok"]) / 4_200 * 60
    assert played.seconds / allowed < 1.03


def test_a_member_that_is_down_comes_back() -> None:
    """Twenty seconds without one of three cost what that one could have sent, and no row."""
    played = Played(4_800, {"b": {"fault_times": ((10, 20, "500"),)}})
    assert (played.answered, played.twice) == (4_800, 0)
    assert played.ends["b", "server_error"] == 26  # ten, those in flight then, and the probes
    assert played.seconds / (60 + 20 * 1_200 / 4_800) < 1.03


def test_all_members_without_credit_stop_the_pool() -> None:
    """With the reason, and with everything unanswered left for another time."""
    played = Played(1_000, {name: {"quota_time": (5, 1e9)} for name in RPM})
    assert played.stop is not None
    assert played.stop.code == "quota"
    assert not any(isinstance(one, Failed) for one in played.outcomes)


def run_pool(members: list[Member], requests: list[Any], **turn: Any) -> list[Outcome]:
    """Submit *requests* one after the other."""

    async def main() -> list[Outcome]:
        async with Dispatcher(Pool(members), rng=random.Random(1)) as dispatcher:
            return [await dispatcher.submit(request, **turn) for request in requests]

    return run_virtual(main())


def test_a_revoked_key_moves_a_request_on() -> None:
    """The caller sees the answer of another member, and one attempt more."""
    revoked = Scripted(lambda *_: error(401, "invalid_api_key"))
    good = Scripted(lambda *_: OK)
    limits = Limits(600)
    (outcome,) = run_pool([Member(revoked, limits), Member(good, limits)], [chat(1)])
    assert isinstance(outcome, Completed)
    assert (outcome.attempts, len(revoked.sent), len(good.sent)) == (2, 1, 1)


def test_a_member_that_has_not_got_the_model_is_left_alone() -> None:
    """Its 404 says nothing about the request, as long as it has answered nothing at all."""
    missing = Scripted(lambda *_: error(404, "model_not_found"))
    good = Scripted(lambda *_: OK)
    limits = Limits(6_000)
    outcomes = run_pool(
        [Member(missing, limits), Member(good, limits)], [chat(n) for n in range(9)]
    )
    assert all(isinstance(one, Completed) for one in outcomes)
    assert len(missing.sent) == 1


def test_a_session_stays_with_its_member() -> None:
    """Without one, two members with equal limits take turns."""
    members = [Scripted(lambda *_: OK), Scripted(lambda *_: OK)]
    pool = [Member(one, Limits(600)) for one in members]
    run_pool(pool, [chat(n) for n in range(10)], session="one")
    assert sorted(len(one.sent) for one in members) == [0, 10]


def test_a_session_moves_on_with_its_member() -> None:
    """A member that stops hands its sessions over for good."""
    first = Scripted(lambda _, number: OK if number < 4 else error(401, "invalid_api_key"))
    second = Scripted(lambda *_: OK)
    pool = [Member(first, Limits(600)), Member(second, Limits(300))]
    outcomes = run_pool(pool, [chat(n) for n in range(10)], session="one")
    assert all(isinstance(one, Completed) for one in outcomes)
    assert (len(first.sent), len(second.sent)) == (4, 7)


def test_models_are_called_as_the_member_calls_them() -> None:
    """The request that the caller gets back is as it was."""
    names = []

    def answer(request: Any, _: int) -> Any:
        names.append(request.model)
        return OK

    member = Member(Scripted(answer), Limits(600), models={"gpt-4o": "my-deployment"})
    (outcome,) = run_pool([member], [chat(1)])
    assert (names, outcome.request.model) == (["my-deployment"], "gpt-4o")


def test_members_of_one_account_share_its_limits() -> None:
    """Two keys of an account of 60 a minute: no more than one of them could send."""
    members = [Scripted(lambda *_: OK), Scripted(lambda *_: OK)]
    limits = Limits(60, burst_seconds=1)

    async def main() -> float:
        pool = Pool([Member(one, limits, account="ours") for one in members])
        async with Dispatcher(pool, rng=random.Random(1)) as dispatcher:
            began = asyncio.get_running_loop().time()
            async for _ in dispatcher.map([chat(n) for n in range(11)]):
                pass
            return asyncio.get_running_loop().time() - began

    assert run_virtual(main()) == pytest.approx(11.0, abs=0.001)  # ten seconds, and the last answer


def test_a_request_goes_where_it_fits() -> None:
    """One that is larger than what a member may ever spend waits for another one."""
    small, large = Scripted(lambda *_: OK), Scripted(lambda *_: OK)
    pool = [
        Member(small, Limits(600, tokens_per_minute=100)),
        Member(large, Limits(600, tokens_per_minute=100_000)),
    ]
    outcomes = run_pool(pool, [chat(n, cap=1_000) for n in range(3)])
    assert all(isinstance(one, Completed) for one in outcomes)
    assert (len(small.sent), len(large.sent)) == (0, 3)


def test_a_request_that_fits_nowhere_fails_with_the_largest_limit() -> None:
    """It is named, for that is what would have to be raised."""
    limits = [Limits(600, tokens_per_minute=100), Limits(600, tokens_per_minute=200)]
    pool = [Member(Scripted(lambda *_: OK), one) for one in limits]
    (outcome,) = run_pool(pool, [chat(1, cap=1_000)])
    assert isinstance(outcome, Failed)
    assert outcome.code == "cost_exceeds_limit"
    assert "200" in outcome.message


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([], "at least one"),
        ([("x", "", 1), ("x", "", 1)], "two members of a pool are called 'x'"),
        ([("x", "k", 1), ("y", "k", 2)], "different limits"),
    ],
)
def test_pools_that_make_no_sense_are_refused(
    members: list[tuple[str, str, int]], message: str
) -> None:
    """With the names of the members."""
    with pytest.raises(ValueError, match=message):
        Pool(Member(object(), Limits(rpm), name, account=key) for name, key, rpm in members)


def test_limits_beside_a_pool_are_refused() -> None:
    """Its members have limits of their own."""
    pool = Pool([Member(Scripted(lambda *_: OK), Limits(60))])
    with pytest.raises(TypeError, match="each member of a pool has its own limits"):
        Dispatcher(pool, Limits(60))
