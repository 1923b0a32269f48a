"""
Holds the fit of a provider: the numbers that a modelled provider needs to behave like it.

Values only, made of evidence by `fit_of`.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ratedispatch.simulate.fit.account_fit import AccountFit, fit_account
from ratedispatch.simulate.fit.fault_fit import fit_faults
from ratedispatch.simulate.fit.fit_text import lines_of
from ratedispatch.simulate.fit.latency_fit import LatencyFit, fit_latency
from ratedispatch.simulate.fit.output_fit import OutputFit, fit_outputs
from ratedispatch.simulate.fit.output_shapes import Sample, Shape
from ratedispatch.simulate.fit.places_fit import fit_places
from ratedispatch.simulate.fit.prompt_fit import PromptFit, fit_prompts
from ratedispatch.simulate.forecast.lengths import PARTS, Lengths

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from ratedispatch.simulate.fit.estimate import Estimate
    from ratedispatch.simulate.fit.observation import Evidence
    from ratedispatch.simulate.settings import ProviderSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """
    The fitted model of a provider.

    Args:
        source: What it was fitted to, in a few words.
        attempts: Attempts that were seen.
        answered: Those of them that were answered; all that is seen where attempts are not.
        skipped: Lines that told nothing that can be used.
        latency: How long answers take; None if not seen.
        places: Requests that the server works on at once; None if not seen. The latency is then
            that of an answer alone.
        outputs: How long they are; None if not seen.
        prompts: What is billed for prompts, by model; empty if not seen.
        account: What the account is like.
        faults: The rates of faults that were seen, by name.
        notes: What else is to be known of it, in sentences.
    """

    source: str
    attempts: int = 0
    answered: int = 0
    skipped: int = 0
    latency: LatencyFit | None = None
    places: Estimate | None = None
    outputs: OutputFit | None = None
    prompts: Mapping[str, PromptFit] = field(default_factory=dict)
    account: AccountFit = field(default_factory=AccountFit)
    faults: Mapping[str, Estimate] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def settings(self, base: ProviderSettings, given: Container[str] = ()) -> ProviderSettings:
        """
        Return *base* with what was seen in place of what it says.

        A limit that *base* has stays: somebody has told it.

        Args:
            base: A provider.
            given: Its fields that stay as they are, because somebody has set them.
        """
        found = self._changes()
        for name, dimension in _LIMITS.items():
            limit = self.account.limits.get(dimension)
            if limit and getattr(base, name) is None:
                found[name] = limit
        changes = {name: value for name, value in found.items() if name not in given}
        if "output_tokens" in given or "output_share" in given:
            for name in ("output_tokens", "output_lengths"):
                changes.pop(name, None)
        return dataclasses.replace(base, **changes)

    def _changes(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        latency, account = self.latency, self.account
        if latency is not None:
            found["latency"] = latency.median.value
            found["latency_sigma"] = latency.sigma.value
            found["token_time"] = 0.0 if latency.token_time is None else latency.token_time.value
        if self.places is not None:
            found["engine_slots"] = round(self.places.value)
        if account.depth is not None:
            found["burst_seconds"] = account.depth.value
        if account.charge is not None:
            found["refund"] = account.charge == "refunded"
            found["charge"] = "characters" if account.by_characters else "tokens"
        if account.window is not None:
            found["window"] = account.window
        if self.outputs is not None:
            found["output_tokens"] = _lengths(self.outputs, "")
            models = {model for model, _ in self.outputs.shapes if model}
            found["output_lengths"] = {
                model: _lengths(self.outputs, model) for model in sorted(models)
            }
        if self.attempts:
            found["faults"] = {name: rate.value for name, rate in self.faults.items()}
        return found

    @property
    def travel(self) -> float:
        """Seconds to the provider and back, as far as they were seen."""
        if self.latency is None or self.latency.travel is None:
            return 0.0
        return self.latency.travel.value

    def billed(self, model: str, counted: int) -> float:
        """Return the tokens that are likely to be billed for a prompt of *counted* tokens."""
        return self.prompts.get(model, _AS_COUNTED).billed(counted)

    def lines(self) -> list[str]:
        """Return what was seen for people, in short lines."""
        return lines_of(self)

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON; null for what was not seen."""
        latency, account, outputs = self.latency, self.account, self.outputs
        return {
            "source": self.source,
            "attempts": self.attempts,
            "answered": self.answered,
            "skipped": self.skipped,
            "latency": latency
            and {
                "median_s": latency.median.as_dict(),
                "sigma": latency.sigma.as_dict(),
                "token_time_s": latency.token_time and latency.token_time.as_dict(),
                "travel_s": latency.travel and latency.travel.as_dict(),
            },
            "places": self.places and self.places.as_dict(),
            "outputs": outputs
            and [
                {"model": model, "capped": is_capped, **_of_shape(shape)}
                for (model, is_capped), shape in outputs.shapes.items()
            ],
            "prompts": {name: dataclasses.asdict(one) for name, one in self.prompts.items()},
            "limits": dict(account.limits),
            "depth_s": account.depth and account.depth.as_dict(),
            "charge": account.charge,
            "by_characters": account.by_characters,
            "window": account.window,
            "faults": {name: rate.as_dict() for name, rate in self.faults.items()},
            "notes": list(self.notes),
        }


_AS_COUNTED = PromptFit()

#: The settings of a provider that are limits of an account, and their dimensions.
_LIMITS = {"requests_per_minute": "requests", "tokens_per_minute": "tokens"}


def _of_shape(shape: Shape) -> dict[str, Any]:
    return {
        "follows": {"tokens": None, "share": "cap"}.get(shape.name, "prompt"),
        "mean": shape.residuals.mean,
        "at_none": shape.at_none,
        "per_token": shape.per_token,
        "spread": shape.spread,
        "n": shape.n,
        "cut": shape.cut,
    }


def _lengths(outputs: OutputFit, model: str) -> Lengths:
    """Return the lengths of the outputs of *model*, or of those that are not told apart."""
    capped, free = outputs.of(model, 1), outputs.of(model, 0)
    if capped is free and capped.name != "share":
        return _distribution(capped)
    beside = _distribution(free)
    if free.name == "share":  # of no cap: all that is known are tokens
        beside = Lengths((outputs.mean,))
    return dataclasses.replace(_distribution(capped), uncapped=beside)


def _distribution(shape: Shape) -> Lengths:
    residuals = shape.all_lengths or shape.residuals
    parts = tuple(residuals.parts(min(PARTS, max(1, len(residuals.points)))))
    return Lengths(parts, are_shares=shape.name == "share")


def fit_of(evidence: Evidence, source: str) -> Fit:
    """Return what the provider is like of which *evidence* was gathered from *source*."""
    answers = evidence.answers
    samples = [
        Sample(one.model, one.prompt, one.cap or 0, one.output, one.is_cut)
        for one in answers
        if one.output is not None
    ]
    refused = [
        one.latency
        for one in evidence.attempts
        if one.decision == "rate_limit" and one.latency is not None
    ]
    pairs: dict[str, list[tuple[int, int]]] = {}
    for one in answers:
        if one.prompt > 0 and one.billed > 0:
            pairs.setdefault(one.model, []).append((one.prompt, one.billed))
    alone = fit_places(evidence.attempts)
    latency = fit_latency(answers if alone is None else alone.answers, refused)
    usual = [one.latency for one in answers if one.latency is not None]
    return Fit(
        source=source,
        attempts=sum(evidence.outcomes.values()) if evidence.tells_attempts else 0,
        answered=sum(n for (what, _, _), n in evidence.outcomes.items() if what == "answered"),
        skipped=evidence.skipped,
        latency=latency,
        places=None if alone is None else alone.places,
        outputs=fit_outputs(samples),
        prompts={model: fit_prompts(found) for model, found in pairs.items()},
        account=fit_account(evidence.limits, evidence.attempts),
        faults=fit_faults(
            evidence.outcomes, evidence.attempts, sorted(usual)[len(usual) // 2] if usual else 0.0
        ),
    )
