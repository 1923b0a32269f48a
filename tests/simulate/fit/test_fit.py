"""A fit of what a fake provider did gives the settings that it had."""

from __future__ import annotations

import asyncio
import math
import random
from typing import TYPE_CHECKING, Literal

import pytest

from ratedispatch import Dispatcher, Limits, Request
from ratedispatch.dispatch.options import DispatcherOptions
from ratedispatch.events import AttemptEnded
from ratedispatch.simulate.clock import run_virtual
from ratedispatch.simulate.fit.account_fit import fit_account
from ratedispatch.simulate.fit.fit import Fit, fit_of
from ratedispatch.simulate.fit.latency_fit import fit_latency
from ratedispatch.simulate.fit.observation import MOST_ANSWERS, Evidence, Observation
from ratedispatch.simulate.fit.places_fit import fit_places
from ratedispatch.simulate.fit.prompt_fit import fit_prompts
from ratedispatch.simulate.settings import ProviderSettings
from ratedispatch.simulate.transport import ProviderTransport

if TYPE_CHECKING:
    from ratedispatch.events import Event


def answers(n: int, sigma: float, token_time: float, seed: int = 1) -> list[Observation]:
    rng = random.Random(seed)
    found = []
    for _ in range(n):
        tokens = rng.randint(10, 500)
        latency = 0.8 * rng.lognormvariate(0, sigma) + token_time * tokens
        found.append(Observation("m", output=tokens, latency=latency))
    return found


def test_latencies_without_noise_are_exact() -> None:
    """Base, sigma and the time of a token."""
    found = fit_latency(answers(50, 0.0, 0.01), [])
    assert found is not None
    assert found.token_time is not None
    assert found.median.value == pytest.approx(0.8)
    assert found.sigma.value == 0
    assert found.token_time.value == pytest.approx(0.01)
    assert found.travel is None


@pytest.mark.parametrize("seed", range(5))
def test_latencies_with_noise_are_within_their_bounds(seed: int) -> None:
    """Of a thousand: the median within 6 %, sigma within 10 %, a token within 3 %."""
    found = fit_latency(answers(1_000, 0.4, 0.01, seed), [0.02] * 20)
    assert found is not None
    assert found.token_time is not None
    assert found.travel is not None
    assert found.median.value == pytest.approx(0.78, rel=0.06)
    assert found.sigma.value == pytest.approx(0.41, rel=0.1)
    assert found.token_time.value == pytest.approx(0.01, rel=0.03)
    assert found.travel.value == 0.02
    assert found.token_time.low <= 0.01 <= found.token_time.high


def test_what_does_not_show_is_not_seen() -> None:
    """Tokens take no time, or all outputs have one length, or there are too few."""
    free = fit_latency(answers(300, 0.4, 0.0), [])
    assert free is not None
    assert free.token_time is None
    alike = [one._replace(output=9) for one in answers(300, 0.4, 0.01)]
    one_length = fit_latency(alike, [])
    assert one_length is not None
    assert one_length.token_time is None
    assert fit_latency(answers(7, 0.4, 0.01), []) is None


def test_bills_of_prompts() -> None:
    """As counted, so many more, or a multiple."""
    counts = list(range(10, 300, 7))
    same = fit_prompts([(c, c) for c in counts])
    assert (same.ratio, same.difference, same.spread) == (1.0, 0.0, 0.0)
    more = fit_prompts([(c, c + 9) for c in counts])
    assert (more.ratio, more.difference, more.billed(100)) == (1.0, 9.0, 109.0)
    times = fit_prompts([(c, round(1.5 * c)) for c in counts])
    assert times.billed(100) == pytest.approx(150, rel=0.01)
    assert fit_prompts([]).billed(100) == 100


def test_memory_is_bounded_and_what_is_kept_is_even() -> None:
    """Of a log that goes on for ever, a sample; of its outcomes, all."""
    evidence = Evidence()
    for place in range(60_000):
        evidence.add(Observation("m", output=place, latency=0.5, sent=float(place)))
    assert len(evidence.answers) == MOST_ANSWERS
    assert sum(evidence.outcomes.values()) == 60_000
    kept = sum(one.output or 0 for one in evidence.answers) / MOST_ANSWERS
    assert kept == pytest.approx(30_000, rel=0.02)


def played(
    provider: ProviderSettings,
    limits: Limits,
    rows: int,
    max_in_flight: int | Literal["auto"] | None = None,
) -> Evidence:
    """Return what was seen of a job that a fake provider has answered, in virtual time."""
    evidence = Evidence()
    evidence.limits = {
        rate.dimension: rate.per_minute for rate in limits.rates() if not rate.is_daily
    }
    rng = random.Random(5)

    def see(event: Event) -> None:
        if not isinstance(event, AttemptEnded):
            return
        usage, cost = event.usage, event.cost
        evidence.add(
            Observation(
                event.request.model,
                cost.counted_tokens,
                0 if usage is None else usage.prompt_tokens,
                None if usage is None else usage.output_tokens,
                cost.expected_output_tokens if cost.is_capped else 0,
                usage is not None and usage.output_tokens >= cost.expected_output_tokens,
                event.latency,
                event.decision.value,
                event.status,
                event.code,
                event.at - event.latency,
                cost.tokens,
                {one.bucket: one.remaining for one in event.readings if one.remaining is not None},
            )
        )

    async def main() -> None:
        transport = ProviderTransport(provider, random.Random(2))
        options = DispatcherOptions(
            rng=random.Random(3), cpu_clock=float, max_in_flight=max_in_flight
        )
        async with Dispatcher(transport, limits, listeners=[see], options=options) as dispatcher:
            requests = [
                Request.chat(
                    model="gpt-4o-mini",
                    messages=[{"role": "user", "content": "word " * rng.randint(5, 300)}],
                    max_tokens=rng.choice([50, 100, 200]),
                )
                for _ in range(rows)
            ]
            await asyncio.gather(
                *(dispatcher.submit(one) for one in requests), return_exceptions=True
            )

    run_virtual(main())
    return evidence


LIMITS = Limits(requests_per_minute=3_000, tokens_per_minute=200_000)


@pytest.mark.parametrize("refund", [False, True])
def test_a_fake_provider_comes_out_as_it_was_set(refund: bool) -> None:
    """Latency, tokens, lengths, depth, charge and faults, from what a job saw of it."""
    true = ProviderSettings(
        requests_per_minute=3_000,
        tokens_per_minute=200_000,
        burst_seconds=20,
        latency=0.9,
        latency_sigma=0.3,
        token_time=0.01,
        output_share=0.6,
        refund=refund,
        faults={"500": 0.03, "disconnect": 0.02},
    )
    fit = fit_of(played(true, LIMITS, 1_000), "a test")
    found = fit.settings(ProviderSettings())
    assert found.latency == pytest.approx(0.9, rel=0.06)
    assert found.latency_sigma == pytest.approx(0.3, rel=0.12)
    assert found.token_time == pytest.approx(0.01, rel=0.05)
    assert found.burst_seconds == pytest.approx(20, rel=0.02)
    assert found.refund is refund
    assert found.window == "bucket"
    assert fit.account.charge == ("refunded" if refund else "reserved")
    assert fit.faults["500"].low <= 0.03 <= fit.faults["500"].high
    assert fit.faults["disconnect"].low <= 0.02 <= fit.faults["disconnect"].high
    rng = random.Random(1)
    assert not isinstance(found.output_tokens, int | None)
    assert found.output_tokens.draw(rng, 100) == 60
    assert fit.prompts["gpt-4o-mini"].billed(200) == 200


def test_what_somebody_has_set_stays() -> None:
    """A flag that is given counts more than the fit."""
    fit = fit_of(played(ProviderSettings(latency=0.9), LIMITS, 60), "a test")
    base = ProviderSettings(latency=7.0, output_share=0.1)
    found = fit.settings(base, {"latency", "output_share"})
    assert (found.latency, found.output_share, found.output_tokens) == (7.0, 0.1, None)
    assert fit.settings(base).latency != 7.0


def test_a_fixed_window_shows_by_what_is_left() -> None:
    """It jumps back to all of the limit, and has no depth."""
    attempts = [
        Observation(
            "m",
            sent=second / 10,
            tokens=10,
            output=5,
            latency=0.1,
            remaining={"requests": 600 - second % 600 - 1},
        )
        for second in range(2_000)
    ]
    found = fit_account({"requests": 600.0}, attempts)
    assert (found.window, found.depth) == ("fixed", None)


def test_a_limit_of_which_nothing_was_ever_left_tells_no_depth() -> None:
    """As of requests that are said to cost nothing; no provider can be made of a depth of none."""
    attempts = [
        Observation("m", output=1, latency=0.5, sent=float(number), remaining={"tokens": 0.0})
        for number in range(20)
    ]
    account = fit_account({"tokens": 6_000.0}, attempts)
    assert account.depth is None
    assert Fit(source="x", account=account).settings(ProviderSettings()) == ProviderSettings(
        tokens_per_minute=6_000.0
    )


def test_an_account_that_lets_nothing_in_tells_no_depth() -> None:
    """As one that is out of credit."""
    refused = [
        Observation("m", latency=0.1, decision="rate_limit", sent=float(number), tokens=100)
        for number in range(20)
    ]
    assert fit_account({"requests": 60.0, "tokens": 6_000.0}, refused).depth is None


def test_refusals_tell_a_depth_where_nothing_else_does() -> None:
    """Of 100 at once, those beyond ten seconds of the rate are refused."""
    attempts = [
        Observation("m", sent=0.0, decision="answered" if place < 100 else "rate_limit")
        for place in range(130)
    ]
    found = fit_account({"requests": 600.0}, attempts)
    assert found.depth is not None
    assert found.depth.value == pytest.approx(10.0)
    assert fit_account({}, attempts).depth is None


def test_a_fit_of_nothing_says_so() -> None:
    """And changes nothing."""
    fit = fit_of(Evidence(), "nothing")
    base = ProviderSettings()
    assert fit.settings(base) == base
    assert "not seen" in fit.lines()[-1]
    assert fit.as_dict()["latency"] is None


def test_it_is_told_in_words() -> None:
    """Each number with its interval, hostile names without what harms a terminal."""
    found = [
        Observation("a\x1b[31m" if place % 2 else "b", 10, 10, 10 + 90 * (place % 2), 0)
        for place in range(100)
    ]
    evidence = Evidence()
    for one in found:
        evidence.add(one)
    lines = fit_of(evidence, "out.jsonl").lines()
    assert any("a?[31m: 100 tokens, all alike (50 answers)" in line for line in lines)
    assert "\x1b" not in "".join(lines)
    assert math.isfinite(fit_of(evidence, "x").travel)
    assert isinstance(fit_of(evidence, "x"), Fit)


def test_the_places_of_a_server_show_where_more_were_in_flight() -> None:
    """What an answer takes alone is told from what it waits for others."""
    true = ProviderSettings(engine_slots=16, latency=0.3, latency_sigma=0.2)
    fit = fit_of(played(true, Limits(), 800, "auto"), "a test")
    found = fit.settings(ProviderSettings())
    assert found.engine_slots == pytest.approx(16, abs=2)
    assert found.latency == pytest.approx(0.3, rel=0.1)
    assert any("requests are worked on at once" in line for line in fit.lines())


def test_a_refusal_that_took_no_time_was_not_in_flight() -> None:
    """As a log has it, which rounds: an answer that left with it is not alone by one less."""
    answered = [
        Observation("m", output=5, latency=0.2 * (1 + place), sent=2.0 * number + place / 1_000)
        for number in range(200)
        for place in range(1 + number % 4)
    ]
    refused = [
        Observation("m", latency=0.0, decision="rate_limit", sent=2.0 * number)
        for number in range(0, 200, 4)
    ]
    found = fit_places(answered)
    assert found is not None
    assert found.places.value == 1
    assert fit_places([*answered, *refused]) == found


@pytest.mark.parametrize("max_in_flight", [None, 40, "auto"])
def test_no_places_are_seen_where_there_are_none(
    max_in_flight: int | Literal["auto"] | None,
) -> None:
    """A provider that answers however many there are."""
    true = ProviderSettings(requests_per_minute=3_000, tokens_per_minute=200_000, latency=0.9)
    limits = LIMITS if max_in_flight is None else Limits()
    if max_in_flight is not None:
        true = ProviderSettings(latency=0.9)
    assert fit_of(played(true, limits, 600, max_in_flight), "a test").places is None
