"""Limits in a file, among processes that are killed, stopped and forked."""

from __future__ import annotations

import fcntl
import json
import os
import random
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ratedispatch.pacing.shared.store import TAKEN
from ratedispatch.sharing import file_locks, file_store, state_file
from ratedispatch.sharing.file_locks import lock, unlock
from ratedispatch.sharing.file_store import FileStore
from tests.sharing.notes import gone, note, sheet

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]


def now() -> float:
    return time.monotonic()  # noqa: TID251 - that of all processes


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "host.limits"


def fork(run: Callable[[], None]) -> int:
    """Run something in a child; what it raises is its exit code 1."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the runner of the tests has threads
        child = os.fork()
    if child == 0:
        code = 1
        try:
            run()
            code = 0
        finally:
            os._exit(code)
    return child


def ends_of(child: int) -> int:
    """Wait for a child; return its exit code, below zero for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def wait_until_stopped(child: int) -> None:
    _, status = os.waitpid(child, os.WUNTRACED)
    assert os.WIFSTOPPED(status)


#: What an exchange calls, where a process can be killed.
CALLS = ("pread", "pwrite", "flock", "fcntl")


class Killer:
    """
    Kills this process at one call of the system.

    Args:
        at: The number of the call, from 1.
        is_half_done: Whether half of what it writes is written before.
    """

    def __init__(self, at: int, *, is_half_done: bool) -> None:
        self.calls = 0
        self._at = at
        self._is_half_done = is_half_done

    def wrapped(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            self.calls += 1
            if self.calls == self._at:
                if self._is_half_done and name == "pwrite":
                    fd, data, at = arguments
                    real(fd, data[: len(data) // 2], at)
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments)

        return call

    def install(self) -> None:
        for name in CALLS:
            owner = os if hasattr(os, name) else fcntl
            setattr(owner, name, self.wrapped(name, getattr(owner, name)))


@pytest.mark.parametrize("is_half_done", [False, True])
def test_a_kill_at_any_call_leaves_a_whole_record(path: Path, *, is_half_done: bool) -> None:
    """The note of the dead counts or does not, nobody waits, and others see that it is dead."""
    clock = [1_000.0]
    survivor = FileStore(path, lambda: clock[0])
    sheet(survivor)
    taken, at, ended = 0.0, 0, -signal.SIGKILL
    while ended == -signal.SIGKILL:
        at += 1

        def die(at: int = at) -> None:
            store = FileStore(path, lambda: clock[0])
            sheet(store, note(1.0))
            killer = Killer(at, is_half_done=is_half_done)
            killer.install()
            sheet(store, note(1.0))

        ended = ends_of(fork(die))
        clock[0] += 0.25
        told = sheet(survivor)
        total = told.limits[0].totals[TAKEN]
        assert total - taken in {1.0, 2.0}
        assert told.living == 1
        taken = total
    assert ended == 0
    assert at == 6  # lock, head, record, state, unlock
    survivor.close()


@pytest.mark.parametrize("is_half_done", [False, True])
def test_a_kill_while_the_file_is_made_leaves_one_to_use(
    tmp_path: Path, *, is_half_done: bool
) -> None:
    """Whoever comes next makes the rest, or begins anew."""
    at, ended = 0, -signal.SIGKILL
    while ended == -signal.SIGKILL:
        at += 1
        path = tmp_path / f"{at}.limits"

        def die(at: int = at, path: Path = path) -> None:
            killer = Killer(at, is_half_done=is_half_done)
            killer.install()
            sheet(FileStore(path), note(1.0))

        ended = ends_of(fork(die))
        next_one = FileStore(path)
        told = sheet(next_one)
        assert (told.living, told.limits[0].totals[TAKEN]) in {(1, 0.0), (2, 1.0), (1, 1.0)}
        next_one.close()
    assert ended == 0
    assert at > 10


@pytest.mark.slow
def test_the_limit_holds_while_processes_are_killed(path: Path, tmp_path: Path) -> None:
    """Four of them take 400 a second and are killed by chance: never more than the limit allows."""
    flow, burst, seconds, rng = 400.0, 20.0, 1.2, random.Random(1)
    referee = tmp_path / "sent"
    referee.touch()
    command = [sys.executable, "-m", "tests.sharing.taker", str(path), str(referee)]

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*command, str(flow), str(burst)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    takers, kills, begun = [start() for _ in range(4)], 0, now()
    while now() < begun + seconds:
        time.sleep(rng.uniform(0.05, 0.15))
        if len(referee.read_bytes()) == 0:
            begun = now()  # none of them has started yet
            continue
        victim = rng.randrange(3)  # one survives
        takers[victim].kill()
        takers[victim].communicate()
        takers[victim] = start()
        kills += 1
    ends = [taker.communicate() for taker in takers]
    assert [errors for _, errors in ends] == [b""] * 4
    sent = sorted(float(line) for line in referee.read_text().splitlines())
    # each as early as the sum of all allows, from the first on
    early = [count - burst - flow * (at - sent[0]) for count, at in enumerate(sent, start=1)]
    # the first was written down after it was let through
    assert max(early) <= 0.01 * flow
    assert kills > 2
    # what the dead leave behind is used by the others; the machine may be slow
    assert len(sent) > 0.5 * flow * (sent[-1] - sent[0])
    told = json.loads(ends[3][0])
    slow = [each for each in told["seconds"] if each > 0.05]
    assert len(slow) <= 0.01 * len(told["seconds"])


def test_what_a_killed_process_held_is_back_within_two_seconds(path: Path) -> None:
    """By the kernel's word, in real time."""
    store = FileStore(path)
    sheet(store)

    def die() -> None:
        sheet(FileStore(path), note(100.0, held=100.0))
        os.kill(os.getpid(), signal.SIGKILL)

    assert ends_of(fork(die)) == -signal.SIGKILL
    died = now()
    while (told := sheet(store)).living > 1:
        assert told.limits[0].available < 0
        assert now() < died + 2.0
        time.sleep(0.01)
    assert told.limits[0].available == 10.0
    store.close()


def test_a_process_that_is_stopped_in_the_lock_holds_up_nobody(path: Path) -> None:
    """Others hear who it is and go on; when it goes on, so does the store."""
    store = FileStore(path)
    sheet(store, note(1.0))

    def stop() -> None:
        other = state_file.StateFile(path, store._file._around)
        other.open()
        lock(other.fd, is_patient=True)
        os.kill(os.getpid(), signal.SIGSTOP)
        unlock(other.fd)

    child = fork(stop)
    wait_until_stopped(child)
    reason = f"it is locked by process {child}, which is stopped"
    assert gone(store, note(1.0)) == reason
    late = FileStore(path)  # one that comes is no worse off
    assert gone(late) == reason
    os.kill(child, signal.SIGCONT)
    assert ends_of(child) == 0
    assert sheet(store).limits[0].totals[TAKEN] == 1.0
    assert sheet(late).living == 2
    store.close()
    late.close()


def test_the_lock_is_waited_for_a_moment_and_then_tried_once(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until it works again; a holder that only lacks a processor gets 24 ms more."""
    holder, store = FileStore(path), FileStore(path)
    sheet(store)
    slept: list[float] = []
    lock(holder._file.fd, is_patient=True)
    monkeypatch.setattr(file_locks, "is_stopped", lambda process: True)
    with pytest.raises(Exception, match="which is stopped"):
        lock(store._file.fd, is_patient=True, sleep=slept.append)
    assert sum(slept) == pytest.approx(0.00014, abs=1e-9)
    slept.clear()
    monkeypatch.setattr(file_locks, "is_stopped", lambda process: False)
    with pytest.raises(Exception, match=f"process {os.getpid()}, which does not release it"):
        lock(store._file.fd, is_patient=True, sleep=slept.append)
    assert sum(slept) == pytest.approx(0.02526, abs=1e-9)
    slept.clear()
    with pytest.raises(Exception, match="does not release it"):
        lock(store._file.fd, is_patient=False, sleep=slept.append)
    assert slept == []
    patient: list[bool] = []

    def watched(fd: int, *, is_patient: bool) -> None:
        patient.append(is_patient)
        lock(fd, is_patient=is_patient, sleep=slept.append)

    monkeypatch.setattr(file_store, "lock", watched)
    gone(store)
    gone(store)
    unlock(holder._file.fd)
    sheet(store)
    sheet(store)
    assert patient == [True, False, False, True]
    holder.close()
    store.close()


def test_a_child_of_a_fork_is_a_member_of_its_own(path: Path) -> None:
    """The parent lives on in the record for as long as it does, and no longer."""
    watcher = FileStore(path)
    sheet(watcher)
    ready, told = os.pipe()
    proceed, go_on = os.pipe()

    def parent() -> None:
        store = FileStore(path)
        sheet(store, note(100.0, held=100.0))

        def child() -> None:
            store.redeemed()  # of what the parent holds the child knows nothing
            assert store.news() >= 0
            os.read(proceed, 1)
            assert sheet(store, note(1.0)).living == 2
            os.write(told, b"x")
            os.read(proceed, 1)

        fork(child)
        os.write(told, b"x")
        os.kill(os.getpid(), signal.SIGKILL)

    assert ends_of(fork(parent)) == -signal.SIGKILL
    assert os.read(ready, 1) == b"x"
    time.sleep(0.26)
    answer = sheet(watcher)
    assert (answer.living, answer.limits[0].available) == (1, 10.0)
    os.write(go_on, b"x")
    assert os.read(ready, 1) == b"x"
    assert sheet(watcher).living == 2
    os.write(go_on, b"x")
    watcher.close()
    for end in (ready, told, proceed, go_on):
        os.close(end)
