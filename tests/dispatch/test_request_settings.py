"""A timeout and headers of one request: checked when it is made, and sent by every transport."""

from __future__ import annotations

import asyncio
import math
import random
from typing import Any

import pytest

import ratedispatch as rd
from ratedispatch.testing import ProviderSettings, ProviderTransport, run_virtual
from tests.dispatch.scripted import FAST, OK, Scripted
from tests.dispatch.world import chat

HI = [{"role": "user", "content": "hi"}]


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"timeout": 0}, ValueError, "above 0 seconds and finite, not 0"),
        ({"timeout": math.inf}, ValueError, "finite"),
        ({"timeout": math.nan}, ValueError, "finite"),
        ({"timeout": True}, TypeError, "a number of seconds, not a bool"),
        ({"timeout": "5"}, TypeError, "a number of seconds, not a str"),
        ({"headers": {"X Y": "1"}}, ValueError, "'X Y' is not a valid name"),
        ({"headers": {"": "1"}}, ValueError, "'' is not a valid name"),
        ({"headers": {"X-A": "sk-secret\r\nX-B: 1"}}, ValueError, "the header X-A contains"),
        ({"headers": {"X-A": "sk-secret "}}, ValueError, "the header X-A contains"),
        ({"headers": {"X-A": "sk-secrét"}}, ValueError, "the header X-A contains"),
        ({"headers": {"X-A": b"sk-secret"}}, TypeError, "'X-A' is not"),
        ({"headers": {"Content-Length": "5"}}, ValueError, "is set from the body"),
        ({"headers": {"host": "a"}}, ValueError, "is set from the body"),
        ({"custom": {"pages": -5}}, ValueError, r"custom\['pages'\] must be .* at least 0, not -5"),
        ({"custom": {"pages": math.nan}}, ValueError, "a finite number"),
        ({"custom": {"pages": "3"}}, TypeError, "must be a number, not a str"),
    ],
)
def test_what_cannot_be_sent_is_said_when_the_request_is_made(
    settings: dict[str, Any], error: type[Exception], message: str
) -> None:
    """And no message holds what stands in a header."""
    with pytest.raises(error, match=message) as caught:
        rd.Request({"model": "gpt-4o"}, **settings)
    assert "secret" not in str(caught.value)


def test_a_body_that_is_no_mapping_is_refused() -> None:
    body: Any = "Is 7 a prime?"
    with pytest.raises(TypeError, match="body must be a mapping, got str"):
        rd.Request(body)


def test_headers_are_shown_nowhere() -> None:
    request = rd.Request.chat(
        model="gpt-4o", messages=[], headers={"X-Tenant": "sk-secret"}, timeout=5
    )
    assert request.headers == {"X-Tenant": "sk-secret"}
    assert request.timeout == 5
    event = rd.AttemptSent(request, 1, rd.Cost(1), 0.0, 0.0)
    failed = rd.Failed(request, "code", "message")
    assert "secret" not in f"{request!r} {event!r} {failed!r}"


@pytest.mark.parametrize("own", [0.2, 2.5, 400.0])
def test_its_timeout_bounds_an_attempt_in_the_place_of_the_dispatchers(own: float) -> None:
    """Shorter or longer; each attempt may take as long."""

    async def main() -> float:
        transport = ProviderTransport(ProviderSettings(faults={"hang": 1.0}), random.Random(1))
        retry = rd.RetryPolicy(max_attempts=2, first_delay=1e-6, max_delay=1e-6)
        async with rd.Dispatcher(transport, FAST, timeout=100, retry=retry) as dispatcher:
            request = rd.Request.chat(model="gpt-4o", messages=HI, timeout=own)
            outcome = await dispatcher.submit(request)
            assert isinstance(outcome, rd.Failed)
            assert (outcome.code, outcome.attempts) == ("timeout", 2)
            assert outcome.message == f"no answer within {own:g} s"
        return asyncio.get_running_loop().time()

    assert run_virtual(main()) == pytest.approx(2 * own, abs=1e-3)


def test_a_timeout_that_is_learned_holds_no_request_that_has_its_own() -> None:
    """Once twenty answers of a second are known, others may take 180."""

    async def main() -> float:
        class Slow(Scripted):
            async def send(self, request: rd.Request, timeout: float) -> rd.Response:
                if request.custom_id == "slow":
                    await asyncio.sleep(500)
                return await super().send(request, timeout)

        async with rd.Dispatcher(Slow(lambda *_: OK), FAST) as dispatcher:
            slow = rd.Request.chat(
                model="gpt-4o", messages=HI, max_tokens=5, custom_id="slow", timeout=550
            )
            task = asyncio.create_task(dispatcher.submit(slow))
            for number in range(40):
                await dispatcher.submit(chat(number))
            outcome = await task
        assert isinstance(outcome, rd.Completed)
        assert outcome.attempts == 1
        return outcome.latency

    assert run_virtual(main()) == pytest.approx(501)
