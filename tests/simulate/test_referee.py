"""The referee's figures: hand-made sequences, and brute force over every window."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratedispatch.simulate.meters import Excess, Latencies
from ratedispatch.simulate.provider.provider import Provider, ProviderSettings, Reply
from ratedispatch.simulate.referee import Referee

PATH = "/v1/chat/completions"


def make_provider(**settings: object) -> Provider:
    options = {"charge": "characters", "latency": 0.5, "latency_sigma": 0.0, **settings}
    return Provider(
        ProviderSettings(**options),  # type: ignore[arg-type]
        rng=random.Random(1),
        now=0.0,
    )


def body(text: str = "1234", cap: int = 7) -> dict[str, object]:
    """A body of 3 + *cap* tokens, if *text* has four characters."""
    return {"model": "m", "messages": [{"role": "user", "content": text}], "max_tokens": cap}


def brute_force(data: list[tuple[float, float]], rate: float, burst: float) -> float:
    """The excess, by its definition: over all windows from one arrival to another."""
    worst = -float("inf")
    for first in range(len(data)):
        for last in range(first, len(data)):
            spent = sum(amount for _, amount in data[first : last + 1])
            width = data[last][0] - data[first][0]
            worst = max(worst, spent - burst - rate * width)
    return worst


@settings(max_examples=50)
@given(
    st.lists(st.tuples(st.floats(0, 30), st.integers(1, 100)), min_size=1, max_size=30),
    st.floats(1, 600),
    st.floats(0, 100),
)
def test_the_excess_is_that_of_the_worst_window(
    steps: list[tuple[float, int]], limit: float, burst: float
) -> None:
    """The online figure equals brute force over all windows."""
    excess = Excess(limit, burst, 0.0)
    now, data = 0.0, []
    for pause, amount in steps:
        now += pause
        excess.add(amount, now)
        data.append((now, float(amount)))
    assert excess.value == pytest.approx(brute_force(data, limit / 60, burst), abs=1e-6)


# (limit per minute, burst, [(now, amount)], excess)
SEQUENCES = [
    (60, 10, [(0, 1)], -9),
    (60, 10, [(0, 10)], 0),
    (60, 10, [(0, 10), (1, 1)], 0),
    (60, 10, [(0, 10), (1, 3)], 2),
    (60, 10, [(0, 10), (0, 10)], 10),
    (60, 10, [(0, 5), (100, 12), (200, 1)], 2),
    (60, 0, [(0, 1), (2, 1), (4, 1)], 1),
    (120, 0, [(0, 1), (0.25, 1), (0.5, 1)], 2),
]


@pytest.mark.parametrize(("limit", "burst", "data", "expected"), SEQUENCES)
def test_the_excess_of_hand_made_sequences(
    limit: float, burst: float, data: list[tuple[float, float]], expected: float
) -> None:
    """Windows that can be checked in one's head."""
    excess = Excess(limit, burst, 0.0)
    for now, amount in data:
        excess.add(amount, now)
    assert excess.value == pytest.approx(expected)


def test_the_excess_without_a_limit_is_nothing() -> None:
    """Neither before anything came nor where there is no limit."""
    assert Excess(60, 1, 0.0).value is None
    unlimited = Excess(None, 0, 0.0)
    unlimited.add(5, 1.0)
    assert unlimited.value is None
    unlimited.resize(60, 1, 2.0)
    unlimited.add(5, 3.0)
    assert unlimited.value == 4


def test_percentiles_are_within_one_percent() -> None:
    """Of a thousand even latencies, each percentile is where it should be."""
    latencies = Latencies()
    assert latencies.percentile(0.5) is None
    for number in range(1, 1001):
        latencies.add(number / 1000)
    for share in (0.5, 0.9, 0.99, 1.0):
        assert latencies.percentile(share) == pytest.approx(share, rel=0.01)


def visit(
    provider: Provider, referee: Referee, now: float, *, row: str | None = None, sent: bool = True
) -> Reply:
    """One request from arrival to end, half a second later."""
    headers = {} if row is None else {"x-client-request-id": row}
    reply = provider.arrive(PATH, headers, body(), now)
    referee.arrive(reply, now)
    returned = provider.finish(reply, now + 0.5) if sent else 0
    referee.finish(reply, now + 0.5, arrived=now, sent=sent, returned=returned)
    return reply


def test_the_report_counts_what_happened() -> None:
    """Admitted, refused by kind, per second, tokens, instants, latency."""
    provider = make_provider(requests_per_minute=2, tokens_per_minute=6000)
    referee = Referee(provider.limits, 60.0, 0.0)
    for number in range(3):
        visit(provider, referee, 10.0 + number, row=str(number))
    report = referee.report()
    assert report["arrived"] == 3
    assert report["admitted"] == report["answered"] == report["answered_rows"] == 2
    assert report["refused"] == {"requests": 1}
    assert report["refused_share"] == pytest.approx(1 / 3)
    assert report["seconds"] == [[10, 1, 10], [11, 1, 10]]
    assert report["tokens_charged"] == 20
    assert report["first_arrival"] == 10.0
    assert report["last_arrival"] == 12.0
    assert report["last_answer"] == 11.5
    assert report["makespan"] == 1.5
    assert report["latency"]["p50"] == pytest.approx(0.5, rel=0.01)
    assert report["in_flight"] == 0
    assert report["in_flight_peak"] == 1
    # two within 1 s, burst 2, rate 1/30 s; a third one second later was only offered
    assert report["excess"]["admitted"]["requests"] == pytest.approx(-1 / 30, abs=1e-3)
    assert report["excess"]["offered"]["requests"] == pytest.approx(1 - 2 / 30, abs=1e-3)


def test_a_row_answered_twice_is_noticed_by_its_id() -> None:
    """Equal bodies are different rows when they carry different ids."""
    provider = make_provider()
    referee = Referee(provider.limits, 60.0, 0.0)
    for row in ("a", "b", "a", "a"):
        visit(provider, referee, 1.0, row=row)
    report = referee.report()
    assert report["answered_rows"] == 2
    assert report["answered_twice"] == 1
    assert report["answers_too_many"] == 2


def test_a_row_without_an_id_is_known_by_its_body() -> None:
    """The order of keys makes no difference."""
    provider = make_provider()
    referee = Referee(provider.limits, 60.0, 0.0)
    for given_body in (body(), dict(reversed(body().items())), body("other")):
        reply = provider.arrive(PATH, {}, given_body, 1.0)
        referee.arrive(reply, 1.0)
        referee.finish(reply, 1.5, arrived=1.0)
    report = referee.report()
    assert report["answered_rows"] == 2
    assert report["answered_twice"] == 1


def test_a_client_that_went_away_was_not_answered() -> None:
    """The row is admitted twice but answered once: billed twice, not answered twice."""
    provider = make_provider()
    referee = Referee(provider.limits, 60.0, 0.0)
    visit(provider, referee, 1.0, row="a", sent=False)
    visit(provider, referee, 2.0, row="a")
    report = referee.report()
    assert report["abandoned"] == 1
    assert report["answered"] == report["answered_rows"] == 1
    assert report["answered_twice"] == 0
    assert report["admissions_too_many"] == 1


def test_faults_and_nonsense_are_counted_by_name() -> None:
    """A fault is admitted, nonsense is not, and the list of models is nobody's request."""
    provider = make_provider(faults={"500": 1.0})
    referee = Referee(provider.limits, 60.0, 0.0)
    visit(provider, referee, 1.0)
    referee.arrive(provider.arrive(PATH, {}, b"no json", 1.0), 1.0)
    referee.arrive(provider.get("/v1/models", {}, 0.0), 1.0)
    report = referee.report()
    assert report["faults"] == {"500": 1}
    assert report["invalid"] == 1
    assert report["arrived"] == 2
    assert report["admitted"] == 1
    assert report["answered"] == 0
    assert report["makespan"] is None


def test_new_limits_are_measured_from_then_on() -> None:
    """Half the limit: what kept the old one exceeds the new one."""
    provider = make_provider(requests_per_minute=60)
    referee = Referee(provider.limits, 1.0, 0.0)
    visit(provider, referee, 0.0)
    provider.set_limits(30, None, 1.0)
    referee.set_limits(provider.limits, 1.0)
    visit(provider, referee, 1.0)
    visit(provider, referee, 2.0)
    report = referee.report()
    assert report["limits"] == {"requests": 30, "tokens": None}
    assert report["excess"]["admitted"]["requests"] == pytest.approx(1.0)
    assert report["excess"]["admitted"]["tokens"] is None


def test_what_is_given_back_lowers_the_level() -> None:
    """With settling, the excess is that of charges less what was returned."""
    provider = make_provider(tokens_per_minute=600, refund=True, output_tokens=1)
    referee = Referee(provider.limits, 1.0, 0.0)
    visit(provider, referee, 0.0)
    report = referee.report()
    assert report["tokens_charged"] == 10
    assert report["tokens_returned"] == 6
    visit(provider, referee, 0.5)
    assert referee.report()["excess"]["admitted"]["tokens"] == pytest.approx(0.0)


def test_the_report_has_a_number_for_each_second() -> None:
    """Everything by the second of its arrival, quiet seconds included."""
    provider = make_provider(tokens_per_minute=20, output_tokens=2)
    referee = Referee.of(provider, 0.0)
    for now in (0.0, 0.9, 1.2, 4.0):
        visit(provider, referee, now)
    referee.arrive(provider.arrive(PATH, {}, b"no json", 4.5), 4.5)
    visit(provider, referee, 64.0, sent=False)
    per_second = referee.report()["per_second"]
    assert {len(column) for column in per_second.values()} == {65}
    assert {name: column[:5] for name, column in per_second.items()} == {
        "arrived": [2, 1, 0, 0, 2],
        "admitted": [2, 0, 0, 0, 0],
        "refused": [0, 1, 0, 0, 1],
        "tokens_charged": [20, 0, 0, 0, 0],
        "tokens_actual": [10, 0, 0, 0, 0],
    }
    assert per_second["tokens_charged"][64] == 10
    assert per_second["tokens_actual"][64] == 0  # never answered
    assert Referee(provider.limits, 60.0, 0.0).report()["per_second"]["arrived"] == []


def test_models_with_limits_of_their_own_are_counted_apart() -> None:
    """The general excess is without them, and there is no such field without such limits."""
    provider = make_provider(requests_per_minute=60, models={"m": (2, None)}, refund=True)
    referee = Referee.of(provider, 0.0)
    for _ in range(3):
        visit(provider, referee, 1.0)
    other = provider.arrive(PATH, {}, {**body(), "model": "n"}, 3.0)
    referee.arrive(other, 3.0)
    referee.finish(other, 3.0, arrived=3.0)
    report = referee.report()
    assert report["by_model"] == {
        "m": {"admitted": 2, "refused": 1, "per_second_admitted": [0, 2, 0, 0]},
        "": {"admitted": 1, "refused": 0, "per_second_admitted": [0, 0, 0, 1]},
    }
    assert report["excess"]["offered"]["requests"] == 1 - 60
    assert "by_model" not in Referee(provider.limits, 60.0, 0.0).report()


def test_other_clients_are_in_the_report() -> None:
    """Their own books; nothing of them in the rest."""
    provider = make_provider(requests_per_minute=2, competitor=((0.0, 60),), competitor_tokens=9)
    referee = Referee.of(provider, 0.0)
    visit(provider, referee, 4.0)
    report = referee.report()
    assert report["competitor"] == {"admitted": 2, "refused": 3, "tokens": 18}
    assert report["arrived"] == 1
    assert report["refused"] == {"requests": 1}
    assert report["excess"]["offered"]["requests"] == -1


def test_changes_reach_the_judge_at_their_instant() -> None:
    """The excess is that of the limit in force, though nobody looked between."""
    provider = make_provider(requests_per_minute=60, burst_seconds=1.0, changes=((10.0, 30, None),))
    referee = Referee.of(provider, 0.0)
    visit(provider, referee, 0.0)
    visit(provider, referee, 30.0)
    visit(provider, referee, 31.0)
    report = referee.report()
    assert report["limits"] == {"requests": 30, "tokens": None}
    # at 31: two, less half a one that leaked, above a burst of half a one
    assert report["excess"]["offered"]["requests"] == pytest.approx(1.0)


def test_places_are_reported_as_a_share_of_their_time() -> None:
    """Between the first arrival and the last answer; None before there is one."""
    provider = make_provider(engine_slots=2)
    referee = Referee.of(provider, 0.0)
    assert referee.report()["slots_busy_share"] is None
    replies = [provider.arrive(PATH, {}, body(), 10.0) for _ in range(3)]
    for reply in replies:
        referee.arrive(reply, 10.0)
    for reply in replies:
        referee.finish(reply, 10.0 + reply.delay, arrived=10.0)
    report = referee.report()
    assert report["queue_peak"] == 1
    assert report["makespan"] == 1.0
    assert report["slots_busy_share"] == pytest.approx(1.5 / 2)
    unbounded = Referee.of(make_provider(), 0.0).report()
    assert (unbounded["queue_peak"], unbounded["slots_busy_share"]) == (0, None)
