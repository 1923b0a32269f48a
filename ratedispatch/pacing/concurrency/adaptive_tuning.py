"""
The constants of the search for a number in flight. Values only.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AdaptiveTuning:
    """
    What can be tuned of the search for a number in flight.

    Elasticity is d ln throughput / d ln in flight; ln marks a natural logarithm of a ratio.

    Args:
        patience_s: Where the rate is known, silence for so many seconds while room is what is
            short, or for as long as the newest answer took if that is longer, doubles the
            number: latency is longer than thought. A short answer over a network takes as long.
        fewest_answers: Answers that make a reading: so many, or
        answers_per_place: so many for each that may be in flight. With log-normal latencies of
            sigma 0.8 the mean of 64 is off by 12 %.
        fewest_answers_doubling: The same while the number doubles, where a factor of two is easier
            to tell; twice as many while it halves, which costs throughput if it is wrong,
        answers_per_place_doubling: and for each place.
        decisive_elasticity: Doubling and halving go on while throughput gains, or would lose, at
            least half in proportion.
        halving_elasticity: Below, as many in flight gain nothing over half of them: a server that
            is full in the middle between two numbers has 0.5, one that was full before has 0.
        sure_deviations: A doubling that gained by more standard deviations than this did not gain
            by chance. So many, as answers of a full server are not independent of one another,
            and the first are quicker than those that follow.
        least_growth: Where a rate is known, doubling also ends where the answers that come in a
            second grow by less than a quarter in proportion: more in flight would wait in this
            process. Less is asked of the clock than of latencies, as it counts every stall, too.
        worthwhile_elasticity: Up to this more in flight is not worth its latency. A queue has 0;
            an engine that is four times slower with 64 requests than with one still has 0.24.
        spread_ln: The two numbers of a pair lie this far from their centre: × 0.84 and × 1.20.
        readings_at_centre: For so many readings the centre is held before a pair: half of the
            time, as the numbers beside it cost throughput or latency. Each pair that turns back
            doubles it,
        most_readings_at_centre: up to so many: a server that changes is followed within some
            dozens of its latencies.
        gain_ln: The centre moves by this much per elasticity above or below what is worthwhile;
            by twice as much where the pair before moved it the same way.
        refused_factor: What a refusal leaves of the number.
        pairs_below_ceiling: What has been refused is kept away from for so many pairs: as TCP
            CUBIC (RFC 9438) does, it stays long where it last went well.
    """

    patience_s: float = 0.25
    fewest_answers: int = 64
    answers_per_place: float = 2.0
    fewest_answers_doubling: int = 10
    answers_per_place_doubling: float = 0.5
    decisive_elasticity: float = 0.5
    halving_elasticity: float = 0.35
    sure_deviations: float = 4.0
    least_growth: float = 0.25
    worthwhile_elasticity: float = 0.12
    spread_ln: float = 0.18
    readings_at_centre: int = 2
    most_readings_at_centre: int = 8
    gain_ln: float = 0.25
    refused_factor: float = 0.8
    pairs_below_ceiling: int = 4
