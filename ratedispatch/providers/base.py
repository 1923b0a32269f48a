"""
A provider: its hosts, its charge policy, and the meaning of its responses.

Interprets each response once: the body of an error is parsed a single time, and everything needed
is taken from that. Knows nothing of waiting, of clients or of buckets.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from ratedispatch.outcome import Decision, Interpretation
from ratedispatch.providers.charge import CAUTIOUS, ChargePolicy
from ratedispatch.providers.quirks import Quirks
from ratedispatch.providers.read.classify import classify, moved, status_inside, unanswered
from ratedispatch.providers.read.error_body import read_error
from ratedispatch.providers.read.headers import read_headers
from ratedispatch.providers.read.money import weigh
from ratedispatch.providers.read.refusal import dimension_of, read_refusal, with_refused
from ratedispatch.providers.read.retry_after import read_delay
from ratedispatch.providers.read.sign import ENDED, holds_answer
from ratedispatch.providers.read.usage import read_usage
from ratedispatch.request import CHAT

if TYPE_CHECKING:
    from ratedispatch.limits import Reading
    from ratedispatch.outcome import Response, Usage
    from ratedispatch.providers.read.headers import HeaderTable

HeaderReader = Callable[[Mapping[str, str]], "tuple[Reading, ...]"]

#: Statuses of a refusal. 413 is one where a request is larger than the limit.
_REFUSED = frozenset({413, 429})

#: Endpoints of a chat; an empty one is not known.
_CHATS = frozenset({CHAT, ""})


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
        quirks: The quirks of all providers, because gateways pass on each other's errors.
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

    def readings(self, headers: Mapping[str, str]) -> tuple[Reading, ...]:
        """Return what the *headers* of an answer, by lower-case name, say about the buckets."""
        return self._read_headers(headers)

    def interpret(self, response: Response, endpoint: str = "") -> Interpretation:
        """
        Return everything that *response* says. Raises nothing, whatever a server sends.

        Args:
            response: What came back.
            endpoint: Where the request went; of one that is not known, an answer is any object
                without a sign of a failure.
        """
        body = response.body
        readings = self._read_headers(response.headers)
        usage = read_usage(body)
        if 200 <= response.status < 300:
            try:  # nearly every answer there is, without a further call
                choice = body["choices"][0]
                text = choice["message"]["content"]
                is_answer = choice["finish_reason"] in ENDED and type(text) is str and text != ""
                is_answer = is_answer and endpoint in _CHATS and "error" not in choice
            except (LookupError, TypeError):
                is_answer = False
            if not is_answer and response.is_json and isinstance(body, dict):
                is_answer = holds_answer(body, endpoint, usage)
            if is_answer:
                return Interpretation(Decision.ANSWERED, readings=readings, usage=usage)
        elif 300 <= response.status < 400 and response.headers.get("location"):
            code, message = moved(response, endpoint)
            return Interpretation(Decision.STOP, code, message, readings=readings)
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
                decision, code, message = unanswered(response, error)
                delay = read_delay(error, headers, quirks)
                if delay is not None:
                    decision = Decision.TRANSIENT
                decision = weigh(decision, status, error, delay)
                return Interpretation(
                    decision, code, message, delay, readings=readings, usage=usage
                )
        delay = read_delay(error, headers, quirks)
        refusal = read_refusal(error, quirks) if status in _REFUSED else None
        decision, code = classify(status, error, refusal, delay, quirks)
        dimension = None
        if refusal is not None:
            dimension = dimension_of(error, refusal, quirks)
            if response.status == 429:
                readings = with_refused(readings, error, refusal, headers, quirks)
        if dimension is None:  # a limit that is named is no lack of money
            decision = weigh(decision, status, error, delay)
        return Interpretation(decision, code, error.message, delay, dimension, readings, usage)
