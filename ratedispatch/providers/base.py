"""
A provider: its hosts, how it charges, and what its answers mean.

Interprets each answer once: the body of an error is parsed a single time, and everything that is
wanted of it comes from that. Knows nothing of waiting, of clients or of buckets.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from ratedispatch.outcome import Decision, Interpretation
from ratedispatch.providers.charge import CAUTIOUS, ChargePolicy
from ratedispatch.providers.quirks import Quirks
from ratedispatch.providers.read.classify import classify, has_output, status_inside
from ratedispatch.providers.read.error_body import read_error
from ratedispatch.providers.read.headers import read_headers
from ratedispatch.providers.read.refusal import dimension_of, read_refusal, with_refused
from ratedispatch.providers.read.retry_after import read_delay
from ratedispatch.providers.read.usage import read_usage

if TYPE_CHECKING:
    from ratedispatch.limits import Reading
    from ratedispatch.outcome import Response, Usage
    from ratedispatch.providers.read.headers import HeaderTable

HeaderReader = Callable[[Mapping[str, str]], "tuple[Reading, ...]"]

#: Statuses of a refusal. 413 is one where a request is larger than the limit.
_REFUSED = frozenset({413, 429})


@dataclass(frozen=True, slots=True)
class Profile:
    """
    What is particular to one provider.

    Args:
        name: What it is called.
        hosts: Its hosts, or the ends of them after a dot.
        headers: The headers that describe its buckets.
        charge: How it charges a request at admission.
        quirks: Where its errors differ from what is common.
        read_headers: Reads headers whose names no table can hold; by default what *headers* says.
    """

    name: str
    hosts: tuple[str, ...] = ()
    headers: HeaderTable = ()
    charge: ChargePolicy = CAUTIOUS
    quirks: Quirks = field(default_factory=Quirks)
    read_headers: HeaderReader | None = None


class Provider:
    """
    Interprets the answers of one provider.

    Args:
        profile: What is particular to it.
        quirks: Those of all providers, because gateways pass on each other's errors.
    """

    __slots__ = ("_quirks", "_read_headers", "charge", "hosts", "name")

    def __init__(self, profile: Profile, quirks: tuple[Quirks, ...]) -> None:
        self.name = profile.name
        self.hosts = profile.hosts
        self.charge = profile.charge
        self._read_headers = profile.read_headers or partial(read_headers, profile.headers)
        self._quirks = quirks

    def __repr__(self) -> str:
        return f"<Provider {self.name}>"

    def interpret(self, response: Response) -> Interpretation:
        """Return everything that *response* says. Raises nothing, whatever a server sends."""
        body = response.body
        readings = self._read_headers(response.headers)
        usage = read_usage(body)
        if 200 <= response.status < 300:
            if not response.is_json or not isinstance(body, dict):
                code, message = "garbled_answer", "the answer has status 200 but is not JSON"
                return Interpretation(
                    Decision.TRANSIENT, code, message, readings=readings, usage=usage
                )
            is_error = body.get("error") or body.get("object") == "error"
            if not is_error or has_output(body):
                return Interpretation(Decision.ANSWERED, readings=readings, usage=usage)
        return self._interpret_error(response, readings, usage)

    def _interpret_error(
        self, response: Response, readings: tuple[Reading, ...], usage: Usage | None
    ) -> Interpretation:
        quirks, headers = self._quirks, response.headers
        error = read_error(response)
        status = response.status
        if 200 <= status < 300:
            status = status_inside(error, quirks)
            if not status:
                code = error.code or "error_in_answer"
                return Interpretation(
                    Decision.FAIL, code, error.message, readings=readings, usage=usage
                )
        delay = read_delay(error, headers, quirks)
        refusal = read_refusal(error, quirks) if status in _REFUSED else None
        decision, code = classify(status, error, refusal, delay, quirks)
        dimension = None
        if refusal is not None:
            dimension = dimension_of(error, refusal, quirks)
            if response.status == 429:
                readings = with_refused(readings, error, refusal, headers, quirks)
        return Interpretation(decision, code, error.message, delay, dimension, readings, usage)
