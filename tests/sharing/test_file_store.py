"""Limits in a file, among members of one process; see `test_file_processes` for several."""

from __future__ import annotations

import gc
import os
import threading
from typing import TYPE_CHECKING

import pytest

from ratedispatch.errors import SharingError
from ratedispatch.pacing.shared.store import MOST_MEMBERS, Pause
from ratedispatch.sharing import state_file
from ratedispatch.sharing.file_store import FileStore
from ratedispatch.sharing.layout import FORMAT, Identity, pack_identity
from ratedispatch.sharing.surroundings import Surroundings
from tests.sharing.notes import gone, limit, note, sheet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

Join = "Callable[[], FileStore]"


class Clock:
    """An instant that tests move."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ratedispatch" / "host.limits"


@pytest.fixture
def join(path: Path, clock: Clock) -> Iterator[Callable[[], FileStore]]:
    """Become one more member."""
    stores: list[FileStore] = []

    def one_more() -> FileStore:
        stores.append(FileStore(path, clock))
        return stores[-1]

    yield one_more
    for store in stores:
        store.close()


def test_members_see_what_others_have_taken(join: Callable[[], FileStore]) -> None:
    """Two stores of one process are two members of one record."""
    first, second = join(), join()
    assert sheet(first, note(3.0)).limits[0].available == 7.0
    told = sheet(second, note(4.0))
    assert (told.limits[0].available, told.limits[0].totals[0], told.living) == (3.0, 7.0, 2)
    assert sheet(first).limits[0].available == 3.0


def test_what_was_told_outlives_its_members(join: Callable[[], FileStore], clock: Clock) -> None:
    """The budget of a day is still used up after all have gone and one has come."""
    first = join()
    epoch = sheet(first, note(8.0)).epoch
    first.close()
    clock.now += 0.125
    told = sheet(join())
    assert (told.epoch, told.limits[0].available, told.living) == (epoch, 3.0, 1)


def test_a_note_writes_no_news_but_a_pause_does(join: Callable[[], FileStore]) -> None:
    """Others read without the lock whether there is something to hear."""
    first, second = join(), join()
    sheet(first)
    sheet(second)
    before = first.news()
    assert sheet(second, note(1.0)).news == before == first.news()
    told = sheet(second, note(pause=Pause(1_000.0, 1_005.0)))
    assert first.news() == told.news == before + 1
    assert sheet(first).pause == Pause(1_000.0, 1_005.0)


def test_what_the_dead_held_is_given_back(join: Callable[[], FileStore], clock: Clock) -> None:
    """Within a quarter of a second, as far as it was waiting for its turn."""
    first, second = join(), join()
    sheet(second)
    sheet(first, note(20.0, held=20.0))
    first.close()
    clock.now += 0.125
    assert (sheet(second).limits[0].available, sheet(second).living) == (-9.0, 2)
    clock.now += 0.125
    told = sheet(second)
    assert (told.limits[0].available, told.living) == (10.0, 1)


def test_what_the_dead_have_sent_is_not(join: Callable[[], FileStore], clock: Clock) -> None:
    """A mark without the lock says that the reservation was used."""
    first, second = join(), join()
    sheet(second)
    sheet(first, note(12.0, held=12.0))
    first.redeemed()
    first.close()
    clock.now += 0.25
    told = sheet(second)
    assert (told.limits[0].available, told.living) == (0.0, 1)


def test_a_mark_counts_for_one_note(join: Callable[[], FileStore], clock: Clock) -> None:
    """What is reserved after a mark is given back again."""
    first, second = join(), join()
    sheet(second)
    sheet(first, note(12.0, held=12.0))
    first.redeemed()
    clock.now += 0.125
    sheet(first, note(5.0, held=5.0))
    first.close()
    clock.now += 0.25
    assert sheet(second).limits[0].available == 10.0 - 12.0 + 0.375 * 8.0


def test_who_is_silent_is_asked_to_ask_again(join: Callable[[], FileStore], clock: Clock) -> None:
    """After two seconds of silence a reservation is gone, and its member hears so."""
    first, second = join(), join()
    sheet(first, note(40.0, held=5.0))
    sheet(second)
    clock.now += 2.125
    assert sheet(second).limits[0].available == -8.0
    told = sheet(first)
    assert (told.was_reaped, told.living, told.wanting) == (True, 2, 2)
    assert not sheet(first).was_reaped


def test_who_leaves_is_gone_at_once(join: Callable[[], FileStore]) -> None:
    """The last note of a member needs no look at who lives."""
    first, second = join(), join()
    sheet(first)
    sheet(second, note(leaves=True))
    assert sheet(first).living == 1


def test_the_places_of_the_dead_are_free(join: Callable[[], FileStore], clock: Clock) -> None:
    """As many can come as there is room for, and again when these have died."""
    crowd = [join() for _ in range(MOST_MEMBERS)]
    for one in crowd:
        sheet(one)
    late = join()
    assert gone(late) == "it has 64 members, and there is no room for one more"
    for one in crowd[:3]:
        one.close()
    clock.now += 0.25
    assert sheet(late).living == MOST_MEMBERS - 2


def test_a_store_that_is_forgotten_is_dead(join: Callable[[], FileStore], clock: Clock) -> None:
    """Nobody has to close."""
    first = join()
    sheet(first)
    other = FileStore(first._file.path, clock)
    assert sheet(other).living == 2
    del other
    gc.collect()
    clock.now += 0.25
    assert sheet(first).living == 1


def test_a_file_that_is_removed_is_made_again(
    join: Callable[[], FileStore], clock: Clock, path: Path
) -> None:
    """All meet in the new one."""
    first, second = join(), join()
    epoch = sheet(first, note(5.0)).epoch
    sheet(second)
    path.unlink()
    path.parent.rmdir() if not list(path.parent.iterdir()) else None
    clock.now += 0.25
    told = sheet(first)
    assert told.epoch != epoch
    assert told.was_reaped
    assert sheet(second).living == 2
    assert sheet(second).epoch == told.epoch


def test_another_boot_begins_anew(path: Path, clock: Clock) -> None:
    """The clock began again, so that no instant in the file means anything."""
    before = FileStore(path, clock, around=Surroundings("first", 1))
    sheet(before, note(8.0))
    before.close()
    after = FileStore(path, clock, around=Surroundings("second", 1))
    assert sheet(after).limits[0].available == 10.0
    after.close()


def test_another_clock_is_refused_while_somebody_lives(path: Path, clock: Clock) -> None:
    """A container with a time of its own cannot share by a file, but may take over one."""
    first = FileStore(path, clock, around=Surroundings("boot", 1))
    sheet(first)
    with pytest.raises(SharingError, match=r"in use by processes with another clock.*redis://"):
        FileStore(path, clock, around=Surroundings("boot", 2))
    first.close()
    second = FileStore(path, clock, around=Surroundings("boot", 2))
    assert sheet(second).living == 1
    second.close()


def test_a_newer_format_is_refused(join: Callable[[], FileStore], path: Path) -> None:
    """It is neither read nor begun anew; a member that is there already is told so too."""
    first = join()
    sheet(first)
    newer = pack_identity(Identity(FORMAT + 1, Surroundings("", 0), 1.0))
    with path.open("r+b") as file:
        file.write(newer)
    match = rf"newer ratedispatch \(format {FORMAT + 1}; this one reads {FORMAT}\); upgrade"
    with pytest.raises(SharingError, match=match):
        join()
    assert "newer ratedispatch" in gone(first)
    assert path.read_bytes().startswith(newer)


def test_an_older_format_is_begun_anew_when_nobody_lives(
    join: Callable[[], FileStore], path: Path
) -> None:
    """As long as its processes run they are told apart."""
    first = join()
    sheet(first, note(5.0))
    around = first._file._around
    with path.open("r+b") as file:
        file.write(pack_identity(Identity(FORMAT - 1, around, 1.0)))
    with pytest.raises(SharingError, match=r"in use by an older ratedispatch.*end its processes"):
        join()
    first.close()
    assert sheet(join()).limits[0].available == 10.0


def test_a_file_system_of_a_network_is_refused(
    path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its locks do not do what is needed."""
    monkeypatch.setattr(state_file, "file_system", lambda device: "nfs4")
    with pytest.raises(SharingError, match=r"network file system \(nfs4\).*redis://"):
        FileStore(path, clock)


def test_a_full_disk_is_refused_at_the_start(
    path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Space is reserved then, so that it cannot be missing later."""

    def full(fd: int, start: int, length: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(SharingError, match=r"host.limits: no space left on device; set XDG"):
        FileStore(path, clock)


def test_a_write_that_fails_changes_nothing(
    join: Callable[[], FileStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The note was not taken in, and nobody sees half of it."""
    first, second = join(), join()
    sheet(first, note(2.0))
    sheet(second)

    def full(fd: int, data: bytes, at: int) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(os, "pwrite", full)
        assert gone(first, note(3.0)) == "no space left on device"
    assert sheet(second).limits[0].available == 8.0
    assert sheet(first).limits[0].available == 8.0


def test_news_are_read_by_other_threads(join: Callable[[], FileStore]) -> None:
    """And by none after a close, without an error."""
    store = join()
    told = sheet(store)
    seen: list[float] = []
    thread = threading.Thread(target=lambda: seen.append(store.news()))
    thread.start()
    thread.join()
    assert seen == [told.news]
    store.close()
    assert store.news() == told.news


def test_threads_with_a_store_each_lose_nothing(path: Path) -> None:
    """Four threads of one process are four members."""

    def take() -> None:
        store = FileStore(path)
        for _ in range(100):
            sheet(store, note(1.0))
        store.close()

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store = FileStore(path)
    assert sheet(store).limits[0].totals[0] == 400.0
    store.close()


def test_the_longest_record_fits(join: Callable[[], FileStore]) -> None:
    """All members, all limits, and the longest of names."""
    crowd = [join() for _ in range(MOST_MEMBERS)]
    told = note()._replace(
        limits=tuple(
            limit(1.0, name=f"{n}".ljust(48, "x"), held=1.0, learned=(1.0,) * 40) for n in range(8)
        )
    )
    for one in crowd:
        sheet(one, told)
    assert sheet(crowd[0], told).limits[7].totals[0] == MOST_MEMBERS + 1
