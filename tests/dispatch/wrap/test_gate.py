"""A gate on its own: what it limits, what it costs, and what its errors are."""

from __future__ import annotations

import asyncio
import copy
import json
import pickle
import threading
from typing import Any

import openai
import pytest

import ratedispatch as rd
from ratedispatch.dispatch.wrap import old_sdk
from ratedispatch.dispatch.wrap.drop_in import _pace
from ratedispatch.dispatch.wrap.gate_errors import as_openai_error
from ratedispatch.dispatch.wrap.ticket import Ruling, Ticket
from ratedispatch.testing import run_virtual
from tests.dispatch.wrap.upstream import (
    ANSWER,
    ASK,
    RATE,
    Upstream,
    async_client,
    gate,
    sync_client,
)

BODY = json.dumps(ASK).encode()
CHAT = b"/v1/chat/completions"


def ticket(paces: rd.Gate, path: bytes = CHAT, body: bytes = BODY) -> Ticket:
    found = paces.ticket(path, body)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("path", "is_limited"),
    [
        (b"/v1/chat/completions", True),
        (b"/openai/deployments/mine/chat/completions?api-version=2024-06-01", True),
        (b"/openai/v1/responses", True),
        (b"/v1/embeddings", True),
        (b"/v1/files", False),
        (b"/v1/images/generations", False),
        (b"/v1/responses/resp_1/cancel", False),
    ],
)
def test_paths_are_told_by_their_end(path: bytes, is_limited: bool) -> None:
    """Whatever stands before it: a version, a deployment, a proxy's own prefix."""
    assert (rd.Gate(rd.Limits(60)).ticket(path, BODY) is not None) is is_limited


@pytest.mark.parametrize("body", [b"", b"no json", b"[1]", b'"text"'])
def test_what_is_no_json_object_is_not_limited(body: bytes) -> None:
    """It is for the server to refuse it."""
    assert rd.Gate(rd.Limits(60)).ticket(CHAT, body) is None


def test_what_cannot_be_counted_is_paced_by_its_bytes() -> None:
    """A message that is no message costs a token for each four bytes."""
    paces = rd.Gate(rd.Limits(tokens_per_minute=60_000))
    body = json.dumps({"model": "gpt-4o", "messages": 3, "max_tokens": 5}).encode()
    odd = ticket(paces, body=body)
    odd.enter_blocking()
    assert odd.cost is not None
    assert odd.cost.prompt_tokens == len(body) // 4
    assert odd.answer(400, {}, b'{"error": {"message": "no"}}') is Ruling.PASS
    assert paces.snapshot().in_flight == 0


@pytest.mark.parametrize("model", [["gpt-4o"], {"a": 1}, None, 5])
def test_a_model_that_is_no_name_is_for_the_server_to_refuse(model: Any) -> None:
    """The call is paced like any other."""
    paces = rd.Gate(rd.Limits(tokens_per_minute=60_000))
    odd = ticket(paces, body=json.dumps({**ASK, "model": model}).encode())
    odd.enter_blocking()
    assert odd.answer(400, {}, b'{"error": {"message": "no"}}') is Ruling.PASS
    assert paces.snapshot().in_flight == 0


def test_nothing_is_counted_where_tokens_are_not_limited() -> None:
    """Each call is one request, whatever stands in it."""
    paces = rd.Gate(rd.Limits(requests_per_minute=60_000))
    call = ticket(paces)
    call.enter_blocking()
    assert call.cost is not None
    assert (call.cost.requests, call.cost.tokens) == (1, 0)
    call.broken()


def test_a_ticket_pays_for_each_attempt_and_is_answered_once_for_each() -> None:
    """Refused, then answered with its usage."""
    paces = rd.Gate(rd.Limits(requests_per_minute=60_000))
    call = ticket(paces)
    call.enter_blocking()
    assert call.answer(429, {}, json.dumps(RATE).encode()) is Ruling.AGAIN
    call.enter_blocking()
    assert call.answer(200, {}, json.dumps(ANSWER).encode()) is Ruling.PASS
    with pytest.raises(RuntimeError, match="answered exactly once"):
        call.answer(200, {}, b"{}")
    call.broken()
    call.settle(None)
    assert paces.snapshot().levels[0].spent == 2


def test_a_call_that_waits_does_not_hold_its_body() -> None:
    """The http client holds it as bytes; parsed it is several times as large."""
    call = ticket(rd.Gate(rd.Limits(tokens_per_minute=60_000)))
    call.enter_blocking()
    assert call.request.body == {"model": "gpt-4o"}
    call.broken()


def test_an_attempt_that_never_left_is_given_back() -> None:
    """No server can have counted it."""
    paces = rd.Gate(rd.Limits(requests_per_minute=60))
    call = ticket(paces)
    call.enter_blocking()
    call.broken(is_unsent=True)
    assert paces.snapshot().levels[0].spent == 0


def test_models_are_limited_apart() -> None:
    """By groups; a model without limits is an error of the SDK, and is not sent."""
    groups = rd.LimitGroups(
        (
            rd.LimitGroup("large", ("gpt-4o",), rd.Limits(60, burst_seconds=0)),
            rd.LimitGroup("small", ("gpt-4o-mini",), rd.Limits(6_000)),
        )
    )
    upstream = Upstream()

    async def main() -> None:
        client = rd.wrap(async_client(upstream), gate(groups))  # type: ignore[arg-type]
        small = {**ASK, "model": "gpt-4o-mini"}
        await asyncio.gather(
            *(client.chat.completions.create(**ASK) for _ in range(2)),
            *(client.chat.completions.create(**small) for _ in range(5)),
        )
        with pytest.raises(openai.OpenAIError, match="the model 'other' is in no group") as caught:
            await client.chat.completions.create(**{**ASK, "model": "other"})
        assert isinstance(caught.value, rd.InvalidLimits)

    run_virtual(main())
    assert sorted(upstream.at) == pytest.approx([0, 0, 0, 0, 0, 0, 1])


def test_what_answers_use_is_learned_in_all_threads() -> None:
    """Of answers without a cap, a gate reserves what most of them stay within."""
    paces = rd.Gate(rd.Limits(requests_per_minute=6e6, tokens_per_minute=6e9))
    uncapped = json.dumps({"model": "gpt-4o", "messages": ASK["messages"]}).encode()
    answer = {**ANSWER, "usage": {"prompt_tokens": 13, "completion_tokens": 500}}

    def work() -> None:
        for _ in range(20):
            call = ticket(paces, body=uncapped)
            call.enter_blocking()
            call.answer(200, {}, json.dumps(answer).encode())

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    last = ticket(paces, body=uncapped)
    last.enter_blocking()
    assert last.cost is not None
    assert last.cost.output_tokens == 500
    last.broken()
    assert paces.snapshot().in_flight == 0


def test_errors_of_the_gate_are_errors_of_the_sdk() -> None:
    """With the fields and the sentence of ours; another one keeps its sentence."""
    ours = rd.CostExceedsLimit("it", "tokens", 30, 20)
    twin = as_openai_error(ours)
    assert isinstance(twin, openai.OpenAIError)
    assert isinstance(twin, rd.CostExceedsLimit)
    assert (str(twin), twin.limit) == (str(ours), 20)
    assert as_openai_error(twin) is twin
    assert str(as_openai_error(rd.JobError("odd"))) == "odd"


@pytest.mark.parametrize(
    "error",
    [
        rd.DeadlineMissed("too late", allowed=1.0, earliest=2.0),
        rd.CostExceedsLimit("a request", "tokens", 20, 10),
        rd.RequestFailed("no", "quota"),
        rd.InvalidLimits("none"),
    ],
)
def test_errors_come_out_of_other_processes_as_they_were(error: rd.RateDispatchError) -> None:
    """A pool of processes breaks at one that cannot be read."""
    for each in (error, as_openai_error(error)):
        came = pickle.loads(pickle.dumps(each))
        assert type(came) is type(each)
        assert (str(came), vars(came)) == (str(each), vars(each))
        assert str(copy.copy(each)) == str(each)


def test_an_error_gets_through_the_first_version_of_the_sdk(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It travels in an answer, which raises it when it is asked whether it is an error."""
    monkeypatch.setattr(old_sdk, "_is_old", lambda: True)
    client = rd.wrap(sync_client(Upstream()), rd.Gate(rd.Limits(tokens_per_minute=5)))
    with pytest.raises(openai.OpenAIError, match="the limit is 5 tokens") as caught:
        client.chat.completions.create(**ASK)
    assert isinstance(caught.value, rd.CostExceedsLimit)


@pytest.mark.skipif(
    not hasattr(openai.OpenAI, "_send_request"), reason="no client does before 2.31"
)
def test_a_client_that_sends_past_its_http_client_is_paced_above_it() -> None:
    """As one with an X.509 identity does."""

    class Past:
        send_api_request = None

    upstream = Upstream()
    plain: Any = sync_client(upstream)
    plain._workload_identity_auth = Past()
    sent: list[Any] = []

    class Identified(openai.OpenAI):
        def _send_request(self, request: Any, **settings: Any) -> Any:
            sent.append(request)
            return self._client.send(request, stream=settings["stream"])

    plain.__class__ = Identified
    paces = rd.Gate(rd.Limits(requests_per_minute=60_000))
    _pace(plain, paces, None)
    assert plain.chat.completions.create(**ASK).id == ANSWER["id"]
    assert len(sent) == 1
    assert paces.snapshot().levels[0].spent == 1


@pytest.mark.parametrize("is_auto", [False, True])
def test_fifty_answers_a_second_are_read_whole(is_auto: bool) -> None:
    """The head of one that comes 5 ms after another is left unread, unless a limit is learned."""
    head = {
        "x-ratelimit-limit-requests": "6000",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "60s",
    }
    limits = rd.Limits("auto" if is_auto else 6_000)

    async def main() -> list[bool]:
        paces = gate(limits, base_url="https://api.openai.com/v1")
        found = []
        for seconds, headers in ((0, {}), (0.005, head), (0.02, head)):
            await asyncio.sleep(seconds)
            call = ticket(paces)
            await call.enter()
            body = json.dumps(ANSWER).encode()
            if not call.answer_plain(body):
                assert call.answer(200, headers, body) is Ruling.PASS
            found.append(paces.snapshot().levels[0].available <= 0)
        assert paces.snapshot().in_flight == 0
        return found

    found = run_virtual(main())
    assert found == [False, is_auto, True]


def test_an_error_in_the_place_of_an_answer_is_read_whole_at_any_speed() -> None:
    """A refusal with status 200 is one all the same."""

    async def main() -> None:
        paces = gate(rd.Limits(6_000))
        for _ in range(2):
            call = ticket(paces)
            await call.enter()
            assert not call.answer_plain(json.dumps(RATE).encode())
            assert call.answer(200, {}, json.dumps(RATE).encode()) is Ruling.AGAIN

    run_virtual(main())
