"""
Estimates what a job will cost, from what an earlier run shows about the provider.

Answered rows cost what they were billed. Each other row is expected to cost the mean of rows like
it; if some rows of the job are answered, the difference between their bill and their expectation
corrects the rest. Pure.

Source: the regression estimator of survey sampling (W. G. Cochran, Sampling Techniques, 1977).
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from itertools import compress
from typing import TYPE_CHECKING, Any

from ratedispatch.jobs.like.former_input import most_tokens
from ratedispatch.request import EMBEDDINGS, MODERATIONS
from ratedispatch.simulate.fit.estimate import Z
from ratedispatch.simulate.fit.prompt_fit import PromptFit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ratedispatch.jobs.plan.price_book import PriceBook
    from ratedispatch.jobs.workload.counted import Counted
    from ratedispatch.simulate.fit.fit import Fit
    from ratedispatch.simulate.fit.output_fit import OutputFit
    from ratedispatch.simulate.fit.output_shapes import Shape

#: Endpoints whose answers have no output that is billed.
_SILENT = frozenset({EMBEDDINGS, MODERATIONS})

_AS_COUNTED = PromptFit()

#: Rows of one kind, prompt and cap whose expected length is remembered.
_MOST_KEPT = 65_536

#: The share of a bill within which it is to be told.
_CLOSE = 0.01

#: Answered rows of a kind that correct what is expected of the others.
_ENOUGH = 20


@dataclass(frozen=True, slots=True)
class ExpectedBill:
    """
    What a job is expected to be billed.

    Args:
        usd: In USD; None if a price is not known.
        low: The truth is above this and below *high*, 95 times in 100.
        high: See *low*.
        prompt_tokens: Tokens of all prompts.
        output_tokens: Tokens of all outputs.
        answered: Rows that are answered, and whose bill is known.
        wanted: How many rows of the job have to be answered to tell it within one percent; None
            if these do, or if none are answered.
        beyond: Rows whose outputs may be longer than any that was seen, since a lower cap cut
            those.
    """

    usd: float | None
    low: float | None
    high: float | None
    prompt_tokens: float
    output_tokens: float
    answered: int
    wanted: int | None = None
    beyond: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {
            "usd": self.usd,
            "low": self.low,
            "high": self.high,
            "prompt_tokens": round(self.prompt_tokens),
            "output_tokens": round(self.output_tokens),
            "answered": self.answered,
            "wanted": self.wanted,
            "beyond": self.beyond,
        }


@dataclass(slots=True)
class _Sum:
    """The rows of one kind: those that are answered, and what is expected of the others."""

    rows: int = 0
    beyond: int = 0
    prompt: float = 0.0
    output: float = 0.0
    known_prompt: int = 0
    known_output: int = 0
    #: Of those that are answered, sums of what was expected of their outputs, of what they had
    #: beside that, and of the squares and products of these.
    known: int = 0
    expected: float = 0.0
    gap: float = 0.0
    expected_squared: float = 0.0
    gap_squared: float = 0.0
    product: float = 0.0

    def take(self, usage: tuple[int, int], expected: float) -> None:
        """Take in a row that is answered."""
        gap = usage[1] - expected
        self.known += 1
        self.known_prompt += usage[0]
        self.known_output += usage[1]
        self.expected += expected
        self.gap += gap
        self.expected_squared += expected * expected
        self.gap_squared += gap * gap
        self.product += expected * gap

    def correct(self, shape: Shape) -> tuple[float, float]:
        """
        Correct the output by the rows that are answered; return its standard errors.

        That of the mean of the answers seen, and that of the rows to come.
        """
        spread, n = shape.spread, shape.n
        if self.known >= _ENOUGH and self.expected > 0:
            n = self.known
            factor = self.gap / self.expected
            self.output *= 1 + factor
            rests = self.gap_squared - 2 * factor * self.product
            rests += factor * factor * self.expected_squared
            spread = math.sqrt(max(0.0, rests) / (n - 1)) * n / self.expected
        each = self.output * spread
        return each / math.sqrt(max(1, n)), each / math.sqrt(max(1, self.rows))


def expected_bill(
    counted: Counted,
    fit: Fit,
    prices: PriceBook,
    answered: Mapping[int, tuple[int, int]] | None = None,
) -> ExpectedBill | None:
    """
    Return what the rows of *counted* are expected to be billed; None if lengths were not seen.

    Args:
        counted: The rows.
        fit: What the provider is like.
        prices: What tokens cost.
        answered: By line, the tokens billed for prompt and output of those that are answered.
    """
    if fit.outputs is None:
        return None
    sums = _sums(counted, fit, fit.outputs, answered or {})
    known = sum(found.known for found in sums)
    usd: float | None = 0.0
    prompt = output = of_means = of_rows = 0.0
    for kind, found in zip(counted.workload.kinds, sums, strict=True):
        of_mean, of_each = found.correct(fit.outputs.of(kind.model, 1))
        tokens = found.prompt + found.known_prompt, found.output + found.known_output
        prompt += tokens[0]
        output += tokens[1]
        price = prices.of(kind.model)
        if price is None and tokens != (0, 0):
            usd = None
        elif price is not None and usd is not None:
            usd += (tokens[0] * price.input + tokens[1] * price.output) / 1e6
            of_means += (of_mean * price.output / 1e6) ** 2
            of_rows += (of_each * price.output / 1e6) ** 2
    beyond = sum(found.beyond for found in sums)
    if usd is None:
        return ExpectedBill(None, None, None, prompt, output, known, beyond=beyond)
    reach = Z * math.sqrt(of_means + of_rows)
    wanted: int | None = None
    if known and reach > _CLOSE * usd:
        wanted = _wanted(known, len(counted.workload), of_means, of_rows, _CLOSE * usd / Z)
    low, high = max(0.0, usd - reach), usd + reach
    return ExpectedBill(usd, low, high, prompt, output, known, wanted, beyond)


def _wanted(known: int, rows: int, of_means: float, of_rows: float, error: float) -> int:
    """
    Return how many answers bring the standard error down to *error*.

    Args:
        known: Answers that there are.
        rows: The rows of the job.
        of_means: The variance of the bill by the mean of those answers.
        of_rows: That by the rows to come.
        error: In USD.
    """
    least, most = known, rows  # with all of them answered, there is none
    while most - least > 1:
        middle = (least + most) // 2
        left = (rows - middle) / (rows - known)
        variance = of_means * known / middle * left * left + of_rows * left
        if variance > error * error:
            least = middle
        else:
            most = middle
    return most


def _sums(
    counted: Counted, fit: Fit, outputs: OutputFit, answered: Mapping[int, tuple[int, int]]
) -> list[_Sum]:
    """Return the sums of each kind of rows."""
    workload, kinds = counted.workload, counted.workload.kinds
    sums = [_Sum() for _ in kinds]
    silent = [kind.endpoint in _SILENT for kind in kinds]
    bills = [fit.prompts.get(kind.model, _AS_COUNTED) for kind in kinds]

    @lru_cache(_MOST_KEPT)
    def length(kind: int, billed: int, cap: int) -> float:
        """Return the tokens that are expected of the outputs of a row."""
        return 0.0 if silent[kind] else outputs.of(kinds[kind].model, cap).expected(billed, cap)

    is_open = bytearray(b"\x01") * len(counted.lines)
    for index, line in enumerate(counted.lines if answered else ()):
        if line in answered:
            is_open[index] = 0
            row = workload[index]
            cap = most_tokens(row, counted.billed_outputs[index])
            sums[row.kind].take(answered[line], length(row.kind, row.billed, cap))
    for (kind, billed, cap), count in _groups(counted, is_open).items():
        found = sums[kind]
        found.rows += count
        shape = outputs.of(kinds[kind].model, cap)
        found.beyond += count * (not silent[kind] and shape.goes_beyond(billed, cap))
        found.prompt += count * bills[kind].billed(billed)
        found.output += count * length(kind, billed, cap)
    return sums


def _groups(counted: Counted, is_open: Sequence[int]) -> Counter[tuple[int, int, int]]:
    """Return how many rows have which kind, prompt and cap, of those that are open."""
    workload, most = counted.workload, counted.billed_outputs
    columns: Sequence[Any] = (workload.kind, workload.billed, workload.cap, most)
    rows = compress(zip(*columns, strict=True), is_open)
    found: Counter[tuple[int, int, int]] = Counter()
    for (kind, billed, cap, output), count in Counter(rows).items():
        found[kind, billed, max(cap, output) if cap else 0] += count
    return found
