"""
A provider of LLM answers, without the network.

Decides what one arriving request gets: an answer, a refusal or a fault, when, and with which
headers. Does no I/O and never waits: instants and chance are arguments, so that the same
provider stands behind a real socket and behind a virtual clock.
Follows: the rate-limits and error-codes guides of OpenAI; the messages and headers it sends.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ratedispatch.testing.answers import answer_body, error_body, models_body
from ratedispatch.testing.calls import (
    Call,
    Problem,
    count_characters,
    endpoint_of,
    parse_body,
    read_call,
)
from ratedispatch.testing.durations import go_duration
from ratedispatch.testing.faults import ANSWER_FAULTS, draw_fault
from ratedispatch.testing.settings import ProviderSettings, check_limit
from ratedispatch.testing.windows import MINUTE, FixedWindow, SlidingLog, TokenBucket, Window

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping

    from ratedispatch.testing.calls import Counter

__all__ = ["Provider", "ProviderSettings", "Reply"]

ORGANIZATION = "org-fake"
_JSON = "application/json"
_SHORT = {"requests": "RPM", "tokens": "TPM"}
_HEADER_NAMES = {
    name: tuple(f"x-ratelimit-{what}-{name}" for what in ("limit", "remaining", "reset"))
    for name in _SHORT
}

#: Bodies that are remembered once read, so that a retry is not counted again; each at most
#: `_LONGEST_REMEMBERED` bytes: 32 MiB at the very most.
_REMEMBERED = 4096
_LONGEST_REMEMBERED = 8192


@dataclass(slots=True)
class Reply:
    """
    What one arriving request gets.

    Args:
        status: HTTP status.
        headers: By lower-case name; without ``content-length``.
        body: Complete.
        kind: ``answer``; a refusal: ``requests``, ``tokens``, ``too_large``, ``quota``,
            ``outage``; a fault's name; or ``invalid`` for what made no sense; ``other`` for
            what is no request (the list of models).
        delay: Seconds from arrival to answer.
        call: What was asked, if it made sense.
        fault: The fault that strikes, if any. Faults named in `faults.WIRE_FAULTS` have to be
            acted out on the connection; the body is then what would have been sent.
        charged: Tokens taken at admission; 0 if it was not admitted.
        actual: Tokens really used, once answered.
        tickets: For `Provider.finish`.
    """

    status: int
    headers: dict[str, str]
    body: bytes
    kind: str
    delay: float = 0.0
    call: Call | None = None
    fault: str | None = None
    charged: int = 0
    actual: int = 0
    tickets: tuple[int, ...] = ()

    @property
    def is_admitted(self) -> bool:
        """Whether the limits were charged for it."""
        return self.kind == "answer" or self.fault is not None


class Provider:
    """
    The state of a provider: its windows, its quota, its chance.

    Args:
        settings: How it behaves.
        rng: Draws latencies and faults: of each admitted request first the faults in the order
            of the settings, then the latency.
        now: Loop time in seconds at which it starts.
        count: Counts the tokens of a body for an endpoint; by default as ``settings.charge``
            says.
    """

    def __init__(
        self,
        settings: ProviderSettings,
        *,
        rng: random.Random,
        now: float,
        count: Counter | None = None,
    ) -> None:
        self.settings = settings
        self.admitted = 0
        self._rng = rng
        self._start = now
        self._number = 0
        self._count = count or _counter(settings.charge)
        self._remembered: dict[tuple[str, str | None, bytes], Call] = {}
        self._windows: dict[str, tuple[Window, ...]] = {}
        self.set_limits(settings.requests_per_minute, settings.tokens_per_minute, now)

    @property
    def limits(self) -> dict[str, float | None]:
        """The limits per minute in force now, by dimension."""
        return {
            name: self._windows[name][0].limit if name in self._windows else None
            for name in ("requests", "tokens")
        }

    def set_limits(self, requests: float | None, tokens: float | None, now: float) -> None:
        """
        Change both limits per minute; None lifts one.

        What is already spent stays spent; what a bucket holds is kept, up to its new depth.
        """
        for name, limit in (("requests", requests), ("tokens", tokens)):
            check_limit(name, limit)
            if limit is None:
                self._windows.pop(name, None)
            elif name in self._windows:
                for window, part in zip(self._windows[name], self._parts(name, limit), strict=True):
                    window.resize(part, now)
            else:
                self._windows[name] = self._make_windows(name, limit, now)

    def arrive(
        self, path: str, headers: Mapping[str, str], body: bytes | Mapping[str, Any], now: float
    ) -> Reply:
        """
        Return what a POST gets that arrives *now*, and charge the limits for it.

        Args:
            path: With or without ``/v1`` in front.
            headers: Looked up by the names ``authorization`` and ``x-client-request-id``.
            body: JSON, as bytes or as an object.
            now: Loop time in seconds.
        """
        self._number += 1
        try:
            self._check_key(headers)
            call = self._read(endpoint_of(path), headers.get("x-client-request-id"), body)
        except Problem as problem:
            return self._problem(problem)
        return self._refuse(call, now) or self._admit(call, now)

    def get(self, path: str, headers: Mapping[str, str]) -> Reply:
        """Return what a GET gets: the models, or 404."""
        self._number += 1
        try:
            self._check_key(headers)
            endpoint = endpoint_of(path)
            if endpoint == "/v1/models":
                return Reply(200, self._headers(None, 0.0), models_body(), "other")
            raise Problem(404, f"Unknown request URL: GET {endpoint}.", code="unknown_url")
        except Problem as problem:
            return self._problem(problem)

    def finish(self, reply: Reply, now: float) -> int:
        """
        Note that *reply* has been sent; return the tokens given back to the limits.

        Nothing is given back unless the settings say ``settle`` and it was a real answer. Below
        zero: more was used than charged.
        """
        if not self.settings.settle or reply.kind != "answer":
            return 0
        surplus = reply.charged - reply.actual
        windows = self._windows.get("tokens", ())
        # zip: a limit that was lifted or set meanwhile has no tickets of this request
        for window, ticket in zip(windows, reply.tickets, strict=False):
            window.give(ticket, surplus, now)
        return surplus

    def _check_key(self, headers: Mapping[str, str]) -> None:
        wanted = self.settings.api_key
        if wanted is None:
            return
        scheme, _, key = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and key == wanted:
            return
        raise Problem(
            401,
            "Incorrect API key provided." if key else "You didn't provide an API key.",
            code="invalid_api_key" if key else None,
        )

    def _read(self, endpoint: str, client_id: str | None, body: bytes | Mapping[str, Any]) -> Call:
        if not isinstance(body, bytes):
            return read_call(endpoint, body, client_id, self._count)
        if len(body) > _LONGEST_REMEMBERED:
            return read_call(endpoint, parse_body(body), client_id, self._count)
        key = (endpoint, client_id, body)
        call = self._remembered.get(key)
        if call is None:
            call = read_call(endpoint, parse_body(body), client_id, self._count)
            if len(self._remembered) >= _REMEMBERED:
                del self._remembered[next(iter(self._remembered))]
        else:
            del self._remembered[key]  # back in as the newest
        self._remembered[key] = call
        return call

    def _refuse(self, call: Call, now: float) -> Reply | None:
        """Return the refusal of *call*, or None if it can go now."""
        settings = self.settings
        if settings.outage is not None:
            start, length = settings.outage
            if start <= now - self._start < start + length:
                wait = self._start + start + length - now
                return self._throttle(call, "requests", wait, wait, now, kind="outage")
        if settings.quota is not None and self.admitted >= settings.quota:
            return self._error(
                call,
                "quota",
                now,
                "You exceeded your current quota, please check your plan and billing details.",
                "insufficient_quota",
                "insufficient_quota",
            )
        worst, found = 0.0, ""
        for name, windows in self._windows.items():
            amount = call.tokens if name == "tokens" else 1
            if amount > windows[0].limit:
                return self._too_large(call, name, amount, now)
            for window in windows:
                wait = window.wait(amount, now)
                if wait > worst:
                    worst, found = wait, name
        if not found:
            return None
        amount = call.tokens if found == "tokens" else 1
        quoted = max(window.quoted_wait(amount, now) for window in self._windows[found])
        reply = self._throttle(call, found, worst, quoted, now, kind=found)
        if settings.refusals_count:
            for window in self._windows.get("requests", ()):
                window.take(max(0.0, min(1.0, window.remaining(now))), now)
        return reply

    def _admit(self, call: Call, now: float) -> Reply:
        settings, rng = self.settings, self._rng
        self.admitted += 1
        tickets: tuple[int, ...] = ()
        for name, windows in self._windows.items():
            if name == "tokens":
                tickets = tuple(window.take(call.tokens, now) for window in windows)
            else:
                for window in windows:
                    window.take(1, now)
        fault = draw_fault(settings.faults, rng) if settings.faults else None
        length = self._output_length(call)
        delay = settings.latency + settings.token_time * length
        if settings.latency and settings.latency_sigma:
            factor = rng.lognormvariate(0.0, settings.latency_sigma)
            delay += settings.latency * (factor - 1)
        reply = Reply(
            200,
            self._headers(now, delay),
            b"",
            fault or "answer",
            delay,
            call,
            fault,
            call.tokens,
            call.prompt_tokens + length * call.outputs,
            tickets,
        )
        if fault is not None and fault in ANSWER_FAULTS:
            answer = ANSWER_FAULTS[fault]
            reply.status, reply.body = answer.status, answer.body
            if answer.bare:
                reply.headers.clear()
            reply.headers["content-type"] = answer.content_type
            return reply
        finish = "length" if length >= call.output_cap else "stop"
        reply.body = answer_body(call, length, finish, self._number)
        return reply

    def _output_length(self, call: Call) -> int:
        if call.output_cap == 0:
            return 0
        wanted = self.settings.output_tokens
        if wanted is None:
            wanted = round(call.output_cap * self.settings.output_share)
        return max(1, min(wanted, call.output_cap))

    def _throttle(
        self, call: Call, name: str, wait: float, quoted: float, now: float, *, kind: str
    ) -> Reply:
        limit, used = 0.0, 0
        if name in self._windows:
            window = self._windows[name][0]
            limit = window.limit
            used = math.ceil(limit - window.remaining(now) - 1e-6)
        amount = call.tokens if name == "tokens" else 1
        reply = self._error(
            call,
            kind,
            now,
            f"Rate limit reached for {call.model} in organization {ORGANIZATION} on {name} per "
            f"min ({_SHORT[name]}): Limit {limit:.0f}, Used {used}, Requested {amount}. Please "
            f"try again in {go_duration(quoted)}. Visit "
            "https://platform.openai.com/account/rate-limits to learn more.",
            name,
            "rate_limit_exceeded",
        )
        # 1e-6: a wait of exactly 20 s must not become 21 by the rounding of a sum
        reply.headers["retry-after"] = str(math.ceil(wait - 1e-6))
        reply.headers["retry-after-ms"] = str(math.ceil(wait * 1000 - 1e-6))
        return reply

    def _too_large(self, call: Call, name: str, amount: int, now: float) -> Reply:
        limit = self._windows[name][0].limit
        return self._error(
            call,
            "too_large",
            now,
            f"Request too large for {call.model} in organization {ORGANIZATION} on {name} per "
            f"min ({_SHORT[name]}): Limit {limit:.0f}, Requested {amount}. The input or output "
            "tokens must be reduced in order to run successfully. Visit "
            "https://platform.openai.com/account/rate-limits to learn more.",
            name,
            "rate_limit_exceeded",
        )

    def _error(
        self, call: Call, kind: str, now: float, message: str, type_: str, code: str
    ) -> Reply:
        body = error_body(message, kind=type_, code=code)
        return Reply(429, self._headers(now, 0.0), body, kind, 0.0, call)

    def _problem(self, problem: Problem) -> Reply:
        body = error_body(
            problem.message, kind=problem.kind, code=problem.code, param=problem.param
        )
        return Reply(problem.status, self._headers(None, 0.0), body, "invalid")

    def _headers(self, now: float | None, delay: float) -> dict[str, str]:
        """Return the headers of an answer; those of the limits only with a *now*."""
        headers = {
            "content-type": _JSON,
            "x-request-id": f"req_{self._number:032x}",
            "openai-processing-ms": str(int(delay * 1000)),
            "openai-version": "2020-10-01",
        }
        if now is not None and self.settings.headers:
            for name, windows in self._windows.items():
                window = windows[0]
                remaining = max(0, math.floor(window.remaining(now) + 1e-6))
                limit, left, reset = _HEADER_NAMES[name]
                headers[limit] = f"{window.limit:.0f}"
                headers[left] = str(remaining)
                headers[reset] = go_duration(window.reset(now))
        return headers

    def _parts(self, name: str, limit: float) -> tuple[float, ...]:
        """Return the limits of the windows that *limit* per minute is enforced by."""
        if self.settings.window == "fixed" and name == "requests":
            # Azure: 600 per minute are refused above 10 in a second
            return limit, math.ceil(limit / MINUTE)
        return (limit,)

    def _make_windows(self, name: str, limit: float, now: float) -> tuple[Window, ...]:
        settings = self.settings
        full = settings.start == "full"
        if settings.window == "bucket":
            return (TokenBucket(limit, now, depth=settings.burst_seconds, full=full),)
        if settings.window == "sliding":
            return (SlidingLog(limit, now, full=full),)
        widths = (MINUTE, 1.0)
        return tuple(
            FixedWindow(part, now, width=width, full=full)
            for part, width in zip(self._parts(name, limit), widths, strict=False)
        )


def _counter(charge: str) -> Counter:
    if charge == "characters":
        return count_characters
    # here: it loads a vocabulary of some megabytes, which the other way of counting never needs
    from ratedispatch.tokens import count_tokens

    return count_tokens
