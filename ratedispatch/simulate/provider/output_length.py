"""
Decides the output length of a request.

Decides which setting of a provider applies, and draws from it if it is a distribution.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ratedispatch.simulate.provider.allowance import is_named

if TYPE_CHECKING:
    import random

    from ratedispatch.simulate.provider.calls import Call
    from ratedispatch.simulate.settings import ProviderSettings


def output_length(settings: ProviderSettings, call: Call, rng: random.Random) -> int:
    """Return the tokens of each output of *call*; *rng* is asked for a distribution only."""
    if call.output_cap == 0:
        return 0
    cap = call.output_cap if call.is_capped else 0
    wanted = settings.output_tokens
    for name, lengths in settings.output_lengths.items():
        if is_named(call.model, name):
            wanted = lengths
            break
    if wanted is None:
        return max(1, round(call.output_cap * settings.output_share))
    if not isinstance(wanted, int):
        return wanted.draw(rng, cap)
    return max(1, min(wanted, cap) if cap else wanted)
