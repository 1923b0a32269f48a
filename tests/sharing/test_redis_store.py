"""A store on a real Redis, and everything that can happen to it."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import os
import queue
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ratedispatch.errors import SharingError
from ratedispatch.pacing.shared.store import LEARNED, TAKEN, Note, Sheet, StoreGone
from ratedispatch.sharing.redis_mail import Mail
from ratedispatch.sharing.redis_script import RedisTuning
from ratedispatch.sharing.redis_store import RedisStore
from ratedispatch.sharing.redis_url import RedisPlace
from ratedispatch.sharing.where import open_store, parse_where
from tests.pacing.shared.test_record import limit, note
from tests.sharing.redis_server import RedisServer, free_port, running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

redis = pytest.importorskip("redis", reason="the client of Redis is not installed")

SOON = RedisTuning(connect_seconds=0.15, reply_seconds=0.15)
SECRET = "a-password-nobody-may-see"


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    yield from running("--port", str(free_port()), "--databases", "2")


@pytest.fixture
def own_server() -> Iterator[RedisServer]:
    """Yield one that a test may kill."""
    yield from running()


@pytest.fixture
def scope(request: pytest.FixtureRequest) -> str:
    """Return a scope that no other test has."""
    return f"{request.node.name}"


Open = Any


@pytest.fixture
def opened() -> Iterator[Callable[..., RedisStore]]:
    """Yield what opens stores that are closed at the end."""
    stores: list[RedisStore] = []

    def open_one(where: RedisServer | RedisPlace, scope: str, **rest: Any) -> RedisStore:
        url = where.url if isinstance(where, RedisServer) else where
        store = RedisStore(url, scope, **rest)
        stores.append(store)
        return store

    yield open_one
    for store in stores:
        store.close()


def told(store: RedisStore, what: Note) -> Sheet | StoreGone:
    """Return the reply to a note."""
    replies: queue.SimpleQueue[Sheet | StoreGone] = queue.SimpleQueue()
    store.exchange(what, replies.put)
    return replies.get(timeout=10.0)


def sheet_of(store: RedisStore, what: Note) -> Sheet:
    reply = told(store, what)
    assert isinstance(reply, Sheet), reply
    return reply


def gone_of(store: RedisStore, what: Note) -> str:
    reply = told(store, what)
    assert isinstance(reply, StoreGone), reply
    return reply.reason


def port_of(server: RedisServer) -> int:
    return int(server.settings[server.settings.index("--port") + 1])


class TestSharing:
    def test_two_stores_see_one_limit(self, server: RedisServer, scope: str, opened: Open) -> None:
        one, other = opened(server, scope), opened(server, scope)
        sheet_of(one, note(limit(40.0)))
        sheet = sheet_of(other, note(limit(30.0, learned=(1.0,) * LEARNED)))
        assert (sheet.living, sheet.limits[0].totals[TAKEN]) == (2, 70.0)
        assert sheet_of(one, note(limit())).limits[0].learned == (1.0,) * LEARNED
        assert one.news() == sheet.news

    def test_names_and_scopes_are_apart(
        self, server: RedisServer, scope: str, opened: Open
    ) -> None:
        stores = [
            opened(server, scope),
            opened(server, scope + "2"),
            opened(RedisPlace("", path=str(server.socket), name="b"), scope),
        ]
        assert [sheet_of(store, note(limit(1.0))).living for store in stores] == [1, 1, 1]

    def test_who_closes_has_left(self, server: RedisServer, scope: str, opened: Open) -> None:
        one, other = opened(server, scope), opened(server, scope)
        sheet_of(one, note(limit(80.0)))
        sheet_of(other, note(limit(20.0, held=20.0)))
        other.close()
        sheet = sheet_of(one, note(limit()))
        assert (sheet.living, sheet.limits[0].totals[TAKEN]) == (1, 80.0)

    def test_who_is_forgotten_leaves(self, server: RedisServer, scope: str, opened: Open) -> None:
        """A service that makes clients and never closes them would fill all places otherwise."""
        staying = opened(server, scope)
        assert sheet_of(staying, note()).living == 1
        forgotten = RedisStore(server.url, scope)
        assert sheet_of(forgotten, note()).living == 2
        del forgotten
        gc.collect()
        assert sheet_of(staying, note()).living == 1

    def test_two_processes_add_up_exactly(
        self, server: RedisServer, scope: str, opened: Open
    ) -> None:
        code = (
            "import threading\n"
            "from ratedispatch.pacing.shared.store import LimitNote, Note, TOTALS\n"
            "from ratedispatch.sharing.redis_store import RedisStore\n"
            "added = (1.0, *[0.0] * (TOTALS - 1))\n"
            "limit = LimitNote('requests', added, 1.0, 1.0, 0.0, 1.0, None, None, 0.0, 60.0)\n"
            f"store = RedisStore({server.url!r}, {scope!r})\n"
            "for _ in range(200):\n"
            "    done = threading.Event()\n"
            "    store.exchange(Note(0.0, (limit,)), lambda reply: done.set())\n"
            "    assert done.wait(10)\n"
            "store.close()\n"
        )
        children = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(2)]
        assert [child.wait(timeout=60) for child in children] == [0, 0]
        sheet = sheet_of(opened(server, scope), note(limit()))
        assert (sheet.limits[0].totals[TAKEN], sheet.living) == (400.0, 1)

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
    @pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
    def test_a_fork_is_one_more_member(self, server: RedisServer, scope: str, opened: Open) -> None:
        store = opened(server, scope)
        sheet_of(store, note(limit(1.0)))
        child = os.fork()
        if not child:
            with contextlib.suppress(BaseException):
                os._exit(sheet_of(store, note(limit(1.0))).living)
            os._exit(99)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 2
        assert sheet_of(store, note(limit())).limits[0].totals[TAKEN] == 2.0

    def test_scripts_that_were_flushed_are_loaded_again(
        self, server: RedisServer, scope: str, opened: Open
    ) -> None:
        store = opened(server, scope)
        sheet_of(store, note(limit(1.0)))
        with redis.Redis(unix_socket_path=str(server.socket)) as client:
            client.script_flush()
        assert sheet_of(store, note(limit(1.0))).limits[0].totals[TAKEN] == 2.0


class TestGone:
    def test_a_server_that_was_restarted_begins_with_what_the_first_says(
        self, own_server: RedisServer, scope: str, opened: Open
    ) -> None:
        store = opened(own_server, scope)
        before = sheet_of(store, note(limit(10.0)))
        own_server.kill()
        assert gone_of(store, note(limit(5.0))) == "no such file or directory"
        own_server.start()
        after = sheet_of(store, note(limit(first=3.0)))
        assert after.epoch != before.epoch
        # the note that was for the old one was dropped
        assert (after.limits[0].available, after.limits[0].totals[TAKEN]) == (3.0, 0.0)

    def test_a_server_that_was_stopped_gets_each_note_once(
        self, own_server: RedisServer, scope: str, opened: Open
    ) -> None:
        store = opened(own_server, scope, tuning=SOON)
        sheet_of(store, note(limit(1.0)))
        own_server.signal(signal.SIGSTOP)
        for taken in (10.0, 100.0, 1000.0):
            assert gone_of(store, note(limit(taken))) == "no reply within 0.15 s"
        own_server.signal(signal.SIGCONT)
        assert sheet_of(store, note(limit())).limits[0].totals[TAKEN] == 1111.0

    def test_what_could_not_be_sent_is_sent_later(
        self, server: RedisServer, scope: str, opened: Open, tmp_path: Path
    ) -> None:
        way = tmp_path / "s"
        place = RedisPlace("", path=str(way))
        store = opened(place, scope)
        way.symlink_to(server.socket)
        sheet_of(store, note(limit(1.0)))
        with redis.Redis(unix_socket_path=str(server.socket)) as client:
            way.unlink()
            client.client_kill_filter(_type="normal", skipme=True)
        for taken in (10.0, 100.0):
            gone_of(store, note(limit(taken)))
        way.symlink_to(server.socket)
        assert sheet_of(store, note(limit())).limits[0].totals[TAKEN] == 111.0

    def test_whatever_happens_in_the_thread_there_is_a_reply(
        self, server: RedisServer, scope: str, opened: Open, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store = opened(server, scope)
        sheet_of(store, note(limit(1.0)))
        with monkeypatch.context() as broken:
            broken.setattr("ratedispatch.sharing.redis_courier.unpacked", lambda reply: 1 / 0)
            assert gone_of(store, note(limit(10.0))) == "a ZeroDivisionError in its client"
        assert sheet_of(store, note(limit())).limits[0].totals[TAKEN] == 11.0

    def test_the_thread_outlives_what_it_cannot_take_in(
        self, server: RedisServer, scope: str, opened: Open, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store = opened(server, scope)
        with monkeypatch.context() as broken:
            broken.setattr(Mail, "opened", lambda self, sheet: sheet.nothing)
            assert "cannot be processed" in gone_of(store, note(limit(10.0)))
        assert sheet_of(store, note(limit())).limits[0].totals[TAKEN] == 10.0


class LossyWay:
    """
    A socket before the server, which loses the replies that it is told to.

    Args:
        path: Where it listens.
        server: Where it leads.

    Attributes:
        loses: How many of the next replies are lost; the connection is closed then.
    """

    def __init__(self, path: Path, server: Path) -> None:
        self.loses = 0
        self._server = server
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10.0)

    def _run(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                with client, socket.socket(socket.AF_UNIX) as server:
                    server.connect(str(self._server))
                    self._pass_on(client, server)

    def _pass_on(self, client: socket.socket, server: socket.socket) -> None:
        asked = b""  # since the last reply; it may come in pieces
        with contextlib.suppress(OSError):
            while True:
                ready, _, _ = select.select([client, server], [], [])
                if client in ready:
                    piece = client.recv(1 << 20)
                    if not piece:
                        return
                    asked += piece
                    server.sendall(piece)
                else:
                    reply = server.recv(1 << 20)
                    if self.loses and b"EVAL" in asked and b"NOSCRIPT" not in reply:
                        self.loses -= 1
                        return
                    asked = b""
                    client.sendall(reply)
                    if not reply:
                        return


class TestLostReplies:
    @pytest.fixture
    def way(self, server: RedisServer, tmp_path: Path) -> Iterator[LossyWay]:
        way = LossyWay(tmp_path / "way", server.socket)
        yield way
        way.close()

    @pytest.fixture
    def store(self, way: LossyWay, tmp_path: Path, scope: str, opened: Open) -> Iterator[Any]:
        store = opened(RedisPlace("", path=str(tmp_path / "way")), scope)
        sheet_of(store, note(limit(1.0)))
        yield store
        store.close()

    def test_one_is_asked_for_again_at_once(self, way: LossyWay, store: RedisStore) -> None:
        way.loses = 1
        assert sheet_of(store, note(limit(10.0))).limits[0].totals[TAKEN] == 11.0

    def test_the_first_of_all_too(
        self, way: LossyWay, tmp_path: Path, scope: str, opened: Open
    ) -> None:
        way.loses = 1
        store = opened(RedisPlace("", path=str(tmp_path / "way")), scope)
        assert sheet_of(store, note(limit(10.0))).limits[0].totals[TAKEN] == 10.0
        store.close()

    def test_after_several_the_store_is_gone_and_the_note_counts_once(
        self, way: LossyWay, store: RedisStore
    ) -> None:
        way.loses = 5
        assert "closed" in gone_of(store, note(limit(10.0)))
        assert "closed" in gone_of(store, note(limit(100.0)))
        way.loses = 0
        assert sheet_of(store, note(limit())).limits[0].totals[TAKEN] == 111.0


class TestCluster:
    def test_each_scope_is_sent_to_its_own_server(self, opened: Open) -> None:
        ports = [free_port(has_bus=True), free_port(has_bus=True)]
        folders = [tempfile.mkdtemp(prefix="rd-redis-") for _ in ports]
        servers = []
        try:
            for port, folder in zip(ports, folders, strict=True):
                settings = ["--port", str(port), "--cluster-enabled", "yes"]
                settings += ["--cluster-require-full-coverage", "no"]
                servers.append(RedisServer(Path(folder), *settings))
            clients = [redis.Redis(port=port) for port in ports]
            for client, slots in zip(clients, [range(8192), range(8192, 16384)], strict=True):
                client.execute_command("CLUSTER ADDSLOTS", *slots)
            clients[0].execute_command("CLUSTER MEET", "127.0.0.1", ports[1])
            place = RedisPlace("127.0.0.1", ports[0])
            scopes = [f"scope {number}" for number in range(8)]
            placed = [clients[0].execute_command("CLUSTER KEYSLOT", place.key(s)) for s in scopes]
            assert {slot > 8191 for slot in placed} == {True, False}
            for _ in range(1000):  # until the first has heard what the second holds
                told = [client.cluster("INFO") for client in clients]
                if all(
                    one["cluster_slots_assigned"] == "16384" and one["cluster_state"] == "ok"
                    for one in told
                ):
                    break
                time.sleep(0.01)
            stores = [opened(place, scope) for scope in scopes]
            for store in stores:
                store.check()
                sheet_of(store, note(limit(1.0)))
                assert sheet_of(store, note(limit(1.0))).limits[0].totals[TAKEN] == 2.0
            for client in clients:
                assert client.dbsize() > 0
                client.close()
            for store in stores:
                store.close()
        finally:
            for server, folder in zip(servers, folders, strict=False):
                server.kill()
                shutil.rmtree(folder, ignore_errors=True)


class TestFirstContact:
    def refused(self, place: RedisPlace) -> str:
        store = RedisStore(place, "x", tuning=SOON)
        with pytest.raises(SharingError) as raised:
            store.check()
        assert raised.value.__cause__ is None
        assert place.address in str(raised.value)
        assert SECRET not in str(raised.value)
        return str(raised.value)

    def test_a_server_that_can_be_used(self, server: RedisServer) -> None:
        store = RedisStore(RedisPlace("127.0.0.1", port_of(server), database=1), "x")
        store.check()
        store.close()

    def test_a_password_that_is_wrong(self, server: RedisServer) -> None:
        place = RedisPlace("127.0.0.1", port_of(server), user="me", password=SECRET)
        assert "rejects the password of the user 'me'" in self.refused(place)

    def test_a_password_that_is_missing(self) -> None:
        for server in running("--requirepass", SECRET):
            place = RedisPlace("", path=str(server.socket))
            assert "requires a password of the user 'default'" in self.refused(place)
            store = RedisStore(dataclasses.replace(place, password=SECRET), "x")
            store.check()
            assert sheet_of(store, note(limit())).living == 1
            store.close()

    def test_where_it_is_opened_the_reason_is_told(self) -> None:
        with pytest.raises(SharingError, match="connection refused"):
            open_store(
                parse_where(f"redis://127.0.0.1:{free_port()}"), base_url=None, key="k", group=""
            )

    def test_nobody_there(self) -> None:
        assert "connection refused" in self.refused(RedisPlace("127.0.0.1", free_port()))

    def test_no_such_database(self, server: RedisServer) -> None:
        place = RedisPlace("127.0.0.1", port_of(server), database=7)
        assert "has no database 7" in self.refused(place)

    def test_a_server_that_does_not_encrypt(self, server: RedisServer) -> None:
        place = RedisPlace("127.0.0.1", port_of(server), is_encrypted=True)
        assert "no reply within 0.15 s to a greeting in TLS" in self.refused(place)

    def test_the_rights_of_the_page_are_enough_and_each_is_needed(
        self, server: RedisServer, scope: str, opened: Open
    ) -> None:
        rights = ["+eval", "+evalsha", "+get", "+set", "+time"]
        with redis.Redis(unix_socket_path=str(server.socket)) as client:

            def allow(rights: list[str]) -> None:
                keys = "~{ratedispatch:*"
                client.execute_command(
                    "ACL", "SETUSER", "rd", "reset", "on", f">{SECRET}", keys, *rights
                )

            place = RedisPlace("", path=str(server.socket), user="rd", password=SECRET)
            allow(rights)
            store = opened(place, scope)
            store.check()
            sheet_of(store, note(limit(1.0)))
            for right in ("+eval", "+get", "+set", "+time"):
                allow([one for one in rights if one != right])
                assert "lacks a right" in self.refused(place)
            # in the middle of a job it is gone, and comes back
            assert "lacks a right" in gone_of(store, note(limit(10.0)))
            allow(rights)
            assert sheet_of(store, note(limit())).limits[0].totals[TAKEN] == 11.0
            client.execute_command("ACL", "DELUSER", "rd")
            assert "the user 'rd'" in gone_of(store, note(limit()))
