"""What may hold a job back: days, groups, dimensions of one's own; and how it is told."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from ratedispatch.dispatch.dispatcher import Dispatcher
from ratedispatch.errors import Stopped
from ratedispatch.events import AttemptSent
from ratedispatch.groups import LimitGroup, LimitGroups
from ratedispatch.limits import Limits
from ratedispatch.observe.report import Tally
from ratedispatch.outcome import Completed
from ratedispatch.request import Request
from ratedispatch.simulate.clock import run_virtual
from ratedispatch.simulate.settings import ProviderSettings
from ratedispatch.simulate.transport import ProviderTransport
from tests.dispatch.world import chat, play

QUICK = ProviderSettings(latency=0.2, latency_sigma=0)


def test_a_day_that_is_used_up_stops_the_job() -> None:
    """Exit 3, not a trickle of one row every few minutes for the rest of the night."""
    trace = play((chat(i) for i in range(300)), Limits(3000, requests_per_day=200), QUICK)
    assert trace.stop is not None
    assert trace.stop.code == "day_limit"
    assert "200 requests per day" in str(trace.stop)
    assert len(trace.answered) == 200


def test_whoever_wants_to_wait_for_the_day_waits() -> None:
    """200 a day: after the first 200 one every 432 s, and the last is answered in 0.2 s."""
    limits = Limits(3000, requests_per_day=200)
    trace = play((chat(i) for i in range(210)), limits, QUICK, wait_for_reset=True)
    assert len(trace.answered) == 210
    assert trace.seconds == pytest.approx(10 * 432 + 0.2)


def test_a_day_limit_that_the_provider_says_is_waited_for_too() -> None:
    settings = ProviderSettings(requests_per_day=200, latency=0.2)
    stopped = play((chat(i) for i in range(210)), Limits(3000), settings)
    assert stopped.stop is not None
    assert stopped.stop.code == "day_limit"
    waited = play((chat(i) for i in range(210)), Limits(3000), settings, wait_for_reset=True)
    assert len(waited.answered) == 210


def test_a_day_limit_is_corrected_by_what_the_provider_says_is_left_of_it() -> None:
    """97 % are gone when we come: we stop before we are refused."""
    settings = ProviderSettings(requests_per_day=5000, day_used=0.97, latency=0.2)
    trace = play((chat(i) for i in range(300)), Limits(3000, requests_per_day=5000), settings)
    assert trace.stop is not None
    assert trace.refused == 0
    assert len(trace.answered) == 149  # of the 150 that are left


@pytest.mark.parametrize(("day", "seconds"), [(1_000, 1.7093484), (5_000, 9.7116628)])
def test_a_day_limit_below_the_given_one_is_spent_as_a_day(day: int, seconds: float) -> None:
    """All of it may go at once; it is no limit of a few a minute."""
    settings = ProviderSettings(requests_per_day=day, latency=0.2)
    limits = Limits(30_000, requests_per_day=14_400)
    trace = play((chat(i) for i in range(day + 50)), limits, settings)
    assert trace.stop is not None
    assert trace.stop.code == "day_limit"
    assert f"{day:,} requests per day" in str(trace.stop)
    assert trace.refused == 0
    assert len(trace.answered) == day - 1
    assert trace.seconds == pytest.approx(seconds)  # at 500 a second and more


def test_refusals_for_the_day_are_counted_as_refusals() -> None:
    """Whether they stop the job or are waited for."""
    settings = ProviderSettings(requests_per_day=50, latency=0.2)
    for waits, refused in ((False, 1), (True, 10)):
        tally = Tally()
        rows = (chat(i) for i in range(60))
        trace = play(rows, Limits(3000), settings, listeners=[tally], wait_for_reset=waits)
        assert tally.refusals == trace.refused == refused


def test_input_and_output_are_limited_apart() -> None:
    """600 output tokens a minute at 16 a row: 1.6 s for each after the first."""
    limits = Limits(3000, input_tokens_per_minute=1e6, output_tokens_per_minute=600)
    trace = play((chat(i) for i in range(50)), limits, QUICK)
    assert trace.seconds == pytest.approx(49 * 16 / 10 + 0.2)


def test_a_dimension_of_ones_own_is_a_bucket_like_the_others() -> None:
    """Two images a row at sixty a minute: one row every two seconds."""
    requests = (
        Request(chat(i).body, custom_id=str(i), custom={"images": 2 if i % 2 else 0})
        for i in range(40)
    )
    trace = play(requests, Limits(3000, custom={"images": 60}), QUICK)
    assert len(trace.answered) == 40
    assert trace.seconds == pytest.approx(19 * 2 + 0.4)


def groups(others: Limits | None = None) -> LimitGroups:
    small, large = Limits(600), Limits(60)
    return LimitGroups(
        (LimitGroup("small", ("gpt-4o-mini",), small), LimitGroup("large", ("gpt-4o",), large)),
        others,
    )


def test_a_slow_group_does_not_keep_a_fast_one_from_being_read() -> None:
    """The rows of the slow one all come first; the fast ones are read past them."""
    requests = [chat(i, model="gpt-4o") for i in range(100)]
    requests += [chat(i, model="gpt-4o-mini") for i in range(100, 200)]
    trace = play(requests, groups(), QUICK)
    fast = [
        event.at
        for event in trace.events
        if isinstance(event, AttemptSent) and event.request.model == "gpt-4o-mini"
    ]
    assert len(trace.answered) == 200
    assert max(fast) == pytest.approx(9.3)  # a hundred at ten a second


def test_a_model_without_limits_fails_and_says_so() -> None:
    trace = play([chat("a", model="gpt-5"), chat("b", model="gpt-4o")], groups(), QUICK)
    assert trace.failed == {"a": "no_limits"}
    assert trace.answered == ["b"]
    assert play([chat("a", model="gpt-5")], groups(Limits(60)), QUICK).answered == ["a"]


@pytest.mark.parametrize("count", [50, 30_000])
def test_a_stop_ends_all_groups_however_much_was_read_ahead(count: int) -> None:
    """Nobody is left waiting for room, for a row or for a permit."""

    def script(dispatcher: Dispatcher, _transport: ProviderTransport) -> None:
        asyncio.get_running_loop().call_later(5, dispatcher.stop, "drained", "enough")

    requests = (chat(i, model="gpt-4o") for i in range(count))
    trace = play(requests, groups(), QUICK, script=script)
    assert trace.stop is not None
    assert trace.stop.code == "drained"
    assert len(trace.answered) in {5, 6, 7}


def test_single_requests_find_their_group() -> None:
    """`submit` stands in the line of its model."""

    async def main() -> list[float]:

        transport = ProviderTransport(QUICK, random.Random(1))
        loop = asyncio.get_running_loop()
        async with Dispatcher(transport, groups()) as dispatcher:

            async def timed(model: str) -> float:
                outcome = await dispatcher.submit(chat(1, model=model))
                assert isinstance(outcome, Completed)
                return loop.time()

            slow = [asyncio.create_task(timed("gpt-4o")) for _ in range(5)]
            await asyncio.sleep(0)
            fast = await timed("gpt-4o-mini")
            assert {level.group for level in dispatcher.snapshot().levels} == {"small", "large"}
            return [fast, max(await asyncio.gather(*slow))]

    fast, slow = run_virtual(main())
    assert (fast, slow) == pytest.approx((0.2, 4.2))


@pytest.mark.parametrize(
    ("limits", "settings", "options", "binding"),
    [
        (Limits(600, 1e9), QUICK, {}, "requests"),
        (Limits(1e6, 3000), QUICK, {}, "tokens"),
        (Limits(1e6, 1e9), ProviderSettings(latency=2), {"max_in_flight": 4}, "in_flight"),
        (Limits(6000), ProviderSettings(outage=(0.5, 60)), {}, "pause"),
    ],
)
def test_the_verdict_names_what_binds(
    limits: Limits, settings: ProviderSettings, options: dict[str, Any], binding: str
) -> None:
    """At any time, over the last seconds, with the share of the limit in use."""
    found = []

    def script(dispatcher: Dispatcher, _transport: ProviderTransport) -> None:
        def look() -> None:
            found.append((dispatcher.bottleneck(), dispatcher.snapshot()))
            dispatcher.stop("drained", "enough")

        asyncio.get_running_loop().call_later(20, look)

    play((chat(i) for i in range(10_000)), limits, settings, script=script, **options)
    ((verdict, snapshot),) = found
    assert verdict.binding == snapshot.binding == binding
    if binding in {"requests", "tokens"}:
        share = next(level.share for level in snapshot.levels if level.dimension == binding)
        assert verdict.share == share
        assert 156 <= round(150 * share, 6) <= 157  # of 150, by how it is sliced


def test_a_revoked_key_ends_what_waits_but_not_what_is_in_flight() -> None:
    """A key that stays refused stops; what is on its way is waited for."""
    settings = ProviderSettings(latency=1, latency_sigma=0)

    async def main() -> tuple[int, str]:

        transport = ProviderTransport(settings, random.Random(1))
        send, sent = transport.send, 0

        async def revoked(request: Request, timeout: float) -> Any:
            nonlocal sent
            sent += 1
            response = await send(request, timeout)
            if int(request.custom_id or 0) >= 20:
                return type(response)(401, {}, {"error": {"message": "revoked"}})
            return response

        transport.send = revoked  # type: ignore[method-assign]
        answered = 0
        async with Dispatcher(transport, Limits(600)) as dispatcher:
            try:
                async for outcome in dispatcher.map(chat(i) for i in range(100)):
                    answered += isinstance(outcome, Completed)
            except Stopped as stop:
                assert sent == 31 + 1  # those of a second and more, and the last question
                return answered, stop.code
        raise AssertionError("it was not stopped")

    answered, code = run_virtual(main())
    assert code == "authentication"
    assert answered == 20


def test_the_bound_in_flight_is_for_all_groups_together() -> None:
    """Two groups, four places; each group is served while the other waits too."""
    slow = ProviderSettings(latency=1, latency_sigma=0)
    requests = [chat(i, model=("gpt-4o", "gpt-4o-mini")[i % 2]) for i in range(60)]
    fast = LimitGroups(
        (
            LimitGroup("a", ("gpt-4o-mini",), Limits(6000)),
            LimitGroup("b", ("gpt-4o",), Limits(6000)),
        )
    )
    trace = play(requests, fast, slow, max_in_flight=4)
    assert len(trace.answered) == 60
    assert trace.stats["in_flight_peak"] == 4
    assert trace.seconds == 15


def test_a_group_may_have_fewer_places_of_its_own() -> None:
    slow = ProviderSettings(latency=1, latency_sigma=0)
    own = LimitGroups((LimitGroup("a", ("gpt-4o",), Limits(6000), max_in_flight=2),))
    trace = play((chat(i) for i in range(20)), own, slow, max_in_flight=10)
    assert trace.stats["in_flight_peak"] == 2


def test_a_limit_learned_from_refusals_is_tried_again_when_it_may_have_been_lifted() -> None:
    """120 instead of 1,200 from 10 to 60 s, and nobody says a word: minutes, not for ever."""
    mute = ProviderSettings(
        requests_per_minute=1200,
        burst_seconds=1,
        headers=False,
        numbers=False,
        changes=((10.0, 120.0, None), (60.0, 1200.0, None)),
        latency=0.2,
    )
    trace = play((chat(i) for i in range(5_000)), Limits(1200), mute)
    assert len(trace.answered) == 5_000
    admitted = trace.stats["per_second"]["admitted"]
    assert sum(admitted[40:60]) == 39  # in 20 s, at 2 a second
    assert sum(admitted[300:320]) == 398  # at 20 a second
    assert trace.refused == 10


def test_a_slow_queue_learns_too() -> None:
    """200 a minute, a full minute piled up: it is used though few requests come a second."""
    settings = ProviderSettings(requests_per_minute=200, latency=0.2)
    trace = play((chat(i) for i in range(150)), Limits(200), settings)
    assert trace.refused == 0
    assert trace.seconds == pytest.approx(2.4188202)


@pytest.mark.parametrize(
    ("day", "refused", "seconds"),
    [
        ({"requests_per_day": 2000, "day_used": 0.95}, 1, 1.5495197),
        ({"tokens_per_day": 10_000}, 204, 1.1793995),
        ({"tokens_per_day": 1_000_000, "day_used": 0.995}, 111, 0.86438512),
    ],
)
def test_a_day_that_refills_by_the_second_is_over_all_the_same(
    day: dict[str, Any], refused: int, seconds: float
) -> None:
    """The provider quotes seconds, for one more row: that is no reason to go on row by row."""
    settings = ProviderSettings(requests_per_minute=3000, tokens_per_minute=2e6, **day)
    trace = play((chat(i) for i in range(1000)), Limits(3000, 2e6), settings)
    assert trace.stop is not None
    assert trace.stop.code == "day_limit"
    assert trace.refused == refused, "what had left in the same instant"
    assert trace.seconds == pytest.approx(seconds)


@pytest.mark.parametrize(("lowest", "seconds"), [(3.0, 127.40179040), (30.0, 85.8145188)])
def test_a_limit_that_falls_is_not_taken_for_others(lowest: float, seconds: float) -> None:
    """What falls with the limit was not used by anybody: 90 s is the least, at 50 a second."""
    changes = ((4.0, lowest, None), (60.0, 3000.0, None))
    settings = ProviderSettings(requests_per_minute=3000, changes=changes, latency=0.2)
    trace = play((chat(i) for i in range(4500)), Limits(3000), settings)
    assert len(trace.answered) == 4500
    assert trace.seconds == pytest.approx(seconds)


def test_answers_without_usage_tell_how_many_may_be_in_flight() -> None:
    """Moderations, and many servers of one's own, report none."""
    settings = ProviderSettings(engine_slots=128, latency=1.0)
    requests = (
        Request({"model": "m", "input": f"{i}"}, "/v1/moderations", custom_id=str(i))
        for i in range(4000)
    )
    trace = play(requests, Limits(), settings, max_in_flight="auto")
    assert trace.seconds == pytest.approx(39.1407450)  # 4,000 / 128 = 31.25 s is the least


def test_a_cancelled_request_does_not_keep_a_shared_place() -> None:
    """Two of three groups leave the queue; the third gets the place that comes free."""
    slow = ProviderSettings(latency=1, latency_sigma=0)
    names = ("gpt-4o", "gpt-4o-mini", "gpt-4.1")
    three = LimitGroups(tuple(LimitGroup(name, (name,), Limits(6000)) for name in names))

    async def main() -> float:
        transport = ProviderTransport(slow, random.Random(1))
        async with Dispatcher(transport, three, max_in_flight=2) as dispatcher:

            def send(model: str) -> asyncio.Task[Any]:
                return asyncio.create_task(dispatcher.submit(chat(1, model=model)))

            first = [send("gpt-4o"), send("gpt-4.1")]
            await asyncio.sleep(0.1)
            cancelled = [send("gpt-4o"), send("gpt-4.1")]
            await asyncio.sleep(0.1)
            last = send("gpt-4o-mini")
            await asyncio.sleep(0.1)
            for task in cancelled:
                task.cancel()
            assert dispatcher.snapshot().max_in_flight == 2
            await asyncio.wait_for(last, 10)
            await asyncio.gather(*first)
            return asyncio.get_running_loop().time()

    assert run_virtual(main()) == 2
