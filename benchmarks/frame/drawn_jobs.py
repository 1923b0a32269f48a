"""
Jobs drawn at random, each made to take some ten to twenty-five seconds.

Decides rows, limits, how deep the provider's buckets are, how slow and how faulty it is, and how
rows are sent. The same seed gives the same jobs. Knows nothing of who runs them.
"""

from __future__ import annotations

import json
import math
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ratedispatch.simulate.settings import ProviderSettings

if TYPE_CHECKING:
    from pathlib import Path

_MODEL = "gpt-4o-mini"
_WORDS = ("the", "cup", "of", "tea", "is", "on", "a", "tin", "box", "by", "my", "bed", "so", "he")

#: Tokens of a row besides its words and its cap.
_OVERHEAD = 8

#: Rows of the largest job: more in ten seconds need a machine of their own.
_MOST_ROWS = 2_500
_FEWEST_ROWS = 60

#: Chance alone decides when the last of the answers in flight comes, and whether it is one that is
#: asked for again: more than this spread, and this latency where there are faults, would move the
#: end of so short a job by percents that nobody can know.
_CHANCE_SECONDS = 0.3
_LONGEST_WITH_FAULTS = 1.5

_FAULTS = ("500", "503", "reset", "slow_down")


@dataclass(frozen=True, slots=True)
class DrawnJob:
    """
    A job, and the provider it meets.

    Args:
        number: Which one.
        words: Of the prompt of each row.
        caps: Of the output of each row.
        rpm: Limit on requests.
        tpm: Limit on tokens.
        depth: Seconds of rate that the provider's buckets hold.
        latency: Median seconds of an answer.
        sigma: Of their spread.
        share: Of the cap that an output has.
        refund: Whether the provider gives back what was not used.
        order: In which order rows are sent.
        faults: Rates by name.
    """

    number: int
    words: tuple[int, ...]
    caps: tuple[int, ...]
    rpm: int
    tpm: int
    depth: float
    latency: float
    sigma: float
    share: float
    refund: bool
    order: str
    faults: dict[str, float]

    def __str__(self) -> str:
        faults = ", ".join(f"{rate:.1%} {name}" for name, rate in self.faults.items())
        sizes = f"{min(self.words)}..{max(self.words)} words, cap {self.caps[0]}"
        return (
            f"{len(self.words):,} rows of {sizes}, {self.rpm:,} RPM, {self.tpm:,} TPM, "
            f"{self.depth:g} s deep, {self.latency:g} s ± {self.sigma:g}, share {self.share:g}"
            f"{', refund' if self.refund else ''}, {self.order}{', ' if faults else ''}{faults}"
        )

    def write(self, path: Path) -> None:
        """Write its rows to *path* in OpenAI's Batch format."""
        with path.open("w", encoding="utf-8") as file:
            for row in self.rows():
                file.write(json.dumps(row) + "\n")

    def rows(self) -> list[dict[str, Any]]:
        """Return its rows in OpenAI's Batch format."""
        found = []
        for index, (count, cap) in enumerate(zip(self.words, self.caps, strict=True)):
            text = " ".join(_WORDS[place % len(_WORDS)] for place in range(count))
            messages = [{"role": "user", "content": text}]
            body = {"model": _MODEL, "messages": messages, "max_tokens": cap}
            url = "/v1/chat/completions"
            found.append({"custom_id": f"r{index}", "method": "POST", "url": url, "body": body})
        return found

    @property
    def settings(self) -> ProviderSettings:
        """The provider."""
        return ProviderSettings(
            requests_per_minute=self.rpm,
            tokens_per_minute=self.tpm,
            burst_seconds=self.depth,
            latency=self.latency,
            latency_sigma=self.sigma,
            output_share=self.share,
            refund=self.refund,
            faults=self.faults,
        )

    @property
    def provider_flags(self) -> list[str]:
        """The same as flags of ``fake-server``."""
        flags = ["--rpm", str(self.rpm), "--tpm", str(self.tpm)]
        flags += ["--burst-seconds", str(self.depth), "--latency", str(self.latency)]
        flags += ["--latency-sigma", str(self.sigma), "--output-share", str(self.share)]
        flags += ["--refund"] if self.refund else []
        for name, rate in self.faults.items():
            flags += ["--fault", f"{name}={rate}"]
        return flags


def drawn_jobs(count: int, seed: int) -> list[DrawnJob]:
    """Return *count* jobs; the first of more are the same."""
    return [_draw(number, random.Random(f"{seed} {number}")) for number in range(count)]


def _draw(number: int, rng: random.Random) -> DrawnJob:
    depth = round(_between(rng, 1.0, 60.0), 1)
    latency = round(_between(rng, 0.1, 5.0), 2)
    sigma = round(rng.uniform(0.0, min(0.5, _CHANCE_SECONDS / latency)), 2)
    steady = max(5.0, rng.uniform(10.0, 25.0) - 1.5 * latency)
    most = _MOST_ROWS / (steady + depth)
    per_second = _between(rng, min(5.0, most / 4), most)
    count = max(_FEWEST_ROWS, round(per_second * (steady + depth)))
    cap = round(_between(rng, 16.0, 400.0))
    share = round(rng.uniform(0.1, 1.0), 2)
    refund = rng.random() < 0.4
    words = _words(rng, count)
    charged = [one + _OVERHEAD + (cap * share if refund else cap) for one in words]
    mean = sum(charged) / count
    slack = rng.uniform(1.3, 4.0)
    by_requests = rng.random() < 0.5
    rpm = per_second * 60 * (1.0 if by_requests else slack)
    tpm = per_second * mean * 60 * (slack if by_requests else 1.0)
    faults = {}
    if latency <= _LONGEST_WITH_FAULTS and rng.random() < 0.8:
        faults[rng.choice(_FAULTS)] = round(rng.uniform(0.002, 0.02), 3)
    order = rng.choice(("auto", "file", "interleave"))
    return DrawnJob(
        number, words, (cap,) * count, round(rpm), round(tpm), depth, latency, sigma, share,
        refund, order, faults,
    )  # fmt: skip


def _words(rng: random.Random, count: int) -> tuple[int, ...]:
    """Return how many words each row has: the same, log-normal, or that sorted."""
    median = _between(rng, 10.0, 200.0)
    kind = rng.choice(("fixed", "log-normal", "sorted"))
    if kind == "fixed":
        return (round(median),) * count
    sigma = rng.uniform(0.2, 0.9)
    drawn = [
        min(2_000, max(1, round(rng.lognormvariate(math.log(median), sigma)))) for _ in range(count)
    ]
    return tuple(sorted(drawn) if kind == "sorted" else drawn)


def _between(rng: random.Random, low: float, high: float) -> float:
    """Return a number of which every factor is as likely."""
    return math.exp(rng.uniform(math.log(low), math.log(high)))
