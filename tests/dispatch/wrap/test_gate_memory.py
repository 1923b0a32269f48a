"""Memory of wrapped clients: kept while they are used, and when they are gone."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

import ratedispatch as rd
from ratedispatch.dispatch.recollection import EVERY_SECONDS, Recollection, digest_of
from ratedispatch.memory.state_folder import HeldMemory, StateFolder
from tests.dispatch.wrap.upstream import ASK, Upstream, sync_client

if TYPE_CHECKING:
    from pathlib import Path

LIMITS = rd.Limits(60_000, requests_per_day=5)
URL = "https://api.openai.com/v1/"


def facts_in(folder: Path, kind: str) -> list[Any]:
    accounts = StateFolder(folder).accounts()
    return [fact.value for account in accounts for fact in account.facts if fact.kind == kind]


def ask(client: Any, times: int) -> None:
    for _ in range(times):
        client.chat.completions.create(**ASK)


def test_what_a_client_has_spent_of_a_day_is_kept_when_it_is_gone(tmp_path: Path) -> None:
    """The next one of the same account has what is left."""
    client = rd.wrap(sync_client(Upstream(), base_url=URL), LIMITS, memory=tmp_path)
    ask(client, 3)
    assert facts_in(tmp_path, "spent") == []
    del client
    gc.collect()
    assert facts_in(tmp_path, "spent")[0] == [pytest.approx(3, abs=0.01), 5.0]
    client = rd.wrap(sync_client(Upstream(), base_url=URL), LIMITS, memory=tmp_path, max_wait=0.5)
    ask(client, 2)
    with pytest.raises(Exception, match="hold it back"):
        ask(client, 1)


def test_a_run_and_a_wrapped_client_are_one_account(tmp_path: Path) -> None:
    """Both are called by address and key."""
    client = rd.wrap(sync_client(Upstream(), base_url=URL), LIMITS, memory=tmp_path)
    ask(client, 1)
    del client
    gc.collect()
    account = StateFolder(tmp_path).of("https://api.openai.com/v1", digest_of("sk-test"), "")
    assert account is not None
    assert account.recall().limits[0].spent == pytest.approx(1, abs=0.01)


_PROGRAM = """
import json, sys
import ratedispatch as rd
from tests.dispatch.wrap.upstream import ASK, Upstream, sync_client
client = rd.wrap(sync_client(Upstream()), rd.Limits(60_000, requests_per_day=5), memory=sys.argv[1])
client.chat.completions.create(**ASK)
"""


def test_it_is_kept_at_the_end_of_a_process(tmp_path: Path) -> None:
    """Nobody has to close anything."""
    command = [sys.executable, "-c", _PROGRAM, str(tmp_path)]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
    assert facts_in(tmp_path, "spent")[0][0] == pytest.approx(1, abs=0.01)


def test_it_is_kept_every_minute_of_calls() -> None:
    """Not with each of them."""
    kept = []

    class Counted(Recollection):
        def keep(self) -> None:
            kept.append(1)

    memory = Counted(HeldMemory())
    others = set(threading.enumerate())  # those of other tests may never end
    for now in (0.0, 1.0, EVERY_SECONDS - 1, EVERY_SECONDS, EVERY_SECONDS + 1, 2 * EVERY_SECONDS):
        memory.keep_if_due(now)
    for thread in set(threading.enumerate()) - others:
        thread.join(5.0)
    assert len(kept) == 2


def test_a_key_that_a_function_gives_is_not_remembered(tmp_path: Path) -> None:
    """It is another one in each process."""
    client = sync_client(Upstream())
    client._azure_ad_token_provider = lambda: "token"  # type: ignore[attr-defined]
    paced = rd.wrap(client, LIMITS, memory=tmp_path)
    ask(paced, 1)
    del paced, client
    gc.collect()
    assert not list(tmp_path.iterdir())


def test_nothing_is_kept_by_default(own_state: Path) -> None:
    """A library writes no files by itself."""
    client = rd.wrap(sync_client(Upstream()), LIMITS)
    ask(client, 1)
    del client
    gc.collect()
    assert not own_state.exists()
