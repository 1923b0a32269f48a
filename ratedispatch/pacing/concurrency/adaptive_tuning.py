"""
The constants of the search for a number in flight. Values only.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log


@dataclass(frozen=True, slots=True)
class AdaptiveTuning:
    """
    What can be tuned of the search for a number in flight.

    Elasticity is d ln throughput / d ln in flight; ln marks a natural logarithm of a ratio.

    Args:
        patience_s: Where the rate is known, silence for so many seconds while room is what is
            short, or for a typical latency if that is longer, doubles the number: latency is
            longer than thought. A short answer over a network takes about as long.
        typical_share: The share of the newest answer in the typical latency.
        fewest_answers: Answers that make a reading: so many, or
        answers_per_place: so many for each that may be in flight. With log-normal latencies of
            sigma 0.8 the mean of 64 is off by 12 %.
        fewest_answers_doubling: The same while the number doubles, where a factor of two is
            easier to tell,
        answers_per_place_doubling: and for each place.
        decisive_elasticity: Doubling and halving go on while throughput gains, or would lose, at
            least half in proportion.
        worthwhile_elasticity: Up to this more in flight is not worth its latency. A queue has 0;
            an engine that is four times slower with 64 requests than with one still has 0.24.
        spread_ln: The two numbers of a pair lie this far from their centre: × 0.82 and × 1.22.
        gain_ln: The centre moves by this much per elasticity above or below what is worthwhile.
        longest_fall_ln: At most so far down at once,
        longest_rise_ln: and so far up.
        steep_elasticity: Two pairs in a row with it: so far below that it doubles again.
        fall_ln: Throughput this far below what is usual: the server has changed, or the requests.
        longest_check_ln: At most a quarter of the former number is tried then.
        newest_share: The share of the newest pair in what is usual.
        refused_factor: What a refusal leaves of the number; the factor of TCP CUBIC (RFC 9438).
        pairs_below_ceiling: What has been refused is kept away from for so many pairs: as CUBIC
            does, it stays long where it last went well.
    """

    patience_s: float = 0.25
    typical_share: float = 1 / 16
    fewest_answers: int = 64
    answers_per_place: int = 2
    fewest_answers_doubling: int = 24
    answers_per_place_doubling: int = 1
    decisive_elasticity: float = 0.5
    worthwhile_elasticity: float = 0.12
    spread_ln: float = 0.2
    gain_ln: float = 0.5
    longest_fall_ln: float = 0.2
    longest_rise_ln: float = 0.3
    steep_elasticity: float = 0.6
    fall_ln: float = 0.3
    longest_check_ln: float = log(4)
    newest_share: float = 0.3
    refused_factor: float = 0.7
    pairs_below_ceiling: int = 8
