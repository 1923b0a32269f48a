"""Which charge rule is the provider's, found from what its readings show."""

from __future__ import annotations

import random
from heapq import heappop, heappush
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratedispatch.pacing.limit.account import (
    BY_CHARACTERS,
    BY_THE_LARGER,
    BY_TOKENS,
    NOTHING,
    Ledger,
    counts_of,
    sums_at,
)
from ratedispatch.pacing.limit.charge_rule import FAMILIES, ChargeRule, amount_by, rule_like
from ratedispatch.pacing.limit.rule_finder import RuleFinder
from ratedispatch.request import Cost

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ratedispatch.pacing.limit.account import Position

CAUTIOUS = ChargeRule(BY_THE_LARGER, output=True, refunds=False)
TOKENS = FAMILIES["tokens"]


def cost_of(tokens: int, characters: int, output: int) -> Cost:
    return Cost(
        max(tokens, characters),
        output,
        expected_tokens=tokens,
        character_tokens=characters,
        expected_output_tokens=output,
    )


class Watched:
    """A bucket that charges by *rule*, and a finder that sees what it shows."""

    def __init__(
        self,
        rule: ChargeRule,
        *,
        begin: ChargeRule = CAUTIOUS,
        rate: float = 5000.0,
        depth: float = 25_000.0,
        jitter: float = 0.0,
        others: float = 0.0,
        seed: int = 0,
    ) -> None:
        self.rule, self.rate, self.depth, self.jitter, self.others = (
            rule,
            rate,
            depth,
            jitter,
            others,
        )
        self.rng = random.Random(seed)
        self.finder = RuleFinder(TOKENS, begin)
        self.ledger = Ledger()
        self.level, self.at, self.arrived, self.number = depth, 0.0, 0.0, 0
        self.open: list[tuple[Cost, float]] = []

    def send(self, cost: Cost, used: float, gap: float) -> bool:
        """Send *cost* after *gap* seconds; the third answer after it is its own."""
        self.at += gap
        arrived = max(self.arrived, self.at + self.rng.uniform(0, self.jitter))
        elapsed, self.arrived = arrived - self.arrived, arrived
        if len(self.open) == 3:
            done, its_use = self.open.pop(0)
            self.ledger.answered.append((done, its_use))
            if self.rule.refunds:
                self.level += self.rule.amount(counts_of(done)) - its_use
        self.level = min(self.depth, self.level + elapsed * (self.rate - self.others))
        self.level -= self.rule.amount(counts_of(cost))
        self.open.append((cost, used))
        self.number += 1
        position = self.ledger.charge(cost)
        if self.finder.left_out:
            self.finder.left_out -= 1
            return False
        return self.finder.add(
            float(int(self.level)),
            self.rate,
            at=self.at,
            position=position,
            number=self.number,
        )

    def send_many(self, count: int) -> int:
        """Send rows of many lengths; return how many had gone when another rule was taken last."""
        taken = 0
        for number in range(1, count + 1):
            tokens = round(200 * self.rng.lognormvariate(0, 0.8))
            characters = round(tokens * self.rng.choice((0.6, 1.5)))
            cost = cost_of(tokens, characters, 400)
            # a bucket that is full shows nothing: it is kept below two fifths
            gap = 0.01
            if self.level < 0.4 * self.depth:
                gap += self.rule.amount(counts_of(cost)) / self.rate
            if self.send(cost, tokens + self.rng.randint(20, 80), gap):
                taken = number
        return taken


def predicts_like(found: ChargeRule, rule: ChargeRule) -> bool:
    """Whether both predict the same; what is given back evens out how a prompt was counted."""
    return found == rule or (rule.refunds and found[1:] == rule[1:])


@pytest.mark.parametrize("rule", TOKENS)
@pytest.mark.parametrize("begin", [CAUTIOUS, ChargeRule(BY_TOKENS, output=False, refunds=True)])
def test_every_rule_is_found(rule: ChargeRule, begin: ChargeRule) -> None:
    watched = Watched(rule, begin=begin)
    watched.send_many(64)
    assert predicts_like(watched.finder.rule, rule)
    assert watched.finder.is_settled


@given(st.sampled_from(TOKENS), st.integers(0, 2**32), st.sampled_from((0.001, 0.005, 0.01)))
@settings(max_examples=150, deadline=None)
def test_a_rule_is_found_in_spite_of_rounding_and_times_of_arrival(
    rule: ChargeRule, seed: int, jitter: float
) -> None:
    """A law: after some dozens of readings the rule in force is that of the provider."""
    watched = Watched(rule, jitter=jitter, seed=seed)
    watched.send_many(96)
    assert predicts_like(watched.finder.rule, rule)


@pytest.mark.parametrize(("others", "seed"), [(500.0, 1), (1500.0, 2), (2500.0, 3)])
def test_what_others_use_makes_no_rule_cheaper(others: float, seed: int) -> None:
    """What is left over is theirs: a rule that charges less than the right one is never taken."""
    watched = Watched(CAUTIOUS, others=others, seed=seed)
    watched.send_many(200)
    assert watched.finder.rule == CAUTIOUS


def test_a_counter_that_starts_again_changes_no_rule() -> None:
    """The minute of a fixed window begins: what remains leaps up, which no rule predicts."""
    watched = Watched(ChargeRule(BY_TOKENS, output=True, refunds=False))
    watched.send_many(60)
    rule = watched.finder.rule
    for _ in range(5):
        watched.level = watched.depth
        assert watched.send_many(20) == 0
    assert watched.finder.rule == rule


def test_it_takes_six_comparisons() -> None:
    """Reserved 900 and used 200 of a bucket that gives back: the seventh reading decides."""
    watched = Watched(ChargeRule(BY_THE_LARGER, output=True, refunds=True), depth=5000)
    cost = cost_of(100, 100, 800)
    assert [watched.send(cost, 200, 0.1) for _ in range(8)] == [False] * 6 + [True, False]
    assert watched.finder.rule == ChargeRule(BY_THE_LARGER, output=True, refunds=True)


def answers_of(rng: random.Random) -> Iterator[tuple[Cost, float, float, bool]]:
    """Yield costs, when each leaves and is back, and whether it was refused: one in fifty."""
    level, at = 152_000.0, 0.0  # a minute has piled up, and goes at once
    for _ in range(1_100):
        tokens = rng.randint(34, 119)
        cost = cost_of(tokens, tokens - rng.randint(0, 20), 104)
        gap = 0.001 if level > 1_200 else cost.tokens / 3_000
        at += gap
        level += gap * 3_000 - cost.tokens
        yield cost, at, at + 0.15 * rng.lognormvariate(0, 0.23), rng.random() < 0.02


@pytest.mark.parametrize("seed", [2, 3, 7, 12])
def test_what_is_charged_though_it_was_refused_brings_in_no_wrong_rule(seed: int) -> None:
    """Its amount is not on our books, and a rule that gives back late makes up for it by chance."""
    finder, ledger, newest, level, before = (
        RuleFinder(TOKENS, CAUTIOUS),
        Ledger(),
        0,
        152_000.0,
        0.0,
    )
    back: list[tuple[float, int, float, float, Cost, Position, bool]] = []
    for number, (cost, at, ends, is_refused) in enumerate(answers_of(random.Random(seed)), 1):
        while back and back[0][0] <= at:
            _, its_number, sent_at, remaining, its_cost, position, was_refused = heappop(back)
            if was_refused:
                ledger.void(its_cost)
                finder.doubt(at)
                continue
            ledger.answered.append((its_cost, its_cost.expected_tokens + 87))
            if its_number < newest:
                continue
            newest = its_number
            if finder.left_out:
                finder.left_out -= 1
                continue
            assert not finder.add(
                remaining, 3_000, at=sent_at, position=position, number=its_number
            )
        level += (at - before) * 3_000 - cost.tokens
        before = at
        shown = float(int(level))
        heappush(back, (ends, number, at, shown, cost, ledger.charge(cost), is_refused))


def test_once_it_is_known_one_reading_of_eight_is_looked_at() -> None:
    watched = Watched(CAUTIOUS)
    watched.send_many(7)
    assert watched.finder.left_out == 7
    watched.send_many(7)
    assert watched.finder.left_out == 0


def test_a_ledger_adds_up_under_every_way_of_counting() -> None:
    """(rule, charged, returned) after costs of 10 and 6 tokens, of which the first used 5."""
    ledger = Ledger()
    first, second = cost_of(10, 4, 8), cost_of(6, 12, 2)
    assert sums_at(ledger.charge(first), BY_TOKENS, output=True) == (18, 0)
    ledger.charge(second)
    ledger.answered.append((first, 5))
    for prompt, output, expected in [
        (BY_TOKENS, True, (26, 13)),
        (BY_CHARACTERS, True, (26, 7)),
        (BY_THE_LARGER, False, (22, 5)),
        (NOTHING, True, (10, 3)),
    ]:
        assert sums_at(ledger.position(), prompt, output=output) == expected
    ledger.void(second)
    assert sums_at(ledger.position(), BY_TOKENS, output=True) == (18, 13)


def test_a_cost_of_ones_own_counts_alike_by_every_rule() -> None:
    """It tells a prompt and an output and nothing else."""
    assert counts_of(Cost(7, 3)) == (7, 7, 7, 0, 3)
    assert amount_by(CAUTIOUS)(Cost(7, 3)) == 10


@pytest.mark.parametrize(
    ("dimension", "output", "refunds", "expected"),
    [
        ("tokens", True, False, CAUTIOUS),
        ("tokens_per_day", False, True, ChargeRule(BY_THE_LARGER, output=False, refunds=True)),
        ("input_tokens", True, True, ChargeRule(BY_THE_LARGER, output=False, refunds=True)),
        ("output_tokens", False, True, ChargeRule(NOTHING, output=False, refunds=True)),
        ("requests", True, False, None),
        ("images", True, False, None),
    ],
)
def test_what_a_policy_comes_to(
    dimension: str, output: bool, refunds: bool, expected: ChargeRule | None
) -> None:
    assert rule_like(dimension, output=output, refunds=refunds) == expected
