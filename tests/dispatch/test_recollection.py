"""What one dispatcher has learned, the next begins with: exact, in virtual time."""

from __future__ import annotations

import asyncio
import contextlib
import random
from typing import Any

import pytest

from benchmarks.sim.remembered import FIRST_SECONDS, send, share
from ratedispatch.dispatch.dispatcher import Dispatcher
from ratedispatch.dispatch.pool import Member, Pool
from ratedispatch.dispatch.recollection import digest_of
from ratedispatch.dispatch.timeout import AdaptiveTimeout
from ratedispatch.errors import Stopped
from ratedispatch.groups import LimitGroup, LimitGroups
from ratedispatch.limits import Limits
from ratedispatch.memory import facts
from ratedispatch.memory.facts import Fact
from ratedispatch.memory.state_folder import HeldAccount, HeldMemory
from ratedispatch.pacing.brake import Brake
from ratedispatch.pacing.limit.charge_rule import ChargeRule
from ratedispatch.request import CHAT, Cost, Request
from ratedispatch.simulate.clock import run_virtual
from ratedispatch.simulate.play import Played, play
from ratedispatch.simulate.settings import ProviderSettings
from ratedispatch.simulate.transport import ProviderTransport
from ratedispatch.tokens.calibration import Calibration

NOW = 1_800_000_000.0


class Clock:
    """A wall clock that stands where it is set."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


def requests(count: int, **body: Any) -> list[Request]:
    message = {"role": "user", "content": "hi"}
    fields = {"model": "gpt-4o", "messages": [message], "max_tokens": 16, **body}
    return [Request(fields, CHAT, f"r{number}", number) for number in range(1, count + 1)]


def account(memory: HeldMemory, group: str = "") -> HeldAccount:
    return memory.of(None, digest_of("-"), group)


def known(memory: HeldMemory, kind: str, of: str = "") -> Any:
    found = [fact.value for fact in account(memory).facts if (fact.kind, fact.of) == (kind, of)]
    return found[0] if found else None


def play_with(
    memory: HeldMemory,
    count: int,
    limits: Limits | LimitGroups,
    body: dict[str, Any] | None = None,
    options: dict[str, Any] | None = None,
    **server: Any,
) -> Played:
    settings = ProviderSettings(**{"latency_sigma": 0.0, **server})
    return play(requests(count, **(body or {})), limits, settings, memory=memory, **(options or {}))


def test_a_second_run_is_at_speed_at_once() -> None:
    """No headers, limits to be learned: from the first second on, and without a refusal."""
    memory = HeldMemory(Clock())
    first = send(600, 40, 1, memory)
    assert first.refused > 0
    assert known(memory, facts.LIMIT, "requests") == pytest.approx(600, rel=0.01)
    second = send(600, 12, 2, memory)
    assert second.refused == 0
    assert share(second, 600, 0.0, FIRST_SECONDS) >= 0.95


def test_a_limit_that_was_lowered_is_found() -> None:
    """A tenth of it: by a few refusals, and within seconds."""
    memory = HeldMemory(Clock())
    for dimension, amount in (("requests", 6_000.0), ("tokens", 360_000.0)):
        account(memory).facts.append(Fact(facts.LIMIT, dimension, amount, NOW))
    played = send(600, 40, 2, memory)
    assert played.refused <= 20
    assert share(played, 600, 5.0, 35.0) >= 0.95
    assert known(memory, facts.LIMIT, "requests") == pytest.approx(600, rel=0.05)


def test_what_headers_tell_counts_at_once() -> None:
    """The first answer says ten times what was remembered."""
    memory = HeldMemory(Clock())
    account(memory).facts.append(Fact(facts.LIMIT, "requests", 60.0, NOW))
    played = send(600, 12, 2, memory, headers=True)
    assert share(played, 600, 0.0, 10.0) >= 0.95
    assert played.refused == 0
    assert known(memory, facts.LIMIT, "requests") == 600


def test_a_limit_that_was_lifted_is_found_again() -> None:
    """Ten times as much: it is kept for fifteen seconds, then doubled every five."""
    memory = HeldMemory(Clock())
    for dimension, amount in (("requests", 60.0), ("tokens", 3_600.0)):
        account(memory).facts.append(Fact(facts.LIMIT, dimension, amount, NOW))
    played = send(600, 40, 2, memory)
    assert share(played, 600, 0.0, 10.0) < 0.2
    assert share(played, 600, 35.0, 40.0) >= 0.95
    assert played.refused <= 20
    assert known(memory, facts.LIMIT, "requests") == pytest.approx(600, rel=0.05)


def test_what_went_through_without_a_limit_is_where_a_guess_goes_on() -> None:
    """Nothing was refused: the next run does not begin with 500 requests a minute."""
    memory = HeldMemory(Clock())
    first = play_with(memory, 300, Limits("auto"), headers=False)
    assert known(memory, facts.LIMIT, "requests") is None
    assert known(memory, facts.REACHED, "requests") > 2_000
    second = play_with(memory, 300, Limits("auto"), headers=False)
    assert second.seconds < 0.6 * first.seconds


def test_a_rate_that_was_learned_where_none_is_set_is_begun_with() -> None:
    """The server limits, and nobody has said so: the second run is not refused."""
    memory = HeldMemory(Clock())
    server: dict[str, Any] = {
        "requests_per_minute": 600,
        "burst_seconds": 1.0,
        "headers": False,
        "numbers": False,
    }
    first = play_with(memory, 400, Limits(), **server)
    assert first.refused > 0
    assert known(memory, facts.RATE) == pytest.approx(10, rel=0.05)
    second = play_with(memory, 120, Limits(), **server)
    assert second.refused == 0
    assert second.seconds == pytest.approx(12, rel=0.1)


def test_a_limit_of_the_users_counts_more_than_a_remembered_one() -> None:
    """Whoever says 600 has 600, whatever was found."""
    memory = HeldMemory(Clock())
    account(memory).facts.append(Fact(facts.LIMIT, "requests", 60.0, NOW))
    played = play_with(memory, 100, Limits(600), requests_per_minute=600)
    assert played.seconds < 11


def test_what_is_left_of_a_day_survives() -> None:
    """Of 1,000 a day 400 are gone; after 43.2 minutes 30 have flowed back."""
    clock = Clock()
    memory = HeldMemory(clock)
    limits = Limits(60_000, requests_per_day=1_000)
    played = play_with(memory, 400, limits)
    assert len(played.answered) == 400
    assert known(memory, facts.SPENT, "requests_per_day")[0] == pytest.approx(400, abs=0.1)
    clock.now += 43.2 * 60
    played = play_with(memory, 700, limits)
    assert len(played.answered) == 630
    assert played.stop is not None
    assert played.stop.code == "day_limit"


@pytest.mark.parametrize(("jump", "answered"), [(-3_600.0, 600), (-1e8, 1_000), (1e8, 1_000)])
def test_no_clock_gives_more_than_a_day(jump: float, answered: int) -> None:
    """Set back by an hour nothing has flowed back; by years, what it showed before was wrong."""
    clock = Clock()
    memory = HeldMemory(clock)
    limits = Limits(60_000, requests_per_day=1_000)
    play_with(memory, 400, limits)
    clock.now += jump
    played = play_with(memory, 1_500, limits)
    assert len(played.answered) == answered


def test_a_day_counts_for_a_process_whose_clock_has_run_for_long() -> None:
    """The clock of a loop begins with the machine; that is no time in which a day flows back."""
    memory = HeldMemory(Clock())
    account(memory).facts.append(Fact(facts.SPENT, "requests_per_day", [990.0, 1_000.0], NOW))

    async def main() -> int:
        """Send twenty, of which ten are left."""
        transport = ProviderTransport(ProviderSettings(latency_sigma=0.0), None)  # type: ignore[arg-type]
        limits = Limits(60_000, requests_per_day=1_000)
        answered = 0
        async with Dispatcher(transport, limits, memory=memory) as dispatcher:
            with contextlib.suppress(Stopped):
                async for _ in dispatcher.map(requests(20)):
                    answered += 1
        return answered

    assert run_virtual(main(), start=1e6) == 10


def test_a_process_that_is_killed_loses_a_minute_at_most() -> None:
    """What was learned is kept every sixty seconds while requests come."""
    memory = HeldMemory(Clock())

    async def main() -> tuple[Any, Any]:
        """Leave the dispatcher open for a minute."""
        transport = ProviderTransport(ProviderSettings(latency_sigma=0.0), None)  # type: ignore[arg-type]
        limits = Limits(60_000, requests_per_day=1_000)
        dispatcher = Dispatcher(transport, limits, memory=memory)
        await dispatcher.submit(requests(1)[0])
        await asyncio.sleep(59)
        before = known(memory, facts.SPENT, "requests_per_day")
        await asyncio.sleep(2)
        return before, known(memory, facts.SPENT, "requests_per_day")

    before, after = run_virtual(main())
    assert before is None
    assert after[0] == pytest.approx(0.3, abs=0.01)  # the rest has flowed back


def test_the_rule_that_came_true_is_begun_with() -> None:
    """Caps of 800, answers of 100, and what is not used comes back: the second run knows that."""
    memory = HeldMemory(Clock())
    limits = Limits(30_000, 300_000)
    text: dict[str, Any] = {
        "messages": [{"role": "user", "content": " ".join(["the"] * 90)}],
        "max_tokens": 800,
    }
    server: dict[str, Any] = {
        "requests_per_minute": 30_000,
        "tokens_per_minute": 300_000,
        "burst_seconds": 1.0,
        "refund": True,
        "output_tokens": 100,
    }
    first = play_with(memory, 150, limits, text, **server)
    assert ChargeRule(*known(memory, facts.RULE, "tokens")).refunds
    second = play_with(memory, 150, limits, text, **server)
    assert second.refused == 0
    assert second.seconds < 0.96 * first.seconds


def test_outputs_are_reserved_as_they_were_at_last() -> None:
    """Answers without a cap: not the default, from the first request on."""
    memory = HeldMemory(Clock())
    body: dict[str, Any] = {"max_tokens": None}
    guess: dict[str, Any] = {"default_output_tokens": 900}
    first = play_with(memory, 100, Limits(60_000), body, guess, output_tokens=9)
    assert first.outcomes[0].cost.expected_output_tokens == 900  # type: ignore[union-attr]
    assert known(memory, facts.OUTPUT, "gpt-4o") == 9
    second = play_with(memory, 1, Limits(60_000), body, guess, output_tokens=9)
    assert second.outcomes[0].cost.expected_output_tokens == 9  # type: ignore[union-attr]


def test_outputs_of_this_run_take_the_place_of_remembered_ones() -> None:
    """Once there are 32 of them; and a model that was only remembered is no news."""
    calibration = Calibration(16)
    calibration.recall({"a": 900, "b": 7})
    for _ in range(31):
        calibration.learn("a", counted=5, billed=5, output=40, choices=1, cut=False)
    assert calibration.output_tokens("a") == 900
    assert calibration.found() == {}
    calibration.learn("a", counted=5, billed=5, output=40, choices=1, cut=False)
    assert calibration.output_tokens("a") == 40
    assert calibration.found() == {"a": 40}
    assert calibration.output_tokens("b") == 7


def test_a_time_out_begins_with_the_slowest_answer_of_before() -> None:
    """Ten times 30 s; after a hundred quick answers it is that of this run."""
    timeout = AdaptiveTimeout()
    assert timeout.found() is None
    timeout.recall(30.0, 0.1)
    cost = Cost(5, 5)
    assert timeout.allowed(0, cost) == 300
    for _ in range(99):
        timeout.record(1.0)
    assert timeout.allowed(0, cost) == 300
    assert timeout.found() == (30.0, 0.1)
    timeout.record(1.0)
    assert timeout.allowed(0, cost) == 180
    assert timeout.found() == (1.0, 0.1)


def test_a_time_out_that_is_set_remembers_nothing() -> None:
    """The user has said how long."""
    timeout = AdaptiveTimeout(5.0)
    timeout.recall(30.0)
    assert timeout.allowed(0, Cost(5, 5)) == 5
    assert timeout.found() is None


def test_the_number_in_flight_that_worked_is_begun_with() -> None:
    """A server of 64 places without limits: the second run needs no doublings."""
    memory = HeldMemory(Clock())
    server: dict[str, Any] = {"engine_slots": 64, "latency": 1.0, "headers": False}
    play_with(memory, 2_000, Limits(), **server)
    found = known(memory, facts.IN_FLIGHT)
    assert 40 <= found <= 128
    second = play_with(memory, 640, Limits(), **server)
    unknown = play_with(HeldMemory(), 640, Limits(), **server)
    assert (second.seconds, unknown.seconds) == (11.0, 14.0)


def test_a_server_that_refuses_a_number_in_flight_is_not_tried_anew() -> None:
    """Four places, and whatever is more is refused: the second run begins with as many."""
    memory = HeldMemory(Clock())
    server: dict[str, Any] = {
        "engine_slots": 4,
        "queue": 0,
        "latency": 0.5,
        "headers": False,
        "numbers": False,
    }
    limits = Limits(60_000)
    first = play_with(memory, 200, limits, **server)
    assert known(memory, facts.ROOM) in {3, 4, 5}
    second = play_with(memory, 200, limits, **server)
    assert second.refused < first.refused / 2


def test_nothing_is_kept_unless_it_is_asked_for(own_state: Any) -> None:
    """A library writes no files by itself."""
    play(requests(3), Limits(600), ProviderSettings())
    assert not own_state.exists()


def test_a_run_that_has_learned_nothing_leaves_what_was_known() -> None:
    """Nor does it make it younger."""
    memory = HeldMemory(Clock())
    fact = Fact(facts.LIMIT, "requests", 600.0, NOW - 100)
    account(memory).facts.append(fact)
    play_with(memory, 3, Limits("auto"), headers=False)
    assert fact in account(memory).facts


def test_room_is_only_remembered_below_what_is_allowed() -> None:
    """Whoever allows fewer in flight than the server takes has said so."""
    brake = object.__new__(Brake)
    brake.throttle = None

    class Fixed:
        limit = 2

    brake.concurrency = Fixed()  # type: ignore[assignment]
    brake.recall(None, 4)
    assert brake.concurrency.limit == 2


def test_groups_of_models_remember_apart() -> None:
    """Each group begins with what was found of its own limits."""
    memory = HeldMemory(Clock())
    groups = LimitGroups(
        (LimitGroup("small", ("gpt-4o-mini",), Limits("auto")),), default=Limits("auto")
    )
    models = {"gpt-4o-mini": (600.0, None), "gpt-4o": (6_000.0, None)}
    rows = [*requests(20), *requests(20, model="gpt-4o-mini")]
    play(rows, groups, ProviderSettings(models=models), memory=memory)
    found = {
        group: [fact.value for fact in account(memory, group).facts if fact.kind == facts.LIMIT]
        for group in ("small", "")
    }
    assert found == {"small": [600.0], "": [6_000.0]}


def test_members_of_a_pool_remember_apart() -> None:
    """By their names, beside their servers and keys."""
    memory = HeldMemory(Clock())

    async def main() -> None:
        """Send by both."""
        members = [
            Member(
                ProviderTransport(ProviderSettings(requests_per_minute=rpm), random.Random(1)),
                Limits("auto"),
                name=name,
            )
            for name, rpm in (("east", 600), ("west", 6_000))
        ]
        async with Dispatcher(Pool(members), memory=memory) as dispatcher:
            async for _ in dispatcher.map(requests(40)):
                pass

    run_virtual(main())
    found = {
        name: [fact.value for fact in account(memory, name).facts if fact.kind == facts.LIMIT]
        for name in ("east", "west")
    }
    assert found == {"east": [600.0], "west": [6_000.0]}
