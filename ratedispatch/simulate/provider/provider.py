"""
A provider of LLM answers, without the network.

Decides what one arriving request gets: an answer, a refusal or a fault, when, and with which
headers. Does no I/O and never waits: instants and chance are arguments, so that the same
provider stands behind a real socket and behind a virtual clock.
Follows: the rate-limits and error-codes guides of OpenAI; the messages and headers it sends.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ratedispatch.simulate.provider.allowance import (
    RPM,
    Allowance,
    Allowances,
    Block,
    give,
)
from ratedispatch.simulate.provider.answer_events import make_stream
from ratedispatch.simulate.provider.answers import answer_body, error_body, models_body
from ratedispatch.simulate.provider.call_reader import CallReader, counter
from ratedispatch.simulate.provider.calls import Call, Problem
from ratedispatch.simulate.provider.engine_slots import EngineSlots
from ratedispatch.simulate.provider.faults import (
    ANSWER_FAULTS,
    STREAM_FAULTS,
    draw_fault,
    fault_at,
)
from ratedispatch.simulate.provider.limit_headers import describe_limits
from ratedispatch.simulate.provider.output_length import output_length
from ratedispatch.simulate.provider.refusal_text import (
    QUEUE_FULL,
    advise,
    throttle_text,
    too_large_text,
)
from ratedispatch.simulate.provider.reply import Reply
from ratedispatch.simulate.provider.request_paths import target_of
from ratedispatch.simulate.provider.schedule import Competitor, make_events
from ratedispatch.simulate.provider.standing import Standing
from ratedispatch.simulate.settings import ProviderSettings, check_limit

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Mapping

    from ratedispatch.simulate.provider.calls import Counter

__all__ = ["Provider", "ProviderSettings", "Reply"]

_JSON = "application/json"
_OUT_OF_QUOTA = "You exceeded your current quota, please check your plan and billing details."


class Provider:
    """
    The state of a provider: its windows, its quota, its places of work, its chance.

    Args:
        settings: How it behaves.
        rng: Draws faults, lengths and latencies: of each admitted request first the faults in
            the order of the settings, then the length if it is a distribution, then the latency.
        now: Loop time in seconds at which it starts.
        count: Counts the tokens of a body for an endpoint; by default as ``settings.charge``
            says.
        answer: Writes the body of an answer; by default as `answers.answer_body`.

    Attributes:
        admitted: Requests charged so far, without the other client's.
        charged: Tokens charged for them, without what was given back.
        competitor: The books of the other client, up to the last arrival or `catch_up`.
        slots: The places of work; None when they are not bounded.
        on_limits: Called with the general limits per minute and the instant of their change.
    """

    def __init__(
        self,
        settings: ProviderSettings,
        *,
        rng: random.Random,
        now: float,
        count: Counter | None = None,
        answer: Callable[[Call, int, str, int], bytes] = answer_body,
    ) -> None:
        self.settings = settings
        self.admitted = 0
        self.charged = 0
        self.competitor = Competitor()
        self.slots: EngineSlots | None = None
        if settings.engine_slots is not None:
            self.slots = EngineSlots(
                settings.engine_slots, settings.queue, settings.engine_batching
            )
        self.on_limits: Callable[[dict[str, float | None], float], None] | None = None
        self._rng, self._answer = rng, answer
        self._start = now
        self._standing = Standing(settings, now)
        self._number = 0
        self._calls = CallReader(count or counter(settings.charge))
        self._allowances = Allowances(settings, now)
        self._events = make_events(settings, now)
        self._event = next(self._events, None)
        self._due = math.inf if self._event is None else self._event.at

    @property
    def limits(self) -> dict[str, float | None]:
        """The general limits per minute in force now, by dimension."""
        return self._allowances.general.limits

    def set_limits(self, requests: float | None, tokens: float | None, now: float) -> None:
        """
        Change both general limits per minute; None lifts one.

        What is already spent stays spent; what a bucket holds is kept, up to its new depth.
        """
        check_limit("requests", requests)
        check_limit("tokens", tokens)
        self.catch_up(now)
        self._change_limits(requests, tokens, now)

    def catch_up(self, now: float) -> None:
        """Let happen what was due until *now*: new limits, and the other client's requests."""
        while self._event is not None and self._event.at <= now:
            at, limits = self._event
            if limits is not None:
                self._change_limits(*limits, at)
            else:
                self._serve_other(at)
            self._event = next(self._events, None)
        self._due = math.inf if self._event is None else self._event.at

    def arrive(
        self, path: str, headers: Mapping[str, str], body: bytes | Mapping[str, Any], now: float
    ) -> Reply:
        """
        Return what a POST gets that arrives *now*, and charge the limits for it.

        Args:
            path: With or without ``/v1`` in front, or one of Azure's.
            headers: Looked up by the names ``authorization``, ``api-key`` and
                ``x-client-request-id``.
            body: JSON, as bytes or as an object.
            now: Loop time in seconds.
        """

        def read() -> Call:
            endpoint, deployment = target_of(path)
            client_id = headers.get("x-client-request-id")
            return self._calls.read(endpoint, client_id, body, deployment)

        return self.serve(read, headers, now)

    def serve(self, read: Callable[[], Call], headers: Mapping[str, str], now: float) -> Reply:
        """Return what the request gets that *read* returns; as `arrive`, whatever its body is."""
        self._number += 1
        if now >= self._due:
            self.catch_up(now)
        try:
            self._standing.check_key(headers, now)
            call = read()
        except Problem as problem:
            return self._problem(problem)
        allowances = self._allowances
        own = allowances.of(call.model) if self.settings.models else allowances.general
        return self._refuse(call, own, now) or self._admit(call, own, now)

    def get(self, path: str, headers: Mapping[str, str], now: float) -> Reply:
        """Return what a GET gets: the models, or 404."""
        self._number += 1
        try:
            self._standing.check_key(headers, now)
            endpoint, _ = target_of(path)
            if endpoint == "/v1/models":
                return Reply(200, self._headers(None, 0.0, 0.0), models_body(), "other")
            raise Problem(404, f"Unknown request URL: GET {endpoint}.", code="unknown_url")
        except Problem as problem:
            return self._problem(problem)

    def finish(self, reply: Reply, now: float) -> int:
        """
        Note that *reply* has been sent; return the tokens given back to the limits.

        Nothing is given back unless the settings say ``refund`` and it was a real answer. Below
        zero: more was used than charged.
        """
        if not self.settings.refund or reply.kind != "answer":
            return 0
        self.catch_up(now)
        surplus = reply.charged - reply.actual
        give(reply.tickets, surplus, now)
        self.charged -= surplus
        return surplus

    def _change_limits(self, requests: float | None, tokens: float | None, now: float) -> None:
        self._allowances.general.set_limits(requests, tokens, now)
        if self.on_limits is not None:
            self.on_limits(self.limits, now)

    def _serve_other(self, now: float) -> None:
        own, tokens = self._allowances.general, self.settings.competitor_tokens
        if self._standing.outage_left(None, now) > 0:
            self.competitor.refused += 1
        elif own.block(tokens, now) is None:
            own.take(tokens, now)
            self.competitor.admitted += 1
            self.competitor.tokens += tokens
        else:
            self.competitor.refused += 1
            if self.settings.refusals_count:
                own.take_refused(now)

    def _refuse(self, call: Call, own: Allowance, now: float) -> Reply | None:
        """Return the refusal of *call*, or None if it can go now."""
        settings = self.settings
        if settings.outage is not None:
            wait = self._standing.outage_left(call.model, now)
            if wait > 0:
                return self._throttle(call, own, Block(RPM, 1, wait), wait, now, kind="outage")
        if self._standing.is_spent(self.admitted, now):
            named = "insufficient_quota", "insufficient_quota"
            return self._error(call, own, "quota", now, _OUT_OF_QUOTA, *named)
        block = own.block(call.tokens, now)
        if block is None:
            if self.slots is None or self.slots.has_room(now):
                return None
            headers = self._headers(own, now, 0.0)
            return Reply(503, headers, QUEUE_FULL, "queue_full", 0.0, call, group=own.name)
        if block.wait == math.inf:
            return self._too_large(call, own, block, now)
        quoted = own.quoted_wait(block, now)
        reply = self._throttle(call, own, block, quoted, now, kind=block.limit.name)
        if settings.refusals_count:
            own.take_refused(now)
        return reply

    def _admit(self, call: Call, own: Allowance, now: float) -> Reply:
        settings, rng = self.settings, self._rng
        self.admitted += 1
        self.charged += call.tokens
        tickets = own.take(call.tokens, now)
        fault = self._fault(call, now) if settings.faults or settings.fault_times else None
        length = output_length(settings, call, rng)
        delay = settings.latency + settings.token_time * length
        if settings.latency and settings.latency_sigma:
            factor = rng.lognormvariate(0.0, settings.latency_sigma)
            delay += settings.latency * (factor - 1)
        if self.slots is not None:
            delay = self.slots.serve(delay, now)
        reply = Reply(
            200,
            self._headers(own, now, delay),
            b"",
            fault or "answer",
            delay,
            call,
            fault,
            call.tokens,
            call.prompt_tokens + length * call.outputs,
            tickets,
            own.name,
        )
        if fault is not None and fault in ANSWER_FAULTS:
            answer = ANSWER_FAULTS[fault]
            reply.status, reply.body = answer.status, answer.body
            if answer.bare:
                reply.headers.clear()
            reply.headers["content-type"] = answer.content_type
            return reply
        finish = "length" if call.is_capped and length >= call.output_cap else "stop"
        if call.is_stream:
            reply.stream = make_stream(
                call,
                length,
                finish,
                self._number,
                delay=delay,
                token_time=settings.token_time,
                fault=fault,
            )
            reply.headers["content-type"] = "text/event-stream; charset=utf-8"
        else:
            reply.body = self._answer(call, length, finish, self._number)
        return reply

    def _fault(self, call: Call, now: float) -> str | None:
        """Return the fault that strikes *call*; those of a stream strike nothing else."""
        settings = self.settings
        fault = draw_fault(settings.faults, self._rng)
        if settings.fault_times:
            fault = fault_at(settings.fault_times, now - self._start, self._number) or fault
        return fault if call.is_stream or fault not in STREAM_FAULTS else None

    def _throttle(
        self, call: Call, own: Allowance, block: Block, quoted: float, now: float, *, kind: str
    ) -> Reply:
        limit = block.limit
        message = throttle_text(
            self.settings,
            call.model,
            limit,
            level=own.level(limit, now),
            amount=block.amount,
            wait=quoted,
        )
        reply = self._error(call, own, kind, now, message, limit.dimension, "rate_limit_exceeded")
        advise(self.settings, reply.headers, block.wait)
        return reply

    def _too_large(self, call: Call, own: Allowance, block: Block, now: float) -> Reply:
        limit = block.limit
        most, _ = own.level(limit, now)
        message = too_large_text(self.settings, call.model, limit, most=most, amount=block.amount)
        named = limit.dimension, "rate_limit_exceeded"
        return self._error(call, own, "too_large", now, message, *named)

    def _error(
        self,
        call: Call,
        own: Allowance,
        kind: str,
        now: float,
        message: str,
        type_: str,
        code: str,
    ) -> Reply:
        body = error_body(message, kind=type_, code=code)
        headers = self._headers(own, now, 0.0)
        return Reply(429, headers, body, kind, 0.0, call, group=own.name)

    def _problem(self, problem: Problem) -> Reply:
        body = error_body(
            problem.message, kind=problem.kind, code=problem.code, param=problem.param
        )
        return Reply(problem.status, self._headers(None, 0.0, 0.0), body, "invalid")

    def _headers(self, own: Allowance | None, now: float, delay: float) -> dict[str, str]:
        """Return the headers of an answer; those of the limits only with an allowance."""
        headers = {
            "content-type": _JSON,
            "x-request-id": f"req_{self._number:032x}",
            "openai-processing-ms": str(int(delay * 1000)),
            "openai-version": "2020-10-01",
        }
        if own is not None and self.settings.headers:
            describe_limits(headers, own.shown, self.settings.header_factor, now)
        return headers
