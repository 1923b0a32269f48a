"""Settings that are known without the SDK are those that the SDK's client would have."""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path

import openai
import pytest

from ratedispatch.dispatch.transports.bulk import plain_bulk
from ratedispatch.dispatch.transports.client_settings import _KNOWN, plain_settings
from ratedispatch.dispatch.transports.read_client import settings_of, unsupported_reason
from ratedispatch.dispatch.transports.sdk import make_client

KEY = "sk-123456789"


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("OPENAI_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


async def settings_of_sdk(url: str | None) -> object:
    """What an AsyncOpenAI for *url* is set to."""
    async with make_client(base_url=url, api_key=KEY, max_connections=1) as client:
        assert unsupported_reason(client) is None
        return settings_of(client)


@pytest.mark.parametrize(
    "url",
    [
        None,
        "https://api.openai.com/v1",
        "https://api.openai.com/v1/",
        "http://localhost:8000/v1",
        "http://LOCALHOST:80/v1/",
        "https://example.org",
        "https://example.org/a b/ü/v1",
        "https://bücher.example/v1",
        "http://[::1]:8000/v1",
        "http://127.0.0.1:1/%2Fv1",
    ],
)
@pytest.mark.parametrize("variable", [None, "https://elsewhere.example/v1"])
def test_it_is_what_the_client_is_set_to(
    url: str | None, variable: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """URL, headers, key, query and proxy are those of an AsyncOpenAI with the same arguments."""
    if variable is not None:
        monkeypatch.setenv("OPENAI_BASE_URL", variable)
    assert plain_settings(url, KEY, os.environ) == asyncio.run(settings_of_sdk(url))


@pytest.mark.parametrize(
    "name", ["OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_CUSTOM_HEADERS", "OPENAI_NEW_THING"]
)
def test_what_only_the_sdk_reads_is_left_to_it(name: str) -> None:
    """A variable of the SDK's that is not known to change nothing needs a client."""
    assert plain_settings(None, KEY, {name: "x"}) is None


@pytest.mark.parametrize("name", ["HTTP_PROXY", "https_proxy", "ALL_PROXY", "NO_PROXY"])
def test_proxies_are_left_to_the_sdk(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which proxy is for which URL is the SDK's to tell."""
    monkeypatch.setenv(name, "http://localhost:3128")
    assert plain_settings(None, KEY, os.environ) is None


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("https://user:password@example.org/v1", KEY),
        ("https://example.org/v1?api-version=1", KEY),
        ("https://example.org/v1#part", KEY),
        ("example.org/v1", KEY),
        ("http://[::1/v1", KEY),
        (None, ""),
        (None, "sk-\u2013"),
        (None, "sk-\n"),
    ],
)
def test_what_is_odd_is_left_to_the_sdk(url: str | None, key: str) -> None:
    """A URL with more than a place in it, or a key that no header can hold, needs a client."""
    assert plain_settings(url, key, {}) is None


def test_the_sdk_reads_no_other_name() -> None:
    """
    Every variable that the SDK's client reads begins with the prefix that is looked for.

    Those of other clients (Azure, Bedrock) and of services that are signed for are not read by a
    plain one.
    """
    folder = Path(openai.__file__).parent
    text = "".join(
        (folder / name).read_text("utf-8")
        for name in ("_client.py", "_base_client.py", "lib/_client_auth.py")
        if (folder / name).exists()
    )
    names = set(re.findall(r"environ(?:\.get\(|\[)\s*\"([A-Z0-9_]+)\"", text))
    assert names
    assert all(name.startswith("OPENAI_") for name in names)


def test_the_known_variables_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client has the same settings with and without those that are known."""
    without = plain_settings(None, KEY, {})
    for name in _KNOWN - {"OPENAI_BASE_URL"}:
        monkeypatch.setenv(name, "info" if name == "OPENAI_LOG" else "something")
    assert plain_settings(None, KEY, os.environ) == without
    assert asyncio.run(settings_of_sdk(None)) == without


def test_a_transport_without_a_client_sends_to_the_base_url() -> None:
    """The transport knows its base URL, and the key that is to be kept out of files."""
    bulk = plain_bulk("http://localhost:8000/v1", KEY, 3, {})
    assert bulk is not None
    assert (bulk.base_url, bulk.api_key) == ("http://localhost:8000/v1/", KEY)
    assert plain_bulk(None, KEY, 3, {"OPENAI_ORG_ID": "org"}) is None
