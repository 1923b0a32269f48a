"""
Fits the latency of answers: seconds for each answer, and for each output token.

latency = base × a log-normal factor + token time × tokens. The slope is that of Theil and Sen; base
and sigma are those of what is left. Pure.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ratedispatch.simulate.fit.estimate import Estimate, Z, quantile, slope_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ratedispatch.simulate.fit.observation import Observation

#: Fewer answers tell nothing.
_ENOUGH = 8

#: The standard error of sigma, from the quantiles of one sigma on either side, in sigma / √n.
_SIGMA_ERROR = 0.88

#: That of a median, in the same unit.
_MEDIAN_ERROR = 1.2533

#: Shares of a normal distribution below one sigma on either side.
_LOW, _HIGH = 0.158655, 0.841345

#: The least seconds that are told from none.
_LEAST = 1e-4


@dataclass(frozen=True, slots=True)
class LatencyFit:
    """
    How long answers take.

    Args:
        median: Median seconds of an answer, without those of its tokens.
        sigma: Sigma of the log-normal distribution around it.
        token_time: Seconds of each token; None if lengths vary too little to show it.
        travel: Seconds that a refusal took, which are the way; None if none was seen.
    """

    median: Estimate
    sigma: Estimate
    token_time: Estimate | None
    travel: Estimate | None


def fit_latency(answers: Sequence[Observation], refused: Sequence[float]) -> LatencyFit | None:
    """
    Return how long *answers* took; None if too few tell.

    Args:
        answers: The answers.
        refused: Seconds that refusals took.
    """
    points = [
        (float(one.output or 0), one.latency)
        for one in answers
        if one.latency is not None and 0 < one.latency < math.inf
    ]
    if len(points) < _ENOUGH:
        return None
    token_time = slope_of(points)
    if token_time is not None and token_time.low <= 0.0:
        token_time = None  # none that is told from chance
    per_token = 0.0 if token_time is None else token_time.value
    travel = _middle(sorted(refused)) if len(refused) >= _ENOUGH else None
    way = 0.0 if travel is None else travel.value
    rests = sorted(seconds - way - per_token * tokens for tokens, seconds in points)
    known = [rest for rest in rests if rest > _LEAST]
    if len(known) * 2 < len(rests):  # nothing but tokens and the way
        none = Estimate(0.0, 0.0, 0.0, len(points))
        return LatencyFit(none, none, token_time, travel)
    logs = [math.log(rest) for rest in known]
    n = len(logs)
    sigma = (quantile(logs, _HIGH) - quantile(logs, _LOW)) / 2
    if sigma < 1e-6:  # what floats leave of the same number
        sigma = 0.0
    error = sigma / math.sqrt(n)
    middle = quantile(known, 0.5)
    spread = math.exp(Z * _MEDIAN_ERROR * error)
    reach = Z * _SIGMA_ERROR * error
    return LatencyFit(
        Estimate(middle, middle / spread, middle * spread, n),
        Estimate(sigma, max(0.0, sigma - reach), sigma + reach, n),
        token_time,
        travel,
    )


def _middle(ordered: Sequence[float]) -> Estimate:
    """Return the median of *ordered*, with the interval by ranks."""
    n = len(ordered)
    reach = Z * math.sqrt(n) / 2
    low, high = max(0, math.floor(n / 2 - reach)), min(n - 1, math.ceil(n / 2 + reach))
    return Estimate(quantile(ordered, 0.5), ordered[low], ordered[high], n)
