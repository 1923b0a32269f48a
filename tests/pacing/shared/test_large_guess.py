"""A guess at a limit that is never met: it is doubled over and over, and that is no nonsense."""

from __future__ import annotations

from ratedispatch import Limits
from ratedispatch.pacing.shared.memory_store import SharedRecord
from ratedispatch.pacing.shared.shared_budget import SharedBudget
from ratedispatch.pacing.shared.sheet_check import _is_likely


def test_a_guess_that_was_doubled_forty_times_can_be_learned() -> None:
    budget = SharedBudget(Limits(600, "auto"), SharedRecord().join())
    (tokens,) = [one for one in budget.levels(0.0) if one.dimension == "tokens"]
    assert _is_likely(tokens.per_minute * 2.0**40)
    assert _is_likely(1.25 * 2.0**100)  # as what may be spent of a surplus was seen to be
    assert not _is_likely(float("nan"))
