"""A job against a server, in each way to send, with whichever openai package is installed."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import openai
import pytest
from click.testing import CliRunner

import ratedispatch as rd
from ratedispatch.cli import main
from ratedispatch.dispatch.transports.http_library import http, library_of
from ratedispatch.dispatch.transports.sdk import SdkTransport
from ratedispatch.errors import TransportError
from ratedispatch.simulate.server.child import FakeServerProcess
from tests.environments.__main__ import environments

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY = "sk-very-secret-key-0123456789"
ROWS = 30


@pytest.fixture(scope="module")
def server() -> Iterator[FakeServerProcess]:
    with FakeServerProcess("--latency", "0.01", "--api-key", KEY) as child:
        yield child


@pytest.fixture
def job(tmp_path: Path) -> Path:
    """A folder with an input."""
    with (tmp_path / "in.jsonl").open("w") as file:
        for number in range(ROWS):
            body: dict[str, Any] = {"model": "gpt-4o", "max_tokens": 5}
            body["messages"] = [{"role": "user", "content": f"hi {number}"}]
            line = {"custom_id": str(number), "url": "/v1/chat/completions", "body": body}
            file.write(json.dumps(line) + "\n")
    return tmp_path


def answered(path: Path) -> set[str]:
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return {one["custom_id"] for one in lines if one["response"]["status_code"] == 200}


EVERY = {str(number) for number in range(ROWS)}


@pytest.mark.parametrize("transport", ["bulk", "sdk"])
def test_a_run_answers_every_row(
    transport: str, job: Path, server: FakeServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through either transport."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    words = ["run", str(job / "in.jsonl"), "-o", str(job / "out.jsonl"), "--rpm", "60000"]
    words += ["--tpm", "none", "--base-url", server.base_url, "--transport", transport]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.output
    assert answered(job / "out.jsonl") == EVERY


def test_a_client_is_enough(job: Path, server: FakeServerProcess) -> None:
    """For a job, a dispatcher, and to be wrapped."""
    limits = rd.Limits(60_000)

    async def send() -> rd.Report:
        async with openai.AsyncOpenAI(base_url=server.base_url, api_key=KEY) as client:
            async with rd.Dispatcher(client, limits) as dispatcher:
                messages = [{"role": "user", "content": "hi"}]
                outcome = await dispatcher.submit(
                    rd.Request.chat(model="gpt-4o", messages=messages)
                )
                assert isinstance(outcome, rd.Completed), outcome
            return await rd.run_file(
                job / "in.jsonl", job / "out.jsonl", client=client, limits=limits
            )

    report = asyncio.run(send())
    assert (report.answered, report.unanswered) == (ROWS, 0)
    assert answered(job / "out.jsonl") == EVERY


def test_a_client_of_httpx_is_taken_by_every_version(server: FakeServerProcess) -> None:
    """By version 3 as well, which sends through httpx2 itself; its errors are known, too."""
    httpx: Any = pytest.importorskip("httpx")

    async def send(url: str) -> rd.Response:
        async with openai.AsyncOpenAI(
            base_url=url, api_key=KEY, http_client=httpx.AsyncClient()
        ) as client:
            body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}
            return await SdkTransport(client).send(rd.Request(body), 5)

    response = asyncio.run(send(server.base_url))
    assert (response.status, response.is_json) == (200, True)
    with pytest.raises(TransportError) as caught:
        asyncio.run(send("http://127.0.0.1:9/v1"))
    assert not caught.value.reached


def test_the_environments_are_those_that_the_project_takes() -> None:
    """The lowest version, and each major one."""
    names = [(one.name, one.packages[0]) for one in environments()]
    assert names == [
        ("openai-lowest", "openai==1.55.3"),
        ("openai-1", "openai>=1,<2"),
        ("openai-2", "openai>=2,<3"),
        ("openai-3", "openai>=3,<4"),
    ]


def test_the_library_is_that_of_the_sdk() -> None:
    """Its URLs are those of its clients, and a requirement of an extra counts for nothing."""
    assert isinstance(openai.AsyncOpenAI(api_key=KEY).base_url, http.URL)
    assert library_of(["anyio<5", "httpx2<3,>=2.12.0", "jiter"]) == "httpx2"
    assert library_of(["httpx<1,>=0.23.0", "httpx2<3,>=2.7.0; extra == 'httpx2'"]) == "httpx"
