"""
What a job is expected to cost, from what a former run shows of the provider.

Rows that are answered cost what they were billed. Of the others each is expected to cost the mean
of rows like it; where some of the same rows are answered, what these were billed beside what was
expected of them corrects the rest. Pure.

Source: the regression estimator of survey sampling (W. G. Cochran, Sampling Techniques, 1977).
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
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
    """

    usd: float | None
    low: float | None
    high: float | None
    prompt_tokens: float
    output_tokens: float
    answered: int
    wanted: int | None = None

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
        }


@dataclass(slots=True)
class _Sum:
    """The rows of one kind: those that are answered, and what is expected of the others."""

    rows: int = 0
    prompt: float = 0.0
    output: float = 0.0
    known_prompt: int = 0
    known_output: int = 0
    #: Of each that is answered, what was expected of its output, and what it had beside that.
    pairs: list[tuple[float, float]] = field(default_factory=list)


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
    known = _known(counted, answered or {})
    sums = _sums(counted, fit, fit.outputs, known)
    usd: float | None = 0.0
    prompt = output = of_means = of_rows = 0.0
    for kind, found in zip(counted.workload.kinds, sums, strict=True):
        of_mean, of_each = _corrected(found, fit.outputs.of(kind.model, 1))
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
    if usd is None:
        return ExpectedBill(None, None, None, prompt, output, len(known))
    reach = Z * math.sqrt(of_means + of_rows)
    wanted: int | None = None
    if known and reach > _CLOSE * usd:
        wanted = _wanted(len(known), len(counted.workload), of_means, of_rows, _CLOSE * usd / Z)
    low, high = max(0.0, usd - reach), usd + reach
    return ExpectedBill(usd, low, high, prompt, output, len(known), wanted)


def _wanted(known: int, rows: int, of_means: float, of_rows: float, error: float) -> int:
    """
    Return how many answers bring the standard error down to *error*.

    Args:
        known: Answers that there are.
        rows: Of the job.
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


def _known(counted: Counted, answered: Mapping[int, tuple[int, int]]) -> dict[int, tuple[int, int]]:
    """Return the usage of the answered rows by their index."""
    if not answered:
        return {}
    return {index: answered[line] for index, line in enumerate(counted.lines) if line in answered}


def _sums(
    counted: Counted, fit: Fit, outputs: OutputFit, known: Mapping[int, tuple[int, int]]
) -> list[_Sum]:
    """Return the sums of each kind of rows."""
    workload, kinds = counted.workload, counted.workload.kinds
    sums = [_Sum() for _ in kinds]
    silent = [kind.endpoint in _SILENT for kind in kinds]
    bills = [fit.prompts.get(kind.model, _AS_COUNTED) for kind in kinds]

    def length(kind: int, billed: int, cap: int) -> float:
        """Return the tokens that are expected of the outputs of a row."""
        return 0.0 if silent[kind] else outputs.of(kinds[kind].model, cap).expected(billed, cap)

    for (kind, billed, cap), count in _groups(counted, known).items():
        found = sums[kind]
        found.rows += count
        found.prompt += count * bills[kind].billed(billed)
        found.output += count * length(kind, billed, cap)
    for place, usage in known.items():
        row = workload[place]
        found = sums[row.kind]
        found.known_prompt += usage[0]
        found.known_output += usage[1]
        cap = most_tokens(row, counted.billed_outputs[place])
        expected = length(row.kind, row.billed, cap)
        found.pairs.append((expected, usage[1] - expected))
    return sums


def _groups(
    counted: Counted, known: Mapping[int, tuple[int, int]]
) -> Counter[tuple[int, int, int]]:
    """Return how many rows have which kind, prompt and cap, without those *known*."""
    workload, most = counted.workload, counted.billed_outputs
    columns: Sequence[Any] = (workload.kind, workload.billed, workload.cap, most)
    if known:
        is_open = [place not in known for place in range(len(most))]
        columns = [list(compress(column, is_open)) for column in columns]
    found: Counter[tuple[int, int, int]] = Counter()
    for (kind, billed, cap, output), count in Counter(zip(*columns, strict=True)).items():
        found[kind, billed, max(cap, output) if cap else 0] += count
    return found


def _corrected(found: _Sum, shape: Shape) -> tuple[float, float]:
    """
    Correct the output of *found* by the rows that are answered; return its standard errors.

    That of the mean of the answers seen, and that of the rows to come.
    """
    spread, n = shape.spread, shape.n
    total = sum(expected for expected, _ in found.pairs)
    if len(found.pairs) >= _ENOUGH and total > 0:
        n = len(found.pairs)
        factor = sum(gap for _, gap in found.pairs) / total
        found.output *= 1 + factor
        rests = math.fsum((gap - factor * expected) ** 2 for expected, gap in found.pairs)
        spread = math.sqrt(rests / (n - 1)) * n / total
    each = found.output * spread
    return each / math.sqrt(max(1, n)), each / math.sqrt(max(1, found.rows))
