"""
A real cluster, with the fake server as a process of its own.

Skipped where Ray is not installed.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import ratedispatch as rd
from ratedispatch.simulate.server.child import FakeServerProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

pytestmark = [
    pytest.mark.usefixtures("cluster"),
    pytest.mark.slow,
    # Ray's own: sockets that it leaves open, and what it is about to rename
    pytest.mark.filterwarnings("ignore"),
]

ROWS = 200
IN_FLIGHT = 8


@pytest.fixture(scope="module")
def server() -> Iterator[FakeServerProcess]:
    with FakeServerProcess("--latency", "0.05") as process:
        yield process


def rows(count: int = ROWS, **columns: Any) -> Any:
    import ray.data

    return ray.data.from_items([{"id": number, **columns} for number in range(count)])


def ask(server: FakeServerProcess, dataset: Any, **changes: Any) -> Any:
    server.reset()
    given: dict[str, Any] = {"limits": rd.Limits(60_000), "base_url": server.base_url}
    if "request" not in changes:
        given |= {"template": "say {id}", "model": "gpt-4o-mini", "max_tokens": 5}
    return rd.ray.map(dataset, **{**given, "actors": 2, "batch_rows": 20, **changes})


def test_every_row_gets_its_answer_beside_its_columns(server: FakeServerProcess) -> None:
    """And goes through a second time without being sent again."""
    dataset = ask(server, rows(large=b"\x00" * 1000))
    for _ in range(2):
        found = dataset.take_all()
        assert sorted(row["id"] for row in found) == list(range(ROWS))
        assert all(row["answer"] and row["error"] is None for row in found)
        assert all(row["usage"]["prompt_tokens"] > 0 for row in found)
        assert all(row["large"] == b"\x00" * 1000 for row in found)
        assert server.stats()["arrived"] == ROWS


def killing(how: str, base_url: str, marker: str) -> Callable[[Mapping[str, Any]], rd.Request]:
    """Return what makes requests; the first actor to call it is killed in the middle."""

    def die(actor: Any) -> None:
        import ray

        while True:
            with urllib.request.urlopen(f"{base_url}/_stats") as answer:
                if json.load(answer)["answered"] >= ROWS // 2:
                    break
        if how == "SIGKILL":
            os.kill(os.getpid(), signal.SIGKILL)
        ray.kill(actor, no_restart=False)

    def request(row: Mapping[str, Any]) -> rd.Request:
        import ray

        with contextlib.suppress(FileExistsError):
            Path(marker).touch(exist_ok=False)
            actor = ray.get_runtime_context().current_actor
            threading.Thread(target=die, args=(actor,), daemon=True).start()
        said = [{"role": "user", "content": str(row["id"])}]
        return rd.Request.chat(model="gpt-4o-mini", messages=said, max_tokens=5)

    return request


@pytest.mark.parametrize("how", ["SIGKILL", "ray.kill"])
def test_an_actor_that_is_killed_costs_what_it_had_in_flight(
    server: FakeServerProcess, tmp_path: Path, how: str
) -> None:
    """Every row is there once; what was answered is not sent again."""
    marker = tmp_path / "killed"
    request = killing(how, server.base_url, str(marker))
    found = ask(server, rows(), request=request, max_in_flight=IN_FLIGHT).take_all()
    assert marker.exists()
    assert sorted(row["id"] for row in found) == list(range(ROWS))
    assert all(row["answer"] for row in found)
    # an answer that came in the last milliseconds is not remembered, and has made room in flight
    assert ROWS <= server.stats()["arrived"] <= ROWS + 2 * IN_FLIGHT


def test_a_row_that_fails_stays_with_its_reason(server: FakeServerProcess) -> None:
    def request(row: Mapping[str, Any]) -> rd.Request:
        if row["id"] % 10 == 3:
            raise rd.InvalidRequest(f"row {row['id']} is none")
        said = [{"role": "user", "content": "say"}]
        return rd.Request.chat(model="gpt-4o-mini", messages=said, max_tokens=5)

    limits = rd.ray.limiter("of failing rows", rd.Limits(60_000))
    found = ask(server, rows(20), request=request, limits=limits).take_all()
    failed = {row["id"]: (row["error_code"], row["error"]) for row in found if row["error"]}
    assert failed == {
        3: ("invalid_request", "row 3 is none"),
        13: ("invalid_request", "row 13 is none"),
    }
    assert len(found) == 20
    assert all((row["answer"] is None) == (row["id"] in failed) for row in found)


def test_a_stop_is_raised_where_the_dataset_is_gone_through() -> None:
    """With the sentence that says what to do."""
    with FakeServerProcess("--latency", "0.01", "--api-key", "another") as locked:
        dataset = ask(locked, rows(20))
        with pytest.raises(rd.Stopped, match="key") as caught:
            dataset.take_all()
        assert caught.value.code == "authentication"


def test_mistakes_are_told_before_anything_is_sent(server: FakeServerProcess) -> None:
    dataset = rows(5)
    with pytest.raises(rd.JobError, match="did you mean 'id'"):
        ask(server, dataset, template="say {ids}")
    with pytest.raises(rd.JobError, match="column 'answer' already"):
        ask(server, rows(5, answer="x"))
    found = ask(server, rows(5, answer="x"), prefix="new_").take_all()
    assert all(row["answer"] == "x" and row["new_answer"] for row in found)
    missing = ask(server, dataset, api_key_env="A_KEY_THAT_IS_NOT_SET")
    with pytest.raises(rd.JobError, match="variable A_KEY_THAT_IS_NOT_SET is not set"):
        missing.take_all()


def test_limits_of_one_name_are_one_actor() -> None:
    """Whoever asks for it; and it goes to tasks."""
    import ray

    first = rd.ray.limiter("account", rd.Limits(600))
    second = rd.ray.limiter("account", rd.Limits(600))
    assert first.actor._actor_id == second.actor._actor_id

    def name_of(limiter: rd.ray.Limiter) -> str:
        return str(limiter.store().name)

    task = ray.remote(num_cpus=0)(name_of)
    assert ray.get(task.remote(first)) == "the actor of the limits 'account'"
    assert rd.ray.limiter("other", rd.Limits(600)).actor._actor_id != first.actor._actor_id
