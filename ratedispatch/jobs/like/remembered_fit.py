"""
Makes a fit from the memory of an account: its limits, its charge policy, and a usual latency.

The memory has the 95th percentile of output lengths and not their mean: it is shown, but not
simulated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ratedispatch.errors import JobError
from ratedispatch.memory import facts
from ratedispatch.memory.account_names import place_of
from ratedispatch.pacing.limit.account import BY_TOKENS
from ratedispatch.simulate.fit.account_fit import AccountFit
from ratedispatch.simulate.fit.estimate import Estimate
from ratedispatch.simulate.fit.fit import Fit
from ratedispatch.simulate.fit.fit_text import shown
from ratedispatch.simulate.fit.latency_fit import LatencyFit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ratedispatch.memory.fact_file import Account
    from ratedispatch.memory.facts import Fact
    from ratedispatch.simulate.fit.account_fit import Charge

#: Where requests go without a base URL.
_OPENAI = "https://api.openai.com/v1"

#: Models whose lengths are told.
_MOST_TOLD = 8

#: Sigma of latencies where only one is remembered, as the fake provider's.
_SIGMA = 0.3


def like_memory(accounts: Iterable[Account], base_url: str | None, now: float) -> Fit:
    """
    Return what is remembered of the server at *base_url*.

    Args:
        accounts: What is remembered, of all servers.
        base_url: Where requests go; None for OpenAI.
        now: Seconds of the wall clock.

    Raises:
        JobError: Nothing is, or nothing that counts any more; says the way out.
    """
    place = place_of(base_url or _OPENAI)
    found = [fact for account in accounts if account.place == place for fact in account.facts]
    known = {(fact.kind, fact.of): fact for fact in reversed(facts.fresh(found, now))}
    if not known:
        raise JobError(
            f"--like memory: nothing is remembered about {place or base_url}; see ratedispatch "
            f"memory show, or give the event log or the output of a run"
        )
    latency = known.get((facts.LATENCY, ""))
    outputs = [
        f"outputs: 95 % of those of {shown(of)} within {fact.value:,} tokens; the mean is not "
        f"remembered"
        for (kind, of), fact in known.items()
        if kind == facts.OUTPUT
    ]
    return Fit(
        source=f"what is remembered about {place}",
        latency=None if latency is None else _latency(latency.value),
        account=_account(known),
        notes=tuple(outputs[:_MOST_TOLD]),
    )


def _latency(seconds: float) -> LatencyFit:
    return LatencyFit(
        Estimate(seconds, seconds, seconds, 1), Estimate(_SIGMA, 0.0, 1.0, 0), None, None
    )


def _account(known: Mapping[tuple[str, str], Fact]) -> AccountFit:
    limits = {of: float(fact.value) for (kind, of), fact in known.items() if kind == facts.LIMIT}
    rule = known.get((facts.RULE, "tokens"))
    charge: Charge | None = None
    by_characters = False
    if rule is not None:
        prompt, output, refunds = rule.value
        charge = "refunded" if refunds else "reserved" if output else "prompt"
        by_characters = prompt != BY_TOKENS
    return AccountFit(limits, None, charge, by_characters, 1 if charge else 0, None)
