"""What a job is expected to be billed: exact where that follows, within its interval elsewhere."""

from __future__ import annotations

import math
import random

import pytest

from ratedispatch.jobs.like.expected_bill import ExpectedBill, expected_bill
from ratedispatch.jobs.plan.price_book import PriceBook
from ratedispatch.jobs.plan.prices import Price
from ratedispatch.jobs.workload.counted import Counted
from ratedispatch.request import CHAT, EMBEDDINGS
from ratedispatch.simulate.fit.fit import fit_of
from ratedispatch.simulate.fit.observation import Evidence, Observation
from ratedispatch.simulate.forecast.workload import Kind, Row, Workload

PRICES = PriceBook(Price("all", 2.0, 8.0))
ROWS = 4_000


def rows(seed: int, *, capped: bool = True, count: int = ROWS) -> Counted:
    """Return rows whose prompts and caps vary."""
    rng = random.Random(seed)
    workload, billed = Workload(), []
    kind = workload.index_of(Kind(CHAT, "gpt-4o"))
    for _ in range(count):
        cap = rng.choice([100, 200, 400]) if capped else 0
        prompt = rng.randint(50, 700)
        workload.add(Row(kind, prompt, cap or 16, prompt, cap))
        billed.append(cap or 16)
    return Counted(workload, range(1, count + 1), billed, [0] * count)


def truth(counted: Counted, seed: int, sigma: float) -> dict[int, tuple[int, int]]:
    """Return what each row is billed: log-normal outputs that caps cut."""
    rng = random.Random(seed)
    found = {}
    for line, row in zip(counted.lines, counted.workload, strict=True):
        length = max(1, round(rng.lognormvariate(math.log(150), sigma)))
        found[line] = row.billed, min(length, row.cap) if row.cap else length
    return found


def seen(counted: Counted, bills: dict[int, tuple[int, int]]) -> Evidence:
    """Return the evidence of the rows that have *bills*."""
    evidence = Evidence()
    for line, (billed, output) in bills.items():
        row = counted.workload[line - 1]
        is_cut = bool(row.cap) and output >= row.cap
        evidence.add(Observation("gpt-4o", row.billed, billed, output, row.cap, is_cut))
    return evidence


def usd(bills: dict[int, tuple[int, int]]) -> float:
    return sum(prompt * 2.0 + output * 8.0 for prompt, output in bills.values()) / 1e6


def bill(counted: Counted, evidence: Evidence, known: dict[int, tuple[int, int]]) -> ExpectedBill:
    found = expected_bill(counted, fit_of(evidence, "a test"), PRICES, known)
    assert found is not None
    return found


def test_it_is_exact_where_lengths_are() -> None:
    """All outputs have one length: the bill is what it will be, and the interval nothing."""
    counted = rows(1)
    bills = {line: (row.billed, 70) for line, row in enumerate(counted.workload, 1)}
    sample = dict(list(bills.items())[::20])
    found = bill(counted, seen(counted, sample), sample)
    assert found.usd == pytest.approx(usd(bills))
    assert (found.low, found.high) == pytest.approx((found.usd, found.usd))
    assert found.answered == 200
    assert found.prompt_tokens == sum(counted.workload.billed)


@pytest.mark.parametrize("capped", [False, True])
def test_the_interval_holds_what_it_promises(capped: bool) -> None:
    """Of 24 jobs of which 100 rows are answered, at least 20 bills are within theirs."""
    held, errors = 0, []
    for seed in range(24):
        counted = rows(seed, capped=capped, count=1_000)
        bills = truth(counted, seed, 0.5)
        sample = dict(list(bills.items())[::10])
        found = bill(counted, seen(counted, sample), sample)
        assert found.usd is not None
        assert found.low is not None
        assert found.high is not None
        held += found.low <= usd(bills) <= found.high
        errors.append(abs(found.usd / usd(bills) - 1))
    assert held >= 20
    assert sorted(errors)[12] < 0.03


def test_it_tells_how_many_answers_would_tell_it_within_a_percent() -> None:
    """With that many, the interval is one percent to either side; where it is exact, none."""
    counted = rows(3, capped=False, count=20_000)
    bills = truth(counted, 4, 0.5)
    sample = dict(list(bills.items())[::100])
    few = bill(counted, seen(counted, sample), sample)
    assert few.wanted is not None
    more = dict(random.Random(1).sample(list(bills.items()), few.wanted))
    found = bill(counted, seen(counted, more), more)
    assert found.usd is not None
    assert found.high is not None
    assert found.high / found.usd - 1 == pytest.approx(0.01, rel=0.15)
    all_alike = {line: (prompt, 70) for line, (prompt, _) in sample.items()}
    assert bill(counted, seen(counted, all_alike), all_alike).wanted is None


def test_rows_that_may_be_longer_than_any_that_was_seen_are_counted() -> None:
    """Their caps are higher than those that cut the longest answers, or they have none."""
    former = rows(5, count=600)  # caps of 400 at most
    evidence = seen(former, truth(former, 8, 1.0))
    assert bill(rows(6, count=50), evidence, {}).beyond == 0
    assert bill(rows(6, count=50, capped=False), evidence, {}).beyond == 50
    alike = {line: (row.billed, 70) for line, row in enumerate(former.workload, 1)}
    assert bill(rows(6, count=50, capped=False), seen(former, alike), {}).beyond == 0


def test_a_former_run_of_other_rows_foretells_the_bill() -> None:
    """Other caps and prompts, the same model: within 2 %."""
    former = rows(5, count=3_000)
    counted = rows(6)
    bills = truth(counted, 7, 0.4)
    found = bill(counted, seen(former, truth(former, 8, 0.4)), {})
    assert found.usd == pytest.approx(usd(bills), rel=0.02)


def test_all_rows_answered_is_the_bill() -> None:
    """Nothing is left to be foretold."""
    counted = rows(2, count=50)
    bills = truth(counted, 3, 0.5)
    found = bill(counted, seen(counted, bills), bills)
    assert found.usd == pytest.approx(usd(bills))
    assert found.low == pytest.approx(found.usd)


def test_embeddings_have_no_output_and_unknown_prices_no_bill() -> None:
    """Tokens are told all the same."""
    workload = Workload()
    workload.add(Row(workload.index_of(Kind(EMBEDDINGS, "x")), 10, 0, 10, 0))
    counted = Counted(workload, [1], [0], [0])
    evidence = Evidence()
    evidence.add(Observation("gpt-4o", 10, 10, 99, 0))
    found = expected_bill(counted, fit_of(evidence, "a test"), PriceBook())
    assert found is not None
    assert (found.usd, found.prompt_tokens, found.output_tokens) == (None, 10, 0)
    assert expected_bill(counted, fit_of(Evidence(), "nothing"), PRICES) is None
