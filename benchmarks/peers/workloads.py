"""
What is sent, to which server, and what everybody is told.

Decides rows, limits and bounds. Knows nothing of peers or processes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.frame.bounds import Account, Allowance, Step, tpm_for
from benchmarks.frame.workload import Workload, mixed

if TYPE_CHECKING:
    from collections.abc import Callable

_RPM = 3_000

#: Tokens per minute where requests are what binds: about twice what rows of 200 tokens need.
_AMPLE_TPM = 1_200_000

#: What is told where there are no limits: a hundred times what this machine can send, so that
#: everybody's bookkeeping is on and nobody waits for it.
_BOUNDLESS_RPM = 600_000
_BOUNDLESS_TPM = 600_000_000

#: Bound on requests in flight where there are limits: several times what the limits allow, and
#: few enough that no client stumbles over the number of its own connections.
_IN_FLIGHT = 100

_LATENCY = 0.2
_SIGMA = 0.3

#: Seconds from the server's start at which the limit of ``drop`` halves: later than the slowest
#: peer has been imported, and well before the fastest could be done.
_DROP_AT = 15.0


@dataclass(frozen=True, slots=True)
class Told:
    """
    What every peer is told.

    Args:
        rpm: Requests per minute.
        tpm: Tokens per minute.
        in_flight: The most requests unanswered at once.
    """

    rpm: int
    tpm: int
    in_flight: int


@dataclass(frozen=True, slots=True)
class Task:
    """
    A file and a server for it.

    Args:
        name: As on the command line.
        rows: Makes the file from a seed.
        burst_seconds: Depth of the server's buckets.
        latency: Median seconds of an answer.
        sigma: Its log-normal spread.
        bound: Seconds that the token limit is to make the lower bound; ``None`` if requests bind.
        drops_at: Seconds from the server's start at which the request limit halves, or ``None``.
        in_flight: The most requests unanswered at once, of everybody.
        has_limits: Whether the server has any.
    """

    name: str
    rows: Callable[[int], Workload]
    burst_seconds: float = 1.0
    latency: float = _LATENCY
    sigma: float = _SIGMA
    bound: float | None = None
    drops_at: float | None = None
    in_flight: int = _IN_FLIGHT
    has_limits: bool = True

    def told(self, workload: Workload) -> Told:
        """Return what every peer is told for *workload*."""
        if not self.has_limits:
            return Told(_BOUNDLESS_RPM, _BOUNDLESS_TPM, self.in_flight)
        tpm = _AMPLE_TPM
        if self.bound is not None:
            tpm = tpm_for(self.bound, workload.tokens, self.burst_seconds, self.latency)
        return Told(_RPM, tpm, self.in_flight)

    def server(self, workload: Workload, seed: int) -> list[str]:
        """Return the flags of the fake server for *workload*."""
        flags = ["--latency", str(self.latency), "--latency-sigma", str(self.sigma)]
        flags += ["--seed", str(seed)]
        if not self.has_limits:
            return flags
        told = self.told(workload)
        flags += ["--rpm", str(told.rpm), "--tpm", str(told.tpm)]
        flags += ["--burst-seconds", str(self.burst_seconds)]
        if self.drops_at is not None:
            flags += ["--change", f"{self.drops_at:g}:{told.rpm // 2}:-"]
        return flags

    def lower_bound(self, workload: Workload, first: float) -> float:
        """
        Return the seconds from the first arrival to the last answer that nobody can go below.

        Args:
            workload: The rows.
            first: Seconds from the server's start to the first arrival.
        """
        if not self.has_limits:
            return len(workload.rows) / self.in_flight * self.latency
        told = self.told(workload)
        if self.drops_at is not None:
            rate = told.rpm / 60
            halved = Step(self.drops_at, rate / 2)
            allowance = Allowance(
                rate, rate * self.burst_seconds, later=(halved,), latency=self.latency
            )
            return allowance.lower_bound(len(workload.rows), first)
        account = Account(told.rpm, told.tpm, self.burst_seconds, self.latency)
        return account.lower_bound(len(workload.rows), workload.tokens)

    def time_limit(self, workload: Workload) -> float:
        """Return the seconds after which a peer is ended: far more than it needs if it works."""
        return 14 * self.lower_bound(workload, 0.0) if self.has_limits else 300.0


def _alike(count: int) -> Callable[[int], Workload]:
    return lambda seed: mixed(count, seed, median=200, sigma=0.0)


def _various(seed: int) -> Workload:
    return mixed(600, seed)


TASKS: tuple[Task, ...] = (
    Task("paced", _alike(1_500)),
    Task("tokens", _various, burst_seconds=5.0, bound=40.0),
    Task("drop", _alike(1_000), drops_at=_DROP_AT),
    Task("free", _alike(6_000), latency=0.02, sigma=0.0, in_flight=200, has_limits=False),
)
