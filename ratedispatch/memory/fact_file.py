"""
The file of one account: reads it whatever it contains, and replaces it as a whole.

A reader never sees a part of a file. Two that write at once take turns under a lock on the folder;
where that is not to be had in time, the last whole one wins.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ratedispatch.memory.facts import Fact, fact_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

#: The version of the format. A file of a later one is left as it is.
VERSION = 1

#: Bytes of a file: 256 facts with names of 200 characters take less.
_MOST_BYTES = 256 * 1024

#: Characters of a server, and of a group.
_MOST_NAME = 2000

#: How often the lock is requested, and seconds between: another process holds it for a
#: millisecond, and one that was stopped must not stop us.
_TRIES = 5
_WAIT_SECONDS = 0.002


@dataclass(frozen=True, slots=True)
class Account:
    """
    What is kept of one account.

    Args:
        name: What stands for its key, its server and its group.
        place: The server.
        group: The group of models, or the member of a pool; empty for an account as a whole.
        facts: What was learned.
    """

    name: str
    place: str
    group: str
    facts: tuple[Fact, ...] = ()


class DamagedMemory(ValueError):
    """A file of an account cannot be read by this version; the message says why."""


class LaterMemory(DamagedMemory):
    """A file of an account was written by a later version of this program, which keeps using it."""


def read_account(path: Path) -> Account | None:
    """
    Return what the file *path* says; None if there is none.

    Raises:
        DamagedMemory: It is no such file, or of a later version.
        OSError: It cannot be read.
    """
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        descriptor = os.open(path, flags)
    except FileNotFoundError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        data = file.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise DamagedMemory(f"it has more than {_MOST_BYTES:,} bytes")
    return _parsed(path.stem, data)


def _parsed(name: str, data: bytes) -> Account:
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        raise DamagedMemory("it is not JSON") from None
    if not isinstance(content, dict):
        raise DamagedMemory("it is not a JSON object")
    version = content.get("version")
    if isinstance(version, int) and version > VERSION:
        raise LaterMemory(f"it has version {version}, and this program reads {VERSION}")
    if version != VERSION:
        raise DamagedMemory("it has no version")
    place, group, entries = (content.get(field) for field in ("server", "group", "facts"))
    if not (isinstance(place, str) and isinstance(group, str) and isinstance(entries, list)):
        raise DamagedMemory("its server, group or facts are missing")
    if len(place) > _MOST_NAME or len(group) > _MOST_NAME or not (place + group).isprintable():
        raise DamagedMemory("its server or group is not a name")
    facts = [
        fact_of(entry.get("kind"), entry.get("of"), entry.get("value"), entry.get("at"))
        for entry in entries
        if isinstance(entry, dict)
    ]
    return Account(name, place, group, tuple(fact for fact in facts if fact is not None))


def as_json(account: Account) -> dict[str, Any]:
    """Return *account* as it stands in its file."""
    return {
        "version": VERSION,
        "server": account.place,
        "group": account.group,
        "facts": [fact._asdict() for fact in account.facts],
    }


def change_account(path: Path, change: Callable[[Account | None], Account]) -> None:
    """
    Replace the file *path* by what *change* makes of it, under the lock of its folder.

    A file that is damaged counts as none; one of a later version is left alone.

    Raises:
        LaterMemory: It is of a later version.
        OSError: It cannot be written.
    """
    with _locked(path.parent):
        known: Account | None = None
        try:
            known = read_account(path)
        except LaterMemory:
            raise
        except DamagedMemory:
            pass
        data = json.dumps(as_json(change(known)), separators=(",", ":")).encode()
        _replace(path, data)


def _replace(path: Path, data: bytes) -> None:
    """Put a new file with *data* in place of *path*."""
    new = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    descriptor = os.open(new, flags, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        new.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            new.unlink()
        raise


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the lock of *folder*, if it can be had at once or soon."""
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        for _ in range(_TRIES):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                time.sleep(_WAIT_SECONDS)
        yield
    finally:
        os.close(descriptor)  # and with it the lock
