"""The whole engine in virtual time, over rows without texts."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest

from ratedispatch.limits import Limits
from ratedispatch.providers.charge import TOKENS
from ratedispatch.request import CHAT, EMBEDDINGS, Request
from ratedispatch.simulate.forecast.course import Course
from ratedispatch.simulate.forecast.engine_play import play_engine
from ratedispatch.simulate.forecast.lengths import Lengths
from ratedispatch.simulate.forecast.reading_order import reading_order
from ratedispatch.simulate.forecast.scene import Scene
from ratedispatch.simulate.forecast.workload import Kind, Row, Workload
from ratedispatch.simulate.play import play
from ratedispatch.simulate.settings import ProviderSettings
from ratedispatch.tokens import count_tokens

if TYPE_CHECKING:
    from collections.abc import Iterable

LIMITS = Limits(requests_per_minute=1200, tokens_per_minute=60_000)
MODEL = "gpt-4o-mini"


def workload(rows: Iterable[tuple[int, int]], *, endpoint: str = CHAT) -> Workload:
    """Rows of so many prompt tokens and such a cap each; without a cap, 16 are reserved."""
    made = Workload()
    kind = made.index_of(Kind(endpoint, MODEL))
    for prompt, cap in rows:
        output = 0 if endpoint == EMBEDDINGS else cap or 16
        made.add(Row(kind, prompt, output, prompt, cap))
    return made


def scene(limits: Limits = LIMITS, *, provider: dict[str, Any] | None = None, **more: Any) -> Scene:
    settings = {"burst_seconds": 1.0, **(provider or {})}
    return Scene(limits=limits, provider=ProviderSettings.like(limits, **settings), **more)


def test_the_same_comes_of_it_as_of_the_requests_themselves() -> None:
    """To the digit: nothing but the texts is left out, of the engine and of the provider."""
    requests = [
        Request(
            {
                "model": MODEL,
                "messages": [{"role": "user", "content": "word " * (5 + number * 37 % 90)}],
                "max_tokens": 10 + number * 13 % 40,
            },
            CHAT,
            row=number,
        )
        for number in range(400)
    ]
    rows = workload((count_tokens(one.body, CHAT), one.body["max_tokens"]) for one in requests)
    settings = {"faults": {"500": 0.02}, "token_time": 0.01, "refund": True}
    found = scene(provider=settings)
    course = play_engine(rows, found, seed=3)
    played = play(requests, LIMITS, found.provider, seed=3, policy=TOKENS)
    assert course.seconds == pytest.approx(played.stats["makespan"], abs=1e-9)
    assert course.attempts == played.stats["arrived"]
    assert sum(course.prompt_tokens) == sum(rows.billed)
    assert course.in_flight_peak == played.stats["in_flight_peak"]


def test_the_limit_gives_the_time() -> None:
    """600 rows of 100 tokens at 60,000 a minute: 58.6 s after a burst of seven tenths of one."""
    course = play_engine(workload([(60, 40)] * 600), scene(), seed=1)
    assert course.seconds == pytest.approx(59.1, abs=0.3)
    assert (course.answered, course.failed, course.refused) == (600, 0, 0)
    assert course.binding == "tokens"
    assert course.shares["tokens"] == pytest.approx(1.0, abs=0.01)
    assert course.shares["requests"] == pytest.approx(0.5, abs=0.01)
    assert course.tenths[-1] == course.seconds
    assert course.tenths[4] == pytest.approx(course.seconds / 2, rel=0.02)
    assert course.output_tokens == (600 * 20,)
    assert course.in_flight_mean == pytest.approx(10 * 0.21, rel=0.1)
    assert [wait.rows for wait in course.waits] == [600]


def test_seeds_decide() -> None:
    """The same seed gives the same course, another one another."""
    rows = workload([(60, 40), (10, 5)] * 100)
    first, again, other = (play_engine(rows, scene(), seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_no_rows_and_one_row() -> None:
    """Nothing takes no time; one row takes its latency."""
    nothing = play_engine(workload([]), scene(), seed=1)
    assert (nothing.seconds, nothing.tenths, nothing.attempts) == (0.0, (0.0,) * 10, 0)
    still = scene(provider={"latency": 0.5, "latency_sigma": 0.0})
    one = play_engine(workload([(10, 10)]), still, seed=1)
    assert one.tenths == (0.5,) * 10
    assert (one.in_flight_peak, one.in_flight_mean) == (1, 1.0)


def test_a_row_that_no_limit_allows_fails_unsent() -> None:
    """And the others are answered."""
    course = play_engine(workload([(10, 10), (70_000, 10), (10, 10)]), scene(), seed=1)
    assert (course.answered, course.failed, course.attempts) == (2, 1, 2)


def test_a_provider_that_refuses_for_ever_ends() -> None:
    """After a bound of time or of requests, with a sentence that has the numbers."""
    refusing = scene(provider={"outage": (0.0, 1e9)}, wait_for_reset=True)
    course = play_engine(workload([(10, 10)] * 20), refusing, seed=1)
    assert (course.stop_code, course.answered) == ("unending", 0)
    assert course.stop_message == "after 7 days 0 of 20 rows had ended"
    assert course.tenths == (math.inf,) * 10
    silent = {"outage": (0.0, 1e9), "retry_after": "none", "numbers": False}
    patient = scene(provider=silent)
    course = play_engine(workload([(10, 10)] * 20), patient, seed=1)
    assert (course.stop_code, course.answered, course.failed) == ("refused", 0, 0)


def test_an_empty_account_stops_the_job() -> None:
    """With the provider's own code, and what was answered by then."""
    course = play_engine(workload([(10, 10)] * 60), scene(provider={"quota": 30}), seed=1)
    assert (course.stop_code, course.answered) == ("quota", 30)


def test_rows_without_a_cap_reserve_what_answers_need() -> None:
    """Once 32 are known, the reservation follows their length, as in a run."""
    lengths = Lengths((200.0,))
    course = play_engine(
        workload([(20, 0)] * 400), scene(provider={"output_tokens": lengths}), seed=1
    )
    assert course.output_tokens == (400 * 200,)
    # 220 tokens are reserved, but headers tell that 36 are charged: requests bind
    assert course.seconds == pytest.approx(400 / 20, rel=0.05)


def test_what_generates_nothing_costs_its_prompt() -> None:
    """Embeddings reserve and use no output."""
    course = play_engine(workload([(100, 0)] * 100, endpoint=EMBEDDINGS), scene(), seed=1)
    assert (course.prompt_tokens, course.output_tokens) == ((10_000,), (0,))


def test_the_order_of_a_file_is_that_of_its_sections() -> None:
    """One row from each of up to 512 places in turn, far apart, as a job reads them."""
    assert list(reading_order(5, "file")) == [0, 1, 2, 3, 4]
    assert list(reading_order(5, "interleave")) == [0, 4, 2, 1, 3]
    order = list(reading_order(1300, "interleave"))
    assert sorted(order) == list(range(1300))
    assert order[:3] == [0, 1024, 512]  # sections of four rows
    assert order.index(1) == 325


def test_a_course_is_a_value() -> None:
    """The seams take it as one."""
    assert isinstance(play_engine(workload([(10, 10)]), scene(), seed=1), Course)
