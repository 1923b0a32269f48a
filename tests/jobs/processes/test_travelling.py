"""Clients that are made anew in other processes."""

from __future__ import annotations

import asyncio
import pickle
from typing import TYPE_CHECKING, Any

import openai
import pytest

import ratedispatch as rd
from ratedispatch.jobs.processes.travelling import opening_of
from ratedispatch.simulate.server.child import FakeServerProcess
from tests.cli.run_command import lines, row

if TYPE_CHECKING:
    from pathlib import Path

LIMITS = rd.Limits(600)


def opened(client: Any) -> Any:
    """Return what another process has in its place."""

    async def main() -> Any:
        async with pickle.loads(pickle.dumps(opening_of(client, 5)))() as found:
            return found

    return asyncio.run(main())


def test_a_plain_client_is_made_anew() -> None:
    """With its address and its key; each member of a pool, too."""
    client = openai.AsyncOpenAI(api_key="sk-a", base_url="http://localhost:1/v1")
    found = opened(client)
    assert (found.base_url, found.api_key) == ("http://localhost:1/v1/", "sk-a")
    pool = rd.Pool([rd.Member(client, LIMITS, "east", models={"a": "b"})])
    (member,) = opened(pool)
    assert (member.name, member.limits, member.models) == ("east", LIMITS, {"a": "b"})
    assert member.client.api_key == "sk-a"
    assert "sk-a" not in repr(member)


@pytest.mark.parametrize(
    "client",
    [object(), openai.AsyncOpenAI(api_key="sk-a", http_client=openai.DefaultAsyncHttpxClient())],
)
def test_any_other_is_refused(client: object) -> None:
    """Before anything is started."""
    with pytest.raises(TypeError, match="cannot be recreated in several processes"):
        opening_of(client, 5)


@pytest.mark.slow
def test_a_file_is_sent_by_several_processes(tmp_path: Path) -> None:
    """With the listeners of the program, which hear of whole answers."""
    (tmp_path / "in.jsonl").write_text("".join(row(f"r{one}") + "\n" for one in range(20)))
    texts: list[str] = []

    def listen(event: rd.Event) -> None:
        if isinstance(event, rd.RequestEnded):
            texts.append(event.outcome.text)

    async def main(base_url: str) -> rd.Report:
        async with openai.AsyncOpenAI(api_key="sk-a", base_url=base_url) as client:
            return await rd.run_file(
                tmp_path / "in.jsonl",
                tmp_path / "out.jsonl",
                client=client,
                limits=rd.Limits(60_000),
                listeners=[listen],
                job_options=rd.JobOptions(processes=2),
            )

    with FakeServerProcess() as server:
        report = asyncio.run(main(server.base_url))
    assert (report.answered, report.attempts) == (20, 20)
    assert sorted(one["custom_id"] for one in lines(tmp_path / "out.jsonl")) == sorted(
        f"r{one}" for one in range(20)
    )
    assert len(texts) == 20
    assert all(texts)
