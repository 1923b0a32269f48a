"""Members of a pool that fail in every way: no request is lost, doubled or kept for long."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ratedispatch.dispatch.dispatcher import Dispatcher
from ratedispatch.dispatch.pool import Member, Pool
from ratedispatch.errors import Stopped, TransportError
from ratedispatch.events import RouteResumed, RouteStopped
from ratedispatch.limits import Limits
from ratedispatch.outcome import Completed, Failed, Response
from ratedispatch.request import Cost
from ratedispatch.simulate.clock import run_virtual
from ratedispatch.simulate.referee import Referee
from ratedispatch.simulate.settings import ProviderSettings
from ratedispatch.simulate.transport import ProviderTransport
from tests.dispatch.scripted import OK, Scripted, error
from tests.dispatch.world import chat

if TYPE_CHECKING:
    from ratedispatch.outcome import Outcome
    from ratedispatch.request import Request

FOREVER = 1e8

ANSWERS = {
    "400": error(400, "bad_version", "no such version"),
    "404": error(404, "model_not_found", "no such model"),
    "401": error(401, "invalid_api_key"),
    "429": error(429, "rate_limit_exceeded", retry_after="30"),
}


class Fault(NamedTuple):
    """What strikes a member from an instant on, for so many seconds."""

    kind: str
    start: float
    length: float


class Faulty:
    """A fake provider whose doors fail, too."""

    is_simulated = True

    def __init__(self, inner: ProviderTransport, faults: list[Fault]) -> None:
        self._inner = inner
        self._faults = faults

    async def send(self, request: Request, timeout: float) -> Response:
        now = asyncio.get_running_loop().time()
        for kind, start, length in self._faults:
            if not start <= now < start + length:
                continue
            if kind == "refuse":
                raise TransportError("refused", reached=False)
            if kind == "hang":
                await asyncio.sleep(FOREVER)
            if kind in ANSWERS:
                await asyncio.sleep(0.1)
                return ANSWERS[kind]
        return await self._inner.send(request, timeout)


class World(NamedTuple):
    """Members by their requests per minute and faults, and what they are asked for."""

    members: list[tuple[int, list[Fault]]]
    rows: int
    sessions: int
    seed: int
    options: dict[str, Any]


faults = st.builds(
    Fault,
    st.sampled_from([*ANSWERS, "refuse", "hang", "500", "503", "disconnect", "quota", "day"]),
    st.sampled_from([0.0, 0.0, 3.0]),
    st.sampled_from([5.0, 40.0, FOREVER]),
)
rates = st.sampled_from([60, 300, 3_000])


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Pools in which one member is good."""
    members = draw(st.lists(st.tuples(rates, st.lists(faults, max_size=2)), max_size=3))
    place = draw(st.integers(0, len(members)))
    members.insert(place, (draw(rates), []))
    return World(
        members,
        draw(st.sampled_from([3, 60])),
        draw(st.sampled_from([0, 3])),
        draw(st.integers(0, 9)),
        {"wait_for_reset": draw(st.booleans()), "tolerate_failures": draw(st.booleans())},
    )


class Played(NamedTuple):
    """What came of a world."""

    outcomes: list[Outcome]
    twice: int
    timers: int


def play(world: World) -> Played:
    """Map over a half of the rows, and submit the other half meanwhile, some in sessions."""

    async def main() -> Played:
        loop = asyncio.get_running_loop()
        overseer = Referee.of_all(loop.time())
        members = []
        for number, (rpm, faults) in enumerate(world.members):
            of_provider: dict[str, Any] = {}
            for fault in faults:
                if fault.kind in {"500", "503", "disconnect"}:
                    of_provider["fault_times"] = ((fault.start, fault.length, fault.kind),)
                elif fault.kind == "quota":
                    of_provider["quota_time"] = (fault.start, fault.length)
                elif fault.kind == "day":
                    of_provider["requests_per_day"] = 5
            set_up = ProviderSettings(
                requests_per_minute=rpm, burst_seconds=1, latency=0.5, **of_provider
            )
            rng = random.Random(f"{world.seed} {number}")
            transport = ProviderTransport(set_up, rng, overseer=overseer)
            members.append(Member(Faulty(transport, faults), Limits(rpm)))
        rng = random.Random(world.seed)
        outcomes: list[Outcome] = []
        async with Dispatcher(Pool(members), rng=rng, **world.options) as dispatcher:

            async def submit(row: int) -> None:
                session = str(row % world.sessions) if world.sessions else None
                one = await dispatcher.submit(chat(row), session=session, priority=row % 2)
                outcomes.append(one)

            async with asyncio.TaskGroup() as group:
                half = world.rows // 2
                for row in range(half, world.rows):
                    group.create_task(submit(row))
                async for outcome in dispatcher.map(chat(row) for row in range(half)):
                    outcomes.append(outcome)  # noqa: PERF401
            assert dispatcher.snapshot().in_flight == 0
        timers = [one for one in loop._scheduled if not one.cancelled()]  # type: ignore[attr-defined]
        left = sum("Deadlines" not in repr(one) for one in timers)
        return Played(outcomes, overseer.report()["answered_twice"], left)

    return run_virtual(main())


@settings(max_examples=40, deadline=None)
@example(
    World(
        members=[(60, []), (60, [Fault("400", 3.0, 5.0)])],
        rows=60,
        sessions=0,
        seed=0,
        options={"wait_for_reset": False, "tolerate_failures": True},
    )
)
@given(worlds())
def test_one_good_member_is_enough(world: World) -> None:
    """Whatever the others do, at any time: every request is answered once, and nothing is left."""
    played = play(world)
    failed = [one for one in played.outcomes if not isinstance(one, Completed)]
    # a member that has answered may say of a single request what it will, and what is said of a
    # submitted one is no sign of others: its caller may send nothing but bad requests
    mapped = [one for one in failed if int(one.request.custom_id or 0) < world.rows // 2]
    refusing = sum(fault.kind == "400" for _, faults in world.members for fault in faults)
    # who tolerates failures has each of them reported, however many
    assert world.options["tolerate_failures"] or len(mapped) <= refusing
    assert {one.code for one in failed if isinstance(one, Failed)} <= {"bad_version"}
    assert refusing or not failed
    assert {one.request.custom_id for one in played.outcomes} == {str(n) for n in range(world.rows)}
    assert (played.twice, played.timers) == (0, 0)


def run_map(members: list[Member], rows: int, **options: Any) -> tuple[list[Outcome], float]:
    """Map over *rows*; return the outcomes, and the seconds that they took."""

    async def main() -> tuple[list[Outcome], float]:
        async with Dispatcher(Pool(members), rng=random.Random(1), **options) as dispatcher:
            outcomes = [one async for one in dispatcher.map(chat(row) for row in range(rows))]
            return outcomes, asyncio.get_running_loop().time()

    return run_virtual(main())


@pytest.mark.parametrize("rows", [6, 200])
def test_a_member_that_takes_nothing_fails_no_row(rows: int) -> None:
    """Too few rows for a verdict on it, or many: each is asked of another member."""
    bad, good = Scripted(lambda *_: ANSWERS["400"]), Scripted(lambda *_: OK)
    outcomes, _ = run_map([Member(bad, Limits(600)), Member(good, Limits(600))], rows)
    assert all(isinstance(one, Completed) for one in outcomes)
    assert len(outcomes) == len(good.sent) == rows


def test_a_row_that_no_member_takes_fails_with_what_they_say() -> None:
    """After one attempt with each."""
    members = [Scripted(lambda *_: ANSWERS["400"]) for _ in range(3)]
    (outcome,), _ = run_map([Member(one, Limits(600)) for one in members], 1)
    assert not isinstance(outcome, Completed)
    assert (outcome.code, outcome.attempts) == ("bad_version", 3)


def test_a_model_that_one_member_lacks_is_asked_of_others() -> None:
    """Though that member answers for others."""

    def answer(request: Any, _: int) -> Response:
        return OK if request.model == "gpt-4o-mini" else ANSWERS["404"]

    part, whole = Scripted(answer), Scripted(lambda *_: OK)
    pool = Pool([Member(part, Limits(6_000)), Member(whole, Limits(60))])

    async def main() -> list[Outcome]:
        requests = [chat(n, model="gpt-4o" if n % 3 else "gpt-4o-mini") for n in range(30)]
        async with Dispatcher(pool, rng=random.Random(1)) as dispatcher:
            return [await dispatcher.submit(request) for request in requests]

    assert all(isinstance(one, Completed) for one in run_virtual(main()))


def test_few_rows_leave_a_fast_member_that_is_down() -> None:
    """It has room first each time; but what has failed there twice goes elsewhere."""
    down, good = Scripted(lambda *_: error(500)), Scripted(lambda *_: OK)
    members = [Member(down, Limits(6_000)), Member(good, Limits(60))]
    outcomes, seconds = run_map(members, 3, tolerate_failures=True)
    assert all(isinstance(one, Completed) for one in outcomes)
    assert seconds < 10


def test_tolerance_is_no_reason_to_send_to_a_member_that_is_down() -> None:
    """Its breaker opens all the same, as long as there is another member."""
    down, good = Scripted(lambda *_: error(500)), Scripted(lambda *_: OK)
    members = [Member(down, Limits(6_000)), Member(good, Limits(6_000))]
    outcomes, _ = run_map(members, 2_000, tolerate_failures=True)
    assert all(isinstance(one, Completed) for one in outcomes)
    assert len(down.sent) < 300


def test_the_answers_of_others_show_how_long_a_member_may_hang() -> None:
    """One that never answers has shown nothing itself, for which ten minutes would be allowed."""

    class Hanging(Scripted):
        async def send(self, request: Request, timeout: float) -> Response:
            await asyncio.sleep(FOREVER)
            return OK

    members = [
        Member(Hanging(lambda *_: OK), Limits(600)),
        Member(Scripted(lambda *_: OK), Limits(600)),
    ]
    outcomes, seconds = run_map(members, 40)
    assert all(isinstance(one, Completed) for one in outcomes)
    assert seconds < 200


def test_a_member_that_comes_back_is_told_of_and_used() -> None:
    """Sessions or not; it is probed by the next request, whenever that comes."""
    back = Scripted(lambda _, number: error(401, "invalid_api_key") if number == 1 else OK)
    other = Scripted(lambda *_: OK)
    told: list[Any] = []

    def listen(event: Any) -> None:
        if isinstance(event, RouteStopped | RouteResumed):
            told.append(event)

    async def main() -> None:
        pool = Pool([Member(back, Limits(600), "back"), Member(other, Limits(300), "other")])
        async with Dispatcher(pool, listeners=[listen], rng=random.Random(1)) as dispatcher:
            await dispatcher.submit(chat(1), session="x")
            await asyncio.sleep(100)  # nothing waits when it is asked again
            assert [type(one) for one in told] == [RouteStopped]
            for row in range(2, 6):
                await dispatcher.submit(chat(row))

    run_virtual(main())
    assert [(type(one), one.route) for one in told] == [
        (RouteStopped, "back"),
        (RouteResumed, "back"),
    ]
    assert told[0].code == "authentication"
    assert len(back.sent) > 1


def test_a_stop_leaves_no_timer() -> None:
    """Not even that of a member which stops while what is in flight is waited for."""
    poor = Scripted(lambda *_: error(429, "insufficient_quota"))
    members = [Member(poor, Limits(600)), Member(Scripted(lambda *_: OK), Limits(600))]

    async def main() -> list[Any]:
        loop = asyncio.get_running_loop()
        dispatcher = Dispatcher(Pool(members), rng=random.Random(1))
        tasks = [asyncio.create_task(dispatcher.submit(chat(n))) for n in range(4)]
        await asyncio.sleep(0.5)
        dispatcher.stop("enough", "enough")
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(one) for one in ends} == {Completed, Stopped}
        return [one for one in loop._scheduled if not one.cancelled()]  # type: ignore[attr-defined]

    assert all("Deadlines" in repr(one) for one in run_virtual(main()))


def test_a_session_does_not_wait_for_a_day() -> None:
    """With `wait_for_reset` too: its member is out of requests for today, and another is not."""
    members = [Scripted(lambda *_: OK) for _ in range(2)]
    pool = Pool(
        [
            Member(members[0], Limits(6_000, requests_per_day=5)),
            Member(members[1], Limits(60)),
        ]
    )

    async def main() -> float:
        async with Dispatcher(pool, rng=random.Random(1), wait_for_reset=True) as dispatcher:
            first = await dispatcher.submit(chat(0), session="x")
            assert isinstance(first, Completed)
            await asyncio.gather(
                *(dispatcher.submit(chat(n), session="x") for n in range(1, 12)),
            )
            return asyncio.get_running_loop().time()

    assert run_virtual(main()) < 20
    assert len(members[0].sent) == 5


def test_a_session_does_not_keep_a_request_where_it_never_fits() -> None:
    """A larger one goes to a member whose limits allow it."""
    small, large = Scripted(lambda *_: OK), Scripted(lambda *_: OK)
    pool = Pool(
        [
            Member(small, Limits(600, tokens_per_minute=2_000, burst_seconds=10)),
            Member(large, Limits(6, tokens_per_minute=100_000)),
        ]
    )

    async def main() -> Outcome:
        async with Dispatcher(pool, rng=random.Random(1)) as dispatcher:
            await dispatcher.submit(chat(1), session="x")
            return await dispatcher.submit(chat(2, cap=5_000), session="x")

    assert isinstance(run_virtual(main()), Completed)
    assert (len(small.sent), len(large.sent)) == (1, 1)


def test_an_outcome_names_the_member_that_answered() -> None:
    """So that it can be billed."""
    (outcome,), _ = run_map([Member(Scripted(lambda *_: OK), Limits(600), "one")], 1)
    assert isinstance(outcome, Completed)
    assert outcome.route == "one"


def test_a_permit_is_paid_by_a_member_that_can() -> None:
    """What the first one can never pay is no error."""
    pool = Pool(
        [
            Member(Scripted(lambda *_: OK), Limits(600, tokens_per_minute=100)),
            Member(Scripted(lambda *_: OK), Limits(600, tokens_per_minute=10_000)),
        ]
    )

    async def main() -> None:
        async with Dispatcher(pool) as dispatcher, dispatcher.permit(Cost(1_000, 0)):
            states = dispatcher.snapshots()
            assert [states[name].in_flight for name in ("1", "2")] == [0, 1]

    run_virtual(main())


def test_every_member_must_stream() -> None:
    """Which of them is granted cannot be known before."""
    pool = Pool([Member(Scripted(lambda *_: OK), Limits(600), models={"gpt-4o": "x"})])
    with pytest.raises(TypeError, match="Scripted cannot stream answers"):
        Dispatcher(pool).stream(chat(1))


def test_a_stream_goes_through_the_member_that_is_granted() -> None:
    """One member has no room left, so that the second stream comes from the other."""

    async def main() -> list[int]:
        transports = [
            ProviderTransport(ProviderSettings(latency=0.5), random.Random(n)) for n in range(2)
        ]
        pool = Pool([Member(one, Limits(1, burst_seconds=60)) for one in transports])
        async with Dispatcher(pool) as dispatcher:
            for row in range(2):
                async for _ in dispatcher.stream(chat(row), session="x"):
                    pass
        return [one.referee.report()["answered"] for one in transports]

    assert run_virtual(main()) == [1, 1]


def test_a_stop_ends_the_probes_of_a_member_that_is_down() -> None:
    """What is in flight then may still fail, and asks for no further probe."""
    down = Scripted(lambda *_: error(500))
    members = [Member(down, Limits(6_000)), Member(Scripted(lambda *_: OK), Limits(6_000))]

    async def main() -> list[Any]:
        loop = asyncio.get_running_loop()
        dispatcher = Dispatcher(Pool(members), rng=random.Random(1))
        tasks = [asyncio.create_task(dispatcher.submit(chat(n))) for n in range(60)]
        await asyncio.sleep(1.8)  # the breaker is open, and a probe is in flight
        dispatcher.stop("enough", "enough")
        await asyncio.gather(*tasks, return_exceptions=True)
        return [one for one in loop._scheduled if not one.cancelled()]  # type: ignore[attr-defined]

    assert not [one for one in run_virtual(main()) if "probe" in repr(one)]
