"""The provider's decisions: charges, refusals, headers, faults."""

from __future__ import annotations

import json
import random
import re
from typing import Any

import pytest

from ratedispatch.request import CHAT, COMPLETIONS, EMBEDDINGS, RESPONSES
from ratedispatch.simulate.provider.provider import Provider, ProviderSettings
from ratedispatch.tokens import count_tokens
from tests.simulate.providers import ask, chat, error, make_provider

# (endpoint, body, tokens charged); prompts by characters: ceil(chars / 4) + 2 per message
CHARGES = [
    (CHAT, chat(13), 22),  # "Hello, world?" was charged 22 = 16 + 6
    (CHAT, chat(21, max_tokens=512), 520),
    (CHAT, chat(4, max_completion_tokens=100), 103),
    (CHAT, chat(4, max_completion_tokens=100, max_tokens=5), 103),
    (CHAT, chat(4, max_tokens=100, n=3), 303),
    (
        CHAT,
        {
            "model": "m",
            "messages": [
                {"role": "system", "content": "abcd"},
                {"role": "user", "content": [{"type": "text", "text": "efgh"}, {"type": "x"}]},
                {"role": "assistant", "content": None},
                "not a message",
            ],
        },
        2 + 3 * 2 + 16,
    ),
    (RESPONSES, {"model": "m", "input": "abcdefgh", "instructions": "ijkl"}, 3 + 2 + 16),
    (
        RESPONSES,
        {"model": "m", "input": [{"role": "user", "content": "abcd"}] * 2, "max_output_tokens": 50},
        2 + 4 + 50,
    ),
    (EMBEDDINGS, {"model": "m", "input": "abcdefgh"}, 2),
    (EMBEDDINGS, {"model": "m", "input": ["abcd", "efgh", "ijkl"]}, 3),
    (EMBEDDINGS, {"model": "m", "input": [1, 2, 3]}, 3),
    (COMPLETIONS, {"model": "m", "prompt": "abcd"}, 17),
    (COMPLETIONS, {"model": "m", "prompt": "abcd", "max_tokens": 9, "best_of": 2, "n": 1}, 19),
]


@pytest.mark.parametrize(("endpoint", "body", "charged"), CHARGES)
def test_admission_charges_the_prompt_and_the_cap(
    endpoint: str, body: dict[str, Any], charged: int
) -> None:
    """Prompt plus cap times outputs; 16 where no cap is named."""
    reply = ask(make_provider(), body, path=endpoint)
    assert reply.kind == "answer"
    assert reply.charged == charged
    usage = json.loads(reply.body)["usage"]
    assert usage["total_tokens"] == reply.actual


@pytest.mark.slow  # it loads a vocabulary
def test_prompts_are_counted_as_the_tokenizer_does_by_default() -> None:
    """The default charge is real tokens."""
    provider = make_provider(charge="tokens")
    body = chat(40, max_tokens=7)
    assert ask(provider, body).charged == count_tokens(body, CHAT) + 7


def test_a_refusal_says_what_the_real_one_says() -> None:
    """Shape, arithmetic and waits of a refusal by tokens."""
    provider = make_provider(tokens_per_minute=30000)
    ask(provider, chat(4, max_tokens=22996))  # 22999
    reply = ask(provider, chat(4, max_tokens=12525))  # 12528
    assert reply.status == 429
    assert reply.kind == "tokens"
    assert not reply.is_admitted
    assert reply.charged == 0
    inner = error(reply)
    assert inner["type"] == "tokens"
    assert inner["code"] == "rate_limit_exceeded"
    assert inner["message"].startswith(
        "Rate limit reached for gpt-4o-mini in organization org-fake on tokens per min (TPM): "
        "Limit 30000, Used 22999, Requested 12528. Please try again in 11.054s."
    )
    assert reply.headers["retry-after"] == "12"
    assert reply.headers["retry-after-ms"] == "11054"
    assert reply.headers["x-ratelimit-remaining-tokens"] == "7001"
    assert "x-ratelimit-limit-requests" not in reply.headers


def test_a_refusal_by_requests_says_so() -> None:
    """Three a minute: the fourth waits 20 seconds."""
    provider = make_provider(requests_per_minute=3)
    for _ in range(3):
        assert ask(provider, chat()).status == 200
    reply = ask(provider, chat())
    inner = error(reply)
    assert inner["type"] == "requests"
    assert "requests per min (RPM): Limit 3, Used 3, Requested 1. " in inner["message"]
    assert "try again in 20s." in inner["message"]
    assert reply.headers["retry-after"] == "20"
    assert ask(provider, chat(), 19.99).status == 429
    assert ask(provider, chat(), 20.0).status == 200


def test_both_buckets_are_charged_or_neither() -> None:
    """A refusal by tokens takes nothing from the requests, and the other way round."""
    provider = make_provider(requests_per_minute=2, tokens_per_minute=1000)
    ask(provider, chat(4, max_tokens=897))
    for _ in range(5):
        assert ask(provider, chat(4, max_tokens=897)).kind == "tokens"
    reply = ask(provider, chat(4, max_tokens=7))
    assert reply.headers["x-ratelimit-remaining-requests"] == "0"
    assert reply.headers["x-ratelimit-remaining-tokens"] == "90"
    assert ask(provider, chat(4, max_tokens=7)).kind == "requests"
    assert ask(provider, chat(4, max_tokens=7)).headers["x-ratelimit-remaining-tokens"] == "90"


def test_refusals_count_when_they_are_told_to() -> None:
    """Whoever keeps resending never gets in; whoever waits does."""
    provider = make_provider(requests_per_minute=60, refusals_count=True)
    for _ in range(60):
        ask(provider, chat())
    for step in range(100):
        assert ask(provider, chat(), step * 0.5).status == 429
    assert ask(provider, chat(), 49.5 + 1.0).status == 200


def test_a_request_above_the_limit_is_too_large() -> None:
    """No wait is named, for none would help."""
    provider = make_provider(tokens_per_minute=30000)
    reply = ask(provider, chat(4, max_tokens=34304))
    inner = error(reply)
    assert reply.status == 429
    assert reply.kind == "too_large"
    assert inner["type"] == "tokens"
    assert inner["message"].startswith("Request too large for gpt-4o-mini in organization")
    assert "Limit 30000, Requested 34307. The input or output" in inner["message"]
    assert "retry-after" not in reply.headers


def test_a_request_deeper_than_a_shallow_bucket_is_admitted_when_it_is_full() -> None:
    """The limit per minute decides what is too large, not the depth of the bucket."""
    provider = make_provider(tokens_per_minute=6000, burst_seconds=1.0)
    reply = ask(provider, chat(4, max_tokens=1097))
    assert reply.status == 200
    assert reply.headers["x-ratelimit-remaining-tokens"] == "0"
    assert reply.headers["x-ratelimit-reset-tokens"] == "11s"
    assert ask(provider, chat(4, max_tokens=7)).headers["retry-after-ms"] == "10100"


def test_the_headers_tell_what_is_left() -> None:
    """Limits, rests and resets after the charge of the request itself."""
    provider = make_provider(requests_per_minute=5000, tokens_per_minute=30000)
    reply = ask(provider, chat(4, max_tokens=35))
    limits = {name: value for name, value in reply.headers.items() if "ratelimit" in name}
    assert limits == {
        "x-ratelimit-limit-requests": "5000",
        "x-ratelimit-remaining-requests": "4999",
        "x-ratelimit-reset-requests": "12ms",
        "x-ratelimit-limit-tokens": "30000",
        "x-ratelimit-remaining-tokens": "29962",
        "x-ratelimit-reset-tokens": "76ms",
    }
    assert re.fullmatch(r"req_[0-9a-f]{32}", reply.headers["x-request-id"])
    assert reply.headers["openai-version"] == "2020-10-01"
    assert reply.headers["openai-processing-ms"] == "500"


def test_headers_can_be_left_out() -> None:
    """Without them an answer says nothing of limits; a refusal still says when."""
    provider = make_provider(requests_per_minute=1, headers=False)
    assert not [name for name in ask(provider, chat()).headers if "ratelimit" in name]
    assert ask(provider, chat()).headers["retry-after"] == "60"


def test_an_unlimited_provider_admits_everything_and_states_no_limits() -> None:
    """No limit, no header."""
    provider = make_provider()
    replies = [ask(provider, chat(4, max_tokens=10**6)) for _ in range(100)]
    assert all(reply.status == 200 for reply in replies)
    assert not [name for name in replies[0].headers if "ratelimit" in name]
    assert provider.limits == {"requests": None, "tokens": None}


def test_what_an_answer_did_not_use_is_given_back_when_settling() -> None:
    """Only by a real answer, and only if the settings say so."""
    body = chat(4, max_tokens=97)
    settling = make_provider(tokens_per_minute=1000, refund=True, output_tokens=10)
    reply = ask(settling, body)
    assert settling.finish(reply, 0.0) == 87
    assert ask(settling, body).headers["x-ratelimit-remaining-tokens"] == "887"
    assert make_provider(tokens_per_minute=1000).finish(reply, 0.0) == 0
    faulty = make_provider(tokens_per_minute=1000, refund=True, faults={"500": 1.0})
    assert faulty.finish(ask(faulty, body), 0.0) == 0


def test_limits_change_while_it_runs() -> None:
    """Half the limit, no limit, and one where there was none."""
    provider = make_provider(requests_per_minute=10)
    provider.set_limits(5, 1000, 0.0)
    assert provider.limits == {"requests": 5, "tokens": 1000}
    assert [ask(provider, chat()).status for _ in range(6)] == [200] * 5 + [429]
    provider.set_limits(None, None, 0.0)
    assert ask(provider, chat()).status == 200
    with pytest.raises(ValueError, match="above zero"):
        provider.set_limits(0, None, 0.0)


def test_a_fixed_window_checks_requests_by_the_second_too() -> None:
    """600 per minute: more than 10 in one second are refused."""
    provider = make_provider(requests_per_minute=600, tokens_per_minute=10**6, window="fixed")
    assert [ask(provider, chat(), 5.0).status for _ in range(11)] == [200] * 10 + [429]
    assert ask(provider, chat(), 5.75).headers["retry-after-ms"] == "250"
    assert ask(provider, chat(), 6.0).status == 200
    provider.set_limits(60, 10**6, 7.0)
    assert [ask(provider, chat(), 7.0).status for _ in range(2)] == [200, 429]


def test_a_sliding_log_forgets_after_a_minute() -> None:
    """Nothing before, everything then."""
    provider = make_provider(requests_per_minute=2, window="sliding")
    assert [ask(provider, chat(), now).status for now in (0, 1, 2, 59.9, 60, 60.5, 61)] == [
        *(200, 200, 429, 429),
        *(200, 429, 200),
    ]


def test_an_empty_start_refuses_at_first() -> None:
    """Nothing is there at the start."""
    provider = make_provider(requests_per_minute=60, start="empty")
    assert ask(provider, chat(), 0.0).headers["retry-after"] == "1"
    assert ask(provider, chat(), 1.0).status == 200


def test_an_exhausted_quota_refuses_for_good() -> None:
    """After so many admitted requests, another code and no wait."""
    provider = make_provider(quota=2)
    assert [ask(provider, chat(), now).status for now in (0, 1, 2)] == [200, 200, 429]
    reply = ask(provider, chat(), 10000.0)
    assert error(reply)["code"] == error(reply)["type"] == "insufficient_quota"
    assert reply.kind == "quota"
    assert "retry-after" not in reply.headers


def test_an_outage_refuses_everything_until_it_ends() -> None:
    """The wait named is the time until its end."""
    provider = make_provider(requests_per_minute=100, outage=(10.0, 5.0))
    assert ask(provider, chat(), 9.9).status == 200
    reply = ask(provider, chat(), 12.5)
    assert reply.kind == "outage"
    assert reply.headers["retry-after"] == "3"
    assert error(reply)["code"] == "rate_limit_exceeded"
    assert ask(provider, chat(), 15.0).status == 200
    unlimited = make_provider(outage=(0.0, 5.0))
    assert ask(unlimited, chat(), 0.0).headers["retry-after-ms"] == "5000"


def test_paths_are_accepted_without_their_version_and_with_a_query() -> None:
    """Both spellings are the same endpoint."""
    provider = make_provider()
    for path in ("/chat/completions", "/v1/chat/completions?api-version=1"):
        assert ask(provider, chat(), path=path).status == 200


def test_models_are_listed_and_other_pages_are_not_found() -> None:
    """The one thing there is to get."""
    provider = make_provider()
    listed = provider.get("/models", {}, 0.0)
    assert listed.status == 200
    assert json.loads(listed.body)["data"]
    assert error(provider.get("/v1/files", {}, 0.0))["code"] == "unknown_url"


def test_the_answer_repeats_the_client_id_or_the_hash_of_the_body() -> None:
    """So that a test can tell whose answer it is."""
    provider = make_provider()
    reply = provider.arrive(CHAT, {"x-client-request-id": 'row "7"'}, chat(n=2), 0.0)
    choices = json.loads(reply.body)["choices"]
    assert [choice["message"]["content"] for choice in choices] == ['answer to row "7"'] * 2
    texts = {
        json.loads(ask(provider, chat(size)).body)["choices"][0]["message"]["content"]
        for size in (1, 2, 2, 3)
    }
    assert len(texts) == 3
    assert all(re.fullmatch(r"answer to [0-9a-f]{16}", text) for text in texts)


def test_an_output_as_long_as_its_cap_ends_for_length() -> None:
    """And a shorter one by itself, in both dialects."""
    long, short = make_provider(output_share=1.0), make_provider(output_tokens=3)
    finish = [
        json.loads(ask(provider, chat(max_tokens=10)).body)["choices"][0]["finish_reason"]
        for provider in (long, short)
    ]
    assert finish == ["length", "stop"]
    body = {"model": "m", "input": "a", "max_output_tokens": 16}
    answers = [json.loads(ask(provider, body, path=RESPONSES).body) for provider in (long, short)]
    assert [answer["status"] for answer in answers] == ["incomplete", "completed"]
    assert [answer["usage"]["output_tokens"] for answer in answers] == [16, 3]


def test_embeddings_are_numbers_or_packed() -> None:
    """Of the size asked for, one for each text, and different for different texts."""
    provider = make_provider()
    body = {"model": "m", "input": ["a", "b"], "dimensions": 8}
    plain = json.loads(ask(provider, body, path=EMBEDDINGS).body)["data"]
    assert [len(item["embedding"]) for item in plain] == [8, 8]
    assert plain[0]["embedding"] != plain[1]["embedding"]
    body["encoding_format"] = "base64"
    packed = json.loads(ask(provider, body, path=EMBEDDINGS).body)["data"]
    assert isinstance(packed[0]["embedding"], str)


def test_latency_is_a_median_with_a_spread_and_a_time_per_token() -> None:
    """Half of a thousand draws lie below the median; tokens add what they should."""
    provider = make_provider(latency=0.5, latency_sigma=0.4)
    delays = [ask(provider, chat()).delay for _ in range(1000)]
    assert 450 < sum(delay < 0.5 for delay in delays) < 550
    exact = make_provider(latency=0.5, token_time=0.01, output_tokens=20)
    assert ask(exact, chat(max_tokens=100)).delay == pytest.approx(0.7)
    assert make_provider(latency=0.0).arrive(CHAT, {}, chat(), 0.0).delay == 0.0


FAULT_ANSWERS = [
    ("500", 500, "application/json", "server had an error"),
    ("503", 503, "application/json", "overloaded"),
    ("slow_down", 503, "application/json", "Slow Down"),
    ("429", 429, "application/json", "too many requests"),
    ("html", 502, "text/html", "<html>"),
    ("html200", 200, "text/html", "<html>"),
]


@pytest.mark.parametrize(("name", "status", "content_type", "text"), FAULT_ANSWERS)
def test_a_fault_is_charged_and_answers_wrongly(
    name: str, status: int, content_type: str, text: str
) -> None:
    """Status, type and body of each fault that is an answer."""
    provider = make_provider(requests_per_minute=10, faults={name: 1.0})
    reply = ask(provider, chat())
    assert (reply.status, reply.kind, reply.fault) == (status, name, name)
    assert reply.headers["content-type"] == content_type
    assert text in reply.body.decode()
    assert reply.is_admitted
    assert reply.charged == 19
    assert ("x-request-id" in reply.headers) == (name in {"500", "503", "slow_down"})


def test_faults_strike_at_their_rates_and_alike_for_a_seed() -> None:
    """The same seed gives the same faults, another one others; the rates are kept."""

    def strike(seed: int) -> list[str]:
        provider = make_provider(seed, latency_sigma=0.3, faults={"500": 0.2, "hang": 0.1})
        return [ask(provider, chat()).kind for _ in range(1000)]

    kinds = strike(1)
    assert kinds == strike(1)
    assert kinds != strike(2)
    assert 160 < kinds.count("500") < 240
    assert 55 < kinds.count("hang") < 105


def test_a_refused_request_draws_nothing() -> None:
    """Faults after a refusal are the same as without it."""
    free = make_provider(faults={"500": 0.5})
    limited = make_provider(requests_per_minute=5, faults={"500": 0.5})
    wanted = [ask(free, chat()).kind for _ in range(10)]
    found = []
    for step in range(1000):
        reply = ask(limited, chat(), float(step))
        if reply.is_admitted:
            found.append(reply.kind)
    assert found[:10] == wanted


def test_a_body_is_read_once_however_often_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries are not counted again, and the memory for them is bounded."""
    monkeypatch.setattr("ratedispatch.simulate.provider.call_reader._REMEMBERED", 10)
    counted = []

    def count(body: Any, endpoint: str) -> int:
        counted.append(endpoint)
        return 1

    provider = Provider(ProviderSettings(), rng=random.Random(1), now=0.0, count=count)
    small, large = json.dumps(chat(10)).encode(), json.dumps(chat(10000)).encode()
    for _ in range(3):
        ask(provider, small)
    assert len(counted) == 1
    for _ in range(3):
        ask(provider, large)
    assert len(counted) == 4
    for number in range(50):
        ask(provider, json.dumps(chat(10, user=str(number))).encode())
    ask(provider, small)
    assert len(counted) == 4 + 50 + 1
