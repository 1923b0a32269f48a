"""The state folder: names without keys, whole files, and whatever else may stand there."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratedispatch.memory import facts
from ratedispatch.memory.account_names import name_of, place_of, seal_of
from ratedispatch.memory.fact_file import (
    Account,
    DamagedMemory,
    as_json,
    change_account,
    read_account,
)
from ratedispatch.memory.facts import Fact, fact_of
from ratedispatch.memory.state_folder import StateFolder, state_path, wall_clock

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

#: The clock of files, which cannot be handed in: how old one is decides whether it is kept.
NOW = float(round(wall_clock()))
URL = "https://api.openai.com/v1"
KEY = "sk-very-secret-0123456789"
DIGEST = KEY.encode()


def folder_at(path: Path, told: list[str] | None = None, now: float = NOW) -> StateFolder:
    return StateFolder(
        path / "ratedispatch", (told if told is not None else []).append, lambda: now
    )


def limit_of(value: float, at: float = NOW) -> Fact:
    return Fact(facts.LIMIT, "requests", value, at)


def kept(folder: StateFolder, key: bytes = DIGEST, group: str = "", url: str = URL) -> Any:
    account = folder.of(url, key, group)
    return None if account is None else account.recall().facts


def keep(folder: StateFolder, *found: Fact, key: bytes = DIGEST, group: str = "") -> None:
    account = folder.of(URL, key, group)
    assert account is not None
    account.recall()
    account.keep(lambda _: found)


def files(folder: StateFolder) -> list[Path]:
    return sorted((folder.path / "accounts").iterdir())


def test_what_is_kept_is_there_in_the_next_process(tmp_path: Path) -> None:
    """By server, key and group."""
    keep(folder_at(tmp_path), limit_of(3_000.0))
    later = folder_at(tmp_path)
    assert kept(later) == (limit_of(3_000.0),)
    assert kept(later, key=b"another") == ()
    assert kept(later, group="large") == ()
    assert kept(later, url="https://api.openai.com:443/v1/") == (limit_of(3_000.0),)
    assert kept(later, url="http://localhost:8000/v1") == ()


def test_files_are_the_users_alone_and_hold_no_key(tmp_path: Path) -> None:
    """Not even one in the address; and the name is another one under another secret."""
    folder = folder_at(tmp_path)
    account = folder.of(f"https://user:{KEY}@host/v1?key={KEY}", DIGEST, "")
    assert account is not None
    account.keep(lambda _: [limit_of(1.0)])
    (file,) = files(folder)
    assert KEY not in file.read_text() + file.name
    assert "user" not in file.read_text()
    for path in (file, folder.path / "secret"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    other = folder_at(tmp_path / "other")
    keep(other, limit_of(1.0))
    keep(folder, limit_of(1.0))
    assert not {one.name for one in files(folder)} & {one.name for one in files(other)}


def test_a_name_needs_the_secret_and_takes_its_time() -> None:
    """A guess at a key is tested with the secret only, by a function that takes memory."""
    seals = {seal_of(digest, secret) for digest in (b"a", b"b") for secret in (b"x", b"y")}
    assert len(seals) == 4
    assert name_of(b"s", "https://a", "b") != name_of(b"s", "https://ab", "")


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("HTTPS://API.OpenAI.com:443/v1/", "https://api.openai.com/v1"),
        ("http://[::1]:8000/v1?api-version=1", "http://[::1]:8000/v1"),
        ("http://[", ""),
        ("nothing", ""),
        (None, ""),
    ],
)
def test_a_place_has_one_name(url: str | None, place: str) -> None:
    """However it is written."""
    assert place_of(url) == place


def test_an_account_without_a_place_has_no_memory(tmp_path: Path) -> None:
    """A transport of the caller's own need not have an address."""
    assert folder_at(tmp_path).of(None, DIGEST, "") is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00\xff",
        b"[]",
        b"{}",
        b"[" * 100_000,
        b'{"version":1}',
        b'{"version":1,"server":3,"group":"","facts":[]}',
        b'{"version":1,"server":"\\u001b[2J","group":"","facts":[]}',
        b'{"version":1,"server":"x","group":"","facts":[' + b" " * 300_000 + b"]}",
    ],
)
def test_a_damaged_file_is_told_once_and_replaced(tmp_path: Path, content: bytes) -> None:
    """It never ends a job."""
    keep(folder_at(tmp_path), limit_of(1.0))
    told: list[str] = []
    folder = folder_at(tmp_path, told)
    (path,) = files(folder)
    path.write_bytes(content)
    account = folder.of(URL, DIGEST, "")
    assert account is not None
    assert account.recall().facts == ()
    assert len(told) == 1
    assert str(path) in told[0]
    account.keep(lambda _: [limit_of(2.0)])
    assert kept(folder_at(tmp_path)) == (limit_of(2.0),)
    assert len(told) == 1


def test_a_file_of_a_later_version_is_left_as_it_is(tmp_path: Path) -> None:
    """The program that wrote it goes on with it."""
    keep(folder_at(tmp_path), limit_of(1.0))
    told: list[str] = []
    folder = folder_at(tmp_path, told)
    (path,) = files(folder)
    path.write_text('{"version": 2, "of": "another time"}')
    keep(folder, limit_of(2.0))
    assert path.read_text() == '{"version": 2, "of": "another time"}'
    assert len(told) == 1
    assert "version" in told[0]


def test_facts_that_are_none_are_left_out(tmp_path: Path) -> None:
    """The others count."""
    keep(folder_at(tmp_path), limit_of(1.0))
    folder = folder_at(tmp_path)
    (path,) = files(folder)
    content = json.loads(path.read_text())
    content["facts"] += [7, {}, {"kind": "limit", "of": "tokens", "value": -1, "at": NOW}]
    path.write_text(json.dumps(content))
    assert kept(folder) == (limit_of(1.0),)


@given(data=st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
@settings(max_examples=100, deadline=None)
def test_no_bytes_do_harm(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    """Whatever a file holds is an account, or damaged."""
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_bytes(data)
    with pytest.raises(DamagedMemory):
        read_account(path)


_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=10,
)
_ENTRY = st.fixed_dictionaries(
    {
        "kind": st.sampled_from([*facts._KINDS]),
        "of": st.text(max_size=5),
        "value": _JSON,
        "at": _JSON,
    }
)


@given(entries=st.lists(_ENTRY | _JSON, max_size=8))
@settings(max_examples=40, deadline=None)
def test_no_facts_do_harm(tmp_path_factory: pytest.TempPathFactory, entries: list[Any]) -> None:
    """What is read can be written, read again, and used."""
    path = tmp_path_factory.getbasetemp() / "entries.json"
    path.write_text(json.dumps({"version": 1, "server": "s", "group": "", "facts": entries}))
    account = read_account(path)
    assert account is not None
    for fact in account.facts:
        assert fact_of(*fact) == fact
    change_account(path, lambda _: account)
    assert read_account(path) == account
    from ratedispatch.memory.remembered import Remembered

    remembered = Remembered(account.facts, NOW)
    assert len(remembered.limits) <= len(account.facts)


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    """Neither read nor written through; the new file takes its place."""
    keep(folder_at(tmp_path), limit_of(1.0))
    told: list[str] = []
    folder = folder_at(tmp_path, told)
    (path,) = files(folder)
    target = tmp_path / "target.json"
    path.rename(target)
    path.symlink_to(target)
    before = target.read_text()
    assert kept(folder) == ()
    assert len(told) == 1
    account = folder.of(URL, DIGEST, "")
    assert account is not None
    account.keep(lambda _: [limit_of(2.0)])
    assert target.read_text() == before


def test_a_pipe_in_the_place_of_a_file_holds_nobody_up(tmp_path: Path) -> None:
    """To open one waits for a writer."""
    keep(folder_at(tmp_path), limit_of(1.0))
    folder = folder_at(tmp_path)
    (path,) = files(folder)
    path.unlink()
    os.mkfifo(path)
    assert kept(folder) == ()
    assert folder.accounts() == []


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only for root")
def test_a_read_only_folder_is_told_once(tmp_path: Path) -> None:
    """The run goes on without."""
    told: list[str] = []
    tmp_path.chmod(0o500)
    try:
        folder = folder_at(tmp_path, told)
        assert folder.of(URL, DIGEST, "") is None
        assert folder.of(URL, DIGEST, "group") is None
    finally:
        tmp_path.chmod(0o700)
    assert len(told) == 1


def test_a_file_in_the_place_of_the_folder_is_told_once(tmp_path: Path) -> None:
    """The same."""
    (tmp_path / "ratedispatch").write_text("")
    told: list[str] = []
    folder = folder_at(tmp_path, told)
    assert folder.of(URL, DIGEST, "") is None
    assert len(told) == 1
    assert folder.accounts() == []


def test_a_folder_that_is_full_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No half file stays behind, and what was there before is still there."""
    keep(folder_at(tmp_path), limit_of(1.0))
    told: list[str] = []
    folder = folder_at(tmp_path, told)
    account = folder.of(URL, DIGEST, "")
    assert account is not None

    def full(_: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", lambda *_: full(None))
    account.keep(lambda _: [limit_of(2.0)])
    account.keep(lambda _: [limit_of(3.0)])
    monkeypatch.undo()
    assert len(told) == 1
    assert "No space" in told[0]
    assert len(files(folder)) == 1
    assert kept(folder) == (limit_of(1.0),)


def test_a_damaged_secret_is_told(tmp_path: Path) -> None:
    """No name is made with a part of one."""
    keep(folder_at(tmp_path), limit_of(1.0))
    told: list[str] = []
    folder = folder_at(tmp_path, told)
    (folder.path / "secret").write_bytes(b"")
    assert folder.of(URL, DIGEST, "") is None
    assert len(told) == 1


def test_threads_that_write_at_once_lose_nothing(tmp_path: Path) -> None:
    """Each adds a model, again and again, and reads whole files only."""
    folder = folder_at(tmp_path)

    def write(number: int) -> None:
        for _ in range(5):
            keep(folder, Fact(facts.OUTPUT, f"m{number}", 5, NOW))

    keep(folder, limit_of(1.0))
    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = kept(folder_at(tmp_path))
    assert limit_of(1.0) in found
    assert {fact.of for fact in found if fact.kind == facts.OUTPUT} <= {"m0", "m1", "m2", "m3"}
    assert len(files(folder)) == 1


_HOLDER = """
import fcntl, os, sys
fcntl.flock(os.open(sys.argv[1], os.O_RDONLY), fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


def test_a_stopped_process_with_the_lock_stops_nobody(tmp_path: Path) -> None:
    """After a hundredth of a second it is written without."""
    folder = folder_at(tmp_path)
    keep(folder, limit_of(1.0))
    command = [sys.executable, "-c", _HOLDER, str(folder.path / "accounts")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        keep(folder, limit_of(2.0))
        assert holder.stdin is not None
        holder.stdin.close()
    assert kept(folder) == (limit_of(2.0),)


def test_old_files_and_those_of_killed_processes_are_removed(tmp_path: Path) -> None:
    """With the first file that is kept of a run."""
    keep(folder_at(tmp_path), limit_of(1.0), key=b"old")
    folder = folder_at(tmp_path, now=NOW)
    (old,) = files(folder)
    rest = old.with_name(".left.json.0123")
    rest.write_text("")
    for path in (old, rest):
        os.utime(path, (NOW - 40 * 86_400, NOW - 40 * 86_400))
    keep(folder, limit_of(2.0))
    assert [account.facts for account in folder.accounts()] == [(limit_of(2.0),)]
    assert len(files(folder)) == 1


def test_all_is_forgotten_with_the_secret(tmp_path: Path) -> None:
    """Nothing that was learned from the names is of use then."""
    folder = folder_at(tmp_path)
    keep(folder, limit_of(1.0))
    keep(folder, limit_of(1.0), key=b"other")
    assert folder.forget([folder.accounts()[0].name]) == 1
    assert folder.forget() == 1
    assert not (folder.path / "secret").exists()
    assert folder.forget() == 0


@pytest.mark.parametrize(
    ("variables", "end"),
    [
        ({"XDG_STATE_HOME": "/somewhere"}, "/somewhere/ratedispatch"),
        ({"XDG_STATE_HOME": "relative"}, "/.local/state/ratedispatch"),
        ({}, "/.local/state/ratedispatch"),
    ],
)
def test_the_folder_is_where_the_xdg_specification_says(
    variables: dict[str, str], end: str
) -> None:
    """A relative path is ignored."""
    assert str(state_path(variables)).endswith(end)


def test_the_json_of_an_account_is_what_its_file_holds() -> None:
    """The version first."""
    account = Account("n", URL, "g", (limit_of(1.0),))
    expected: Iterable[object] = {
        "version": 1,
        "server": URL,
        "group": "g",
        "facts": [{"kind": "limit", "of": "requests", "value": 1.0, "at": NOW}],
    }
    assert as_json(account) == expected
