"""Keys with accounts of their own, and Azure's paths, with the real SDK."""

from __future__ import annotations

import asyncio
import contextlib
import random
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import openai
import pytest

from ratedispatch.cli.fake_server_keys import parse_keys
from ratedispatch.request import CHAT
from ratedispatch.simulate.accounts import Accounts
from ratedispatch.simulate.provider.calls import Problem
from ratedispatch.simulate.provider.request_paths import target_of
from ratedispatch.simulate.server.child import FakeServerProcess
from ratedispatch.simulate.settings import ProviderSettings
from tests.sdk_features import needs_newer_sdk
from tests.simulate.providers import ask, chat, error, make_provider

if TYPE_CHECKING:
    from collections.abc import Iterator

MESSAGES: Any = [{"role": "user", "content": "Who is Joseph Conrad?"}]
VERSION = "2024-10-21"


@pytest.fixture(scope="module")
def child() -> Iterator[FakeServerProcess]:
    flags = ("--charge", "characters", "--latency", "0")
    keys = ("--key", "sk-a=600:none", "--key", "sk-b=2:1k", "--key", "sk-c=none:none,quota=1")
    with FakeServerProcess(*flags, *keys) as server:
        yield server


@pytest.fixture
def server(child: FakeServerProcess) -> FakeServerProcess:
    child.reset()
    return child


@contextlib.contextmanager
def client_of(server: FakeServerProcess, key: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=server.base_url, api_key=key, max_retries=0) as client:
        yield client


def ask_sdk(client: openai.OpenAI, **fields: Any) -> Any:
    return client.chat.completions.create(model="gpt-4o-mini", messages=MESSAGES, **fields)


def test_each_key_has_its_own_limits(server: FakeServerProcess) -> None:
    """One that is refused leaves the others alone; the books of all know every row."""
    with client_of(server, "sk-a") as first, client_of(server, "sk-b") as second:
        for _ in range(2):
            ask_sdk(first)
            ask_sdk(second)
        with pytest.raises(openai.RateLimitError, match="Limit 2, Used 2"):
            ask_sdk(second)
        ask_sdk(first)
    stats = server.stats()
    assert (stats["arrived"], stats["admitted"], stats["refused"]) == (6, 5, {"requests": 1})
    assert stats["answers_too_many"] == 4  # the same body, whoever asked
    own = stats["by_key"]
    assert {key: own[key]["admitted"] for key in own} == {"sk-a": 3, "sk-b": 2, "sk-c": 0}
    assert own["sk-a"]["refused"] == {}
    assert own["sk-b"]["limits"] == {"requests": 2, "tokens": 1000}
    assert own["sk-b"]["excess"]["offered"]["requests"] == pytest.approx(1, abs=0.05)


def test_streams_are_charged_to_their_key(server: FakeServerProcess) -> None:
    with client_of(server, "sk-b") as client:
        list(ask_sdk(client, stream=True, max_tokens=10))
    stats = server.stats()
    for books in (stats, stats["by_key"]["sk-b"]):
        assert (books["tokens_charged"], books["answered"]) == (18, 1)
        assert (books["streams"]["begun"], books["streams"]["whole"]) == (1, 1)
    assert stats["by_key"]["sk-a"]["tokens_charged"] == 0


def test_an_unknown_key_is_refused_in_openais_words(server: FakeServerProcess) -> None:
    with (
        client_of(server, "sk-unknown") as client,
        pytest.raises(openai.AuthenticationError, match="Incorrect API key") as raised,
    ):
        ask_sdk(client)
    assert raised.value.code == "invalid_api_key"
    stats = server.stats()
    assert stats["invalid"] == 1
    assert all(own["arrived"] == 0 for own in stats["by_key"].values())


def test_the_quota_of_a_key_is_its_own(server: FakeServerProcess) -> None:
    with client_of(server, "sk-c") as spent, client_of(server, "sk-a") as other:
        ask_sdk(spent)
        with pytest.raises(openai.RateLimitError) as raised:
            ask_sdk(spent)
        ask_sdk(other)
    assert raised.value.code == "insufficient_quota"


def test_limits_are_changed_by_key(server: FakeServerProcess) -> None:
    assert server.set_limits(key="sk-b", rpm=60) == {"requests": 60, "tokens": 1000}
    with pytest.raises(RuntimeError, match="there is no key None; there are sk-a, sk-b, sk-c"):
        server.set_limits(rpm=60)


def test_what_befalls_a_key_befalls_it_in_its_time() -> None:
    """Quota, revocation and 502 begin and end at their instants, each for its key only."""
    keys = parse_keys(
        (
            "a=600:none,quota-at=30",
            "b=1.2k:none,html=20:20",
            "c=3k:none,revoked-at=10:5",
            "d=none:1M,outage=5:10,quota=7",
        ),
        ProviderSettings(charge="characters", latency=0.0),
    )
    accounts = Accounts(ProviderSettings(), keys, seed=1, now=100.0)

    def status(key: str, after: float) -> int:
        headers = {"authorization": f"Bearer {key}"}
        provider, _ = accounts.of(headers)
        return provider.arrive(CHAT, headers, chat(), 100.0 + after).status

    instants = [0.0, 9.9, 10.0, 14.9, 15.0, 19.9, 20.0, 29.9, 30.0, 39.9, 40.0, 1e6]
    found = {key: [status(key, after) for after in instants] for key in "abcd"}
    assert found == {
        "a": [200] * 8 + [429] * 4,
        "b": [200] * 6 + [502] * 4 + [200] * 2,
        "c": [200] * 2 + [401] * 2 + [200] * 8,
        "d": [200] + [429] * 3 + [200] * 6 + [429] * 2,
    }


def test_a_quota_that_is_filled_up_again_serves_on() -> None:
    provider = make_provider(quota_time=(10.0, 20.0))
    kinds = [ask(provider, chat(), at).kind for at in (9.0, 10.0, 29.9, 30.0)]
    assert kinds == ["answer", "quota", "quota", "answer"]


def test_a_revoked_key_gets_what_a_wrong_one_gets() -> None:
    provider = make_provider(api_key="sk-a", revoked_time=(10.0, float("inf")))
    headers = {"authorization": "Bearer sk-a"}
    assert provider.arrive(CHAT, headers, chat(), 9.0).status == 200
    reply = provider.arrive(CHAT, headers, chat(), 10.0)
    assert (reply.status, error(reply)["code"]) == (401, "invalid_api_key")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sk-a", "is not NAME=RPM:TPM"),
        ("sk-a=600", "is not NAME=RPM:TPM"),
        ("=600:none", "is not NAME=RPM:TPM"),
        ("sk-a=600:none,quota=x", "quota=x is not a number of requests"),
        ("sk-a=600:none,quota-at=x", r"quota-at 'x' is not START\[:SECONDS\]"),
        ("sk-a=600:none,502=1:2", "there is no fault '502'"),
        ("sk-a=600:none,html=1", "fault 'html' strikes from 1.0 s on for inf s"),
        ("sk-a=600:none,outage=1", "outage lasts for ever"),
    ],
)
def test_a_key_written_otherwise_is_named(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_keys((text,), ProviderSettings())


def test_a_key_stands_once() -> None:
    with pytest.raises(ValueError, match="gives 'a' twice"):
        parse_keys(("a=1:1", "a=2:2"), ProviderSettings())


@pytest.mark.parametrize("flags", [("--rpm", "10"), ("--api-key", "x"), ("--change", "1:2:3")])
def test_keys_have_limits_of_their_own_only(flags: tuple[str, str]) -> None:
    command = [sys.executable, "-m", "ratedispatch", "fake-server", "--key", "a=1:1", *flags]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 2
    assert f"--key and {flags[0]} cannot be used together" in done.stderr


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/chat/completions", (CHAT, "")),
        ("/v1/chat/completions?x=1", (CHAT, "")),
        ("/openai/v1/chat/completions", (CHAT, "")),
        ("/openai/v1/responses?api-version=preview", ("/v1/responses", "")),
        ("/openai/responses?api-version=1", ("/v1/responses", "")),
        ("/openai/deployments/my%20one/chat/completions?api-version=1", (CHAT, "my one")),
        ("/openai/deployments/a/embeddings?api-version=1", ("/v1/embeddings", "a")),
    ],
)
def test_paths_name_endpoint_and_deployment(path: str, target: tuple[str, str]) -> None:
    assert target_of(path) == target


@pytest.mark.parametrize("path", ["/openai/responses", "/openai/deployments/a/chat/completions"])
def test_azure_wants_a_version(path: str) -> None:
    with pytest.raises(Problem) as raised:
        target_of(path)
    assert raised.value.status == 404


def test_the_deployment_is_the_model_whatever_the_body_says() -> None:
    """Limits of models hold for deployments; a body needs no model."""
    provider = make_provider(models={"mine": (1.0, None)})
    path = f"/openai/deployments/mine/chat/completions?api-version={VERSION}"
    body = {"messages": MESSAGES}
    first = provider.arrive(path, {}, body, 0.0)
    assert first.call is not None
    assert (first.status, first.call.model, first.group) == (200, "mine", "mine")
    assert ask(provider, chat(model="other"), path=path).status == 429
    assert ask(provider, chat()).status == 200


@needs_newer_sdk
def test_the_sdk_of_azure_reads_answers_and_streams(server: FakeServerProcess) -> None:
    """Both clients; the key comes in a header of its own."""
    options: Any = {
        "azure_endpoint": server.azure_endpoint,
        "api_key": "sk-a",
        "api_version": VERSION,
        "max_retries": 0,
    }

    async def main() -> None:
        async with openai.AsyncAzureOpenAI(**options) as client:
            made = await client.embeddings.create(model="embed", input="abc")
            assert (made.model, len(made.data)) == ("embed", 1)
            chunks = await client.chat.completions.create(
                model="mine", messages=MESSAGES, stream=True
            )
            assert {chunk.model async for chunk in chunks} == {"mine"}

    with openai.AzureOpenAI(**options) as client:
        assert ask_sdk(client).model == "gpt-4o-mini"
        assert client.completions.create(model="old", prompt="Hi").model == "old"
        assert client.responses.create(model="m", input="Hi").output_text.startswith("answer")
    asyncio.run(main())
    assert server.stats()["by_key"]["sk-a"]["answered"] == 5


def test_azures_new_paths_are_openais(server: FakeServerProcess) -> None:
    url = f"{server.azure_endpoint}/openai/v1"
    with openai.OpenAI(base_url=url, api_key="sk-a", max_retries=0) as client:
        assert ask_sdk(client).choices
        assert client.models.list().data


def test_chance_is_each_keys_own() -> None:
    """What one key asks does not move what happens to another."""
    settings = ProviderSettings(charge="characters", latency=1.0)
    keys = {"a": settings, "b": settings}

    def delays(order: str) -> dict[str, list[float]]:
        accounts = Accounts(settings, keys, seed=1, now=0.0)
        found: dict[str, list[float]] = {"a": [], "b": []}
        for key in order:
            headers = {"api-key": key}
            provider, _ = accounts.of(headers)
            found[key].append(provider.arrive(CHAT, headers, chat(), 0.0).delay)
        return found

    order = list("aaabbb")
    random.Random(1).shuffle(order)
    assert delays("aaabbb") == delays("".join(order))
